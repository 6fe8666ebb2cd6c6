//! The runner of all exams: runs their rows, a few at once, tells each as it finishes, and discards what
//! those left that went as they should.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context as _;
use khala_console::exit::{Exit, Failure};
use khala_console::{output, signals};
use serde::Serialize;
use tokio_util::sync::CancellationToken;

use super::Args;
use super::child::Ended;
use super::folder::{Folder, discard};
use super::pool::{self, Job, Work};
use crate::clock;

/// Version of the results of all exams: `matrix.json`, `wire.json` and `clean.json`.
const VERSION: u32 = 1;

/// Something to try: a row of an exam.
pub trait Trial {
    /// What is run.
    type Work: Work;
    /// What comes of it.
    type Line: Line;

    /// Name of its run's folder, which no other of the exam has.
    fn folder(&self) -> String;

    /// Its run, which leaves its bundle in `of_run`.
    fn job(&self, folder: &Folder, of_run: PathBuf) -> Job<Self::Work>;

    /// What came of it; nothing when it was ended before its time.
    fn line(&self, ended: Ended) -> Option<Self::Line>;
}

/// What came of a row.
pub trait Line {
    /// Characters of the longest [word](Self::word).
    const WORD_MAX: usize;

    /// Which row, as a reader would name it.
    fn title(&self) -> String;

    /// What became of it, in a word or two.
    fn word(&self) -> &'static str;

    /// Why, where it is not as it should be.
    fn reason(&self) -> Option<&str>;

    /// Whether it went as it should, so that nobody needs its bundle.
    fn is_settled(&self) -> bool;

    /// Where its bundle is.
    fn run_dir(&mut self) -> &mut Option<String>;
}

/// How an exam went: the first fields of its results.
#[derive(Clone, Debug, Serialize)]
pub struct Sitting {
    version: u32,
    tool: &'static str,
    /// Of the program that ran it: the first digits of its file's SHA-256.
    build: Option<String>,
    /// UTC, RFC 3339.
    started_at: String,
    /// Whether these are all rows that there are.
    whole: bool,
    /// Seed of the runs that want none of their own; the scenarios' where there is none.
    seed: Option<u64>,
    /// Wall time, in seconds.
    pub elapsed_s: f64,
    /// Whether a signal ended it; rows that were not finished then are not listed.
    pub interrupted: bool,
}

impl Sitting {
    /// What it ends with. An interrupt says nothing of what was not run; what stands `against` the harness
    /// is proof whatever else is `missing`.
    pub fn exit(&self, against: bool, missing: bool) -> Exit {
        if self.interrupted {
            Exit::Interrupted
        } else if against {
            Exit::NoGo
        } else if missing {
            Exit::Setup
        } else {
            Exit::Go
        }
    }

    /// For a heading: what goes without saying unless it was interrupted.
    pub fn told(&self) -> &'static str {
        if self.interrupted { " Interrupted." } else { "" }
    }
}

/// Runs all of the rows; gives what came of those that finished, in the order of the rows.
///
/// # Errors
/// When signals cannot be handled.
pub fn sit<T: Trial>(
    selftest: &Args,
    folder: &Folder,
    rows: &[T],
) -> Result<(Sitting, Vec<T::Line>), Failure> {
    let began = clock::now();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("cannot start a runtime")?;
    let (lines, interrupted) = runtime.block_on(async {
        let interrupt = signals::token().context("cannot handle signals")?;
        let lines = through(folder, rows, selftest.jobs.into(), &interrupt).await;
        anyhow::Ok((lines, interrupt.is_cancelled()))
    })?;
    let sitting = Sitting {
        version: VERSION,
        tool: env!("CARGO_PKG_VERSION"),
        build: build(),
        started_at: folder.started_at.clone(),
        whole: selftest.only.is_empty() && selftest.part.is_none(),
        seed: selftest.seed,
        elapsed_s: (clock::now() - began).as_secs_f64(),
        interrupted,
    };
    Ok((sitting, lines))
}

async fn through<T: Trial>(
    folder: &Folder,
    rows: &[T],
    at_once: usize,
    interrupt: &CancellationToken,
) -> Vec<T::Line> {
    let began = clock::now();
    let of_run = |row: &T| folder.of_run(&row.folder());
    let jobs = rows.iter().map(|row| row.job(folder, of_run(row))).collect();
    let mut lines: Vec<Option<T::Line>> = rows.iter().map(|_| None).collect();
    let mut finished = 0;
    pool::run(jobs, at_once, interrupt, |index, ended| {
        let Some(mut line) = rows[index].line(ended) else { return };
        finished += 1;
        output::say(&progress(&line, finished, rows.len(), clock::now() - began));
        if line.is_settled() && !folder.keep {
            discard(&of_run(&rows[index]));
            line.run_dir().take();
        }
        lines[index] = Some(line);
    })
    .await;
    lines.into_iter().flatten().collect()
}

/// One line a row, as it finishes.
fn progress<L: Line>(line: &L, finished: usize, rows: usize, elapsed: Duration) -> String {
    let reason = line.reason().map(|why| format!(": {why}")).unwrap_or_default();
    let (word, width) = (line.word(), L::WORD_MAX);
    format!("{finished}/{rows} {:>4} s  {word:<width$} {}{reason}", elapsed.as_secs(), line.title())
}

/// The rows that did not go as they should, each with why, as the end of a page; nothing where all did.
pub fn unsettled<L: Line>(lines: &[L]) -> String {
    let told = lines.iter().filter(|line| !line.is_settled()).map(|line| {
        let reason = line.reason().unwrap_or("it gives no reason");
        format!("- `{}` ({}): {reason}\n", line.title(), line.word())
    });
    let told: String = told.collect();
    if told.is_empty() { told } else { format!("\n{told}") }
}

/// Which build of this program runs, by the first digits of its file's SHA-256; nothing where it cannot be
/// read any more.
fn build() -> Option<String> {
    let digest = khala_bundle::sha256(&std::env::current_exe().ok()?).ok()?;
    digest.get(..12).map(str::to_owned)
}

#[cfg(test)]
pub mod tests {
    use clap::Parser;

    use super::*;

    /// How an exam went that took a minute.
    pub fn sitting() -> Sitting {
        Sitting {
            version: VERSION,
            tool: "0.0.0",
            build: None,
            started_at: "2026-01-02T03:04:05Z".to_owned(),
            whole: false,
            seed: None,
            elapsed_s: 61.2,
            interrupted: false,
        }
    }

    /// The progress of a row that is the third of 51 to finish.
    pub fn third_of_51<L: Line>(line: &L) -> String {
        progress(line, 3, 51, Duration::from_secs(75))
    }

    /// Leaves a folder, and says that it was judged, unless it is interrupted.
    struct Leaves(PathBuf);

    impl Work for Leaves {
        async fn run(self, interrupt: CancellationToken) -> Ended {
            if interrupt.is_cancelled() {
                return Ended::Interrupted;
            }
            std::fs::create_dir_all(&self.0).expect("a folder");
            Ended::Judged(self.0)
        }
    }

    /// A row that goes as it should, or does not.
    struct Row(&'static str, bool);

    struct Came {
        row: &'static str,
        settled: bool,
        run_dir: Option<String>,
    }

    impl Trial for Row {
        type Work = Leaves;
        type Line = Came;

        fn folder(&self) -> String {
            self.0.to_owned()
        }

        fn job(&self, _: &Folder, of_run: PathBuf) -> Job<Leaves> {
            Job { work: Leaves(of_run), alone: false }
        }

        fn line(&self, ended: Ended) -> Option<Came> {
            let Ended::Judged(dir) = ended else { return None };
            let run_dir = Some(dir.display().to_string());
            Some(Came { row: self.0, settled: self.1, run_dir })
        }
    }

    impl Line for Came {
        const WORD_MAX: usize = 5;

        fn title(&self) -> String {
            self.row.to_owned()
        }

        fn word(&self) -> &'static str {
            if self.settled { "right" } else { "WRONG" }
        }

        fn reason(&self) -> Option<&str> {
            (!self.settled).then_some("it is not")
        }

        fn is_settled(&self) -> bool {
            self.settled
        }

        fn run_dir(&mut self) -> &mut Option<String> {
            &mut self.run_dir
        }
    }

    #[derive(Parser)]
    struct Typed {
        #[command(flatten)]
        args: Args,
    }

    /// What came of a row that is right and one that is wrong, each with whether its bundle is told and is
    /// there.
    fn came(keep: bool, interrupted: bool) -> Vec<(&'static str, bool, bool)> {
        let name = format!("khala-runner-{}-{keep}-{interrupted}", std::process::id());
        let out_dir = std::env::temp_dir().join(name);
        let mut typed = vec!["selftest".into(), "--matrix".into(), "--out-dir".into()];
        typed.push(out_dir.clone().into_os_string());
        typed.extend(keep.then(|| "--keep".into()));
        let typed = Typed::parse_from(typed);
        let folder = Folder::make(&typed.args, "matrix").expect("a folder");
        let interrupt = CancellationToken::new();
        if interrupted {
            interrupt.cancel();
        }
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        let rows = [Row("a", true), Row("b", false)];
        let lines = runtime.block_on(through(&folder, &rows, 2, &interrupt));
        let told =
            |line: Came| (line.row, line.run_dir.is_some(), folder.of_run(line.row).exists());
        let came = lines.into_iter().map(told).collect();
        discard(&out_dir);
        came
    }

    #[test]
    fn what_went_as_it_should_is_discarded_unless_all_is_kept() {
        assert_eq!(came(false, false), [("a", false, false), ("b", true, true)]);
        assert_eq!(came(true, false), [("a", true, true), ("b", true, true)]);
    }

    #[test]
    fn what_an_interrupt_left_unrun_is_not_told() {
        assert_eq!(came(false, true), []);
    }

    #[test]
    fn progress_is_one_line_a_row() {
        let came = |settled| Came { row: "a", settled, run_dir: None };
        assert_eq!(third_of_51(&came(true)), "3/51   75 s  right a");
        assert_eq!(third_of_51(&came(false)), "3/51   75 s  WRONG a: it is not");
    }

    #[test]
    fn the_end_of_a_page_says_what_did_not_go_as_it_should() {
        let came = |settled| Came { row: "a", settled, run_dir: None };
        assert_eq!(unsettled(&[came(true)]), "");
        assert_eq!(unsettled(&[came(true), came(false)]), "\n- `a` (WRONG): it is not\n");
    }

    #[test]
    fn an_interrupt_says_nothing_and_proof_goes_before_what_is_missing() {
        let interrupted = Sitting { interrupted: true, ..sitting() };
        assert_eq!(interrupted.exit(true, true), Exit::Interrupted);
        assert_eq!(sitting().exit(true, true), Exit::NoGo);
        assert_eq!(sitting().exit(false, true), Exit::Setup);
        assert_eq!(sitting().exit(false, false), Exit::Go);
    }
}

//! `conform`: a runtime asked for what the contract says of it, sentence by sentence.

mod progress;

use std::fs::File;
use std::io::Write as _;
use std::path::Path;

use anyhow::Context as _;
use khala_bundle::utc_now;
use khala_conform::case::{Does, Times};
use khala_conform::known::Known;
use khala_conform::report::{CaseResult, Decision, Report};
use khala_conform::world::{Named, OpenError, Options, Stopper};
use khala_conform::{page, render, select};
use rustix::process::{Pid, Signal, kill_process};

use self::progress::Progress;
use super::refusals;
use crate::args::{Allowed, Conform};
use crate::exit::{Exit, Failure};
use crate::{output, scenario, signals};

/// Asks, tells and judges.
pub fn run(conform: &Conform) -> Result<Exit, Failure> {
    let cases = select::select(&conform.only).map_err(|why| Failure::new(Exit::Usage, why))?;
    if conform.list {
        output::print(page::page(&cases).as_bytes())?;
        return Ok(Exit::Go);
    }
    let known = known(conform.known.as_deref())?;
    let files = Files::open(conform)?;
    let options = options(conform)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("cannot start a runtime")?;
    let report = runtime.block_on(async {
        let interrupt = signals::token().context("cannot handle signals")?;
        conform.stop_file.as_deref().map_or(Ok(()), |file| signals::stop_file(&interrupt, file))?;
        let progress = Progress::of(&cases);
        let told = |result: &CaseResult| {
            progress.ended(result).iter().for_each(|line| output::say(line));
        };
        let run = khala_conform::run(options, &cases, &known, utc_now(), &interrupt, &told);
        progress.beside(run, output::say).await.map_err(|error| match error {
            OpenError::Settings(message) => Failure { exit: Exit::InvalidScenario, message },
            OpenError::Usage(_) => Failure::new(Exit::Usage, error),
            OpenError::Setup(_) => Failure::new(Exit::Setup, error),
            OpenError::Interrupted => Failure::new(Exit::Interrupted, error),
        })
    });
    // A look-up that hangs is not waited for.
    runtime.shutdown_background();
    let report = report?;
    let written = files.write(&report);
    output::verdict(render::terminal::render(&report, conform.all).as_bytes());
    let exit = match report.decision {
        _ if report.interrupted => Exit::Interrupted,
        Decision::Go => Exit::Go,
        Decision::NoGo => Exit::NoGo,
        Decision::Hold => Exit::Hold,
    };
    output::unwritten(written, exit)
}

fn known(path: Option<&Path>) -> Result<Known, Failure> {
    let Some(path) = path else { return Ok(Known::default()) };
    let help = "name a file of accepted deviations, a line `case = \"reason\"` each";
    let text = scenario::text_of("--known", path, help)?;
    Known::read(&text).map_err(|why| {
        Failure::new(
            Exit::InvalidScenario,
            format!("--known {}: {}", path.display(), why.trim_end()),
        )
    })
}

fn options(conform: &Conform) -> Result<Options, Failure> {
    let allow = |allowed: &Allowed| match allowed {
        Allowed::Reads => Does::Reads,
        Allowed::Writes => Does::Writes,
        Allowed::Revokes => Does::Revokes,
        Allowed::Abuses => Does::Abuses,
    };
    let allow = conform.allow.as_ref().map(|asked| {
        let mut allow: Vec<Does> = asked.iter().map(allow).collect();
        allow.sort_unstable();
        allow.dedup();
        allow
    });
    let named = conform.target.clone().unwrap_or_default();
    let scenario = conform.scenario();
    let named = match scenario::is_url(&named) {
        true => Named::Url(named),
        false => {
            let (path, text) = scenario::profile(&scenario, &named)?;
            Named::Profile(path, text)
        }
    };
    Ok(Options {
        named,
        guard: scenario::guard(&scenario)?.waiting(),
        set: conform.set.clone(),
        allow,
        times: Times::within(conform.max_wait),
        wait_max: conform.max_wait,
        stop: conform.stop_pid.and_then(stopper),
        run_id: format!("{:08x}", rand::random::<u32>()),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        commands: conform.allow_hooks,
        session_key: None,
    })
}

/// Asks a process to end.
fn stopper(pid: i32) -> Option<Stopper> {
    let pid = Pid::from_raw(pid)?;
    Some(Box::new(move || {
        let sent = kill_process(pid, Signal::TERM);
        sent.map_err(|error| {
            format!("SIGTERM could not be sent to the process of --stop-pid: {error}")
        })
    }))
}

/// Files for the report, opened before anything is asked: what cannot be written is told at once.
struct Files<'a> {
    json: Option<(&'a Path, File)>,
    junit: Option<(&'a Path, File)>,
    markdown: Option<(&'a Path, File)>,
    html: Option<(&'a Path, File)>,
}

impl<'a> Files<'a> {
    fn open(conform: &'a Conform) -> Result<Self, Failure> {
        let open = |path: &'a Option<std::path::PathBuf>| {
            let Some(path) = path.as_deref() else { return Ok(None) };
            let file = File::create(path);
            file.map(|file| Some((path, file)))
                .map_err(|error| Failure::unwritten("write", path, &error))
        };
        Ok(Self {
            json: open(&conform.json)?,
            junit: open(&conform.junit)?,
            markdown: open(&conform.markdown)?,
            html: open(&conform.html)?,
        })
    }

    /// Writes each; the first failure comes back when all have been tried.
    fn write(self, report: &Report) -> Result<(), Failure> {
        let junit = || render::junit::render(report).map_err(anyhow::Error::msg);
        let written = [
            put(self.json, || Ok(render::json::render(report))),
            put(self.junit, junit),
            put(self.markdown, || Ok(render::markdown::render(report))),
            put(self.html, || Ok(render::html::render(report))),
        ];
        let failures: Vec<_> = written.into_iter().filter_map(Result::err).collect();
        refusals::together(&failures)
    }
}

fn put(
    file: Option<(&Path, File)>,
    text: impl FnOnce() -> anyhow::Result<String>,
) -> Result<(), Failure> {
    let Some((path, mut file)) = file else { return Ok(()) };
    let text = text().context("a rendering failed")?;
    file.write_all(text.as_bytes()).map_err(|error| Failure::unwritten("write", path, &error))
}

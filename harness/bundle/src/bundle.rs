//! A bundle that is read: what its sources are, before anything is made of them.

use std::fs::{self, File};
use std::io::BufReader;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use khala_evidence::Context;
use khala_evidence::event::Event;
use khala_evidence::framing::FrameError;
use khala_evidence::journal::{Begin, Entries, Entry};
use khala_plan::model::UserIds;
use khala_plan::{Loaded, Options, Plan, Schedule, Sources};

use crate::evidence::{Evidence, Leftover, Reading};
use crate::manifest::{self, Manifest};
use crate::names::{EVENTS, JOURNAL, MANIFEST, RUN_JSON, SCENARIO, SCHEDULE};
use crate::{Error, recording};

/// A run's folder, opened: it has a journal that this build reads, and says which run it is.
#[derive(Clone, Debug)]
pub struct Bundle {
    dir: PathBuf,
    begin: Begin,
}

impl Bundle {
    /// Opens the bundle `dir`. Nothing in it is changed, by this or by what is read from it.
    ///
    /// # Errors
    /// [`Error::NotABundle`], and [`Error::Incomplete`] when it has no journal that can be read.
    pub fn open(dir: &Path) -> Result<Self, Error> {
        manifest::refuse_later(dir)?;
        let begin = match entries(dir)?.next() {
            Some(Ok(Entry::Begin(begin))) => begin,
            Some(Err(error)) => {
                return Err(Error::incomplete(dir, format!("{JOURNAL}: {error}")));
            }
            _ => return Err(Error::incomplete(dir, format!("{JOURNAL} says nothing"))),
        };
        Ok(Self { dir: dir.to_owned(), begin })
    }

    /// The folder.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Which run it is of.
    #[must_use]
    pub fn begin(&self) -> &Begin {
        &self.begin
    }

    /// What the journal holds, entry by entry; ends after the first that cannot be read.
    ///
    /// # Errors
    /// When the journal is no longer there.
    pub fn entries(&self) -> Result<Entries<BufReader<File>>, Error> {
        entries(&self.dir)
    }

    /// The manifest.
    ///
    /// # Errors
    /// [`Error::Manifest`] when there is none that can be read.
    pub fn manifest(&self) -> Result<Manifest, Error> {
        manifest::read(&self.dir).map_err(|why| Error::Manifest { dir: self.dir.clone(), why })
    }

    /// The events that can be read; the last line of a killed run may be torn.
    #[must_use]
    pub fn events(&self) -> Vec<Event> {
        let text = fs::read_to_string(self.dir.join(EVENTS)).unwrap_or_default();
        text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
    }

    /// The plan and its schedule.
    ///
    /// # Errors
    /// When they cannot be read, or another version of the tool made them and would do it otherwise.
    pub fn plan(&self) -> Result<(Plan, Schedule), Error> {
        let text = self.scenario()?;
        let (mut plan, schedule) = load(&self.dir.join(SCENARIO), &text, self.profile())?;
        let written = fs::read_to_string(self.dir.join(SCHEDULE))
            .map_err(|error| Error::incomplete(&self.dir, format!("{SCHEDULE}: {error}")))?;
        if schedule.to_ndjson(&plan) != written
            && let UserIds::Named { padded: true } = plan.fleet.user_ids
        {
            // A build of before may have written it.
            plan.fleet.user_ids = UserIds::Named { padded: false };
        }
        if schedule.to_ndjson(&plan) != written {
            let why = format!(
                "{SCHEDULE} is not the schedule of {SCENARIO}: another version of khala-harness \
                 made them, or one of them was changed"
            );
            return Err(Error::incomplete(&self.dir, why));
        }
        Ok((plan, schedule))
    }

    /// The plan with the `[[gate]]` tables of a file in place of its own.
    ///
    /// # Errors
    /// When it, or the file, cannot be read.
    pub fn plan_under(&self, gates: &Path) -> Result<Plan, Error> {
        let shown = self.dir.join(SCENARIO);
        Ok(under_gates(&self.scenario()?, &shown, gates, self.profile())?.plan)
    }

    /// Reads and settles everything.
    ///
    /// # Errors
    /// When the plan or the journal cannot be read.
    pub fn settle(&self) -> Result<Evidence, Error> {
        self.settle_with(Reading::default(), Leftover::default())
    }

    /// The same; `reading` says what to do on the way, and `left` is what did not get into the bundle.
    ///
    /// # Errors
    /// As [`Bundle::settle`].
    pub fn settle_with(&self, reading: Reading, left: Leftover) -> Result<Evidence, Error> {
        Evidence::read(self, reading, left)
    }

    /// The recording, line by line; `None` of a run without one.
    ///
    /// # Errors
    /// [`Error::Version`], and [`Error::Recording`] when it is none.
    pub fn recording(&self) -> Result<Option<recording::Lines>, Error> {
        recording::read::open(&self.dir)
    }

    /// Settles the recording in place of what the journal gathered: what this build's shards make of the very
    /// records that those of the run were given. How the run went is the journal's, and so is how many frames
    /// came, for they are not recorded: the stories of clients are without them.
    ///
    /// # Errors
    /// As [`Bundle::settle`], and [`Error::Recording`] when it is not whole.
    pub fn settle_recording(&self) -> Result<Evidence, Error> {
        let mut evidence = self.settle()?;
        let context = Arc::new(Context::of(&evidence.plan, &evidence.schedule));
        evidence.resettle(recording::read::replayed(&self.dir, &context)?);
        Ok(evidence)
    }

    fn profile(&self) -> Option<&str> {
        self.begin.profile.as_deref()
    }

    fn scenario(&self) -> Result<String, Error> {
        fs::read_to_string(self.dir.join(SCENARIO))
            .map_err(|error| Error::incomplete(&self.dir, format!("{SCENARIO}: {error}")))
    }
}

/// The plan of a resolved scenario, which messages call `shown`, with the `[[gate]]` tables of a file in place of its
/// own: what `score` judges by.
///
/// # Errors
/// [`Error::Gates`] when the file, or the scenario, cannot be read, [`Error::Plan`] when they are no plan together.
pub fn under_gates(
    scenario: &str,
    shown: &Path,
    gates: &Path,
    profile: Option<&str>,
) -> Result<Loaded, Error> {
    let refused = |file: &Path, why: String| Error::Gates { file: file.to_owned(), why };
    // What is wrong with them is said of them, and not of the scenario that is to have them.
    khala_plan::text(fs::File::open(gates)).map_err(|error| {
        let help = "name a file of `[[gate]]` tables, such as scenarios/gates/runbook.toml";
        refused(gates, format!("{error}; {help}"))
    })?;
    let whole = std::path::absolute(gates).map_err(Error::file("find", gates))?;
    let text = khala_plan::resolved::with_gates(scenario, &whole.display().to_string())
        .map_err(|error| refused(shown, error.to_string()))?;
    loaded(&Path::new("/").join(SCENARIO), &text, profile)
}

/// Whether a folder is a bundle: it has a journal.
///
/// # Errors
/// Why not.
pub fn is_bundle(dir: &Path) -> Result<(), Error> {
    entries(dir).map(drop)
}

fn entries(dir: &Path) -> Result<Entries<BufReader<File>>, Error> {
    let path = dir.join(JOURNAL);
    // What else a run leaves says that this is its folder.
    let of_a_run = [MANIFEST, RUN_JSON, SCENARIO].iter().any(|name| dir.join(name).is_file());
    let missing = |why: String| {
        let why = format!("it has no {JOURNAL}: {why}");
        if of_a_run { Error::incomplete(dir, why) } else { Error::not_a_bundle(dir, why) }
    };
    // To open something else, such as a named pipe, may take for ever.
    let kind = fs::metadata(&path).map_err(|error| missing(error.to_string()))?;
    if !kind.is_file() {
        return Err(missing("that is no file".to_owned()));
    }
    let file = File::open(&path).map_err(|error| missing(error.to_string()))?;
    Entries::of(BufReader::new(file)).map_err(|error| match error {
        FrameError::OtherVersion { found, known } => {
            Error::Version { dir: dir.to_owned(), file: JOURNAL, found, known }
        }
        error => Error::incomplete(dir, format!("{JOURNAL}: {error}")),
    })
}

/// The plan of a scenario's text, which messages call `shown`, and the plan unrolled.
fn load(shown: &Path, text: &str, profile: Option<&str>) -> Result<(Plan, Schedule), Error> {
    let plan = loaded(shown, text, profile)?.plan;
    let schedule = Schedule::of(&plan);
    Ok((plan, schedule))
}

fn loaded(shown: &Path, text: &str, profile: Option<&str>) -> Result<Loaded, Error> {
    let loader =
        |path: &str| khala_plan::text(fs::File::open(path)).map_err(|error| error.to_string());
    let options = Options {
        profile: profile.map(str::to_owned),
        set: Vec::new(),
        defects: Vec::new(),
        seed: None,
        target: None,
        defect: &|_| Ok(()),
        env: &|_| None,
    };
    let shown = shown.display().to_string();
    let sources = Sources { path: &shown, text, loader: &loader };
    khala_plan::load(&sources, &options)
        .map_err(|diagnostics| Error::Plan(diagnostics.render(false)))
}

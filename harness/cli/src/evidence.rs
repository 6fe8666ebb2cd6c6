//! From a bundle's sources to everything else in it.
//!
//! The sources are `journal/`, `events.ndjson`, `schedule.ndjson`, `scenario.resolved.toml` and
//! `metrics/`. A run ends with this, and `report` does the same again: there is no other way to a
//! report, so that what is judged is what is on disk.

use std::fs::File;
use std::io::{BufReader, BufWriter, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context as _;
use khala_evidence::event::Event;
use khala_evidence::facts::RunFacts;
use khala_evidence::framing::FrameError;
use khala_evidence::hlog::Hlog;
use khala_evidence::journal::{Begin, Entries, Entry};
use khala_evidence::judge::{self, Case};
use khala_evidence::oracle::End;
use khala_evidence::report::{Provenance, RunReport};
use khala_evidence::shard::client::Client;
use khala_evidence::{Context, Settled, Shard, render, unfinished};
use khala_plan::{Options, Plan, Schedule, Sources};

use crate::exit::{Exit, Failure};
use crate::manifest::{Before, Maker};
use crate::show::quoted;
use crate::{bundle, journal, manifest, output};

/// The scenario with every default filled in: the plan of a bundle.
pub const SCENARIO: &str = "scenario.resolved.toml";
/// The plan unrolled.
pub const SCHEDULE: &str = "schedule.ndjson";
/// What happened to the run as a whole.
pub const EVENTS: &str = "events.ndjson";
/// The histograms by second.
pub const HLOG: &str = "latency.hlog";

/// A bundle, read.
pub struct Evidence {
    /// The folder.
    pub dir: PathBuf,
    /// Which run it was.
    pub begin: Begin,
    /// Its plan.
    pub plan: Plan,
    /// The plan unrolled.
    pub schedule: Schedule,
    /// SHA-256 of the plan's file, in hex.
    scenario_sha256: String,
    /// How it went.
    pub facts: RunFacts,
    /// What was seen.
    pub settled: Settled,
    /// The client that was asked for, as it left the run.
    pub client: Option<Client>,
    /// What the bundle said before.
    before: Before,
    /// Why this evidence makes no GO, whatever it shows.
    doubts: Vec<String>,
    /// What could not be written on the way: why, with the file.
    unwritten: Vec<String>,
}

/// What a run could not write into its bundle.
#[derive(Debug, Default)]
pub struct Leftover {
    /// Why, with the file.
    pub why: Vec<String>,
    /// What is to be read after the journal.
    pub entries: Vec<Entry>,
}

/// A report, and what is missing of its files.
pub struct Derived {
    /// The report.
    pub report: RunReport,
    /// What could not be written: why, with the file.
    pub unwritten: Vec<String>,
}

/// What to do with a bundle's sources beside reading them.
#[derive(Clone, Copy, Debug, Default)]
pub struct Reading {
    /// Write `latency.hlog` on the way.
    pub hlog: bool,
    /// Keep the state of this client.
    pub client: Option<u32>,
}

/// What is no bundle, or not a whole one.
fn not_a_bundle(dir: &Path, why: impl std::fmt::Display) -> Failure {
    let dir = dir.display();
    Failure::new(Exit::Setup, format!("{dir}: {why}; name the folder of a run, as `run` prints it"))
}

impl Evidence {
    /// Reads a bundle's sources.
    ///
    /// # Errors
    /// When it is none, or its plan cannot be read.
    pub fn read(dir: &Path, reading: Reading) -> Result<Self, Failure> {
        Self::read_with(dir, reading, Leftover::default())
    }

    /// Reads a bundle's sources, and with them what did not get into the bundle.
    ///
    /// # Errors
    /// As [`Evidence::read`].
    pub fn read_with(dir: &Path, reading: Reading, left: Leftover) -> Result<Self, Failure> {
        let begin = begin(dir)?;
        let before = Before::read(dir)?;
        let doubts = doubts(&before, &left.why);
        let (plan, schedule) = plan(dir, begin.profile.as_deref(), None)?;
        let scenario_sha256 = manifest::sha256(&dir.join(SCENARIO))
            .map_err(|error| not_a_bundle(dir, format!("{SCENARIO}: {error}")))?;
        let context = Arc::new(Context::of(&plan, &schedule));
        let mut shard = Shard::new(context);
        let mut unwritten = Vec::new();
        let mut cannot = |error: &dyn std::fmt::Display| {
            unwritten.push(format!("cannot write {}: {error}", dir.join(HLOG).display()));
        };
        let opened = reading.hlog.then(|| open_hlog(dir, &begin, &schedule)).transpose();
        let mut log = opened.unwrap_or_else(|error| {
            cannot(&error.root_cause());
            None
        });
        let mut end = None;
        let mut last_second = 0;
        let mut why = "its journal has no end; it was killed, or the machine went down".to_owned();
        for entry in entries(dir)?.chain(left.entries.into_iter().map(Ok)) {
            match entry {
                Ok(Entry::Begin(_)) => {}
                Ok(Entry::Flow { second, flow, .. }) => {
                    let added = log.as_mut().map(|log| log.add(second, flow.metrics()));
                    if let Some(Err(error)) = added {
                        cannot(&error);
                        log = None;
                    }
                    last_second = second.max(last_second);
                    shard.add(*flow);
                }
                Ok(Entry::Clients { clients }) => shard.put_clients(clients),
                Ok(Entry::End(facts)) => end = Some(*facts),
                Err(error @ FrameError::Io(_)) => return Err(not_a_bundle(dir, error)),
                Err(error) => {
                    // What was whole until then is used; whether more was lost, nobody knows.
                    why = format!("its journal ends early: {error}");
                    end = None;
                }
            }
        }
        if let Some(log) = log {
            let written = log.finish().map_err(anyhow::Error::from).and_then(|mut out| {
                out.flush()?;
                bundle::settle(dir, HLOG, out.get_ref())
            });
            if let Err(error) = written {
                cannot(&error.root_cause());
                bundle::discard_part(dir, HLOG);
            }
        }
        let facts = end.unwrap_or_else(|| {
            let until = (u64::from(last_second) + 1) * 1_000_000;
            unfinished::facts(&plan, &schedule, &begin, &events(dir), until, why)
        });
        let published_on = plan.loads.iter().flat_map(|load| load.command.topics()).collect();
        let end = End { at: facts.duration_us, drained: facts.drained };
        let client = reading.client.and_then(|client| shard.clients().get(&client).cloned());
        let settled = shard.settle(&published_on, end);
        let dir = dir.to_owned();
        Ok(Self {
            dir,
            begin,
            plan,
            schedule,
            scenario_sha256,
            facts,
            settled,
            client,
            before,
            doubts,
            unwritten,
        })
    }

    /// The report.
    pub fn report(&self) -> RunReport {
        let mut report = self.report_under(&self.plan);
        let first =
            self.before.first_decision().filter(|first| *first != report.decision.to_string());
        if let Some(first) = first.filter(|_| self.doubts.is_empty()) {
            report.doubt(&[format!("it was {first} when its report was first made")]);
        }
        report
    }

    /// The report that other gates would have given.
    pub fn report_under(&self, plan: &Plan) -> RunReport {
        let case =
            Case { plan, schedule: &self.schedule, facts: &self.facts, settled: &self.settled };
        let mut report = RunReport::of(&case, judge::judge(&case), &self.begin.tool_version);
        report.provenance = Some(Provenance {
            host: self.begin.host.clone(),
            command: self.begin.command.clone(),
            scenario_sha256: self.scenario_sha256.clone(),
        });
        report.doubt(&self.doubts);
        report
    }

    /// Writes everything that is made from the sources; gives the report, and what could not be written: a
    /// verdict stands without its renderings.
    ///
    /// # Errors
    /// When a rendering fails, which is a bug.
    pub fn derive(&self, maker: Maker) -> Result<Derived, Failure> {
        let report = self.report();
        let mut unwritten = self.unwritten.clone();
        for renderer in render::ALL {
            let content = renderer.render(&report).context("a rendering failed")?;
            let written = bundle::write(&self.dir, renderer.file_name(), &content);
            unwritten.extend(written.err().map(|error| format!("{error:#}")));
        }
        let written = manifest::write(&self.dir, &self.begin, &report, &self.before, maker);
        unwritten.extend(written.err().map(|error| format!("{error:#}")));
        Ok(Derived { report, unwritten })
    }
}

impl Derived {
    /// Says what is missing, and what to do.
    pub fn complain(&self, dir: &Path) {
        for why in &self.unwritten {
            output::say(&format!("warning: {why}"));
        }
        if !self.unwritten.is_empty() {
            let dir = quoted(&dir.display().to_string());
            output::say(&format!(
                "warning: the verdict stands, and what it was made from is kept: make room, then \
                 `khala-harness report {dir}` makes the rest"
            ));
        }
    }
}

/// Why evidence that is not what the run wrote, or not all of it, makes no GO.
fn doubts(before: &Before, unwritten: &[String]) -> Vec<String> {
    if !unwritten.is_empty() {
        let why = unwritten.join("; ");
        return vec![format!("what is judged here could not all be kept as evidence: {why}")];
    }
    let changed = before.changed_sources();
    if changed.is_empty() {
        return Vec::new();
    }
    let said = before.first_decision().unwrap_or("nothing");
    vec![format!(
        "the sources are not what the run wrote, and it said {said} of those that it wrote: {}",
        changed.join(", ")
    )]
}

/// Whether a folder is a bundle: it has a journal.
///
/// # Errors
/// Why not.
pub fn is_bundle(dir: &Path) -> Result<(), Failure> {
    entries(dir).map(drop)
}

fn entries(dir: &Path) -> Result<Entries<BufReader<File>>, Failure> {
    let path = dir.join(journal::PATH);
    let missing = |why: String| not_a_bundle(dir, format!("it has no {}: {why}", journal::PATH));
    // To open something else, such as a named pipe, may take for ever.
    let kind = std::fs::metadata(&path).map_err(|error| missing(error.to_string()))?;
    if !kind.is_file() {
        return Err(missing("that is no file".to_owned()));
    }
    let file = File::open(&path).map_err(|error| missing(error.to_string()))?;
    Entries::of(BufReader::new(file))
        .map_err(|error| not_a_bundle(dir, format!("{}: {error}", journal::PATH)))
}

fn begin(dir: &Path) -> Result<Begin, Failure> {
    match entries(dir)?.next() {
        Some(Ok(Entry::Begin(begin))) => Ok(begin),
        Some(Err(error)) => Err(not_a_bundle(dir, format!("{}: {error}", journal::PATH))),
        _ => Err(not_a_bundle(dir, format!("{} says nothing", journal::PATH))),
    }
}

/// The plan of a bundle, with its own gates or with those of a file.
///
/// # Errors
/// When it cannot be read, or when another version of the tool made it and would do it otherwise.
pub fn plan(
    dir: &Path,
    profile: Option<&str>,
    gates: Option<&Path>,
) -> Result<(Plan, Schedule), Failure> {
    let path = dir.join(SCENARIO);
    let mut text = std::fs::read_to_string(&path)
        .map_err(|error| not_a_bundle(dir, format!("{SCENARIO}: {error}")))?;
    let mut shown = path.display().to_string();
    if let Some(gates) = gates {
        // What is wrong with them is said of them, and not of the scenario that is to have them.
        std::fs::read_to_string(gates).map_err(|error| {
            let gates = gates.display();
            let help = "name a file of `[[gate]]` tables, such as scenarios/gates/runbook.toml";
            Failure::new(Exit::InvalidScenario, format!("{gates}: {error}; {help}"))
        })?;
        let gates = std::path::absolute(gates).context("cannot find the gates")?;
        text = khala_plan::resolved::with_gates(&text, &gates.display().to_string())
            .map_err(|error| Failure::new(Exit::InvalidScenario, format!("{shown}: {error}")))?;
        shown = "/".to_owned() + SCENARIO;
    }
    let loader = |path: &str| std::fs::read_to_string(path).map_err(|error| error.to_string());
    let options = Options {
        profile: profile.map(str::to_owned),
        set: Vec::new(),
        defects: Vec::new(),
        seed: None,
        env: &|_| None,
    };
    let sources = Sources { path: &shown, text: &text, loader: &loader };
    let plan = khala_plan::load(&sources, &options)
        .map_err(|diagnostics| Failure {
            exit: Exit::InvalidScenario,
            message: diagnostics.render(false),
        })?
        .plan;
    let schedule = Schedule::of(&plan);
    let written = std::fs::read_to_string(dir.join(SCHEDULE))
        .map_err(|error| not_a_bundle(dir, format!("{SCHEDULE}: {error}")))?;
    if gates.is_none() && schedule.to_ndjson(&plan) != written {
        return Err(not_a_bundle(
            dir,
            format!(
                "{SCHEDULE} is not the schedule of {SCENARIO}: another version of khala-harness \
                 made them, or one of them was changed"
            ),
        ));
    }
    Ok((plan, schedule))
}

/// The events that can be read; the last line of a killed run may be torn.
fn events(dir: &Path) -> Vec<Event> {
    let text = std::fs::read_to_string(dir.join(EVENTS)).unwrap_or_default();
    text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
}

fn open_hlog<'a>(
    dir: &Path,
    begin: &Begin,
    schedule: &'a Schedule,
) -> anyhow::Result<Hlog<'a, BufWriter<File>>> {
    let file = bundle::part(dir, HLOG)?;
    Ok(Hlog::begin(BufWriter::new(file), &begin.started_at, &schedule.phases)?)
}

//! From a bundle's sources to everything else in it.
//!
//! The sources are `journal/`, `events.ndjson`, `schedule.ndjson`, `scenario.resolved.toml` and
//! `metrics/`. A run ends with this, and `report` does the same again: there is no other way to a
//! report, so that what is judged is what is on disk.

use std::path::PathBuf;
use std::sync::Arc;

use khala_evidence::facts::RunFacts;
use khala_evidence::framing::FrameError;
use khala_evidence::journal::{Begin, Entry};
use khala_evidence::judge::{self, Case, Decision};
use khala_evidence::oracle::{End, Rule};
use khala_evidence::report::{Provenance, RunReport};
use khala_evidence::shard::client::Client;
use khala_evidence::{Context, Settled, Shard, render, unfinished};
use khala_plan::{Plan, Schedule};

use crate::hlog_file::{self, HlogFile};
use crate::manifest::{self, Before, Maker};
use crate::names::{ALTERED, HLOG, JOURNAL, SCENARIO, STATEMENT};
use crate::seal::Seal;
use crate::{Bundle, Error, files};

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
    /// The sources that are not what the run wrote.
    changed: Vec<String>,
    /// Why this evidence makes no GO, whatever it shows.
    doubts: Vec<String>,
    /// Whether the journal says itself that it was not written to the run's end.
    cut: bool,
    /// Whether the bundle holds all that is judged here.
    kept: bool,
    /// Whether `latency.hlog`, which was written on the way, could be; `None` where it was not asked for.
    hlog: Option<hlog_file::Written>,
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
    /// Whether the bundle holds all that the report was made from.
    pub kept: bool,
    /// What was missing, or was something else, and is made anew: a sentence each. Where the sources are not
    /// what the run wrote: that, and where the report was written instead.
    pub remade: Vec<String>,
}

/// What to do with a bundle's sources beside reading them.
#[derive(Clone, Copy, Debug, Default)]
pub struct Reading {
    /// Write `latency.hlog` on the way.
    pub hlog: bool,
    /// Keep the state of this client.
    pub client: Option<u32>,
}

impl Evidence {
    /// Reads a bundle's sources, and with them what did not get into the bundle.
    pub(crate) fn read(bundle: &Bundle, reading: Reading, left: Leftover) -> Result<Self, Error> {
        let dir = bundle.dir();
        let begin = bundle.begin().clone();
        let before = Before::read(dir)?;
        let (plan, schedule) = bundle.plan()?;
        let scenario_sha256 = manifest::sha256(&dir.join(SCENARIO))
            .map_err(|error| Error::incomplete(dir, format!("{SCENARIO}: {error}")))?;
        let context = Arc::new(Context::of(&plan, &schedule));
        let mut shard = Shard::new(context);
        let mut log = reading.hlog.then(|| HlogFile::begin(dir, &begin, &schedule));
        let kept = left.entries.is_empty();
        let mut end = None;
        let mut last_second = 0;
        let mut why = "its journal has no end; it was killed, or the machine went down".to_owned();
        let mut full = false;
        for entry in bundle.entries()?.chain(left.entries.into_iter().map(Ok)) {
            match entry {
                Ok(Entry::Begin(_)) => {}
                Ok(Entry::Flow { second, flow, .. }) => {
                    if let Some(log) = &mut log {
                        log.add(second, flow.metrics());
                    }
                    last_second = second.max(last_second);
                    shard.add(*flow);
                }
                Ok(Entry::Clients { clients }) => shard.put_clients(clients),
                Ok(Entry::End(facts)) => end = Some(*facts),
                // What comes after it in memory is judged with the rest.
                Ok(Entry::Cut { why: failed }) => {
                    why = format!(
                        "its evidence ends early, for {JOURNAL} could not be written on: {failed}"
                    );
                    full = true;
                }
                Err(error @ FrameError::Io(_)) => {
                    return Err(Error::incomplete(dir, format!("{JOURNAL}: {error}")));
                }
                Err(error) => {
                    // What was whole until then is used; whether more was lost, nobody knows.
                    why = format!("its journal, {JOURNAL}, ends early: {error}");
                    end = None;
                }
            }
        }
        let hlog = log.map(HlogFile::finish);
        let mut changed = before.changed_sources();
        let events = bundle.events();
        let ended = unfinished::ended(&events).is_some();
        if end.is_none() && !full && before.is_report_alone() && ended {
            changed.push(JOURNAL.to_owned());
        }
        let cut = full && end.is_none();
        let mut unkept = left.why;
        unkept.extend(cut.then(|| why.clone()));
        let facts = end.unwrap_or_else(|| {
            let until = (u64::from(last_second) + 1) * 1_000_000;
            unfinished::facts(&plan, &schedule, &begin, &events, until, (why, full))
        });
        unkept.extend(facts.unkept.iter().cloned());
        let doubts = doubts(&before, &changed, &unkept);
        let client = reading.client.and_then(|client| shard.clients().get(&client).cloned());
        let settled = settle(&plan, &facts, shard);
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
            changed,
            doubts,
            cut,
            kept,
            hlog,
        })
    }

    /// The report. Of evidence that was changed after the run, or not all kept, a NO-GO of the run's own stands: what is
    /// left of it may show less.
    pub fn report(&self) -> RunReport {
        let mut report = self.judged();
        let was_no_go = self.before.first_decision() == Some(&*Decision::NoGo.to_string());
        if (report.altered || self.cut) && was_no_go {
            report.decision = Decision::NoGo;
        }
        report
    }

    /// The report by what the sources give.
    pub(crate) fn judged(&self) -> RunReport {
        let mut report = self.report_under(&self.plan);
        let first =
            self.before.first_decision().filter(|first| *first != report.decision.to_string());
        if let Some(first) = first.filter(|_| self.doubts.is_empty()) {
            report.altered |= self.before.is_report_alone();
            report.doubt(&[format!("it was {first} when its report was first made")]);
        }
        report.unvouched = report.finished && !report.altered && self.before.is_unvouched();
        report
    }

    /// Why the journal of a run that came to its end cannot be read to its own, with the file.
    pub(crate) fn unread(&self) -> Option<&str> {
        self.facts.unfinished.as_deref().filter(|_| !self.changed.is_empty())
    }

    /// Puts what the shard of a recording settles to in place of what was.
    pub(crate) fn resettle(&mut self, shard: Shard) {
        let mut settled = settle(&self.plan, &self.facts, shard);
        for rule in Rule::OF_FRAMES {
            settled.tally.judged(rule, self.settled.tally.rule(rule).judged);
        }
        self.settled = settled;
    }

    /// The report that other gates would have given.
    pub fn report_under(&self, plan: &Plan) -> RunReport {
        let case =
            Case { plan, schedule: &self.schedule, facts: &self.facts, settled: &self.settled };
        let mut report = RunReport::of(&case, judge::judge(&case), &self.begin.tool_version);
        report.tool.commit.clone_from(&self.begin.tool_commit);
        report.provenance = Some(Provenance {
            host: self.begin.host.clone(),
            command: self.begin.command.clone(),
            scenario_sha256: self.scenario_sha256.clone(),
        });
        report.altered = !self.changed.is_empty();
        report.doubt(&self.doubts);
        report
    }

    /// Writes everything that is made from the sources; gives the report, and what could not be written: a
    /// verdict stands without its renderings. What a run made of its own sources is not written over by what
    /// others give: that goes into the folder [`ALTERED`] of the bundle.
    ///
    /// # Errors
    /// When a rendering fails, which is a bug, or [`ALTERED`] cannot be made.
    pub fn derive(&self, maker: Maker) -> Result<Derived, Error> {
        let report = self.report();
        let altered =
            report.altered.then(|| self.before.altered(&self.changed, report.verdict.into()));
        let to = match altered.as_ref().map(|_| files::folder(&self.dir, ALTERED)) {
            Some(Ok(folder)) => folder,
            Some(Err(error)) => {
                files::discard_part(&self.dir, HLOG);
                // No room, or nobody's leave, costs no verdict.
                let Error::File { .. } = error else { return Err(error) };
                let (kept, remade) = (self.kept, Vec::new());
                return Ok(Derived { report, unwritten: vec![error.to_string()], kept, remade });
            }
            None => self.dir.clone(),
        };
        let hlog = self.hlog.as_ref();
        let mut unwritten: Vec<String> = hlog
            .and_then(|written| hlog_file::place(&self.dir, written, &to))
            .into_iter()
            .collect();
        for renderer in render::ALL {
            let content = renderer.render(&report)?;
            let written = files::write(&to, renderer.file_name(), &content);
            unwritten.extend(written.err().map(|error| error.to_string()));
        }
        if let Some(why) = altered {
            let remade = vec![format!(
                "{why}: what the run made of its own is left as it is, and what this gives is in {}",
                to.display()
            )];
            return Ok(Derived { report, unwritten, kept: self.kept, remade });
        }
        let remade = match manifest::write(&self.dir, &self.begin, &report, &self.before, maker) {
            Ok(remade) => remade,
            Err(error) => {
                unwritten.push(error.to_string());
                Vec::new()
            }
        };
        // A statement that was asked for is of the manifest that there is.
        if self.dir.join(STATEMENT).is_file() {
            let renewed = Seal { statement: true, key: None }.write(&self.dir, &report);
            unwritten.extend(renewed.err().map(|error| error.to_string()));
        }
        Ok(Derived { report, unwritten, kept: self.kept, remade })
    }
}

/// Settles what a shard gathered until the end of the run.
fn settle(plan: &Plan, facts: &RunFacts, shard: Shard) -> Settled {
    let published_on = plan.loads.iter().flat_map(|load| load.command.topics()).collect();
    shard.settle(&published_on, End { at: facts.duration_us, drained: facts.drained })
}

/// Why evidence that is not what the run wrote, or not all of it, makes no GO.
fn doubts(before: &Before, changed: &[String], unwritten: &[String]) -> Vec<String> {
    if !unwritten.is_empty() {
        let why = unwritten.join("; ");
        return vec![format!("what is judged here could not all be kept as evidence: {why}")];
    }
    if changed.is_empty() {
        return Vec::new();
    }
    let said = before.first_decision().unwrap_or("nothing");
    vec![format!(
        "the sources are not what the run wrote, and it said {said} of those that it wrote: {}",
        changed.join(", ")
    )]
}

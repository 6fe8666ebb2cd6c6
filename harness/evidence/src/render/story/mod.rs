//! `explain`: what befell one client, for an engineer who wants to know why.

mod words;

use std::fmt::Write as _;

use khala_plan::Plan;
use khala_plan::schedule::Schedule;
use khala_wire::message::event;
use khala_wire::topic::TopicId;
use serde::Serialize;

use self::words::{happening, update_line};
use super::texts;
use super::units::{count, counted, utc};
use crate::oracle::tally::Tally;
use crate::oracle::{Rule, Violation};
use crate::record::Micros;
use crate::report::RunReport;
use crate::shard::client::Client;
use crate::shard::flight::{Flight, Frame};

/// A violation that was kept, with its number: that of its line in `violations.ndjson`, from 1.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Numbered<'a> {
    /// The number.
    pub number: usize,
    /// The violation.
    #[serde(flatten)]
    pub violation: &'a Violation,
}

/// The violation of a number among those that were kept.
#[must_use]
pub fn numbered(report: &RunReport, number: usize) -> Option<Numbered<'_>> {
    let violation = report.oracle.kept.get(number.checked_sub(1)?)?;
    Some(Numbered { number, violation })
}

/// Whose story tells of a violation: its client, if one is concerned.
#[must_use]
pub fn client_of(report: &RunReport, number: usize) -> Option<u32> {
    numbered(report, number)?.violation.client
}

/// A violation by itself, as text: what is told of one that concerns no client.
#[must_use]
pub fn alone(report: &RunReport, number: usize) -> Option<String> {
    let Numbered { violation, .. } = numbered(report, number)?;
    let utc = clock(&report.started_at, violation.at_us);
    Some(format!(
        "#{number} {}\n  at {}{utc}\n",
        texts::violation(violation),
        seconds(violation.at_us)
    ))
}

/// A rule that was broken for a client, and by no violation that was kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct NotKept {
    /// The rule.
    pub rule: Rule,
    /// The topic, where one is concerned.
    pub topic: Option<TopicId>,
    /// What was broken of it; empty where the rule tells no kinds apart.
    pub kind: Box<str>,
    /// Clients for which the same was broken.
    pub clients: u64,
    /// Violations of the rule that were kept: the earliest.
    pub kept: u64,
    /// The first client for which the same was broken, whose story has it.
    pub first: Option<u32>,
}

/// What is known of a client.
#[derive(Clone, Debug, Serialize)]
pub struct ClientStory<'a> {
    /// Its number.
    pub client: u32,
    /// The command that runs it once more, alone.
    pub again: String,
    /// What such a run does not say of its violations.
    pub again_says: String,
    /// The surface that it behaves as.
    pub surface: &'static str,
    /// Its cohort.
    pub cohort: &'a str,
    /// Its session, without the id of the run.
    pub session: String,
    /// When it was to arrive, in microseconds.
    pub arrived_us: Micros,
    /// Faults that were aimed at it: when, and which.
    pub faults: Vec<(Micros, String)>,
    /// UTC, RFC 3339: the moment from which times of the run are counted.
    pub started_at: &'a str,
    /// Violations for it among those that were kept, or the one that was asked for.
    pub violations: Vec<Numbered<'a>>,
    /// Rules that were broken for it, of which no violation of its own was kept.
    pub not_kept: Vec<NotKept>,
    /// Its recorder when a rule was first broken for it.
    pub when_broken: Option<(Micros, &'a Flight)>,
    /// Its state when it left the run; `None` of a run that was killed.
    pub at_end: Option<&'a Client>,
    /// The bundle's folder, for commands.
    #[serde(skip)]
    bundle: String,
}

impl<'a> ClientStory<'a> {
    /// The story of a client, for a reader to whom the bundle's folder is `bundle`, quoted as a shell wants
    /// it; `None` if the run had no such client.
    #[must_use]
    pub fn of(
        plan: &'a Plan,
        schedule: &'a Schedule,
        report: &'a RunReport,
        at_end: Option<&'a Client>,
        (client, bundle): (u32, &str),
    ) -> Option<Self> {
        let arrival = schedule.arrivals.iter().find(|arrival| arrival.client == client)?;
        let cohort = plan.fleet.cohorts.get(usize::from(arrival.cohort))?;
        let aimed = schedule.faults.iter().filter(|fault| fault.targets.contains(&client));
        let kept = report.oracle.kept.iter().enumerate();
        let befell = |(kept, violation): (usize, &'a Violation)| {
            let shared = report.oracle.clients_of(kept);
            let among = shared.is_some_and(|clients| clients.contains(client));
            let number = kept + 1;
            (violation.client == Some(client) || among).then_some(Numbered { number, violation })
        };
        Some(Self {
            client,
            again: texts::once_more(plan.seed, client, bundle, plan.writes_beside_others()),
            again_says: texts::alone_says(report, bundle),
            surface: cohort.surface.name(),
            cohort: &cohort.name,
            session: Schedule::identity(plan, client).session,
            arrived_us: arrival.at_us,
            faults: aimed.map(|fault| (fault.at_us, fault.kind.name().to_owned())).collect(),
            started_at: &report.started_at,
            violations: kept.filter_map(befell).collect(),
            not_kept: Vec::new(),
            bundle: bundle.to_owned(),
            when_broken: report.stories.of(client).map(|story| (story.at_us, &story.flight)),
            at_end,
        })
    }

    /// The story with what was broken for the client and is not among the violations that were kept.
    #[must_use]
    pub fn with_not_kept(mut self, tally: &Tally) -> Self {
        for &rule in Rule::ALL {
            let of_rule = tally.rule(rule);
            let told = |topic: &Option<TopicId>| {
                self.violations.iter().any(|one| {
                    let Violation { rule: its, topic: whose, .. } = one.violation;
                    *its == rule && whose == topic
                })
            };
            let causes = of_rule.causes.iter();
            let befell = causes
                .filter(|((topic, _), cause)| cause.clients.contains(&self.client) && !told(topic));
            let more: Vec<_> = befell
                .map(|((topic, kind), cause)| NotKept {
                    rule,
                    topic: *topic,
                    kind: kind.clone(),
                    clients: cause.clients.len() as u64,
                    kept: of_rule.kept.len() as u64,
                    first: cause.first.client,
                })
                .collect();
            self.not_kept.extend(more);
        }
        self
    }

    /// The story with one violation alone; `None` if that is none of this client's.
    #[must_use]
    pub fn with_only(mut self, number: usize) -> Option<Self> {
        self.violations.retain(|one| one.number == number);
        self.not_kept.clear();
        (!self.violations.is_empty()).then_some(self)
    }

    /// The story as text.
    #[must_use]
    pub fn render(&self) -> String {
        let mut out = String::new();
        self.write(&mut out).expect("writing to a String");
        out
    }

    fn write(&self, out: &mut String) -> std::fmt::Result {
        let Self { client, surface, cohort, session, .. } = self;
        writeln!(out, "client {client}: {surface}, cohort {cohort}, session {session}-<run>")?;
        if utc(self.started_at, 0).is_some() {
            let started = self.started_at;
            writeln!(
                out,
                "  times are seconds of the run, which began at {started}, and UTC beside them"
            )?;
        }
        writeln!(out, "  was to arrive at {}", self.at(self.arrived_us))?;
        for (at_us, kind) in &self.faults {
            writeln!(out, "  was the aim of {kind} at {}", self.at(*at_us))?;
        }
        writeln!(out, "\nViolations, each with its number")?;
        if self.violations.is_empty() && self.not_kept.is_empty() {
            writeln!(out, "  none")?;
        }
        for group in by_cause(&self.violations) {
            self.write_group(out, &group)?;
        }
        for one in &self.not_kept {
            self.write_not_kept(out, one)?;
        }
        if !(self.violations.is_empty() && self.not_kept.is_empty()) {
            writeln!(out, "  again, with this client alone: {}", self.again)?;
            writeln!(out, "    {}", self.again_says)?;
        }
        if let Some((at_us, flight)) = &self.when_broken {
            writeln!(out, "\nWhen a rule was first broken for it, at {}", self.at(*at_us))?;
            self.write_flight(out, flight)?;
        } else if !(self.violations.is_empty() && self.not_kept.is_empty()) {
            writeln!(
                out,
                "\nIts frames of when a rule was first broken for it were not kept; what it last got follows, \
                 where the run came to its end"
            )?;
        }
        let Some(life) = self.at_end else {
            return writeln!(out, "\nHow it ended is not known: the run was killed");
        };
        writeln!(out, "\nWhen it left the run")?;
        for (topic, track) in &life.tracks {
            writeln!(
                out,
                "  {}: {} applied, the last one seq {}, in its subscribe number {}",
                topic.name(),
                count(track.applied),
                track.last_applied.map_or_else(|| "none".to_owned(), |seq| seq.to_string()),
                track.epoch,
            )?;
        }
        let live = if life.live_since.is_some() { "live" } else { "not live" };
        writeln!(out, "  {live}")?;
        self.write_flight(out, &life.flight)
    }

    /// A moment, on the run's clock and on the wall's.
    fn at(&self, at_us: Micros) -> String {
        format!("{}{}", seconds(at_us), clock(self.started_at, at_us))
    }

    /// The first violation of a group, and which others there are.
    fn write_group(&self, out: &mut String, group: &[Numbered<'_>]) -> std::fmt::Result {
        let [first, others @ ..] = group else { return Ok(()) };
        let Numbered { number, violation } = first;
        let utc = clock(self.started_at, violation.at_us);
        writeln!(out, "  #{number} {}{utc}", texts::violation(violation))?;
        if let Some(named) = violation.client.filter(|named| *named != self.client) {
            writeln!(
                out,
                "    (it stands for several clients, this one among them; the moment, and the frames that were kept, \
                 are those of client {named}: khala-harness explain {} {named})",
                self.bundle
            )?;
        }
        let Some(last) = others.last() else { return Ok(()) };
        let shown = others.iter().take(NUMBERS_SHOWN).map(|one| format!("#{}", one.number));
        let hidden = match others.len().saturating_sub(NUMBERS_SHOWN) {
            0 => String::new(),
            more => format!(" and {} more", count(more as u64)),
        };
        let (shown, at) = (shown.collect::<Vec<_>>().join(", "), self.at(last.violation.at_us));
        let others = counted(others.len() as u64, "other", "others");
        writeln!(out, "    and {others} like it, the last at {at}: {shown}{hidden}")?;
        writeln!(out, "    (`--violation N` shows the one of that number)")
    }

    /// A rule that was broken for it, of which nothing of its own was kept, and where the like is told.
    fn write_not_kept(&self, out: &mut String, one: &NotKept) -> std::fmt::Result {
        let NotKept { rule, topic, kind, clients, kept, first } = one;
        let topic = topic.map(|topic| format!(" on {}", topic.name())).unwrap_or_default();
        let kind = if kind.is_empty() { String::new() } else { format!(" ({kind})") };
        let all = counted(*clients, "client", "clients");
        let kept = counted(*kept, "violation is", "violations are");
        writeln!(
            out,
            "  {rule}{topic}{kind}: broken for it as for {all} in all; of this rule the earliest {kept} kept, with \
             seqs and moment, and none is its own"
        )?;
        match first {
            Some(first) => {
                let bundle = &self.bundle;
                writeln!(out, "    the first is told by: khala-harness explain {bundle} {first}")
            }
            None => Ok(()),
        }
    }

    /// Lines in order of time; what is said several times in a row is said once.
    fn write_lines(&self, out: &mut String, lines: Vec<(Micros, String)>) -> std::fmt::Result {
        let mut lines = lines.into_iter().peekable();
        while let Some((at_us, line)) = lines.next() {
            let mut repeats = Vec::new();
            while let Some((again_at, _)) = lines.next_if(|(_, next)| *next == line) {
                repeats.push(again_at);
            }
            let repeated = repeats.last().map_or_else(String::new, |last| {
                let times = counted(repeats.len() as u64, "more time", "more times");
                format!("  (and {times}, the last at {})", seconds(*last))
            });
            let utc = utc(self.started_at, at_us).map(|utc| format!("  {utc}"));
            writeln!(
                out,
                "    {:>10}{}  {line}{repeated}",
                seconds(at_us),
                utc.unwrap_or_default()
            )?;
        }
        Ok(())
    }

    fn write_flight(&self, out: &mut String, flight: &Flight) -> std::fmt::Result {
        if !flight.happenings.is_empty() {
            let before = before(flight.forgotten.happenings, "more", "more");
            writeln!(out, "  what last befell it{before}:")?;
        }
        self.write_lines(out, flight.happenings.iter().filter_map(happening).collect())?;
        if !flight.frames.is_empty() || !flight.updates.is_empty() {
            let frames = before(flight.forgotten.frames, "frame", "frames");
            writeln!(
                out,
                "  the last frames (-> sent, <- received){frames}, with the updates in them:"
            )?;
            if flight.forgotten.updates > 0 {
                let updates = counted(flight.forgotten.updates, "update", "updates");
                let last = counted(flight.updates.len() as u64, "one", "ones");
                writeln!(
                    out,
                    "    ({updates} came before and are left out: the last {last} are kept)"
                )?;
            }
        }
        self.write_lines(out, frames(flight))
    }
}

/// What a recorder holds in words, each line with its time.
pub(super) struct Lines {
    /// What last befell the client.
    pub happenings: Vec<(Micros, String)>,
    /// Its last frames, each with the updates that were read with it.
    pub frames: Vec<(Micros, String)>,
}

/// What a recorder holds, in words.
pub(super) fn lines(flight: &Flight) -> Lines {
    let happenings = flight.happenings.iter().filter_map(happening).collect();
    Lines { happenings, frames: frames(flight) }
}

/// How many are left out, that came before.
fn before(forgotten: u64, one: &str, many: &str) -> String {
    match forgotten {
        0 => String::new(),
        some => format!(" ({} before these left out)", counted(some, one, many)),
    }
}

/// Numbers named of a group of violations.
const NUMBERS_SHOWN: usize = 20;

fn seconds(at_us: Micros) -> String {
    format!("{:.3} s", std::time::Duration::from_micros(at_us).as_secs_f64())
}

/// The time of day of a moment, in brackets, where it is known.
fn clock(started_at: &str, at_us: Micros) -> String {
    utc(started_at, at_us).map(|utc| format!(" ({utc} UTC)")).unwrap_or_default()
}

/// The violations by cause: those of one rule and topic that differ in nothing but their numbers.
fn by_cause<'a>(violations: &[Numbered<'a>]) -> Vec<Vec<Numbered<'a>>> {
    let mut causes: Vec<(String, Vec<Numbered<'a>>)> = Vec::new();
    for &one in violations {
        let of = |one: &Numbered<'_>| (one.violation.rule, one.violation.topic);
        let said: String = one.violation.message.chars().filter(|c| !c.is_ascii_digit()).collect();
        let same = |(message, group): &&mut (String, Vec<Numbered<'a>>)| {
            *message == said && group.first().is_some_and(|first| of(first) == of(&one))
        };
        match causes.iter_mut().find(same) {
            Some((_, group)) => group.push(one),
            None => causes.push((said, vec![one])),
        }
    }
    causes.into_iter().map(|(_, group)| group).collect()
}

/// The frames, each with the updates that were read with it. The same update in the second of a batch's
/// two pushes is one delivery, and is told with the first.
fn frames(flight: &Flight) -> Vec<(Micros, String)> {
    let frame = |frame: &Frame| {
        let arrow = if frame.sent { "->" } else { "<-" };
        let second = !frame.sent && frame.excerpt.contains(event::FRAME);
        // What it holds is in base64 and, unless something is said of it, in the first push.
        let text = if second { "the second push of a batch (sync:frame)" } else { &*frame.excerpt };
        (frame.at_us, format!("{arrow} {:>7} B  {text}", count(frame.bytes)))
    };
    let mut updates = flight.updates.iter().peekable();
    let mut lines = Vec::new();
    for one in &flight.frames {
        // Frames older than these are forgotten, their updates are not.
        while let Some(update) = updates.next_if(|update| update.at_us < one.at_us) {
            lines.push((update.at_us, update_line(update)));
        }
        lines.push(frame(one));
        if !one.sent {
            while let Some(update) = updates.next_if(|update| update.at_us == one.at_us) {
                lines.push((update.at_us, update_line(update)));
            }
        }
    }
    lines.extend(updates.map(|update| (update.at_us, update_line(update))));
    lines
}

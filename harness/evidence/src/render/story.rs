//! `explain`: what befell one client, for an engineer who wants to know why.

use std::fmt::Write as _;

use khala_plan::Plan;
use khala_plan::schedule::Schedule;
use khala_wire::message::event;
use serde::Serialize;

use super::texts;
use super::units::{count, duration};
use crate::oracle::Violation;
use crate::record::{Micros, Outcome, PublishId, Record, Source, SubscribedTopic};
use crate::report::RunReport;
use crate::shard::client::Client;
use crate::shard::flight::{Flight, Frame, Update};

/// What is known of a client.
#[derive(Clone, Debug, Serialize)]
pub struct ClientStory<'a> {
    /// Its number.
    pub client: u32,
    /// The command that runs it once more, alone.
    pub again: String,
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
    /// Violations for it among those that were kept.
    pub violations: Vec<&'a Violation>,
    /// Its recorder when a rule was first broken for it.
    pub when_broken: Option<(Micros, &'a Flight)>,
    /// Its state when it left the run; `None` of a run that was killed.
    pub at_end: Option<&'a Client>,
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
            (violation.client == Some(client) || among).then_some(violation)
        };
        Some(Self {
            client,
            again: texts::once_more(plan.seed, client, bundle),
            surface: cohort.surface.name(),
            cohort: &cohort.name,
            session: Schedule::identity(plan, client).session,
            arrived_us: arrival.at_us,
            faults: aimed.map(|fault| (fault.at_us, fault.kind.name().to_owned())).collect(),
            violations: kept.filter_map(befell).collect(),
            when_broken: report.stories.of(client).map(|story| (story.at_us, &story.flight)),
            at_end,
        })
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
        writeln!(out, "  was to arrive at {}", seconds(self.arrived_us))?;
        for (at_us, kind) in &self.faults {
            writeln!(out, "  was the aim of {kind} at {}", seconds(*at_us))?;
        }
        writeln!(out, "\nViolations")?;
        if self.violations.is_empty() {
            writeln!(out, "  none among those that were kept")?;
        }
        for (first, more) in by_cause(&self.violations) {
            writeln!(out, "  {}{more}", texts::violation(first))?;
        }
        if !self.violations.is_empty() {
            writeln!(out, "  again, with this client alone: {}", self.again)?;
        }
        if let Some((at_us, flight)) = &self.when_broken {
            writeln!(out, "\nWhen a rule was first broken for it, at {}", seconds(*at_us))?;
            write_flight(out, flight)?;
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
        write_flight(out, &life.flight)
    }
}

fn seconds(at_us: Micros) -> String {
    format!("{:.3} s", std::time::Duration::from_micros(at_us).as_secs_f64())
}

/// The first violation of each cause, with how many more there are of it: those of one rule and topic
/// that differ in nothing but their numbers.
fn by_cause<'a>(violations: &[&'a Violation]) -> Vec<(&'a Violation, String)> {
    let mut causes: Vec<(String, &Violation, usize, Micros)> = Vec::new();
    for &violation in violations {
        let said = violation.message.chars().filter(|c| !c.is_ascii_digit()).collect();
        let same = |cause: &&mut (String, &Violation, usize, Micros)| {
            (cause.1.rule, cause.1.topic) == (violation.rule, violation.topic) && cause.0 == said
        };
        match causes.iter_mut().find(same) {
            Some(cause) => (cause.2, cause.3) = (cause.2 + 1, violation.at_us),
            None => causes.push((said, violation, 0, violation.at_us)),
        }
    }
    let told = |(_, first, more, last)| {
        let more = match more {
            0 => String::new(),
            more => {
                format!(" (and {} more like it, the last at {})", count(more as u64), seconds(last))
            }
        };
        (first, more)
    };
    causes.into_iter().map(told).collect()
}

/// Lines in order of time; what is said several times in a row is said once.
fn write_lines(out: &mut String, lines: Vec<(Micros, String)>) -> std::fmt::Result {
    let mut lines = lines.into_iter().peekable();
    while let Some((at_us, line)) = lines.next() {
        let mut repeats = Vec::new();
        while let Some((again_at, _)) = lines.next_if(|(_, next)| *next == line) {
            repeats.push(again_at);
        }
        let repeated = repeats.last().map_or_else(String::new, |last| {
            format!("  (and {} more times, the last at {})", repeats.len(), seconds(*last))
        });
        writeln!(out, "    {:>10}  {line}{repeated}", seconds(at_us))?;
    }
    Ok(())
}

fn write_flight(out: &mut String, flight: &Flight) -> std::fmt::Result {
    if !flight.happenings.is_empty() {
        writeln!(out, "  what last befell it:")?;
    }
    write_lines(out, flight.happenings.iter().filter_map(happening).collect())?;
    if !flight.frames.is_empty() || !flight.updates.is_empty() {
        writeln!(out, "  the last frames (-> sent, <- received), with the updates in them:")?;
    }
    write_lines(out, frames(flight))
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

/// An update, its numbers called what they are: of a stream a seq, of a state a version.
fn update_line(update: &Update) -> String {
    let Update { topic, seq, epoch, content, hash_fits, source, .. } = update;
    let what = match source {
        Source::Event { publish: PublishId::Planned(number), .. } => {
            format!("seq {seq}, publish {number}")
        }
        Source::Event { publish: PublishId::Lifecycle { worker, seq: own }, .. } => {
            format!("seq {seq}, event {own} of worker {worker} itself")
        }
        Source::Event { publish: PublishId::OverSession { client }, .. } => {
            format!("seq {seq}, the command that client {client} sent over its socket")
        }
        Source::State { worker, version } => {
            format!("version {version} of worker {worker}, watermark {seq}")
        }
        Source::Foreign => format!("seq {seq}, of somebody else"),
    };
    let hash = if *hash_fits { "" } else { ", whose own hash does not fit" };
    format!("     {}: {what}, content {content:016x}{hash}, in subscribe {epoch}", topic.name())
}

/// The contract's or the record's own word for something, without underscores.
fn word(value: &impl Serialize) -> String {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(word)) => word.replace('_', " "),
        Ok(serde_json::Value::Object(fields)) => {
            let fields = fields.iter().map(|(name, value)| match value {
                serde_json::Value::String(value) => format!("{} {}", name, value),
                value => format!("{name} {}", word(value)),
            });
            fields.collect::<Vec<_>>().join(", ").replace('_', " ")
        }
        Ok(value) => value.to_string(),
        Err(_) => "something unknown".to_owned(),
    }
}

/// A record in a sentence, with its time.
fn happening(record: &Record) -> Option<(Micros, String)> {
    Some(match record {
        Record::Answered(answered) => {
            let (request, status) = (answered.request.name(), &answered.status);
            (answered.at, format!("{request} ended: {status}"))
        }
        Record::Rejoining { at, .. } => (*at, "joins again on the same socket".to_owned()),
        Record::ConnectBegun { at, attempt, .. } => {
            (*at, format!("connect begun, attempt {attempt}"))
        }
        Record::Connected { at, .. } => (*at, "connected".to_owned()),
        Record::Op(op) => {
            let took = std::time::Duration::from_micros(op.done.saturating_sub(op.start));
            let kind = word(&op.kind);
            let took = duration(u64::try_from(took.as_micros()).unwrap_or(u64::MAX));
            let how = match op.outcome {
                Outcome::Ok => "answered".to_owned(),
                other => format!("not answered as it should be ({})", word(&other)),
            };
            (op.done, format!("{kind} {how} after {took}"))
        }
        Record::SubscribeSent { at, epoch, topics, .. } => {
            let topics: Vec<_> = topics.iter().map(cursor).collect();
            (*at, format!("subscribe {epoch} sent: {}", topics.join(", ")))
        }
        Record::SubscribeOk { at, epoch, watermarks, .. } => {
            let marks: Vec<_> =
                watermarks.iter().map(|(topic, mark)| format!("{} {mark}", topic.name())).collect();
            (*at, format!("subscribe {epoch} answered: {}", marks.join(", ")))
        }
        Record::SubscribeStale { at, epoch, topics, .. } => {
            let topics: Vec<_> = topics
                .iter()
                .map(|stale| {
                    let (name, reason) = (stale.topic.name(), word(&stale.reason));
                    format!(
                        "{name} cursor {} ({reason}, floor {}, head {})",
                        stale.cursor, stale.floor, stale.head
                    )
                })
                .collect();
            (*at, format!("subscribe {epoch} refused as stale: {}", topics.join(", ")))
        }
        Record::SnapshotTaken { done, topic, outcome, head, .. } => {
            let head = head.map_or_else(|| "no watermark".to_owned(), |head| format!("at {head}"));
            (*done, format!("snapshot of {}: {}, {head}", topic.name(), word(outcome)))
        }
        Record::Unsubscribed { at, topics, .. } => {
            let names: Vec<_> = topics.iter().map(|topic| topic.name()).collect();
            (*at, format!("unsubscribed from {}", names.join(", ")))
        }
        Record::SlowConsumer { at, disconnect, queue_depth, queue_limit, .. } => {
            let what = if *disconnect { "evicted as" } else { "warned as" };
            (*at, format!("{what} a slow consumer, {queue_depth} waiting of {queue_limit}"))
        }
        Record::SlowBegan { at, .. } => (*at, "made slow by the harness".to_owned()),
        Record::SlowEnded { at, .. } => (*at, "reads at full speed again".to_owned()),
        Record::Offline { at, cause, .. } => (*at, format!("offline: {}", word(cause))),
        Record::Word { at, place, word, .. } => (*at, format!("{place} said `{word}`")),
        Record::TokenTried { at, kind, answer, .. } => {
            (*at, format!("a bad token ({}) was tried: {}", kind.name(), word(answer)))
        }
        Record::Finding { name, at, message, .. } => (*at, format!("finding {name}: {message}")),
        Record::OverLimit { at, limit, size, .. } => (*at, limit.told(*size)),
        Record::BeyondHead { at, topic, cursor, first, .. } => {
            let came = first.map_or("nothing".to_owned(), |first| format!("seq {first} first"));
            let name = topic.name();
            (*at, format!("subscribed to {name} beyond head, after {cursor}: {came} came"))
        }
        Record::Revoked { at, .. } => (*at, "its session was revoked".to_owned()),
        Record::CommandSent { at, answer, .. } => {
            (*at, format!("a command over a socket: {}", word(answer)))
        }
        Record::PushesCompared { at, topic, seq, .. } => {
            (*at, format!("the two pushes of {} up to seq {seq} do not agree", topic.name()))
        }
        Record::Retired { at, .. } => (*at, "taken out of the run".to_owned()),
        _ => return None,
    })
}

fn cursor(topic: &SubscribedTopic) -> String {
    let name = topic.topic.name();
    topic
        .cursor
        .map_or_else(|| format!("{name} without a cursor"), |at| format!("{name} after {at}"))
}

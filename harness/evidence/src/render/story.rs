//! `explain`: what befell one client, for an engineer who wants to know why.

use std::fmt::Write as _;

use khala_plan::Plan;
use khala_plan::schedule::Schedule;
use serde::Serialize;

use super::terminal;
use super::units::count;
use crate::oracle::Violation;
use crate::record::{Micros, Outcome, Record, SubscribedTopic};
use crate::report::RunReport;
use crate::shard::client::Client;
use crate::shard::flight::{Flight, Frame};

/// What is known of a client.
#[derive(Clone, Debug, Serialize)]
pub struct ClientStory<'a> {
    /// Its number.
    pub client: u32,
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
    /// The story of a client; `None` if the run had no such client.
    #[must_use]
    pub fn of(
        plan: &'a Plan,
        schedule: &'a Schedule,
        report: &'a RunReport,
        at_end: Option<&'a Client>,
        client: u32,
    ) -> Option<Self> {
        let arrival = schedule.arrivals.iter().find(|arrival| arrival.client == client)?;
        let cohort = plan.fleet.cohorts.get(usize::from(arrival.cohort))?;
        let aimed = schedule.faults.iter().filter(|fault| fault.targets.contains(&client));
        let kept = report.oracle.kept.iter();
        Some(Self {
            client,
            surface: cohort.surface.name(),
            cohort: &cohort.name,
            session: Schedule::identity(plan, client).session,
            arrived_us: arrival.at_us,
            faults: aimed.map(|fault| (fault.at_us, fault.kind.name().to_owned())).collect(),
            violations: kept.filter(|violation| violation.client == Some(client)).collect(),
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
        for violation in &self.violations {
            writeln!(out, "  {}", terminal::violation(violation))?;
        }
        if !self.violations.is_empty() {
            writeln!(
                out,
                "  again, with this client alone: khala-harness run scenario.resolved.toml \
                 --only-client {client}"
            )?;
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

fn write_flight(out: &mut String, flight: &Flight) -> std::fmt::Result {
    if !flight.happenings.is_empty() {
        writeln!(out, "  what last befell it:")?;
    }
    for record in &flight.happenings {
        if let Some((at_us, what)) = happening(record) {
            writeln!(out, "    {:>10}  {what}", seconds(at_us))?;
        }
    }
    if !flight.frames.is_empty() {
        writeln!(out, "  the last frames (-> sent, <- received):")?;
    }
    for Frame { at_us, sent, bytes, excerpt } in &flight.frames {
        let arrow = if *sent { "->" } else { "<-" };
        writeln!(out, "    {:>10}  {arrow} {:>7} B  {excerpt}", seconds(*at_us), count(*bytes))?;
    }
    Ok(())
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
            let kind = format!("{:?}", op.kind).to_lowercase();
            let how = match op.outcome {
                Outcome::Ok => "answered".to_owned(),
                other => format!("ended as {other:?}"),
            };
            (op.done, format!("{kind} {how} after {took:.1?}"))
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
                    let (name, reason) = (stale.topic.name(), stale.reason);
                    format!(
                        "{name} cursor {} ({reason:?}, floor {}, head {})",
                        stale.cursor, stale.floor, stale.head
                    )
                })
                .collect();
            (*at, format!("subscribe {epoch} refused as stale: {}", topics.join(", ")))
        }
        Record::SnapshotTaken { done, topic, outcome, head, .. } => {
            let head = head.map_or_else(|| "no watermark".to_owned(), |head| format!("at {head}"));
            (*done, format!("snapshot of {}: {outcome:?}, {head}", topic.name()))
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
        Record::Offline { at, cause, .. } => (*at, format!("offline: {cause:?}")),
        Record::Word { at, place, word, .. } => (*at, format!("{place} said `{word}`")),
        Record::TokenTried { at, kind, answer, .. } => {
            (*at, format!("a bad token ({}) was tried: {answer:?}", kind.name()))
        }
        Record::Revoked { at, .. } => (*at, "its session was revoked".to_owned()),
        Record::CommandSent { at, answer, .. } => {
            (*at, format!("a command over a socket: {answer:?}"))
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

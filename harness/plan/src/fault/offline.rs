//! `offline`: clients vanish at an instant, stay away, and come back with an old cursor.

use std::time::Duration;

use khala_wire::topic::TopicId;
use serde::Serialize;

use super::{Advice, Definition, Exercise, Extent, FaultKind, FaultType, HITS_NOBODY, Need};
use crate::estimate::{LIVE_WITHIN, Span, chosen_cursors, returned};
use crate::model::{ActsOn, Plan, Resume, TargetKind};
use crate::read::fields::Fields;
use crate::read::key::{Key, KeyOr, Within, Words};
use crate::schedule::{PlannedFault, Schedule};
use crate::units::{format_count, micros};

/// The registry's line.
pub const TYPE: FaultType = FaultType {
    name: "offline",
    summary: "Resets the sockets of its targets, which stay away and come back with an old cursor.",
    told: |clients, _| format!("{clients} go away and come back"),
    mend: "Give its targets the time to connect before it, and to come back after it (longer \
           phases, more time between faults); where they are refused, `upgrade` and `join` under \
           Requests say how.",
    acts_on: ActsOn::Clients,
    extent: Extent::InstantOfEach,
    by_hand: true,
    exercises: &[Exercise::StaleCursor],
    attributes: &[&OFFLINE_FOR, &RESUME],
    read,
};

/// Resets sockets at an instant; the clients stay away and come back with an old cursor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Offline {
    /// How long they stay away; the surface's back-off counts only from then on.
    #[serde(serialize_with = "crate::units::serialize_duration")]
    pub offline_for: Duration,
    /// The cursor that they come back with.
    pub resume: Resume,
}

impl Definition for Offline {
    fn fault_type(&self) -> &'static FaultType {
        &TYPE
    }

    fn needs(&self, what: Need) -> bool {
        what == Need::Windows && self.resume != Resume::Kept
    }

    fn away(&self) -> Option<Duration> {
        Some(self.offline_for)
    }

    fn resumes(&self) -> Option<Resume> {
        Some(self.resume)
    }

    fn acts_for(&self, _plan: &Plan, _duration: Option<Duration>) -> Duration {
        self.offline_for
    }

    fn advice(&self, fault: &PlannedFault, plan: &Plan, schedule: &Schedule) -> Option<Advice> {
        if self.resume == Resume::Kept {
            return None;
        }
        // What is stale stays so while events come.
        let holds = matches!(self.resume, Resume::BelowFloor | Resume::BeyondBudget);
        let moves = || self.while_it_moves(fault, plan, schedule);
        no_place(fault, plan, schedule).or_else(|| if holds { None } else { moves() })
    }
}

impl Offline {
    /// Cursors that are computed from the target's window while it moves.
    fn while_it_moves(
        &self,
        fault: &PlannedFault,
        plan: &Plan,
        schedule: &Schedule,
    ) -> Option<Advice> {
        let from = fault.at_us + micros(self.offline_for);
        // Until it has connected and asked for the target's window.
        let to = returned(plan, fault)? + micros(LIVE_WITHIN);
        let first = schedule.publishes.partition_point(|publish| publish.at_us < from);
        schedule.publishes.get(first).filter(|publish| publish.at_us < to).map(|_| {
            let what = "the clients come back while a load publishes, so their cursor is not exact";
            let help = "end `offline_for` in a phase in which no load runs (`during`)";
            let note = "it is computed from the target's window, which every publish moves";
            Advice::new(what, help).note(note)
        })
    }
}

/// Events that a runtime retains of which nobody says how many. More may be pruned, and then nothing is said.
const RETAINED: u64 = 10_000;

/// Cursors for which no topic has a place: of the embedded runtime, which retains and replays what the scenario says;
/// of another target, if it has what its profile says, else the contract's limits, and no past.
fn no_place(fault: &PlannedFault, plan: &Plan, schedule: &Schedule) -> Option<Advice> {
    let (resume, topics) = chosen_cursors(plan, schedule, fault)?;
    let window = |topic: TopicId, events: u64| {
        let settings = match &plan.target.kind {
            TargetKind::Reference { topics, .. } => topics.get(&topic),
            TargetKind::Url { .. } => plan.target.retains.get(&topic),
        };
        let retained = settings.and_then(|it| it.retain_events).unwrap_or(RETAINED);
        let budget = settings.and_then(|it| it.replay_budget_events);
        let budget = budget.unwrap_or(topic.known().replay_budget_events);
        Span { floor: events.saturating_sub(retained), head: 0, budget }
    };
    let has_one =
        |(topic, events): &(TopicId, u64)| resume.has_place(window(*topic, *events), *events);
    if topics.iter().any(has_one) {
        return None;
    }
    let (topic, events) = topics.into_iter().max_by_key(|(_, events)| *events)?;
    let (name, budget) = (topic.name(), format_count(window(topic, events).budget));
    let made = format!("no more than {} events come to {name} until then", format_count(events));
    let why = match resume {
        Resume::BelowFloor => format!("{made}, and none of them is pruned"),
        _ => format!("{made}, and {budget} are replayed"),
    };
    let told = resume.told();
    Some(match plan.target.kind {
        TargetKind::Reference { .. } => {
            let help = "lower `retain_events` or `replay_budget_events` of `[target.topics]`, or publish more before";
            Advice::new(format!("no cursor can be put {told}: {why}"), help).note(HITS_NOBODY)
        }
        TargetKind::Url { .. } => {
            let limits = match plan.target.retains.get(&topic) {
                Some(_) => "what target.retains says of it",
                None => "the contract's limits",
            };
            let what = format!(
                "whether a cursor can be put {told} hangs on what the target retains and replays"
            );
            let note = format!(
                "with {limits} and no past, {why}: the fault hits nobody there, and the run cannot be a GO"
            );
            Advice::new(what, RETAIN_LESS).note(note).asked()
        }
    })
}

/// What lets a target by URL have a place for cursors.
const RETAIN_LESS: &str = "have the target retain and replay what `[target.topics]` of the scenario says (a reference \
    runtime by `--retain TOPIC=EVENTS` and `--replay-budget TOPIC=EVENTS`), or, where it prunes nothing, try the budget \
    alone by scenarios/cursor-bounds.toml with `--profile budget`";

const OFFLINE_FOR: Key<Within<Duration>> = Key::new(
    "offline_for",
    Within(Duration::from_millis(1), Duration::from_secs(24 * 3600)),
    "offline_for = \"10s\"",
    "How long they stay away; their back-off counts only from then on. Both are part of \
     `time_to_recovered`.",
)
.required();
const RESUME: KeyOr<Words<Resume>> = Key::new(
    "resume",
    Words(&[
        ("kept", Resume::Kept),
        ("below-floor", Resume::BelowFloor),
        ("at-floor", Resume::AtFloor),
        ("beyond-budget", Resume::BeyondBudget),
        ("at-budget", Resume::AtBudget),
    ]),
    "resume = \"below-floor\"",
    "The cursor that they come back with: `kept`; or, computed from the target's \
     window just before the return, `below-floor` and `beyond-budget` (stale, whatever is \
     published meanwhile), `at-floor` and `at-budget` (fresh, while nothing is).",
)
.or(Resume::Kept);

fn read(attributes: &mut Fields<'_>) -> Option<FaultKind> {
    let offline_for = attributes.need(&OFFLINE_FOR);
    let resume = attributes.right(&RESUME);
    Some(Offline { offline_for: offline_for?, resume: resume? }.into())
}

//! `publish_burst`: more is published than the load says, for a moment.
//!
//! The publishes are planned and owed like all others: they stand in the schedule and in the ledger.

use std::time::Duration;

use serde::Serialize;

use super::{Advice, Burst, Definition, Extent, FaultKind, FaultType, Need};
use crate::estimate::PUBLISH_LIMIT_PER_S;
use crate::model::{ActsOn, Fault, Plan, TargetKind};
use crate::read::fields::Fields;
use crate::read::key::{Key, KeyOr, Within};
use crate::schedule::{PlannedFault, Schedule};
use crate::units::format_duration;

/// The registry's line.
pub const TYPE: FaultType = FaultType {
    name: "publish_burst",
    summary: "Publishes events on top of the scenario's first load, at equal gaps over a moment.",
    told: |_, _| "a burst of events is published".to_owned(),
    mend: "See under Requests how `publish` was answered, and publish fewer events or over a \
           longer time (`events`, `over`) where the target refuses them for their number.",
    acts_on: ActsOn::Target,
    extent: Extent::Instant,
    by_hand: false,
    exercises: &[],
    attributes: &[&EVENTS, &OVER],
    read,
};

/// Publishes on top of the first load for a moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct PublishBurst {
    /// How many events.
    pub events: u32,
    /// Over how long, at equal gaps.
    #[serde(serialize_with = "crate::units::serialize_duration")]
    pub over: Duration,
}

impl Definition for PublishBurst {
    fn fault_type(&self) -> &'static FaultType {
        &TYPE
    }

    fn needs(&self, what: Need) -> bool {
        what == Need::Load
    }

    fn burst(&self) -> Option<Burst> {
        let Self { events, over } = *self;
        Some(Burst { events, over })
    }

    fn misfit(&self, fault: &Fault, phase: Duration) -> Option<Advice> {
        let end = fault.at + self.over;
        (end > phase && fault.at < phase).then(|| {
            let (end, phase) = (format_duration(end), format_duration(phase));
            let what = format!("the burst ends at {end}, after its phase, which is {phase} long");
            Advice::new(what, "shorten `over`, or lengthen the phase")
        })
    }

    /// Bursts that a runtime's publish limit refuses in part.
    fn advice(&self, fault: &PlannedFault, plan: &Plan, schedule: &Schedule) -> Option<Advice> {
        // On any other target the limit may have been raised.
        let TargetKind::Reference { .. } = plan.target.kind else { return None };
        let own = schedule.publishes.iter().filter(|publish| publish.fault == Some(fault.id));
        let most = own.map(|publish| in_a_second(schedule, publish.at_us)).max()?;
        (most as f64 > PUBLISH_LIMIT_PER_S).then(|| {
            let what =
                format!("there are {most} publishes in a second of the burst, the load's included");
            let note = format!(
                "the runtime refuses more than {PUBLISH_LIMIT_PER_S}: publish errors, and no bite"
            );
            Advice::new(what, "lower `events`, or lengthen `over`").note(note)
        })
    }
}

/// Publishes in the second from a time on.
fn in_a_second(schedule: &Schedule, from_us: u64) -> usize {
    let place = |at| schedule.publishes.partition_point(|publish| publish.at_us < at);
    place(from_us.saturating_add(1_000_000)) - place(from_us)
}

const EVENTS: Key<Within<u32>> = Key::new(
    "events",
    Within(1, 1_000_000),
    "events = 500",
    "How many, all of the first `[[load]]`.",
)
.unit("events")
.required();
const OVER: KeyOr<Within<Duration>> = Key::new(
    "over",
    Within(Duration::ZERO, Duration::from_secs(3_600)),
    "over = \"5s\"",
    "Over how long; `0s` makes all due at once.",
)
.or(Duration::from_secs(1));

fn read(attributes: &mut Fields<'_>) -> Option<FaultKind> {
    let events = attributes.need(&EVENTS);
    let over = attributes.or(&OVER);
    Some(PublishBurst { events: events?, over }.into())
}

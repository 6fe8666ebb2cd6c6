//! `publish_burst`: more is published than the load says, for a moment.
//!
//! The publishes are planned and owed like all others: they stand in the schedule and in the ledger.

use std::time::Duration;

use super::{Extent, FaultType};
use crate::model::{ActsOn, FaultKind};
use crate::read::fields::Fields;
use crate::read::schema::{Key, Shape};
use crate::units::format_duration;

/// The registry's line.
pub const TYPE: FaultType = FaultType {
    name: "publish_burst",
    summary: "Publishes events on top of the scenario's first load, at equal gaps over a moment.",
    acts_on: ActsOn::Target,
    extent: Extent::Instant,
    attributes,
    read,
};

const EVENTS: std::ops::RangeInclusive<u32> = 1..=1_000_000;
const OVER: Duration = Duration::from_secs(1);
const OVERS: std::ops::RangeInclusive<Duration> = Duration::ZERO..=Duration::from_secs(3_600);

fn attributes() -> Vec<Key> {
    vec![
        Key::new("events", Shape::integer(EVENTS), "How many, all of the first `[[load]]`.")
            .required(),
        Key::new("over", Shape::Duration(OVERS), "Over how long; `0s` makes all due at once.")
            .or(format_duration(OVER)),
    ]
}

fn read(attributes: &mut Fields<'_>) -> Option<FaultKind> {
    let events = attributes.need_within("events", "events = 500", EVENTS);
    let over = attributes.within("over", OVERS).unwrap_or(OVER);
    Some(FaultKind::PublishBurst { events: events?, over })
}

//! `offline`: clients vanish at an instant, stay away, and come back with an old cursor.

use std::time::Duration;

use super::{Extent, FaultType};
use crate::model::{ActsOn, FaultKind, Resume};
use crate::read::fields::Fields;
use crate::read::schema::{Key, Shape};

/// The registry's line.
pub const TYPE: FaultType = FaultType {
    name: "offline",
    summary: "Resets the sockets of its targets, which stay away and come back with an old cursor.",
    acts_on: ActsOn::Clients,
    extent: Extent::InstantOfEach,
    attributes,
    read,
};

const OFFLINE_FOR: std::ops::RangeInclusive<Duration> =
    Duration::from_millis(1)..=Duration::from_secs(24 * 3600);

const RESUMES: [(&str, Resume); 5] = [
    ("kept", Resume::Kept),
    ("below-floor", Resume::BelowFloor),
    ("at-floor", Resume::AtFloor),
    ("beyond-budget", Resume::BeyondBudget),
    ("at-budget", Resume::AtBudget),
];

fn attributes() -> Vec<Key> {
    let offline_for = "How long they stay away; their back-off counts only from then on.";
    let resume = "The cursor that they come back with: `kept`; or, computed from the target's \
                  window just before the return and exact only while nothing is published, \
                  `below-floor` and `beyond-budget` (stale), `at-floor` and `at-budget` (fresh).";
    vec![
        Key::new("offline_for", Shape::Duration(OFFLINE_FOR), offline_for).required(),
        Key::new("resume", Shape::words(&RESUMES), resume).or("kept"),
    ]
}

fn read(attributes: &mut Fields<'_>) -> Option<FaultKind> {
    let offline_for = attributes.need_within("offline_for", "offline_for = \"10s\"", OFFLINE_FOR);
    let resume = attributes.keyword_or("resume", Resume::Kept, &RESUMES);
    Some(FaultKind::Offline { offline_for: offline_for?, resume: resume? })
}

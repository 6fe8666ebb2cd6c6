//! `offline`: clients vanish at an instant, stay away, and come back with an old cursor.

use std::time::Duration;

use super::{Extent, FaultType};
use crate::model::{ActsOn, FaultKind, Resume};
use crate::read::fields::Fields;

/// The registry's line.
pub const TYPE: FaultType = FaultType {
    name: "offline",
    summary: "Resets the sockets of its targets, which stay away and come back with an old cursor.",
    acts_on: ActsOn::Clients,
    extent: Extent::Instant,
    attributes: &[
        ("offline_for", "how long they stay away; their back-off counts only from then on"),
        (
            "resume",
            "the cursor that they come back with: `kept` (default); or, computed from the target's \
             window just before the return and exact only while nothing is published, \
             `below-floor` and `beyond-budget` (stale), `at-floor` and `at-budget` (fresh)",
        ),
    ],
    read,
};

const OFFLINE_FOR: std::ops::RangeInclusive<Duration> =
    Duration::from_millis(1)..=Duration::from_secs(24 * 3600);

fn read(attributes: &mut Fields<'_>) -> Option<FaultKind> {
    let offline_for = attributes.need_within("offline_for", "offline_for = \"10s\"", OFFLINE_FOR);
    let words = [
        ("kept", Resume::Kept),
        ("below-floor", Resume::BelowFloor),
        ("at-floor", Resume::AtFloor),
        ("beyond-budget", Resume::BeyondBudget),
        ("at-budget", Resume::AtBudget),
    ];
    let resume = attributes.keyword_or("resume", Resume::Kept, &words);
    Some(FaultKind::Offline { offline_for: offline_for?, resume: resume? })
}

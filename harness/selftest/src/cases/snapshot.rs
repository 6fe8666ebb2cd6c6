//! Snapshots.

use crate::case::{Case, How};

const STALE: How = How::smoke("stale-cursor");

pub const CASES: &[Case] = &[
    Case::of("snapshot_old", STALE),
    Case::of("snapshot_lags", STALE),
    Case::of("snapshot_ahead", STALE),
    Case::of("snapshot_wrong_topic", STALE),
];

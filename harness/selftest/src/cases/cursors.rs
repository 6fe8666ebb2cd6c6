//! Cursors, floors, budgets and seqs.

use crate::case::{Case, How};

const STALE: How = How::smoke("stale-cursor");

pub const CASES: &[Case] = &[
    Case::of("ignore_floor", STALE),
    Case::of("always_stale", STALE),
    Case::of("wrong_reason", STALE),
    Case::of("fresh_of_stale_list", STALE),
    Case::of("floor_too_strict", STALE),
    Case::of("floor_too_lax", STALE),
    Case::of("budget_too_strict", STALE),
    Case::of("budget_too_lax", STALE),
    Case::of("pruned_topic_accepted", STALE),
    Case::both("watermark_regress", How::smoke("smoke")),
    Case::of("seq_reset_on_restart", How::whole("restart")),
];

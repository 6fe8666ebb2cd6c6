//! Loss, order and content.

use crate::case::{Case, How};

const SMOKE: How = How::smoke("smoke");
/// Ten times the events: enough for one in a hundred.
const BUSY: How = SMOKE.set(&["load.codex-worker-events.rate=40/s"]);
const QUIET: How = How::smoke("quiet");
/// A hundred events so far apart would take five minutes: under this seed one of the five is the one in
/// a hundred.
const QUIET_AND_RARE: How = QUIET.seed(5);

pub const CASES: &[Case] = &[
    Case::both("drop_nth", SMOKE),
    Case::of("drop_on_reconnect", SMOKE),
    Case::each("drop_last_of_batch", SMOKE, BUSY),
    Case::each("drop_acknowledged", SMOKE, BUSY),
    Case::each("late_publish", QUIET, QUIET_AND_RARE),
    Case::each("duplicate_new_seq", SMOKE, BUSY),
    Case::each("invented_event", SMOKE, BUSY),
    Case::both("bad_duplicate", SMOKE),
    Case::both("swap_two", SMOKE),
    Case::of("replay_skips_one", SMOKE),
    Case::of("tail_during_replay", SMOKE),
    Case::of("tail_lost", SMOKE),
    Case::of("early_replay_complete", SMOKE),
    Case::of("never_replay_complete", SMOKE),
    Case::of("corrupt_payload", SMOKE),
    Case::both("wrong_payload", SMOKE),
    Case::both("frame_mismatch", SMOKE),
    Case::both("state_regress", SMOKE),
    Case::of("after_unsubscribe", SMOKE),
];

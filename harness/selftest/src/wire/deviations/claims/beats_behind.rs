//! Heartbeats, and the replies to them, that say that topics stand at 0, whatever was sent over the socket (contract,
//! section 3, heartbeats, and section 1, rule 3): a figure that was read when the channel was joined.

use super::beats;
use crate::wire::deviation::{Deviation, Socket, Step};
use crate::wire::message::Message;
use crate::wire::row::Row;

pub(super) const ROW: Row = Row::no_go(
    Deviation::message(beats_behind),
    "malformed_message",
    "before an earlier heartbeat",
)
.set(&["phase.steady.duration=7s"]);

fn beats_behind(_: &mut Socket, message: Message) -> Option<Vec<Step>> {
    beats(message, |_| 0)
}

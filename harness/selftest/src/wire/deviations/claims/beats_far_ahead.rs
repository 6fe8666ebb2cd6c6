//! Heartbeats, and the replies to them, that say that topics stand a thousand beyond the log (contract, section 3,
//! heartbeats): a client that goes by them for its cursor misses what lies between.

use super::beats;
use crate::wire::deviation::{Deviation, Socket, Step};
use crate::wire::message::Message;
use crate::wire::row::Row;

pub(super) const ROW: Row =
    Row::no_go(Deviation::message(beats_far_ahead), "malformed_message", "by a heartbeat");

fn beats_far_ahead(_: &mut Socket, message: Message) -> Option<Vec<Step>> {
    beats(message, |stands| stands + 1_000)
}

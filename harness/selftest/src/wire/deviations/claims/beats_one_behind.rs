//! Heartbeats, and the replies to them, that are one event behind what was just sent: a figure of a moment ago, as a
//! cache or a replica has it (contract, section 3, heartbeats: it does not say of which moment they are).

use super::beats;
use crate::wire::deviation::{Deviation, Socket, Step};
use crate::wire::message::Message;
use crate::wire::row::Row;

pub(super) const ROW: Row =
    Row::go(Deviation::message(beats_one_behind)).set(&["phase.steady.duration=7s"]);

fn beats_one_behind(_: &mut Socket, message: Message) -> Option<Vec<Step>> {
    beats(message, |stands| stands.saturating_sub(1))
}

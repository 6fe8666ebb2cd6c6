//! Live clients are told that their cursor is stale, by figures that say otherwise (contract, section 1, rule
//! 6): they throw away what they have, and come back for all of it.

use super::{later, stale_of_the_stream};
use crate::wire::deviation::{Deviation, Socket, Step};
use crate::wire::message::Message;
use crate::wire::row::Row;

pub(super) const ROW: Row =
    Row::no_go(Deviation::message(stale_unprovoked), "false_stale", "refused as stale");

fn stale_unprovoked(socket: &mut Socket, message: Message) -> Option<Vec<Step>> {
    later(socket, message, |join| Message::push(join, "sync:error", stale_of_the_stream()))
}

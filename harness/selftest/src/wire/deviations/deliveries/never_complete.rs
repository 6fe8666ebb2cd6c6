//! `replay_complete` is false in every batch: it occurs in live ones, too, and means no more than that the
//! head had moved on (contract, section 3, subscribe and delivery).

use crate::wire::deviation::{Deviation, Socket, Step};
use crate::wire::deviations::batch::{both, rewrite};
use crate::wire::message::Message;
use crate::wire::row::Row;

pub(super) const ROW: Row = Row::go(Deviation::message(never_complete));

fn never_complete(_: &mut Socket, message: Message) -> Option<Vec<Step>> {
    rewrite(&message, |updates| both(&message.join, &updates, false).into())
}

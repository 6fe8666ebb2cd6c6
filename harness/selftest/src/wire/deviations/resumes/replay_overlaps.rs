//! Replay begins three events before the cursor: a log that is read by pages. Duplicates are allowed, and a
//! client applies only what comes after what it has (contract, section 1, rule 4).

use super::{of_stream, with_cursors};
use crate::wire::deviation::{Deviation, Socket};
use crate::wire::message::Message;
use crate::wire::row::Row;

pub(super) const ROW: Row = Row::go(Deviation::client(replay_overlaps)).resume();

fn replay_overlaps(_: &mut Socket, message: Message) -> Option<Vec<Message>> {
    of_stream(&message).then(|| with_cursors(message, |cursor| cursor.saturating_sub(3))).flatten()
}

//! Replay begins three events behind the cursor (contract, section 1, rule 5: everything after it):
//! an off-by-one, three times over.

use super::{of_stream, with_cursors};
use crate::wire::deviation::{Deviation, Socket};
use crate::wire::message::Message;
use crate::wire::row::Row;

pub(super) const ROW: Row = Row::no_go(Deviation::client(replay_skips), "gap", "seq").resume();

fn replay_skips(_: &mut Socket, message: Message) -> Option<Vec<Message>> {
    of_stream(&message).then(|| with_cursors(message, |cursor| cursor + 3)).flatten()
}

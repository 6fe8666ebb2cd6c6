//! A reply to a ref that the client never sent: phoenix.js looks for a handler of `chan_reply_9999` and
//! finds none.

use super::reply;
use crate::wire::deviation::{Deviation, Socket, Step};
use crate::wire::message::Message;
use crate::wire::row::Row;

pub(super) const ROW: Row = Row::go(Deviation::message(reply_to_nobody));

fn reply_to_nobody(socket: &mut Socket, message: Message) -> Option<Vec<Step>> {
    let steps = reply(socket, &message, "9999".into());
    socket.stage += u32::from(steps.is_some());
    steps
}

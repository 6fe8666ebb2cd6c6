//! The channel's heartbeat answered after the socket's, which was asked later: two processes of a
//! Phoenix server, and no order between them.

use crate::wire::deviation::{Deviation, Socket, Step};
use crate::wire::message::Message;
use crate::wire::row::Row;

pub(super) const ROW: Row = Row::go(Deviation::message(replies_swapped));

fn replies_swapped(socket: &mut Socket, message: Message) -> Option<Vec<Step>> {
    if message.is_heartbeat_reply() {
        socket.held = Some(message);
        return Some(Vec::new());
    }
    let held = socket.held.take_if(|_| message.channel == "phoenix")?;
    Some(vec![(&message).into(), (&held).into()])
}

//! A batch, a ping and the batch's frame in one write, and so in one segment: RFC 9293, section 3.7, knows
//! no messages; Cowboy gathers what its mailbox holds.

use crate::wire::deviation::{Deviation, Socket, Step};
use crate::wire::frame::{Frame, PING};
use crate::wire::message::Message;
use crate::wire::row::Row;

pub(super) const ROW: Row = Row::go(Deviation::message(many_in_a_segment));

fn many_in_a_segment(socket: &mut Socket, message: Message) -> Option<Vec<Step>> {
    if message.event == "sync:update_batch" {
        socket.held = Some(message);
        return Some(Vec::new());
    }
    let batch = Frame::text(socket.held.take()?.text()).bytes();
    let frame = Frame::text(message.text()).bytes();
    Some(vec![Step::Send([batch, Frame::whole(PING, "between").bytes(), frame].concat())])
}

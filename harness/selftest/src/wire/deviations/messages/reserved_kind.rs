//! A frame of a kind that is reserved (contract, section 3, delivery): a newer runtime may use it.

use super::join_of;
use crate::wire::deviation::{Deviation, Socket, Step};
use crate::wire::deviations::{LATER, batch};
use crate::wire::message::Message;
use crate::wire::row::Row;

pub(super) const ROW: Row = Row::go(Deviation::message(reserved_kind));

fn reserved_kind(socket: &mut Socket, message: Message) -> Option<Vec<Step>> {
    (socket.frames == LATER).then(|| {
        let join = join_of(&message);
        let frame = batch::frame(&join, batch::STREAM, 0, "KHALA_FRAME_KIND_HEARTBEAT", "{}");
        vec![(&message).into(), (&frame).into()]
    })
}

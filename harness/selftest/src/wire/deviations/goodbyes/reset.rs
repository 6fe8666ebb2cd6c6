//! Every connection is reset once, as by a peer that has started anew and knows it no more (RFC
//! 9293, section 3.5.2).

use crate::wire::deviation::{Deviation, Socket, Step};
use crate::wire::deviations::LATER;
use crate::wire::frame::Frame;
use crate::wire::row::Row;

pub(super) const ROW: Row = Row::no_go(Deviation::frame(reset), "gate:stability", "socket_ends");

fn reset(socket: &mut Socket, _: &Frame) -> Option<Vec<Step>> {
    (socket.frames == LATER).then(|| vec![Step::Reset])
}

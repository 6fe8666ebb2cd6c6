//! Every connection is reset once.

use crate::wire::deviation::{Deviation, Socket, Step};
use crate::wire::deviations::LATER;
use crate::wire::frame::Frame;
use crate::wire::row::Row;

pub(super) const ROW: Row = Row::no_go(Deviation::frame(reset), "gate:stability", "socket_ends");

fn reset(socket: &mut Socket, _: &Frame) -> Option<Vec<Step>> {
    (socket.frames == LATER).then(|| vec![Step::Reset])
}

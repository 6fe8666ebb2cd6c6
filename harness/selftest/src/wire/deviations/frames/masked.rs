//! A server's frame with a mask (RFC 6455, section 5.1: a client closes the connection).

use crate::wire::deviation::{Deviation, Socket, Step};
use crate::wire::deviations::LATER;
use crate::wire::frame::Frame;
use crate::wire::row::Row;

pub(super) const ROW: Row = Row::no_go(Deviation::frame(masked), "ws_protocol", "a masked frame");

fn masked(socket: &mut Socket, frame: &Frame) -> Option<Vec<Step>> {
    (socket.frames == LATER).then(|| vec![Step::Send(frame.masked([1, 2, 3, 4]))])
}

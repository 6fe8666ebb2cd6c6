//! 1000 in place of the reply to the join, to one client: a graceful stop has it for sockets that have not
//! joined (contract, section 3, closes).

use crate::wire::deviation::{Deviation, Socket, Step};
use crate::wire::frame::Frame;
use crate::wire::row::Row;

pub(super) const ROW: Row = Row::go(Deviation::frame(close_before_join));

fn close_before_join(socket: &mut Socket, _: &Frame) -> Option<Vec<Step>> {
    let first = socket.number == 0 && socket.frames == 1;
    first.then(|| vec![Frame::close(1000, b"").into(), Step::Finish])
}

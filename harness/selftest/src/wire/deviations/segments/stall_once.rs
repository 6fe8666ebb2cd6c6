//! Nothing for 600 ms, once a socket: a retransmission after a loss (RFC 6298 has a second at first, and
//! Linux 200 ms, doubled) or a pause of a garbage collector.

use std::time::Duration;

use crate::wire::deviation::{Deviation, Socket, Step};
use crate::wire::deviations::LATER;
use crate::wire::frame::Frame;
use crate::wire::row::Row;

pub(super) const ROW: Row = Row::go(Deviation::frame(stall_once));

fn stall_once(socket: &mut Socket, frame: &Frame) -> Option<Vec<Step>> {
    let late = Step::Wait(Duration::from_millis(600));
    (socket.frames == LATER).then(|| vec![late, frame.clone().into()])
}

//! Nothing more on any socket, which all stay open: Azure's load balancer drops idle flows without
//! a word by default, and a process that hangs looks the same.

use crate::wire::deviation::{Deviation, Socket, Step};
use crate::wire::deviations::LATER;
use crate::wire::frame::Frame;
use crate::wire::row::Row;

pub(super) const ROW: Row =
    Row::no_go(Deviation::frame(goes_silent), "gate:stability", "heartbeat_timeouts")
        .set(&["phase.steady.duration=8s"]);

fn goes_silent(socket: &mut Socket, _: &Frame) -> Option<Vec<Step>> {
    (socket.frames >= LATER && !socket.closing).then(Vec::new)
}

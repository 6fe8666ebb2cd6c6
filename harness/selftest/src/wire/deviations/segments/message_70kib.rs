//! A message beyond 65,535 bytes, whose length takes eight bytes (RFC 6455, section 5.2); spaces behind
//! JSON mean nothing (RFC 8259, section 2).

use super::spaced;
use crate::wire::deviation::{Deviation, Socket, Step};
use crate::wire::deviations::LATER;
use crate::wire::frame::{FIN, Frame, TEXT};
use crate::wire::row::Row;

pub(super) const ROW: Row = Row::go(Deviation::frame(message_70kib));

fn message_70kib(socket: &mut Socket, frame: &Frame) -> Option<Vec<Step>> {
    (frame.first == FIN | TEXT && socket.frames == LATER).then(|| spaced(frame, 70 << 10))
}

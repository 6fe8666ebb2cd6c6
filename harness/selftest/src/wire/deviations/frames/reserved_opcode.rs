//! An opcode that is reserved for data (RFC 6455, section 5.2).

use super::{BROKEN, before};
use crate::wire::deviation::{Deviation, Socket, Step};
use crate::wire::frame::Frame;
use crate::wire::row::Row;

pub(super) const ROW: Row =
    Row::no_go(Deviation::frame(reserved_opcode), BROKEN, "a reserved opcode");

fn reserved_opcode(socket: &mut Socket, frame: &Frame) -> Option<Vec<Step>> {
    before(socket, frame, Frame::whole(0x3, "x"))
}

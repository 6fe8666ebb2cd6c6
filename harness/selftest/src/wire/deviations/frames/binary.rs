//! A binary message: the lane has none (contract, section 3, framing).

use super::before;
use crate::wire::deviation::{Deviation, Socket, Step};
use crate::wire::frame::{BINARY, Frame};
use crate::wire::row::Row;

pub(super) const ROW: Row =
    Row::no_go(Deviation::frame(binary), "malformed_message", "a binary message");

fn binary(socket: &mut Socket, frame: &Frame) -> Option<Vec<Step>> {
    before(socket, frame, Frame::whole(BINARY, "x"))
}

//! A close frame with half a code (RFC 6455, section 5.5.1).

use super::{MALFORMED, closes};
use crate::wire::deviation::{Deviation, Socket, Step};
use crate::wire::frame::{CLOSE, Frame};
use crate::wire::row::Row;

pub(super) const ROW: Row = Row::no_go(Deviation::frame(close_one_byte), "ws_protocol", MALFORMED);

fn close_one_byte(socket: &mut Socket, _: &Frame) -> Option<Vec<Step>> {
    closes(socket, Frame::whole(CLOSE, [0x03]))
}

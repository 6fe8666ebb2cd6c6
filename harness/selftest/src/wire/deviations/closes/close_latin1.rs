//! A reason that is not UTF-8 (RFC 6455, section 5.5.1).

use super::{MALFORMED, closes};
use crate::wire::deviation::{Deviation, Socket, Step};
use crate::wire::frame::Frame;
use crate::wire::row::Row;

pub(super) const ROW: Row = Row::no_go(Deviation::frame(close_latin1), "ws_protocol", MALFORMED);

fn close_latin1(socket: &mut Socket, _: &Frame) -> Option<Vec<Step>> {
    closes(socket, Frame::close(1011, b"\xe9"))
}

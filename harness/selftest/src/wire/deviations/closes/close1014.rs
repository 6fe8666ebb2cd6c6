//! 1014, "bad gateway", of the IANA registry: libraries that are older than it read another code.

use super::{WRONG, closes};
use crate::wire::deviation::{Deviation, Socket, Step};
use crate::wire::frame::Frame;
use crate::wire::row::Row;

pub(super) const ROW: Row = Row::no_go(Deviation::frame(close1014), WRONG, "`1014`");

fn close1014(socket: &mut Socket, _: &Frame) -> Option<Vec<Step>> {
    closes(socket, Frame::close(1014, b""))
}

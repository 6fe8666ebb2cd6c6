//! A continuation of nothing (RFC 6455, section 5.4).

use super::{BROKEN, OUT, before};
use crate::wire::deviation::{Deviation, Socket, Step};
use crate::wire::frame::{CONTINUATION, Frame};
use crate::wire::row::Row;

pub(super) const ROW: Row = Row::no_go(Deviation::frame(continuation_of_nothing), BROKEN, OUT);

fn continuation_of_nothing(socket: &mut Socket, frame: &Frame) -> Option<Vec<Step>> {
    before(socket, frame, Frame::whole(CONTINUATION, "x"))
}

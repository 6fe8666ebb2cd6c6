//! 1012 with a reason of 123 bytes, the most that a control frame holds (RFC 6455, section 5.5), half of
//! them in characters of two bytes.

use super::one;
use crate::wire::deviation::{Deviation, Socket, Step};
use crate::wire::frame::Frame;
use crate::wire::row::Row;

pub(super) const ROW: Row = Row::go(Deviation::frame(close_reason_123));

fn close_reason_123(socket: &mut Socket, _: &Frame) -> Option<Vec<Step>> {
    let reason = ["\u{e9}".repeat(30), "r".repeat(63)].concat();
    one(socket).then(|| vec![Frame::close(1012, reason.as_bytes()).into(), Step::Finish])
}

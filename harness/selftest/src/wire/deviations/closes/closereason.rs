//! A private code (RFC 6455, section 7.4.2) with a reason of the greatest length, full of what
//! breaks terminals, tables and HTML: it is "not necessarily human readable" (section 5.5.1).

use super::{WRONG, closes};
use crate::wire::deviation::{Deviation, Socket, Step};
use crate::wire::frame::Frame;
use crate::wire::row::Row;

pub(super) const ROW: Row = Row::no_go(Deviation::frame(closereason), WRONG, "`4001`");

fn closereason(socket: &mut Socket, _: &Frame) -> Option<Vec<Step>> {
    let reason = ["\u{1b}[31m|\n<b>&\u{fffe}", &"r".repeat(109)].concat();
    closes(socket, Frame::close(4001, reason.as_bytes()))
}

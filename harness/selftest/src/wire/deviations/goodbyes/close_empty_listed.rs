//! A close frame without a code (RFC 6455, section 5.5.1: the body is optional), as HAProxy and `ws`'s
//! `close()` send it; the target lists it.

use super::one;
use crate::wire::deviation::{Deviation, Socket, Step};
use crate::wire::frame::{CLOSE, Frame};
use crate::wire::row::Row;

pub(super) const ROW: Row =
    Row::go(Deviation::frame(close_empty_listed)).set(&["target.close_codes=[1005]"]);

fn close_empty_listed(socket: &mut Socket, _: &Frame) -> Option<Vec<Step>> {
    one(socket).then(|| vec![Frame::whole(CLOSE, []).into(), Step::Finish])
}

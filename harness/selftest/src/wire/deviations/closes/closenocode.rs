//! A close frame without a body, as load balancers send when they drain: the body is optional (RFC
//! 6455, section 5.5.1), and clients read it as 1005 (section 7.1.5).

use super::{WRONG, closes};
use crate::wire::deviation::{Deviation, Socket, Step};
use crate::wire::frame::{CLOSE, Frame};
use crate::wire::row::Row;

pub(super) const ROW: Row = Row::no_go(Deviation::frame(closenocode), WRONG, "`none`");

fn closenocode(socket: &mut Socket, _: &Frame) -> Option<Vec<Step>> {
    closes(socket, Frame::whole(CLOSE, []))
}

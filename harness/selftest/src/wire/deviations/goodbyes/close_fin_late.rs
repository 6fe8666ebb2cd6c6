//! 1012, and the end of the connection only a second and a half later: RFC 6455, section 7.1.1, has the
//! server close TCP first, and sets no time.

use std::time::Duration;

use super::one;
use crate::wire::deviation::{Deviation, Socket, Step};
use crate::wire::frame::Frame;
use crate::wire::row::Row;

pub(super) const ROW: Row = Row::go(Deviation::frame(close_fin_late));

fn close_fin_late(socket: &mut Socket, _: &Frame) -> Option<Vec<Step>> {
    let late = Step::Wait(Duration::from_millis(1500));
    one(socket).then(|| vec![Frame::close(1012, b"").into(), late, Step::Finish])
}

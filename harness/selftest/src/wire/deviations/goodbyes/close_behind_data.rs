//! A message and the close frame behind it in one segment: what came before the close counts (RFC
//! 6455, section 5.5.1, forbids data only behind it).

use super::one;
use crate::wire::deviation::{Deviation, Socket, Step};
use crate::wire::frame::Frame;
use crate::wire::row::Row;

pub(super) const ROW: Row = Row::go(Deviation::frame(close_behind_data));

fn close_behind_data(socket: &mut Socket, frame: &Frame) -> Option<Vec<Step>> {
    let both = [frame.bytes(), Frame::close(1012, b"").bytes()].concat();
    one(socket).then(|| vec![Step::Send(both), Step::Finish])
}

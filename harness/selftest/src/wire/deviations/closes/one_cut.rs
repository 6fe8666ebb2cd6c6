//! One client's connection ends without a close frame, once, as a kill ends it (contract, section
//! 3, closes): one of twelve, within any limit.

use super::cut;
use crate::wire::deviation::{Deviation, Socket, Step};
use crate::wire::frame::Frame;
use crate::wire::row::Row;

pub(super) const ROW: Row = Row::go(Deviation::frame(one_cut));

fn one_cut(socket: &mut Socket, frame: &Frame) -> Option<Vec<Step>> {
    (socket.number == 0).then_some(())?;
    cut(socket, frame)
}

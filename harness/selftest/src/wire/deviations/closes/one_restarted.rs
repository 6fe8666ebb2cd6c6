//! One client's socket is closed with 1012, once, as a graceful stop closes it (contract, section
//! 3, closes): one of twelve, within any limit.

use super::coded;
use crate::wire::deviation::{Deviation, Socket, Step};
use crate::wire::frame::Frame;
use crate::wire::row::Row;

pub(super) const ROW: Row = Row::go(Deviation::frame(one_restarted));

fn one_restarted(socket: &mut Socket, frame: &Frame) -> Option<Vec<Step>> {
    (socket.number == 0).then_some(())?;
    coded::<1012>(socket, frame)
}

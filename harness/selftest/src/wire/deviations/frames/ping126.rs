//! A ping that is too long (RFC 6455, section 5.5).

use super::{BROKEN, CONTROL, before};
use crate::wire::deviation::{Deviation, Socket, Step};
use crate::wire::frame::{Frame, PING};
use crate::wire::row::Row;

pub(super) const ROW: Row = Row::no_go(Deviation::frame(ping126), BROKEN, CONTROL);

fn ping126(socket: &mut Socket, frame: &Frame) -> Option<Vec<Step>> {
    before(socket, frame, Frame::whole(PING, [b'p'; 126]))
}

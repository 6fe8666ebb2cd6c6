//! A ping in parts (RFC 6455, section 5.5).

use super::{BROKEN, CONTROL, before};
use crate::wire::deviation::{Deviation, Socket, Step};
use crate::wire::frame::{Frame, PING};
use crate::wire::row::Row;

pub(super) const ROW: Row = Row::no_go(Deviation::frame(ping_fragmented), BROKEN, CONTROL);

fn ping_fragmented(socket: &mut Socket, frame: &Frame) -> Option<Vec<Step>> {
    before(socket, frame, Frame { first: PING, payload: b"p".to_vec() })
}

//! RSV1 without an extension (RFC 6455, section 5.2), as a server sends that compresses although that
//! was declined.

use super::{BROKEN, before};
use crate::wire::deviation::{Deviation, Socket, Step};
use crate::wire::frame::{FIN, Frame, TEXT};
use crate::wire::row::Row;

pub(super) const ROW: Row = Row::no_go(Deviation::frame(reserved_bit), BROKEN, "a reserved bit");

fn reserved_bit(socket: &mut Socket, frame: &Frame) -> Option<Vec<Step>> {
    before(socket, frame, Frame { first: FIN | 0x40 | TEXT, payload: b"x".to_vec() })
}

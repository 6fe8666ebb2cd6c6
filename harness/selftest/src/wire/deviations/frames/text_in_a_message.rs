//! A message that begins inside another one (RFC 6455, section 5.4), as two writers without a lock do.

use super::{BROKEN, OUT, before};
use crate::wire::deviation::{Deviation, Socket, Step};
use crate::wire::frame::{Frame, TEXT};
use crate::wire::row::Row;

pub(super) const ROW: Row = Row::no_go(Deviation::frame(text_in_a_message), BROKEN, OUT);

fn text_in_a_message(socket: &mut Socket, frame: &Frame) -> Option<Vec<Step>> {
    before(socket, frame, Frame { first: TEXT, payload: b"[".to_vec() })
}

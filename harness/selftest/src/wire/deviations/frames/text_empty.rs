//! A text message without a byte: a frame of RFC 6455, and no message of Phoenix.

use super::before;
use crate::wire::deviation::{Deviation, Socket, Step};
use crate::wire::frame::Frame;
use crate::wire::row::Row;

pub(super) const ROW: Row =
    Row::no_go(Deviation::frame(text_empty), "malformed_message", "contract");

fn text_empty(socket: &mut Socket, frame: &Frame) -> Option<Vec<Step>> {
    before(socket, frame, Frame::text(""))
}

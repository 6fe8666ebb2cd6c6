//! The client's own goodbye echoed with another code. RFC 6455, section 5.5.1, wants the echo "typically"
//! with the same code, and whoever closes no longer listens.

use crate::wire::deviation::{Deviation, Socket, Step};
use crate::wire::frame::{CLOSE, Frame};
use crate::wire::row::Row;

pub(super) const ROW: Row = Row::go(Deviation::frame(close_echo_4000));

fn close_echo_4000(socket: &mut Socket, frame: &Frame) -> Option<Vec<Step>> {
    let echo = socket.closing && frame.opcode() == CLOSE;
    echo.then(|| vec![Frame::close(4000, b"").into(), Step::Finish])
}

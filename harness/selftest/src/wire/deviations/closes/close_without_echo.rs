//! The client's goodbye is answered with the end of the connection alone, where a close frame is
//! due (RFC 6455, section 5.5.1); clients read that as 1006 (section 7.1.5).

use crate::wire::deviation::{Deviation, Socket, Step};
use crate::wire::frame::{CLOSE, Frame};
use crate::wire::row::Row;

pub(super) const ROW: Row = Row::go(Deviation::frame(close_without_echo));

fn close_without_echo(socket: &mut Socket, frame: &Frame) -> Option<Vec<Step>> {
    let echo = socket.closing && frame.opcode() == CLOSE;
    echo.then(|| vec![Step::Finish])
}

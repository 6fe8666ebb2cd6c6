//! Behind the echo of the client's goodbye comes more data (RFC 6455, section 5.5.1, forbids it); whoever
//! has heard the echo reads no further.

use crate::wire::deviation::{Deviation, Socket, Step};
use crate::wire::frame::{CLOSE, Frame};
use crate::wire::row::Row;

pub(super) const ROW: Row = Row::go(Deviation::frame(close_echo_then_data));

fn close_echo_then_data(socket: &mut Socket, frame: &Frame) -> Option<Vec<Step>> {
    let echo = socket.closing && frame.opcode() == CLOSE;
    echo.then(|| vec![frame.clone().into(), Frame::text("[]").into(), Step::Finish])
}

//! Close frames, with codes and reasons of every kind.

use super::LATER;
use crate::commands::selftest::wire::deviation::{Deviation, Socket, Step};
use crate::commands::selftest::wire::frame::{CLOSE, Frame};
use crate::commands::selftest::wire::row::Row;

const WRONG: &str = "wrong_close_or_error";

pub const ROWS: &[Row] = &[
    Row::no_go("closenocode", Deviation::frame(closenocode), WRONG, "`none`"),
    Row::no_go("close1014", Deviation::frame(close1014), WRONG, "`1014`"),
    Row::no_go("closereason", Deviation::frame(closereason), WRONG, "`4001`"),
    Row::go("close_echo_4000", Deviation::frame(close_echo_4000)),
];

/// The frame in hand gives way to a close, once a socket.
fn closes(socket: &Socket, close: Frame) -> Option<Vec<Step>> {
    (socket.frames == LATER).then(|| vec![close.into(), Step::Finish])
}

/// A close frame without a body, as load balancers send when they drain.
fn closenocode(socket: &mut Socket, _: &Frame) -> Option<Vec<Step>> {
    closes(socket, Frame::whole(CLOSE, []))
}

/// 1014, "bad gateway", of the IANA registry: libraries that are older than it read another code.
fn close1014(socket: &mut Socket, _: &Frame) -> Option<Vec<Step>> {
    closes(socket, Frame::close(1014, b""))
}

/// A private code with a reason of the greatest length, full of what breaks terminals, tables and HTML.
fn closereason(socket: &mut Socket, _: &Frame) -> Option<Vec<Step>> {
    let reason = ["\u{1b}[31m|\n<b>&\u{fffe}", &"r".repeat(109)].concat();
    closes(socket, Frame::close(4001, reason.as_bytes()))
}

/// The client's own goodbye echoed with another code. RFC 6455, section 5.5.1, wants the echo "typically"
/// with the same code, and whoever closes no longer listens.
fn close_echo_4000(socket: &mut Socket, frame: &Frame) -> Option<Vec<Step>> {
    let echo = socket.closing && frame.opcode() == CLOSE;
    echo.then(|| vec![Frame::close(4000, b"").into(), Step::Finish])
}

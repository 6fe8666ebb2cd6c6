//! Close frames, with codes and reasons of every kind.

use super::LATER;
use crate::wire::deviation::{Deviation, Socket, Step};
use crate::wire::frame::{CLOSE, Frame};
use crate::wire::row::Row;

const WRONG: &str = "wrong_close_or_error";

pub const ROWS: &[Row] = &[
    Row::no_go("closenocode", Deviation::frame(closenocode), WRONG, "`none`"),
    Row::no_go("close1014", Deviation::frame(close1014), WRONG, "`1014`"),
    Row::no_go("closereason", Deviation::frame(closereason), WRONG, "`4001`"),
    Row::go("close_echo_4000", Deviation::frame(close_echo_4000)),
    Row::go("close_echo_then_data", Deviation::frame(close_echo_then_data)),
    Row::go("close_without_echo", Deviation::frame(close_without_echo)),
    Row::go("one_restarted", Deviation::frame(one_restarted)),
    Row::go("one_cut", Deviation::frame(one_cut)),
    Row::no_go("close1000", Deviation::frame(coded::<1000>), STABILITY, ENDS),
    Row::no_go("close1002", Deviation::frame(coded::<1002>), STABILITY, ENDS),
    Row::no_go("close1011", Deviation::frame(coded::<1011>), STABILITY, ENDS),
    Row::no_go("close1012", Deviation::frame(coded::<1012>), STABILITY, ENDS),
    Row::no_go("cut", Deviation::frame(cut), STABILITY, ENDS),
    Row::no_go("close1001", Deviation::frame(coded::<1001>), WRONG, "`1001`"),
    Row::no_go("close1008", Deviation::frame(coded::<1008>), WRONG, "`1008`"),
    Row::no_go("close1013", Deviation::frame(coded::<1013>), WRONG, "`1013`"),
    Row::no_go("close3000", Deviation::frame(coded::<3000>), WRONG, "`3000`"),
    Row::no_go("close1005", Deviation::frame(coded::<1005>), "ws_protocol", MALFORMED),
    Row::no_go("close1006", Deviation::frame(coded::<1006>), "ws_protocol", MALFORMED),
    Row::no_go("close999", Deviation::frame(coded::<999>), "ws_protocol", MALFORMED),
    Row::no_go("close5000", Deviation::frame(coded::<5000>), "ws_protocol", MALFORMED),
    Row::no_go("close_one_byte", Deviation::frame(close_one_byte), "ws_protocol", MALFORMED),
    Row::no_go("close_latin1", Deviation::frame(close_latin1), "ws_protocol", MALFORMED),
];

const STABILITY: &str = "gate:stability";
const ENDS: &str = "socket_ends";
const MALFORMED: &str = "a malformed close frame";

/// Every socket once with a code. The contract has 1000, 1002, 1011 and 1012 (a draining reload, for
/// one), which nobody planned here; 1001, 1008, 1013 and 3000 it has not; 1005 and 1006 stand for what is
/// not on the wire, and 999 and 5000 are no codes (RFC 6455, section 7.4).
fn coded<const CODE: u16>(socket: &mut Socket, _: &Frame) -> Option<Vec<Step>> {
    closes(socket, Frame::close(CODE, b""))
}

/// A close frame with half a code (RFC 6455, section 5.5.1).
fn close_one_byte(socket: &mut Socket, _: &Frame) -> Option<Vec<Step>> {
    closes(socket, Frame::whole(CLOSE, [0x03]))
}

/// A reason that is not UTF-8 (RFC 6455, section 5.5.1).
fn close_latin1(socket: &mut Socket, _: &Frame) -> Option<Vec<Step>> {
    closes(socket, Frame::close(1011, b"\xe9"))
}

/// One client's socket is closed with 1012, once: one of twelve, within any limit.
fn one_restarted(socket: &mut Socket, frame: &Frame) -> Option<Vec<Step>> {
    (socket.number == 0).then_some(())?;
    coded::<1012>(socket, frame)
}

/// One client's connection ends without a close frame, once.
fn one_cut(socket: &mut Socket, frame: &Frame) -> Option<Vec<Step>> {
    (socket.number == 0).then_some(())?;
    cut(socket, frame)
}

/// Every connection ends once without a close frame: a proxy that is restarted.
fn cut(socket: &mut Socket, _: &Frame) -> Option<Vec<Step>> {
    (socket.frames == LATER).then(|| vec![Step::Finish])
}

/// Behind the echo of the client's goodbye comes more data (RFC 6455, section 5.5.1, forbids it); whoever
/// has heard the echo reads no further.
fn close_echo_then_data(socket: &mut Socket, frame: &Frame) -> Option<Vec<Step>> {
    let echo = socket.closing && frame.opcode() == CLOSE;
    echo.then(|| vec![frame.clone().into(), Frame::text("[]").into(), Step::Finish])
}

/// The client's goodbye is answered with the end of the connection alone, as many servers do.
fn close_without_echo(socket: &mut Socket, frame: &Frame) -> Option<Vec<Step>> {
    let echo = socket.closing && frame.opcode() == CLOSE;
    echo.then(|| vec![Step::Finish])
}

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

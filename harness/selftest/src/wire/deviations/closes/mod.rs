//! Close frames, with codes and reasons of every kind.

use crate::wire::deviation::{Socket, Step};
use crate::wire::deviations::LATER;
use crate::wire::frame::Frame;

rows![
    closenocode,
    close1014,
    closereason,
    close_echo_4000,
    close_echo_then_data,
    close_without_echo,
    one_restarted,
    one_cut,
    close1000,
    close1002,
    close1011,
    close1012,
    cut,
    close1001,
    close1008,
    close1013,
    close3000,
    close1005,
    close1006,
    close999,
    close5000,
    close_one_byte,
    close_latin1,
];

const WRONG: &str = "wrong_close_or_error";
const STABILITY: &str = "gate:stability";
const ENDS: &str = "socket_ends";
const MALFORMED: &str = "a malformed close frame";

/// Every socket is closed once, with this code.
fn coded<const CODE: u16>(socket: &mut Socket, _: &Frame) -> Option<Vec<Step>> {
    closes(socket, Frame::close(CODE, b""))
}

/// Every connection ends once without a close frame.
fn cut(socket: &mut Socket, _: &Frame) -> Option<Vec<Step>> {
    (socket.frames == LATER).then(|| vec![Step::Finish])
}

/// The frame in hand gives way to a close, once a socket.
fn closes(socket: &Socket, close: Frame) -> Option<Vec<Step>> {
    (socket.frames == LATER).then(|| vec![close.into(), Step::Finish])
}

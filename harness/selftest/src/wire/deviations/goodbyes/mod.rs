//! Ends of sockets that are valid: codes that a target lists, long reasons, late echoes, resets.

use crate::wire::deviation::Socket;
use crate::wire::deviations::LATER;
use crate::wire::frame::{CLOSE, Frame};

rows![
    close1001_listed,
    close_empty_listed,
    close_reason_123,
    close_fin_late,
    close_behind_data,
    close_before_join,
    one_reset,
    echo_late,
    data_before_echo,
    echo_then_reset,
    reset,
    goodbye_unanswered,
];

/// One client's socket, once; one of twelve is within any limit.
fn one(socket: &Socket) -> bool {
    socket.number == 0 && socket.frames == LATER
}

/// Whether the frame in hand answers the client's goodbye.
fn echoes(socket: &Socket, frame: &Frame) -> bool {
    socket.closing && frame.opcode() == CLOSE
}

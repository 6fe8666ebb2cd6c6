//! Ends of sockets that are valid: codes that a target lists, long reasons, late echoes, resets.

use std::time::Duration;

use super::LATER;
use crate::wire::deviation::{Deviation, Socket, Step};
use crate::wire::frame::{CLOSE, Frame, PING};
use crate::wire::row::Row;

pub const ROWS: &[Row] = &[
    Row::go("close1001_listed", Deviation::frame(close1001_listed))
        .set(&["target.close_codes=[1001]"]),
    Row::go("close_empty_listed", Deviation::frame(close_empty_listed))
        .set(&["target.close_codes=[1005]"]),
    Row::go("close_reason_123", Deviation::frame(close_reason_123)),
    Row::go("close_fin_late", Deviation::frame(close_fin_late)),
    Row::go("close_behind_data", Deviation::frame(close_behind_data)),
    Row::go("close_before_join", Deviation::frame(close_before_join)),
    Row::go("one_reset", Deviation::frame(one_reset)),
    Row::go("echo_late", Deviation::frame(echo_late)),
    Row::go("data_before_echo", Deviation::frame(data_before_echo)),
    Row::go("echo_then_reset", Deviation::frame(echo_then_reset)),
    Row::no_go("reset", Deviation::frame(reset), "gate:stability", "socket_ends"),
    Row::no_go(
        "goodbye_unanswered",
        Deviation::frame(goes_silent),
        "gate:stability",
        "heartbeat_timeouts",
    )
    .set(&["phase.steady.duration=8s"]),
];

/// One client's socket, once; one of twelve is within any limit.
fn one(socket: &Socket) -> bool {
    socket.number == 0 && socket.frames == LATER
}

/// "Going away" (RFC 6455, section 7.4.1), which Envoy and browsers' servers send when they drain; the
/// target lists it.
fn close1001_listed(socket: &mut Socket, _: &Frame) -> Option<Vec<Step>> {
    one(socket).then(|| vec![Frame::close(1001, b"draining").into(), Step::Finish])
}

/// A close frame without a code (RFC 6455, section 5.5.1: the body is optional), as HAProxy and `ws`'s
/// `close()` send it; the target lists it.
fn close_empty_listed(socket: &mut Socket, _: &Frame) -> Option<Vec<Step>> {
    one(socket).then(|| vec![Frame::whole(CLOSE, []).into(), Step::Finish])
}

/// 1012 with a reason of 123 bytes, the most that a control frame holds (RFC 6455, section 5.5), half of
/// them in characters of two bytes.
fn close_reason_123(socket: &mut Socket, _: &Frame) -> Option<Vec<Step>> {
    let reason = ["\u{e9}".repeat(30), "r".repeat(63)].concat();
    one(socket).then(|| vec![Frame::close(1012, reason.as_bytes()).into(), Step::Finish])
}

/// 1012, and the end of the connection only a second and a half later: RFC 6455, section 7.1.1, has the
/// server close TCP first, and sets no time.
fn close_fin_late(socket: &mut Socket, _: &Frame) -> Option<Vec<Step>> {
    let late = Step::Wait(Duration::from_millis(1500));
    one(socket).then(|| vec![Frame::close(1012, b"").into(), late, Step::Finish])
}

/// A message and the close frame behind it in one segment: what came before the close counts.
fn close_behind_data(socket: &mut Socket, frame: &Frame) -> Option<Vec<Step>> {
    let both = [frame.bytes(), Frame::close(1012, b"").bytes()].concat();
    one(socket).then(|| vec![Step::Send(both), Step::Finish])
}

/// 1000 in place of the reply to the join, to one client: a graceful stop has it for sockets that have not
/// joined (contract, section 3, closes).
fn close_before_join(socket: &mut Socket, _: &Frame) -> Option<Vec<Step>> {
    let first = socket.number == 0 && socket.frames == 1;
    first.then(|| vec![Frame::close(1000, b"").into(), Step::Finish])
}

/// One client's connection is reset, once: a NAT that forgot it, or a balancer whose instance died.
fn one_reset(socket: &mut Socket, _: &Frame) -> Option<Vec<Step>> {
    one(socket).then(|| vec![Step::Reset])
}

/// Every connection is reset once.
fn reset(socket: &mut Socket, _: &Frame) -> Option<Vec<Step>> {
    (socket.frames == LATER).then(|| vec![Step::Reset])
}

/// The client's goodbye is answered half a second late.
fn echo_late(socket: &mut Socket, frame: &Frame) -> Option<Vec<Step>> {
    let late = Step::Wait(Duration::from_millis(500));
    echoes(socket, frame).then(|| vec![late, frame.clone().into(), Step::Finish])
}

/// A ping between the client's goodbye and its echo (RFC 6455, section 5.5.1, forbids data only behind
/// one's own close): Cowboy sends what its mailbox still holds.
fn data_before_echo(socket: &mut Socket, frame: &Frame) -> Option<Vec<Step>> {
    let ping = Frame::whole(PING, "still here");
    let message = Frame::text(r#"[null,null,"sync:v1","sync:heartbeat",{"watermarks":[]}]"#);
    echoes(socket, frame)
        .then(|| vec![ping.into(), message.into(), frame.clone().into(), Step::Finish])
}

/// The echo, and a reset in place of an orderly end: a server that closes with bytes unread.
fn echo_then_reset(socket: &mut Socket, frame: &Frame) -> Option<Vec<Step>> {
    echoes(socket, frame).then(|| vec![frame.clone().into(), Step::Reset])
}

fn echoes(socket: &Socket, frame: &Frame) -> bool {
    socket.closing && frame.opcode() == CLOSE
}

/// Nothing more on any socket, which all stay open: a NAT that dropped the flow, or a process that hangs.
fn goes_silent(socket: &mut Socket, _: &Frame) -> Option<Vec<Step>> {
    (socket.frames >= LATER && !socket.closing).then(Vec::new)
}

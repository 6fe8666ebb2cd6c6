//! How TCP and time cut what is sent: segments, stalls, and messages of every length.

use std::time::Duration;

use super::LATER;
use crate::wire::deviation::{Deviation, Socket, Step};
use crate::wire::frame::{CONTINUATION, FIN, Frame, PING, TEXT};
use crate::wire::message::Message;
use crate::wire::row::Row;

pub const ROWS: &[Row] = &[
    Row::go("many_in_a_segment", Deviation::message(many_in_a_segment)),
    Row::go("fragments_of_a_byte", Deviation::frame(fragments_of_a_byte)),
    Row::go("stall_once", Deviation::frame(stall_once)),
    Row::go("every_frame_late", Deviation::frame(every_frame_late)),
    Row::go("message_70kib", Deviation::frame(message_70kib)),
    Row::go("message_3mib", Deviation::frame(message_3mib)),
    Row::go("whole_socket_in_halves", Deviation::frame(whole_socket_in_halves)),
    Row::no_go(
        "length_not_shortest",
        Deviation::frame(length_not_shortest),
        "ws_protocol",
        "length",
    ),
];

/// A batch, a ping and the batch's frame in one write, and so in one segment: RFC 9293, section 3.7, knows
/// no messages; Cowboy gathers what its mailbox holds.
fn many_in_a_segment(socket: &mut Socket, message: Message) -> Option<Vec<Step>> {
    if message.event == "sync:update_batch" {
        socket.held = Some(message);
        return Some(Vec::new());
    }
    let batch = Frame::text(socket.held.take()?.text()).bytes();
    let frame = Frame::text(message.text()).bytes();
    Some(vec![Step::Send([batch, Frame::whole(PING, "between").bytes(), frame].concat())])
}

/// A message in as many fragments as it has bytes (RFC 6455, section 5.4: any number), as a writer
/// without a buffer over `fasthttp/websocket`'s `NextWriter` flushes them.
fn fragments_of_a_byte(socket: &mut Socket, frame: &Frame) -> Option<Vec<Step>> {
    let last = frame.payload.len().checked_sub(1)?;
    (frame.first == FIN | TEXT && socket.frames.is_multiple_of(10)).then(|| {
        let part = |(index, &byte): (usize, &u8)| {
            let opcode = if index == 0 { TEXT } else { CONTINUATION };
            let fin = if index == last { FIN } else { 0 };
            Frame { first: fin | opcode, payload: vec![byte] }.bytes()
        };
        vec![Step::Send(frame.payload.iter().enumerate().flat_map(part).collect())]
    })
}

/// Nothing for 600 ms, once a socket: a retransmission after a loss (RFC 6298 has a second at first, and
/// Linux 200 ms, doubled) or a pause of a garbage collector.
fn stall_once(socket: &mut Socket, frame: &Frame) -> Option<Vec<Step>> {
    let late = Step::Wait(Duration::from_millis(600));
    (socket.frames == LATER).then(|| vec![late, frame.clone().into()])
}

/// Each frame some milliseconds late, by turns: the jitter of a mobile link.
fn every_frame_late(socket: &mut Socket, frame: &Frame) -> Option<Vec<Step>> {
    let late = Duration::from_millis(u64::from(socket.frames % 4) * 5);
    Some(vec![Step::Wait(late), frame.clone().into()])
}

/// The frame in hand, with so many spaces behind its JSON.
fn spaced(frame: &Frame, len: usize) -> Vec<Step> {
    let payload = [frame.payload.clone(), vec![b' '; len]].concat();
    vec![Frame { payload, ..frame.clone() }.into()]
}

/// A message beyond 65,535 bytes, whose length takes eight bytes (RFC 6455, section 5.2); spaces behind
/// JSON mean nothing (RFC 8259, section 2).
fn message_70kib(socket: &mut Socket, frame: &Frame) -> Option<Vec<Step>> {
    (frame.first == FIN | TEXT && socket.frames == LATER).then(|| spaced(frame, 70 << 10))
}

/// A message of 3 MiB, to one client: beyond the 2 MiB of a batch, which a client must survive (contract,
/// section 3, delivery).
fn message_3mib(socket: &mut Socket, frame: &Frame) -> Option<Vec<Step>> {
    let hit = socket.number == 0 && socket.frames == LATER && frame.first == FIN | TEXT;
    hit.then(|| spaced(frame, 3 << 20))
}

/// Each frame in two segments, cut in the middle: a path with a small MTU.
fn whole_socket_in_halves(_: &mut Socket, frame: &Frame) -> Option<Vec<Step>> {
    let bytes = frame.bytes();
    let (one, two) = bytes.split_at(bytes.len() / 2);
    let apart = Step::Wait(Duration::from_millis(1));
    Some(vec![Step::Send(one.to_vec()), apart, Step::Send(two.to_vec())])
}

/// A short length in the long form (RFC 6455, section 5.2: "the minimal number of bytes MUST be used"):
/// Chromium's frame parser fails the connection, tungstenite does not.
fn length_not_shortest(socket: &mut Socket, frame_in_hand: &Frame) -> Option<Vec<Step>> {
    let text = b"[null,null,\"phoenix\",\"x\",{}]";
    let length = u8::try_from(text.len()).ok()?;
    let frame = [&[FIN | TEXT, 126, 0, length][..], text].concat();
    (socket.frames == LATER).then(|| vec![frame_in_hand.clone().into(), Step::Send(frame)])
}

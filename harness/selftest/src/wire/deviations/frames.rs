//! Frames of RFC 6455, as servers and proxies cut, mask and mix them.

use std::time::Duration;

use super::LATER;
use crate::wire::deviation::{Deviation, Socket, Step};
use crate::wire::frame::{BINARY, CONTINUATION, FIN, Frame, PING, PONG, TEXT};
use crate::wire::row::Row;

pub const ROWS: &[Row] = &[
    // Nothing: the proxy itself must not show.
    Row::go("plain", Deviation::none()),
    Row::go("fragmented", Deviation::frame(fragmented)),
    Row::go("ping125", Deviation::frame(ping125)),
    Row::no_go("masked", Deviation::frame(masked), "ws_protocol", "a masked frame"),
    Row::no_go("badutf8", Deviation::frame(badutf8), "ws_protocol", "not UTF-8"),
    Row::go("pongs_unasked", Deviation::frame(pongs_unasked)),
    Row::go("ping_flood", Deviation::frame(ping_flood)),
    Row::go("empty_fragments", Deviation::frame(empty_fragments)),
    Row::go("frames_byte_by_byte", Deviation::frame(frames_byte_by_byte)),
    Row::go("header_then_payload", Deviation::frame(header_then_payload)),
    Row::told("utf8_across_fragments", Deviation::frame(utf8_across_fragments), "unknown_field"),
    Row::no_go("ping126", Deviation::frame(ping126), BROKEN, CONTROL),
    Row::no_go("ping_fragmented", Deviation::frame(ping_fragmented), BROKEN, CONTROL),
    Row::no_go("reserved_bit", Deviation::frame(reserved_bit), BROKEN, "a reserved bit"),
    Row::no_go("reserved_opcode", Deviation::frame(reserved_opcode), BROKEN, "a reserved opcode"),
    Row::no_go("reserved_control", Deviation::frame(reserved_control), BROKEN, "a reserved opcode"),
    Row::no_go("continuation_of_nothing", Deviation::frame(continuation_of_nothing), BROKEN, OUT),
    Row::no_go("text_in_a_message", Deviation::frame(text_in_a_message), BROKEN, OUT),
    Row::no_go("message_17mib", Deviation::frame(message_17mib), BROKEN, "beyond the size"),
    Row::no_go("text_empty", Deviation::frame(text_empty), "malformed_message", "contract"),
    Row::no_go("binary", Deviation::frame(binary), "malformed_message", "a binary message"),
];

const BROKEN: &str = "ws_protocol";
const CONTROL: &str = "a control frame";
const OUT: &str = "a fragment out of place";

/// Pings before a frame of a flood.
const FLOOD: usize = 50;

/// Once a socket, another frame before the one in hand.
fn before(socket: &Socket, frame: &Frame, first: Frame) -> Option<Vec<Step>> {
    (socket.frames == LATER).then(|| vec![first.into(), frame.clone().into()])
}

/// Every message in three fragments, with a ping and a pong that nobody asked for between them: RFC 6455,
/// section 5.4, lets control frames in between; proxies refragment as their buffers fall.
fn fragmented(_: &mut Socket, frame: &Frame) -> Option<Vec<Step>> {
    let payload = &frame.payload;
    if frame.first != FIN | TEXT || payload.len() < 3 {
        return None;
    }
    let (one, rest) = payload.split_at(payload.len() / 3);
    let (two, three) = rest.split_at(rest.len() / 2);
    let part = |first, payload: &[u8]| Step::from(Frame { first, payload: payload.to_vec() });
    Some(vec![
        part(TEXT, one),
        Frame::whole(PING, "between").into(),
        part(CONTINUATION, two),
        Frame::whole(PONG, "unasked").into(),
        part(FIN | CONTINUATION, three),
    ])
}

/// A ping of the greatest length before every frame (RFC 6455, section 5.5).
fn ping125(_: &mut Socket, frame: &Frame) -> Option<Vec<Step>> {
    Some(vec![Frame::whole(PING, [b'p'; 125]).into(), frame.clone().into()])
}

/// A server's frame with a mask (RFC 6455, section 5.1: a client closes the connection).
fn masked(socket: &mut Socket, frame: &Frame) -> Option<Vec<Step>> {
    (socket.frames == LATER).then(|| vec![Step::Send(frame.masked([1, 2, 3, 4]))])
}

/// A text message of Latin-1 (RFC 6455, section 8.1: a client fails the connection).
fn badutf8(socket: &mut Socket, _: &Frame) -> Option<Vec<Step>> {
    (socket.frames == LATER).then(|| vec![Frame::text(b"[\"\xff\xfe\"]".as_slice()).into()])
}

/// A pong that nobody asked for before every frame (RFC 6455, section 5.5.3: a one-way heartbeat).
fn pongs_unasked(_: &mut Socket, frame: &Frame) -> Option<Vec<Step>> {
    Some(vec![Frame::whole(PONG, "").into(), frame.clone().into()])
}

/// Many pings before every tenth frame, as a keep-alive whose timer runs wild.
fn ping_flood(socket: &mut Socket, frame: &Frame) -> Option<Vec<Step>> {
    socket.frames.is_multiple_of(10).then(|| {
        let pings = (0..FLOOD).map(|_| Frame::whole(PING, "").into());
        pings.chain([frame.clone().into()]).collect()
    })
}

/// Every message between two empty fragments: RFC 6455, section 5.4, sets no least length.
fn empty_fragments(_: &mut Socket, frame: &Frame) -> Option<Vec<Step>> {
    (frame.first == FIN | TEXT).then(|| {
        let part = |first, payload: &[u8]| Step::from(Frame { first, payload: payload.to_vec() });
        vec![part(TEXT, b""), part(CONTINUATION, &frame.payload), part(FIN | CONTINUATION, b"")]
    })
}

/// Frames in segments of a byte each, as a proxy without a buffer writes them.
fn frames_byte_by_byte(socket: &mut Socket, frame: &Frame) -> Option<Vec<Step>> {
    let bytes = frame.bytes();
    (socket.frames <= LATER).then(|| bytes.iter().map(|&byte| Step::Send(vec![byte])).collect())
}

/// A frame's header some time before its payload: two segments on a slow link.
fn header_then_payload(socket: &mut Socket, frame: &Frame) -> Option<Vec<Step>> {
    let bytes = frame.bytes();
    let (header, payload) = bytes.split_at(bytes.len() - frame.payload.len());
    let late = Step::Wait(Duration::from_millis(20));
    let steps = vec![Step::Send(header.to_vec()), late, Step::Send(payload.to_vec())];
    socket.frames.is_multiple_of(10).then_some(steps)
}

/// A character of two bytes, one in each of two fragments: RFC 6455, section 8.1, wants UTF-8 of the
/// message and of no fragment.
fn utf8_across_fragments(socket: &mut Socket, frame: &Frame) -> Option<Vec<Step>> {
    if socket.frames != LATER {
        return None;
    }
    let text = "[null,null,\"sync:v1\",\"sync:heartbeat\",{\"watermarks\":[],\"\u{e9}\":1}]";
    let cut = text.find('\u{e9}')? + 1;
    let (one, two) = text.as_bytes().split_at(cut);
    let part = |first, payload: &[u8]| Step::from(Frame { first, payload: payload.to_vec() });
    Some(vec![frame.clone().into(), part(TEXT, one), part(FIN | CONTINUATION, two)])
}

/// A ping that is too long (RFC 6455, section 5.5).
fn ping126(socket: &mut Socket, frame: &Frame) -> Option<Vec<Step>> {
    before(socket, frame, Frame::whole(PING, [b'p'; 126]))
}

/// A ping in parts (RFC 6455, section 5.5).
fn ping_fragmented(socket: &mut Socket, frame: &Frame) -> Option<Vec<Step>> {
    before(socket, frame, Frame { first: PING, payload: b"p".to_vec() })
}

/// RSV1 without an extension (RFC 6455, section 5.2), as a server sends that compresses although that
/// was declined.
fn reserved_bit(socket: &mut Socket, frame: &Frame) -> Option<Vec<Step>> {
    before(socket, frame, Frame { first: FIN | 0x40 | TEXT, payload: b"x".to_vec() })
}

/// An opcode that is reserved for data (RFC 6455, section 5.2).
fn reserved_opcode(socket: &mut Socket, frame: &Frame) -> Option<Vec<Step>> {
    before(socket, frame, Frame::whole(0x3, "x"))
}

/// An opcode that is reserved for control (RFC 6455, section 5.2).
fn reserved_control(socket: &mut Socket, frame: &Frame) -> Option<Vec<Step>> {
    before(socket, frame, Frame::whole(0xB, "x"))
}

/// A continuation of nothing (RFC 6455, section 5.4).
fn continuation_of_nothing(socket: &mut Socket, frame: &Frame) -> Option<Vec<Step>> {
    before(socket, frame, Frame::whole(CONTINUATION, "x"))
}

/// A message that begins inside another one (RFC 6455, section 5.4), as two writers without a lock do.
fn text_in_a_message(socket: &mut Socket, frame: &Frame) -> Option<Vec<Step>> {
    before(socket, frame, Frame { first: TEXT, payload: b"[".to_vec() })
}

/// A message of 17 MiB, to one client: beyond what the clients' libraries take by default (tungstenite's
/// `max_frame_size` is 16 MiB).
fn message_17mib(socket: &mut Socket, frame: &Frame) -> Option<Vec<Step>> {
    (socket.number == 0).then_some(())?;
    before(socket, frame, Frame::text(vec![b' '; 17 << 20]))
}

/// A text message without a byte: a frame of RFC 6455, and no message of Phoenix.
fn text_empty(socket: &mut Socket, frame: &Frame) -> Option<Vec<Step>> {
    before(socket, frame, Frame::text(""))
}

/// A binary message: the lane has none (contract, section 3, framing).
fn binary(socket: &mut Socket, frame: &Frame) -> Option<Vec<Step>> {
    before(socket, frame, Frame::whole(BINARY, "x"))
}

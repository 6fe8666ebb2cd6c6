//! Frames of RFC 6455, as servers and proxies cut, mask and mix them.

use super::LATER;
use crate::commands::selftest::wire::deviation::{Deviation, Socket, Step};
use crate::commands::selftest::wire::frame::{CONTINUATION, FIN, Frame, PING, PONG, TEXT};
use crate::commands::selftest::wire::row::Row;

pub const ROWS: &[Row] = &[
    Row::go("plain", Deviation::none()),
    Row::go("fragmented", Deviation::frame(fragmented)),
    Row::go("ping125", Deviation::frame(ping125)),
    Row::no_go("masked", Deviation::frame(masked), "ws_protocol", "a masked frame"),
    Row::no_go("badutf8", Deviation::frame(badutf8), "ws_protocol", "not UTF-8"),
];

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

//! Frames of RFC 6455, as servers and proxies cut, mask and mix them.

use crate::wire::deviation::{Socket, Step};
use crate::wire::deviations::LATER;
use crate::wire::frame::Frame;

rows![
    plain,
    fragmented,
    ping125,
    masked,
    badutf8,
    pongs_unasked,
    ping_flood,
    empty_fragments,
    frames_byte_by_byte,
    header_then_payload,
    utf8_across_fragments,
    ping126,
    ping_fragmented,
    reserved_bit,
    reserved_opcode,
    reserved_control,
    continuation_of_nothing,
    text_in_a_message,
    message_17mib,
    text_empty,
    binary,
];

const BROKEN: &str = "ws_protocol";
const CONTROL: &str = "a control frame";
const OUT: &str = "a fragment out of place";

/// Once a socket, another frame before the one in hand.
fn before(socket: &Socket, frame: &Frame, first: Frame) -> Option<Vec<Step>> {
    (socket.frames == LATER).then(|| vec![first.into(), frame.clone().into()])
}

//! How TCP and time cut what is sent: segments, stalls, and messages of every length.

use crate::wire::deviation::Step;
use crate::wire::frame::Frame;

rows![
    many_in_a_segment,
    fragments_of_a_byte,
    stall_once,
    every_frame_late,
    message_70kib,
    message_3mib,
    whole_socket_in_halves,
    length_not_shortest,
];

/// The frame in hand, with so many spaces behind its JSON.
fn spaced(frame: &Frame, len: usize) -> Vec<Step> {
    let payload = [frame.payload.clone(), vec![b' '; len]].concat();
    vec![Frame { payload, ..frame.clone() }.into()]
}

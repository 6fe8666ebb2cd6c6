//! Each frame in two segments, cut in the middle: a path with a small MTU (RFC 9293, section
//! 3.7.1).

use std::time::Duration;

use crate::wire::deviation::{Deviation, Socket, Step};
use crate::wire::frame::Frame;
use crate::wire::row::Row;

pub(super) const ROW: Row = Row::go(Deviation::frame(whole_socket_in_halves));

fn whole_socket_in_halves(_: &mut Socket, frame: &Frame) -> Option<Vec<Step>> {
    let bytes = frame.bytes();
    let (one, two) = bytes.split_at(bytes.len() / 2);
    let apart = Step::Wait(Duration::from_millis(1));
    Some(vec![Step::Send(one.to_vec()), apart, Step::Send(two.to_vec())])
}

//! A frame's header some time before its payload: two writes, as `ws` makes them
//! (`Sender.sendFrame`, which corks the socket lest they go apart).

use std::time::Duration;

use crate::wire::deviation::{Deviation, Socket, Step};
use crate::wire::frame::Frame;
use crate::wire::row::Row;

pub(super) const ROW: Row = Row::go(Deviation::frame(header_then_payload));

fn header_then_payload(socket: &mut Socket, frame: &Frame) -> Option<Vec<Step>> {
    let bytes = frame.bytes();
    let (header, payload) = bytes.split_at(bytes.len() - frame.payload.len());
    let late = Step::Wait(Duration::from_millis(20));
    let steps = vec![Step::Send(header.to_vec()), late, Step::Send(payload.to_vec())];
    socket.frames.is_multiple_of(10).then_some(steps)
}

//! Each frame some milliseconds late, by turns: the jitter of a mobile link (delay variation, RFC
//! 3393).

use std::time::Duration;

use crate::wire::deviation::{Deviation, Socket, Step};
use crate::wire::frame::Frame;
use crate::wire::row::Row;

pub(super) const ROW: Row = Row::go(Deviation::frame(every_frame_late));

fn every_frame_late(socket: &mut Socket, frame: &Frame) -> Option<Vec<Step>> {
    let late = Duration::from_millis(u64::from(socket.frames % 4) * 5);
    Some(vec![Step::Wait(late), frame.clone().into()])
}

//! A message of 17 MiB, to one client: beyond what the clients' libraries take by default (tungstenite's
//! `max_frame_size` is 16 MiB).

use super::{BROKEN, before};
use crate::wire::deviation::{Deviation, Socket, Step};
use crate::wire::frame::Frame;
use crate::wire::row::Row;

pub(super) const ROW: Row = Row::no_go(Deviation::frame(message_17mib), BROKEN, "beyond the size");

fn message_17mib(socket: &mut Socket, frame: &Frame) -> Option<Vec<Step>> {
    (socket.number == 0).then_some(())?;
    before(socket, frame, Frame::text(vec![b' '; 17 << 20]))
}

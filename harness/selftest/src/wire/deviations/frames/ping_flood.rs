//! Many pings before every tenth frame, as a keep-alive whose timer runs wild: they may come at any
//! time (RFC 6455, section 5.5.2).

use crate::wire::deviation::{Deviation, Socket, Step};
use crate::wire::frame::{Frame, PING};
use crate::wire::row::Row;

/// Pings before a frame of a flood.
const FLOOD: usize = 50;

pub(super) const ROW: Row = Row::go(Deviation::frame(ping_flood));

fn ping_flood(socket: &mut Socket, frame: &Frame) -> Option<Vec<Step>> {
    socket.frames.is_multiple_of(10).then(|| {
        let pings = (0..FLOOD).map(|_| Frame::whole(PING, "").into());
        pings.chain([frame.clone().into()]).collect()
    })
}

//! A ping of the greatest length before every frame (RFC 6455, section 5.5).

use crate::wire::deviation::{Deviation, Socket, Step};
use crate::wire::frame::{Frame, PING};
use crate::wire::row::Row;

pub(super) const ROW: Row = Row::go(Deviation::frame(ping125));

fn ping125(_: &mut Socket, frame: &Frame) -> Option<Vec<Step>> {
    Some(vec![Frame::whole(PING, [b'p'; 125]).into(), frame.clone().into()])
}

//! A pong that nobody asked for before every frame (RFC 6455, section 5.5.3: a one-way heartbeat).

use crate::wire::deviation::{Deviation, Socket, Step};
use crate::wire::frame::{Frame, PONG};
use crate::wire::row::Row;

pub(super) const ROW: Row = Row::go(Deviation::frame(pongs_unasked));

fn pongs_unasked(_: &mut Socket, frame: &Frame) -> Option<Vec<Step>> {
    Some(vec![Frame::whole(PONG, "").into(), frame.clone().into()])
}

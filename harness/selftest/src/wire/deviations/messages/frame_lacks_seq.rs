//! Frames without `seq`: protobuf's JSON leaves out what is 0.

use super::{MALFORMED, lacks};
use crate::wire::deviation::{Deviation, Socket, Step};
use crate::wire::message::Message;
use crate::wire::row::Row;

pub(super) const ROW: Row = Row::no_go(Deviation::message(frame_lacks_seq), MALFORMED, "seq");

fn frame_lacks_seq(socket: &mut Socket, message: Message) -> Option<Vec<Step>> {
    lacks(socket, message, "sync:frame", "seq")
}

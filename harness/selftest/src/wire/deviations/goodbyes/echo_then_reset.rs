//! The echo, and a reset in place of an orderly end: a server that closes with bytes unread (RFC
//! 1122, section 4.2.2.13: it should send a reset).

use super::echoes;
use crate::wire::deviation::{Deviation, Socket, Step};
use crate::wire::frame::Frame;
use crate::wire::row::Row;

pub(super) const ROW: Row = Row::go(Deviation::frame(echo_then_reset));

fn echo_then_reset(socket: &mut Socket, frame: &Frame) -> Option<Vec<Step>> {
    echoes(socket, frame).then(|| vec![frame.clone().into(), Step::Reset])
}

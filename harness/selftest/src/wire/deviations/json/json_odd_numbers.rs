//! Numbers of every shape (RFC 8259, section 6) in a field that nobody knows: beyond 2^53, with an
//! exponent, minus zero.

use super::heartbeat_with;
use crate::wire::deviation::{Deviation, Socket, Step};
use crate::wire::message::Message;
use crate::wire::row::Row;

pub(super) const ROW: Row = Row::told(Deviation::message(json_odd_numbers), "unknown_field");

fn json_odd_numbers(socket: &mut Socket, message: Message) -> Option<Vec<Step>> {
    heartbeat_with(socket, &message, "[1e3,1E+2,-0,0.1e-7,18446744073709551615,-9007199254740993]")
}

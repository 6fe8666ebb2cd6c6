//! Arrays in arrays, sixty deep, in a field that nobody knows: a parser may set a limit (RFC 8259,
//! section 9), and serde_json's is 128.

use super::heartbeat_with;
use crate::wire::deviation::{Deviation, Socket, Step};
use crate::wire::message::Message;
use crate::wire::row::Row;

pub(super) const ROW: Row = Row::told(Deviation::message(json_deep), "unknown_field");

fn json_deep(socket: &mut Socket, message: Message) -> Option<Vec<Step>> {
    let deep = ["[".repeat(60), "]".repeat(60)].concat();
    heartbeat_with(socket, &message, &deep)
}

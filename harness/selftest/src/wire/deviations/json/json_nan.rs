//! `NaN` where a number belongs (RFC 8259, section 6), as Python's `json.dumps` writes it.

use super::heartbeat_with;
use crate::wire::deviation::{Deviation, Socket, Step};
use crate::wire::message::Message;
use crate::wire::row::Row;

pub(super) const ROW: Row =
    Row::no_go(Deviation::message(json_nan), "malformed_message", "contract");

fn json_nan(socket: &mut Socket, message: Message) -> Option<Vec<Step>> {
    heartbeat_with(socket, &message, "NaN")
}

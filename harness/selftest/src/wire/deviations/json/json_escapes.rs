//! Every character as an escape (RFC 8259, section 7: "any character may be escaped"), events and topics
//! among them.

use super::Way;
use crate::wire::deviation::{Deviation, Socket, Step};
use crate::wire::message::Message;
use crate::wire::row::Row;

pub(super) const ROW: Row = Row::go(Deviation::message(json_escapes));

fn json_escapes(_: &mut Socket, message: Message) -> Option<Vec<Step>> {
    Way::Escaped.rewritten(message)
}

//! Names in another order (RFC 8259, section 4: objects are unordered), as Erlang's maps beyond 32 keys
//! and Go's structs give them. Hashes are of the canonical form, and stay.

use super::Way;
use crate::wire::deviation::{Deviation, Socket, Step};
use crate::wire::message::Message;
use crate::wire::row::Row;

pub(super) const ROW: Row = Row::go(Deviation::message(json_key_order));

fn json_key_order(_: &mut Socket, message: Message) -> Option<Vec<Step>> {
    Way::Reversed.rewritten(message)
}

//! White space wherever it may stand (RFC 8259, section 2): a server that prints prettily.

use super::Way;
use crate::wire::deviation::{Deviation, Socket, Step};
use crate::wire::message::Message;
use crate::wire::row::Row;

pub(super) const ROW: Row = Row::go(Deviation::message(json_white_space));

fn json_white_space(_: &mut Socket, message: Message) -> Option<Vec<Step>> {
    Way::Spaced.rewritten(message)
}

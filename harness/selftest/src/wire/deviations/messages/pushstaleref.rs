//! Data addressed to a join that the socket never made: phoenix.js (`isMember`) drops it silently.

use super::{TO_NOBODY, to_nobody};
use crate::wire::deviation::{Deviation, Socket, Step};
use crate::wire::message::Message;
use crate::wire::row::Row;

pub(super) const ROW: Row = Row::no_go(Deviation::message(pushstaleref), "misaddressed", TO_NOBODY);

fn pushstaleref(_: &mut Socket, message: Message) -> Option<Vec<Step>> {
    (message.is_data() && !message.join.is_null()).then(|| vec![to_nobody(message)])
}

//! Replies addressed to a join that the socket never made, which phoenix.js (`isMember`) drops:
//! nothing that the client asks is ever answered.

use super::{TO_NOBODY, to_nobody};
use crate::wire::deviation::{Deviation, Socket, Step};
use crate::wire::message::Message;
use crate::wire::row::Row;

pub(super) const ROW: Row =
    Row::no_go(Deviation::message(replystaleref), "misaddressed", TO_NOBODY);

fn replystaleref(_: &mut Socket, message: Message) -> Option<Vec<Step>> {
    message.is_reply().then(|| vec![to_nobody(message)])
}

//! A batch of a topic that the contract does not know, and so no scope (contract, section 1, rule
//! 8), as a wildcard subscription at a broker passes on.

use super::{UNKNOWN, leaks};
use crate::wire::deviation::{Deviation, Socket, Step};
use crate::wire::message::Message;
use crate::wire::row::Row;

pub(super) const ROW: Row = Row::no_go(Deviation::message(leakunknown), "authz_leak", UNKNOWN);

fn leakunknown(socket: &mut Socket, message: Message) -> Option<Vec<Step>> {
    leaks(socket, &message, UNKNOWN)
}

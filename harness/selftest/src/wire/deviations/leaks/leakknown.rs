//! A batch of a known topic that was not granted (contract, section 1, rule 8).

use super::leaks;
use crate::wire::deviation::{Deviation, Socket, Step};
use crate::wire::message::Message;
use crate::wire::row::Row;

const KNOWN: &str = "runtime.notifications";

pub(super) const ROW: Row = Row::no_go(Deviation::message(leakknown), "authz_leak", KNOWN);

fn leakknown(socket: &mut Socket, message: Message) -> Option<Vec<Step>> {
    leaks(socket, &message, KNOWN)
}

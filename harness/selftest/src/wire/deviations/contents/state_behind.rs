//! A document says that its latest seq is the one before its version: a projection that reads before the write
//! (contract, section 3, commands: `doc_version` and `latest_seq` are the event's seq).

use super::{RULE, rewritten};
use crate::wire::deviation::{Deviation, Socket, Step};
use crate::wire::message::Message;
use crate::wire::row::Row;

pub(super) const ROW: Row = Row::no_go(Deviation::message(state_behind), RULE, "its latest seq is");

fn state_behind(socket: &mut Socket, message: Message) -> Option<Vec<Step>> {
    rewritten(socket, &message, true, |update| {
        let version = update["doc_version"].as_u64().unwrap_or(1);
        update["payload"]["latest_seq"] = (version - 1).into();
    })
}

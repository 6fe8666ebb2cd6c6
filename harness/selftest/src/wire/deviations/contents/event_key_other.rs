//! An event stands under the next one's key, so that a store by key loses one (contract, section 3, commands:
//! `runtime/codex_worker_event:{worker}:{seq}`).

use super::{RULE, rewritten};
use crate::wire::deviation::{Deviation, Socket, Step};
use crate::wire::message::Message;
use crate::wire::row::Row;

pub(super) const ROW: Row = Row::no_go(Deviation::message(event_key_other), RULE, "doc_key");

fn event_key_other(socket: &mut Socket, message: Message) -> Option<Vec<Step>> {
    rewritten(socket, &message, false, |update| {
        let (worker, seq) = (&update["payload"]["worker_id"], &update["payload"]["seq"]);
        let (worker, seq) = (worker.as_str().unwrap_or_default(), seq.as_u64().unwrap_or(0) + 1);
        update["doc_key"] = format!("runtime/codex_worker_event:{worker}:{seq}").into();
    })
}

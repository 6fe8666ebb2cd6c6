//! All events come under one key, so that a store by key keeps the last (contract, section 3, commands:
//! `runtime/codex_worker_event:{worker}:{seq}`).

use crate::wire::deviation::{Deviation, Socket, Step};
use crate::wire::deviations::batch::{STREAM, edit, topic};
use crate::wire::message::Message;
use crate::wire::row::Row;

pub(super) const ROW: Row =
    Row::no_go(Deviation::message(event_keys_all_one), "malformed_message", "doc_key");

fn event_keys_all_one(_: &mut Socket, message: Message) -> Option<Vec<Step>> {
    (topic(&message) == STREAM).then_some(())?;
    edit(&message, |update| update["doc_key"] = "runtime/codex_worker_event:1".into())
}

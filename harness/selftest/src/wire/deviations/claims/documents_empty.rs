//! Documents come as `{}`, with a hash that fits: a projection that was never filled (contract, section 3,
//! commands: the worker's latest state).

use khala_wire::canonical;
use serde_json::json;

use crate::wire::deviation::{Deviation, Socket, Step};
use crate::wire::deviations::batch::{STATE, edit, topic};
use crate::wire::message::Message;
use crate::wire::row::Row;

pub(super) const ROW: Row = Row::no_go(
    Deviation::message(documents_empty),
    "malformed_message",
    "says nothing of a worker",
);

fn documents_empty(_: &mut Socket, message: Message) -> Option<Vec<Step>> {
    (topic(&message) == STATE).then_some(())?;
    edit(&message, |update| {
        update["payload"] = json!({});
        update["payload_hash"] = canonical::payload_hash(&update["payload"]).into();
    })
}

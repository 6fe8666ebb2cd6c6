//! Events without a `payload_hash` (contract, section 3, delivery: `golden/` has such updates, which were
//! inserted without one).

use serde_json::Value;

use crate::wire::deviation::{Deviation, Socket, Step};
use crate::wire::deviations::batch::{STREAM, edit, topic};
use crate::wire::message::Message;
use crate::wire::row::Row;

pub(super) const ROW: Row =
    Row::told(Deviation::message(payloads_without_hash), "payload_without_hash");

fn payloads_without_hash(_: &mut Socket, message: Message) -> Option<Vec<Step>> {
    (topic(&message) == STREAM).then_some(())?;
    edit(&message, |update| update["payload_hash"] = Value::Null)
}

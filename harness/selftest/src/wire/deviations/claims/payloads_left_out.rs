//! Events come without their payload, and do not say that it must be fetched: a client shows nothing (contract,
//! section 3, delivery).

use serde_json::Value;

use crate::wire::deviation::{Deviation, Socket, Step};
use crate::wire::deviations::batch::{STREAM, edit, topic};
use crate::wire::message::Message;
use crate::wire::row::Row;

pub(super) const ROW: Row =
    Row::no_go(Deviation::message(payloads_left_out), "malformed_message", "has no payload");

fn payloads_left_out(_: &mut Socket, message: Message) -> Option<Vec<Step>> {
    (topic(&message) == STREAM).then_some(())?;
    edit(&message, |update| update["payload"] = Value::Null)
}

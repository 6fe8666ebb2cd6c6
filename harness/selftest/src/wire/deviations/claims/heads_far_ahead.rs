//! Heads of batches that are a thousand beyond the log: those of a counter that others count with (contract, section
//! 3, delivery, and section 1, rule 3). A client that goes by them never has all that there is.

use super::reheaded;
use serde_json::Value;

use crate::wire::deviation::{Deviation, Socket, Step};
use crate::wire::message::Message;
use crate::wire::row::Row;

pub(super) const ROW: Row =
    Row::no_go(Deviation::message(heads_far_ahead), "malformed_message", "by the heads of a batch");

fn heads_far_ahead(_: &mut Socket, message: Message) -> Option<Vec<Step>> {
    reheaded(message, |heads| {
        for mark in heads.iter_mut().map(|head| &mut head["watermark"]) {
            *mark = Value::from(mark.as_u64().unwrap_or_default() + 1_000);
        }
    })
}

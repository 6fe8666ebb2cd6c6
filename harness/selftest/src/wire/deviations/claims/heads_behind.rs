//! Heads that are behind what the batch carries: a cache of heads that is older than the events (contract,
//! section 3, delivery).

use super::reheaded;
use serde_json::Value;

use crate::wire::deviation::{Deviation, Socket, Step};
use crate::wire::message::Message;
use crate::wire::row::Row;

pub(super) const ROW: Row =
    Row::no_go(Deviation::message(heads_behind), "malformed_message", "and carries seq");

fn heads_behind(_: &mut Socket, message: Message) -> Option<Vec<Step>> {
    reheaded(message, |heads| {
        for mark in heads.iter_mut().map(|head| &mut head["watermark"]) {
            *mark = Value::from(mark.as_u64().unwrap_or_default().saturating_sub(1));
        }
    })
}

//! The heads of every batch have all topics that the client has, and not the batch's alone (contract, section
//! 3, delivery: a list): more than the runtime tells, and nothing that is not the client's.

use super::reheaded;
use crate::wire::deviations::batch::{STATE, STREAM};
use serde_json::json;

use crate::wire::deviation::{Deviation, Socket, Step};
use crate::wire::message::Message;
use crate::wire::row::Row;

pub(super) const ROW: Row = Row::go(Deviation::message(heads_of_all_that_is_had));

fn heads_of_all_that_is_had(_: &mut Socket, message: Message) -> Option<Vec<Step>> {
    reheaded(message, |heads| {
        for topic in [STREAM, STATE] {
            if heads.iter().all(|head| head["topic"] != topic) {
                heads.push(json!({"topic": topic, "watermark": 0}));
            }
        }
    })
}

//! Frames of a schema version that nobody offered (contract, section 3, delivery: `"schema_version":1`).

use super::RULE;
use crate::wire::deviation::{Deviation, Socket, Step};
use crate::wire::message::Message;
use crate::wire::row::Row;

pub(super) const ROW: Row =
    Row::no_go(Deviation::message(frame_schema_2), RULE, "schema version 2");

fn frame_schema_2(_: &mut Socket, mut message: Message) -> Option<Vec<Step>> {
    (message.event == "sync:frame").then(|| {
        message.payload["schema_version"] = 2.into();
        vec![(&message).into()]
    })
}

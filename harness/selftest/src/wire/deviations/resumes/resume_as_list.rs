//! The cursors of a subscribe as a list, which is the other form of `resume_after` (contract,
//! section 3, subscribe): a client's library of another age.

use crate::wire::deviation::{Deviation, Socket};
use crate::wire::message::Message;
use crate::wire::row::Row;

pub(super) const ROW: Row = Row::go(Deviation::client(resume_as_list)).resume();

fn resume_as_list(_: &mut Socket, mut message: Message) -> Option<Vec<Message>> {
    let cursors = message.payload.get("resume_after")?.as_object()?.clone();
    let entry = |(topic, watermark)| serde_json::json!({"topic": topic, "watermark": watermark});
    message.payload["resume_after"] = cursors.into_iter().map(entry).collect();
    Some(vec![message])
}

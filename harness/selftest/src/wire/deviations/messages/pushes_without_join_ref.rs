//! Pushes with a null join_ref, as Phoenix's own broadcasts have it (`Phoenix.Socket.Broadcast`).

use serde_json::Value;

use crate::wire::deviation::{Deviation, Socket, Step};
use crate::wire::message::Message;
use crate::wire::row::Row;

pub(super) const ROW: Row = Row::go(Deviation::message(pushes_without_join_ref));

fn pushes_without_join_ref(_: &mut Socket, message: Message) -> Option<Vec<Step>> {
    message.is_data().then(|| vec![(&Message { join: Value::Null, ..message }).into()])
}

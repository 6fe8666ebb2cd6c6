//! Every second client's first join is refused: "join crashed", as `Phoenix.Channel.Server` says when
//! `join/3` raises.

use serde_json::json;

use super::refused;
use crate::wire::deviation::{Deviation, Socket, Step};
use crate::wire::message::Message;
use crate::wire::row::Row;

pub(super) const ROW: Row =
    Row::no_go(Deviation::message(join_refused), "wrong_close_or_error", "join");

fn join_refused(socket: &mut Socket, message: Message) -> Option<Vec<Step>> {
    let hit = socket.number.is_multiple_of(2) && message.is_join_reply();
    hit.then(|| refused(message, json!({"reason": "join crashed"}))).flatten()
}

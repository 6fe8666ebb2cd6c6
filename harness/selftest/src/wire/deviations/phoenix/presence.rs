//! `presence_state` behind the join's reply and a `presence_diff` later, as `Phoenix.Presence` pushes them
//! to every channel that tracks (its documentation, `handle_info(:after_join)`).

use serde_json::{Value, json};

use crate::wire::deviation::{Deviation, Socket, Step};
use crate::wire::deviations::LATER;
use crate::wire::message::Message;
use crate::wire::row::Row;

pub(super) const ROW: Row = Row::told(Deviation::message(presence), "unknown_event");

fn presence(socket: &mut Socket, message: Message) -> Option<Vec<Step>> {
    let (event, payload) = match () {
        () if message.is_join_reply() => ("presence_state", json!({"u": {"metas": []}})),
        () if socket.frames == LATER => ("presence_diff", json!({"joins": {}, "leaves": {}})),
        () => return None,
    };
    let join = if message.channel == "phoenix" { Value::Null } else { message.join.clone() };
    Some(vec![(&message).into(), (&Message::push(join, event, payload)).into()])
}

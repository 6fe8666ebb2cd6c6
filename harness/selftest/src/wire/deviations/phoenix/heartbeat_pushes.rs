//! A `sync:heartbeat` push behind every tenth message: a runtime whose timer is faster than 15 s
//! (contract, section 3, heartbeats: the push asks nothing of a client).

use serde_json::json;

use crate::wire::deviation::{Deviation, Socket, Step};
use crate::wire::message::Message;
use crate::wire::row::Row;

pub(super) const ROW: Row = Row::go(Deviation::message(heartbeat_pushes));

fn heartbeat_pushes(socket: &mut Socket, message: Message) -> Option<Vec<Step>> {
    let mine = message.channel == "sync:v1" && message.is_data();
    (mine && socket.frames.is_multiple_of(10)).then(|| {
        let push = Message::push(message.join.clone(), "sync:heartbeat", json!({"watermarks": []}));
        vec![(&message).into(), (&push).into()]
    })
}

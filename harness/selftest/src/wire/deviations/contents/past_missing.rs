//! Half of the clients are not sent the first event of the stream that they first subscribe to, which the
//! others have and which is retained (contract, section 3, subscribe: without `resume_after` it is replayed
//! from 0).

use serde_json::json;

use crate::wire::deviation::{Deviation, Socket, Step};
use crate::wire::deviations::LATER;
use crate::wire::deviations::batch::{STATE, edit, topic, updates};
use crate::wire::message::Message;
use crate::wire::row::Row;

pub(super) const ROW: Row =
    Row::no_go(Deviation::message(past_missing), "false_replay_complete", "nothing up to seq");

fn past_missing(socket: &mut Socket, message: Message) -> Option<Vec<Step>> {
    if socket.number.is_multiple_of(2) || socket.frames >= LATER {
        return None;
    }
    let replay = message.event == "sync:update_batch" && socket.stage == 0;
    if replay && topic(&message) != STATE {
        socket.stage = 1;
        let rest = updates(&message).split_off(1);
        return match rest.is_empty() {
            true => Some(Vec::new()),
            false => edit(&Message { payload: json!({ "updates": rest }), ..message }, |_| {}),
        };
    }
    let twin = message.event == "sync:frame" && socket.stage == 1 && topic(&message) != STATE;
    twin.then(|| {
        socket.stage = 2;
        Vec::new()
    })
}

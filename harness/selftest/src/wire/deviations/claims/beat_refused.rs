//! Heartbeats of live channels are answered with an error, and everything else goes on (contract, section 3,
//! heartbeats: an ok reply).

use serde_json::json;

use crate::wire::deviation::{Deviation, Socket, Step};
use crate::wire::message::Message;
use crate::wire::row::Row;

pub(super) const ROW: Row =
    Row::no_go(Deviation::message(beat_refused), "wrong_close_or_error", "unmatched topic");

fn beat_refused(_: &mut Socket, mut message: Message) -> Option<Vec<Step>> {
    message.is_heartbeat_reply().then(|| {
        message.payload = json!({"response": {"reason": "unmatched topic"}, "status": "error"});
        vec![(&message).into()]
    })
}

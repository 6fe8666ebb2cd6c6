//! The reply to a join allows no topic, and the subscribe is granted all the same: a client that believes it
//! asks for nothing (contract, section 3, join).

use serde_json::json;

use crate::wire::deviation::{Deviation, Socket, Step};
use crate::wire::message::Message;
use crate::wire::row::Row;

pub(super) const ROW: Row =
    Row::no_go(Deviation::message(allows_nothing), "malformed_message", "does not allow");

fn allows_nothing(_: &mut Socket, mut message: Message) -> Option<Vec<Step>> {
    message.is_join_reply().then(|| {
        message.payload["response"]["allowed_topics"] = json!([]);
        vec![(&message).into()]
    })
}

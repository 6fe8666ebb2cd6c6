//! The reply to a join allows a topic that the token does not open: the list was taken from the user and not
//! from the token (contract, section 1, rule 8).

use serde_json::json;

use crate::wire::deviation::{Deviation, Socket, Step};
use crate::wire::message::Message;
use crate::wire::row::Row;

pub(super) const ROW: Row =
    Row::no_go(Deviation::message(allows_more), "authz_leak", "org:77:billing");

fn allows_more(_: &mut Socket, mut message: Message) -> Option<Vec<Step>> {
    message.is_join_reply().then(|| {
        let allowed = message.payload["response"]["allowed_topics"].as_array_mut();
        allowed.into_iter().for_each(|allowed| allowed.push(json!("org:77:billing")));
        vec![(&message).into()]
    })
}

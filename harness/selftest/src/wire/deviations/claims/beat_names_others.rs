//! The reply to a heartbeat says where a topic stands that the token does not open: one list for everybody
//! (contract, section 1, rule 8).

use serde_json::json;

use crate::wire::deviation::{Deviation, Socket, Step};
use crate::wire::message::Message;
use crate::wire::row::Row;

pub(super) const ROW: Row =
    Row::no_go(Deviation::message(beat_names_others), "authz_leak", "org:77:billing");

fn beat_names_others(_: &mut Socket, mut message: Message) -> Option<Vec<Step>> {
    message.is_heartbeat_reply().then(|| {
        let marks = message.payload["response"]["watermarks"].as_array_mut();
        let other = json!({"topic": "org:77:billing", "watermark": 7});
        marks.into_iter().for_each(|marks| marks.push(other.clone()));
        vec![(&message).into()]
    })
}

//! The reply to a heartbeat has another session's subscription (contract, section 3, heartbeats).

use crate::wire::deviation::{Deviation, Socket, Step};
use crate::wire::message::Message;
use crate::wire::row::Row;

pub(super) const ROW: Row =
    Row::no_go(Deviation::message(beat_of_another), "authz_leak", "another client's");

fn beat_of_another(_: &mut Socket, mut message: Message) -> Option<Vec<Step>> {
    message.is_heartbeat_reply().then(|| {
        message.payload["response"]["subscription_id"] = "sub_sync_session:of-another".into();
        vec![(&message).into()]
    })
}

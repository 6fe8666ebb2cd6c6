//! The reply to a heartbeat with a field that the contract does not have, and in it updates of a topic that was not
//! granted (contract, section 1, rule 8): what was missed, sent along, by a server that forgot to ask for whom.

use crate::wire::deviation::{Deviation, Socket, Step};
use crate::wire::deviations::batch;
use crate::wire::message::Message;
use crate::wire::row::Row;

pub(super) const ROW: Row =
    Row::no_go(Deviation::message(beat_reply_of_others), "authz_leak", "runtime.notifications");

fn beat_reply_of_others(_: &mut Socket, mut message: Message) -> Option<Vec<Step>> {
    message.is_heartbeat_reply().then(|| {
        let [push, _] = batch::pushes(&message.join, "runtime.notifications", 5);
        message.payload["response"]["missed"] = push.payload["updates"].clone();
        vec![(&message).into()]
    })
}

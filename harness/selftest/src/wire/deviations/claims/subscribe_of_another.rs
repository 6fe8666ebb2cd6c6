//! The reply to a subscribe has another session's subscription: a worker of the server answers for the wrong
//! socket (contract, section 3, subscribe).

use crate::wire::deviation::{Deviation, Socket, Step};
use crate::wire::message::Message;
use crate::wire::row::Row;

pub(super) const ROW: Row =
    Row::no_go(Deviation::message(subscribe_of_another), "authz_leak", "another client's");

fn subscribe_of_another(_: &mut Socket, mut message: Message) -> Option<Vec<Step>> {
    message.is_subscribe_reply().then(|| {
        message.payload["response"]["subscription_id"] = "sub_sync_session:of-another".into();
        vec![(&message).into()]
    })
}

//! The join is answered with another session's subscription (contract, section 3, join:
//! `sub_sync_session:{session}`): a proxy or a cache that mixes two clients up.

use crate::wire::deviation::{Deviation, Socket, Step};
use crate::wire::message::Message;
use crate::wire::row::Row;

pub(super) const ROW: Row =
    Row::no_go(Deviation::message(another_session), "authz_leak", "another client's");

fn another_session(_: &mut Socket, mut message: Message) -> Option<Vec<Step>> {
    message.is_join_reply().then(|| {
        message.payload["response"]["subscription_id"] = "sub_sync_session:of-another".into();
        vec![(&message).into()]
    })
}

//! Clients whose session nobody has revoked are told to sign in again, and nothing else happens: a cache of
//! revocations that takes one session for another (contract, section 3, closes).

use super::later;
use serde_json::json;

use crate::wire::deviation::{Deviation, Socket, Step};
use crate::wire::message::Message;
use crate::wire::row::Row;

pub(super) const ROW: Row =
    Row::no_go(Deviation::message(reauth_unprovoked), "wrong_close_or_error", "no reason");

fn reauth_unprovoked(socket: &mut Socket, message: Message) -> Option<Vec<Step>> {
    let error =
        json!({"code": "reauth_required", "message": "m", "reauth_required": true, "reason": "r"});
    later(socket, message, |join| Message::push(join, "sync:error", error))
}

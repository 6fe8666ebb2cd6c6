//! Every second client's subscribe is refused with a code of the contract that does not apply
//! (contract, section 3, subscribe: `bad_subscription`).

use serde_json::json;

use super::refused;
use crate::wire::deviation::{Deviation, Socket, Step};
use crate::wire::message::Message;
use crate::wire::row::Row;

pub(super) const ROW: Row =
    Row::no_go(Deviation::message(subscribe_refused), "gate:stability", "bad_subscription");

fn subscribe_refused(socket: &mut Socket, message: Message) -> Option<Vec<Step>> {
    let hit = socket.number.is_multiple_of(2) && message.is_subscribe_reply();
    let why = json!({"code": "bad_subscription", "message": "m"});
    hit.then(|| refused(message, why)).flatten()
}

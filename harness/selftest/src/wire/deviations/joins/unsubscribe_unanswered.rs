//! No unsubscribe is ever answered (contract, section 3, subscribe: it gets an ok reply), as by a runtime that does not
//! know the event and drops it, where an unknown one ends the channel.

use crate::wire::deviation::{Deviation, Socket};
use crate::wire::message::Message;
use crate::wire::row::Row;

const STABLE: &str = "gate:stability";
const UNSUBSCRIBE: &str = "unsubscribe: timeout";

pub(super) const ROW: Row =
    Row::no_go(Deviation::client(unsubscribe_unanswered), STABLE, UNSUBSCRIBE)
        .leave()
        .set(&["target.request_timeout=1s"]);

fn unsubscribe_unanswered(_: &mut Socket, message: Message) -> Option<Vec<Message>> {
    (message.event == "sync:unsubscribe").then(Vec::new)
}

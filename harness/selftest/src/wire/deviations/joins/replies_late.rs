//! Joins and subscribes answered a second late: phoenix.js waits 10 s for a reply
//! (`DEFAULT_TIMEOUT`).

use std::time::Duration;

use crate::wire::deviation::{Deviation, Socket, Step};
use crate::wire::message::Message;
use crate::wire::row::Row;

pub(super) const ROW: Row = Row::go(Deviation::message(replies_late));

fn replies_late(_: &mut Socket, message: Message) -> Option<Vec<Step>> {
    let late = message.is_join_reply() || message.is_subscribe_reply();
    late.then(|| vec![Step::Wait(Duration::from_secs(1)), (&message).into()])
}

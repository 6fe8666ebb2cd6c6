//! No subscribe is ever answered (contract, section 3, subscribe: replay is complete when the reply
//! arrives).

use crate::wire::deviation::{Deviation, Socket, Step};
use crate::wire::message::Message;
use crate::wire::row::Row;

const CONVERGE: &str = "no_convergence";

pub(super) const ROW: Row = Row::no_go(Deviation::message(subscribe_unanswered), CONVERGE, "live")
    .set(&["target.request_timeout=1s"]);

fn subscribe_unanswered(_: &mut Socket, message: Message) -> Option<Vec<Step>> {
    message.is_subscribe_reply().then(Vec::new)
}

//! No heartbeat is answered, neither the channel's nor the socket's (contract, section 3, framing
//! and heartbeats: both get an ok reply).

use crate::wire::deviation::{Deviation, Socket, Step};
use crate::wire::message::Message;
use crate::wire::row::Row;

const STABLE: &str = "gate:stability";
const BEATS: &str = "heartbeat_timeouts";

pub(super) const ROW: Row = Row::no_go(Deviation::message(heartbeats_unanswered), STABLE, BEATS)
    .set(&["phase.steady.duration=8s"]);

fn heartbeats_unanswered(_: &mut Socket, message: Message) -> Option<Vec<Step>> {
    (message.channel == "phoenix" || message.is_heartbeat_reply()).then(Vec::new)
}

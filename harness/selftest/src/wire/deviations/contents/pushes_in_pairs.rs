//! Of two batches of a topic first both legacy pushes and then both frames, where they come together: each is
//! pushed twice, legacy first (contract, section 3, delivery), and nothing says that its two are neighbours.

use crate::wire::deviation::{Deviation, Socket, Step};
use crate::wire::deviations::batch::{STATE, topic};
use crate::wire::message::Message;
use crate::wire::row::Row;

pub(super) const ROW: Row = Row::go(Deviation::message(pushes_in_pairs));

fn pushes_in_pairs(socket: &mut Socket, message: Message) -> Option<Vec<Step>> {
    let frame = message.event == "sync:frame" && topic(&message) != STATE;
    if frame && socket.held.is_none() {
        socket.held = Some(message);
        return Some(Vec::new());
    }
    let held = socket.held.take()?;
    let next = message.event == "sync:update_batch" && topic(&message) == topic(&held);
    let order = if next { [&message, &held] } else { [&held, &message] };
    Some(order.map(Step::from).to_vec())
}

//! Of two topics' batches first both legacy pushes and then both frames: across topics there is no order
//! (contract, section 1, rule 5), and each batch's own two keep theirs.

use crate::wire::deviation::{Deviation, Socket, Step};
use crate::wire::deviations::batch::{STATE, topic};
use crate::wire::message::Message;
use crate::wire::row::Row;

pub(super) const ROW: Row = Row::go(Deviation::message(pushes_of_topics_mixed));

fn pushes_of_topics_mixed(socket: &mut Socket, message: Message) -> Option<Vec<Step>> {
    if message.event == "sync:frame" && topic(&message) != STATE {
        socket.held = Some(message);
        return Some(Vec::new());
    }
    let held = socket.held.take()?;
    let between = message.event == "sync:update_batch" && topic(&message) == STATE;
    let order = if between { [&message, &held] } else { [&held, &message] };
    Some(order.map(Step::from).to_vec())
}

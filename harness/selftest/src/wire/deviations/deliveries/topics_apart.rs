//! The state's batches wait until something else than data passes, while the stream's go on: a
//! process for each topic, and no order between them (contract, section 1, rule 5).

use super::BEATS;
use crate::wire::deviation::{Deviation, Socket, Step};
use crate::wire::deviations::batch::{STATE, steps, topic};
use crate::wire::message::Message;
use crate::wire::row::Row;

pub(super) const ROW: Row = Row::go(Deviation::message(topics_apart)).set(BEATS);

fn topics_apart(socket: &mut Socket, message: Message) -> Option<Vec<Step>> {
    let of_state = message.is_data() && topic(&message) == STATE;
    if of_state {
        socket.kept.push(message);
        return Some(Vec::new());
    }
    // Unbounded it is not: a heartbeat is answered several times a second.
    if message.is_data() || socket.kept.is_empty() {
        return None;
    }
    socket.kept.push(message);
    Some(steps(&std::mem::take(&mut socket.kept)))
}

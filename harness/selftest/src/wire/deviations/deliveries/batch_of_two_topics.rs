//! A batch with an update of another topic (contract, section 3, delivery: each batch is of one topic).

use crate::wire::deviation::{Deviation, Socket, Step};
use crate::wire::deviations::batch::{STATE, begun, both, rewrite, topic};
use crate::wire::message::Message;
use crate::wire::row::Row;

pub(super) const ROW: Row =
    Row::no_go(Deviation::message(batch_of_two_topics), "malformed_message", "different topics");

fn batch_of_two_topics(socket: &mut Socket, message: Message) -> Option<Vec<Step>> {
    (topic(&message) != STATE).then_some(())?;
    begun(socket, &message)?;
    rewrite(&message, |mut updates| {
        let mut other = updates[0].clone();
        other["topic"] = STATE.into();
        updates.insert(0, other);
        both(&message.join, &updates, true).into()
    })
}

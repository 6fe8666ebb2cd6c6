//! Two batches of a topic as one: live events coalesce (contract, section 3, delivery). What answers a
//! question is not kept back behind it.

use super::BEATS;
use crate::wire::deviation::{Deviation, Socket, Step};
use crate::wire::deviations::batch::{both, steps, topic, updates};
use crate::wire::message::Message;
use crate::wire::row::Row;

pub(super) const ROW: Row = Row::go(Deviation::message(batches_merged)).set(BEATS);

fn batches_merged(socket: &mut Socket, message: Message) -> Option<Vec<Step>> {
    match message.event.as_str() {
        "sync:frame" => Some(Vec::new()),
        "sync:update_batch" => match socket.held.take() {
            Some(held) if topic(&held) == topic(&message) => {
                let all = [updates(&held), updates(&message)].concat();
                Some(steps(&both(&message.join, &all, true)))
            }
            held => {
                let before = held.map(|held| steps(&both(&held.join, &updates(&held), true)));
                socket.held = Some(message);
                Some(before.unwrap_or_default())
            }
        },
        _ => {
            let held = socket.held.take()?;
            let mut steps = steps(&both(&held.join, &updates(&held), true));
            steps.push((&message).into());
            Some(steps)
        }
    }
}

//! Every update as a batch of its own (contract, section 3, delivery: up to 200 make a batch, and one does).

use crate::wire::deviation::{Deviation, Socket, Step};
use crate::wire::deviations::batch::{both, rewrite};
use crate::wire::message::Message;
use crate::wire::row::Row;

pub(super) const ROW: Row = Row::go(Deviation::message(batches_of_one));

fn batches_of_one(_: &mut Socket, message: Message) -> Option<Vec<Step>> {
    rewrite(&message, |updates| {
        let single = |update| both(&message.join, std::slice::from_ref(update), true);
        updates.iter().flat_map(single).collect()
    })
}

//! What is replayed comes in batches of one update, each of which says that its topic stands where it ends, although
//! others had been sent more before (contract, section 3, delivery: the head as read then): the head of a page for that
//! of the log. Who goes by it believes to be at head long before the reply, which alone says so.

use crate::wire::deviation::{Deviation, Socket, Step};
use crate::wire::deviations::batch;
use crate::wire::message::Message;
use crate::wire::row::Row;

pub(super) const ROW: Row =
    Row::told(Deviation::message(replay_heads_of_page), "replay_head_behind").resume();

fn replay_heads_of_page(_: &mut Socket, message: Message) -> Option<Vec<Step>> {
    batch::rewrite(&message, |updates| {
        let alone = |update| batch::both(&message.join, &[update], true);
        updates.into_iter().flat_map(alone).collect()
    })
}

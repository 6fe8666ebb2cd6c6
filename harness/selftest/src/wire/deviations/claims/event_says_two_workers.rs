//! An event whose `worker_id` is right and whose `workerId` is another's: two spellings from two sources
//! (contract, section 3, commands).

use khala_wire::canonical;

use crate::wire::deviation::{Deviation, Socket, Step};
use crate::wire::deviations::batch::{STREAM, edit, topic};
use crate::wire::message::Message;
use crate::wire::row::Row;

pub(super) const ROW: Row = Row::no_go(
    Deviation::message(event_says_two_workers),
    "malformed_message",
    "says that it is worker",
);

fn event_says_two_workers(_: &mut Socket, message: Message) -> Option<Vec<Step>> {
    (topic(&message) == STREAM).then_some(())?;
    edit(&message, |update| {
        update["payload"]["workerId"] = "another".into();
        update["payload_hash"] = canonical::payload_hash(&update["payload"]).into();
    })
}

//! Documents whose `latest_seq` is a thousand beyond every event of their worker (contract, section 3, commands: it is
//! the event's seq): a row that another counter was written to.

use khala_wire::canonical;

use crate::wire::deviation::{Deviation, Socket, Step};
use crate::wire::deviations::batch::{STATE, edit, topic};
use crate::wire::message::Message;
use crate::wire::row::Row;

pub(super) const ROW: Row = Row::no_go(
    Deviation::message(state_far_ahead),
    "malformed_message",
    "says that its latest seq is",
);

fn state_far_ahead(_: &mut Socket, message: Message) -> Option<Vec<Step>> {
    (topic(&message) == STATE).then_some(())?;
    edit(&message, |update| {
        let latest = update["payload"]["latest_seq"].as_u64().unwrap_or_default();
        update["payload"]["latest_seq"] = (latest + 1_000).into();
        update["payload_hash"] = canonical::payload_hash(&update["payload"]).into();
    })
}

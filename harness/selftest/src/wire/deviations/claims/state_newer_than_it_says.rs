//! Documents whose `latest_seq` is beyond their version (contract, section 3, commands: both are the event's
//! seq): the row was read a moment later than the batch was made, and a client has what is newer.

use khala_wire::canonical;

use crate::wire::deviation::{Deviation, Socket, Step};
use crate::wire::deviations::batch::{STATE, edit, topic};
use crate::wire::message::Message;
use crate::wire::row::Row;

pub(super) const ROW: Row = Row::go(Deviation::message(state_newer_than_it_says));

fn state_newer_than_it_says(_: &mut Socket, message: Message) -> Option<Vec<Step>> {
    (topic(&message) == STATE).then_some(())?;
    edit(&message, |update| {
        let latest = update["payload"]["latest_seq"].as_u64().unwrap_or_default();
        update["payload"]["latest_seq"] = (latest + 1).into();
        update["payload_hash"] = canonical::payload_hash(&update["payload"]).into();
    })
}

//! An event of the stream under a seq of its own, and once more under the next one, which is then
//! not the next event's: an outbox that was read twice, of which the pattern's page warns
//! (microservices.io, "Transactional outbox").

use serde_json::Value;

use crate::wire::deviation::{Deviation, Socket, Step};
use crate::wire::deviations::batch::{STATE, begun, both, rewrite, topic};
use crate::wire::message::Message;
use crate::wire::row::Row;

pub(super) const ROW: Row = Row::no_go(Deviation::message(event_twice), "bad_duplicate", "seq");

fn event_twice(socket: &mut Socket, message: Message) -> Option<Vec<Step>> {
    (topic(&message) != STATE).then_some(())?;
    begun(socket, &message)?;
    rewrite(&message, |updates| {
        let single = |update: &Value| {
            let mut again = update.clone();
            again["watermark"] = (update["watermark"].as_u64().unwrap_or_default() + 1).into();
            both(&message.join, &[update.clone(), again], true)
        };
        updates.iter().flat_map(single).collect()
    })
}

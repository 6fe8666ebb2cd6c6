//! Payloads with one more field and the hash that fits, for one client: it sees other events than
//! the rest (contract, section 3, commands: an event has the command's payload).

use crate::wire::deviation::{Deviation, Socket, Step};
use crate::wire::deviations::batch::{STATE, begun, edit, topic};
use crate::wire::message::Message;
use crate::wire::row::Row;

pub(super) const ROW: Row = Row::no_go(
    Deviation::message(payload_changed),
    "divergent_value",
    "not what other clients got",
);

fn payload_changed(socket: &mut Socket, message: Message) -> Option<Vec<Step>> {
    (socket.number == 0 && topic(&message) != STATE).then_some(())?;
    begun(socket, &message)?;
    edit(&message, |update| {
        update["payload"]["note"] = "of a middle box".into();
        update["payload_hash"] = khala_wire::canonical::payload_hash(&update["payload"]).into();
    })
}

//! The hash of another payload, in both pushes, for one client (contract, section 3, delivery:
//! `payload_hash` is the payload's).

use crate::wire::deviation::{Deviation, Socket, Step};
use crate::wire::deviations::batch::{begun, edit};
use crate::wire::message::Message;
use crate::wire::row::Row;

pub(super) const ROW: Row = Row::no_go(Deviation::message(hash_wrong), "divergent_value", "hash");

fn hash_wrong(socket: &mut Socket, message: Message) -> Option<Vec<Step>> {
    (socket.number == 0).then_some(())?;
    begun(socket, &message)?;
    let wrong = "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=";
    edit(&message, |update| update["payload_hash"] = wrong.into())
}

//! Events say that their payload must be fetched, and have it (contract, section 3, delivery: the flag goes
//! with pointer mode): a client fetches once too often, and shows what is right.

use crate::wire::deviation::{Deviation, Socket, Step};
use crate::wire::deviations::batch::{STREAM, edit, topic};
use crate::wire::message::Message;
use crate::wire::row::Row;

pub(super) const ROW: Row =
    Row::told(Deviation::message(payloads_to_fetch_too), "hydration_of_payload");

fn payloads_to_fetch_too(_: &mut Socket, message: Message) -> Option<Vec<Step>> {
    (topic(&message) == STREAM).then_some(())?;
    edit(&message, |update| update["hydration_required"] = true.into())
}

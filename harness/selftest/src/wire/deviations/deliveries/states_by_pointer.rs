//! States without their payload, to be fetched: pointer mode (contract, section 3, delivery: `payload` is
//! null, and then `hydration_required` true).

use serde_json::Value;

use crate::wire::deviation::{Deviation, Socket, Step};
use crate::wire::deviations::batch::{STATE, edit, topic};
use crate::wire::message::Message;
use crate::wire::row::Row;

pub(super) const ROW: Row = Row::go(Deviation::message(states_by_pointer));

fn states_by_pointer(_: &mut Socket, message: Message) -> Option<Vec<Step>> {
    (topic(&message) == STATE).then_some(())?;
    edit(&message, |update| {
        update["payload"] = Value::Null;
        update["hydration_required"] = true.into();
    })
}

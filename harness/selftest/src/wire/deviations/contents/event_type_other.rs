//! Events are of another type than they were published as (contract, section 3, commands: the event has the
//! command's type).

use super::{RULE, rewritten};
use crate::wire::deviation::{Deviation, Socket, Step};
use crate::wire::message::Message;
use crate::wire::row::Row;

pub(super) const ROW: Row = Row::no_go(Deviation::message(event_type_other), RULE, "is of type");

fn event_type_other(socket: &mut Socket, message: Message) -> Option<Vec<Step>> {
    rewritten(socket, &message, false, |update| {
        update["payload"]["event_type"] = "other.type".into();
    })
}

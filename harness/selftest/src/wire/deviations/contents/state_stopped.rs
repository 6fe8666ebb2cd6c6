//! Documents of workers that run say that they were stopped (contract, section 3, commands: the payload is
//! the worker's latest state).

use super::{RULE, rewritten};
use crate::wire::deviation::{Deviation, Socket, Step};
use crate::wire::message::Message;
use crate::wire::row::Row;

pub(super) const ROW: Row =
    Row::no_go(Deviation::message(state_stopped), RULE, "nobody stopped it");

fn state_stopped(socket: &mut Socket, message: Message) -> Option<Vec<Step>> {
    rewritten(socket, &message, true, |update| update["payload"]["status"] = "stopped".into())
}

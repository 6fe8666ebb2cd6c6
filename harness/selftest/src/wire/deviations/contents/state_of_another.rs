//! Each worker's document says that it is another worker's: two rows of a projection were swapped (contract,
//! section 3, commands: the document of `runtime/codex_worker_summary:{worker}` is that worker's state).

use super::{RULE, rewritten};
use crate::wire::deviation::{Deviation, Socket, Step};
use crate::wire::message::Message;
use crate::wire::row::Row;

pub(super) const ROW: Row =
    Row::no_go(Deviation::message(state_of_another), RULE, "says that it is");

fn state_of_another(socket: &mut Socket, message: Message) -> Option<Vec<Step>> {
    rewritten(socket, &message, true, |update| update["payload"]["worker_id"] = "another".into())
}

//! Each state comes with the version before last, once: one node reads from a copy that is behind,
//! as PostgreSQL's hot standby may be.

use crate::wire::deviation::{Deviation, Socket, Step};
use crate::wire::deviations::batch::{STATE, begun, edit, topic};
use crate::wire::message::Message;
use crate::wire::row::Row;

pub(super) const ROW: Row =
    Row::no_go(Deviation::message(state_goes_back), "state_regress", "version");

fn state_goes_back(socket: &mut Socket, message: Message) -> Option<Vec<Step>> {
    (topic(&message) == STATE).then_some(())?;
    begun(socket, &message)?;
    edit(&message, |update| {
        let version = update["doc_version"].as_u64().unwrap_or_default();
        if version % 4 == 0 {
            update["doc_version"] = version.saturating_sub(2).into();
        }
    })
}

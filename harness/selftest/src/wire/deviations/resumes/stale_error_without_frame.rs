//! `stale_cursor` as a push and a reply, without the error frame that is due as well (contract,
//! section 3, stale cursor): a runtime that writes the legacy shape only for errors. Clients go by
//! the reply.

use crate::wire::deviation::{Deviation, Socket, Step};
use crate::wire::message::Message;
use crate::wire::row::Row;

pub(super) const ROW: Row = Row::go(Deviation::message(stale_error_without_frame)).resume();

fn stale_error_without_frame(_: &mut Socket, message: Message) -> Option<Vec<Step>> {
    let error = message.payload["kind"] == "KHALA_FRAME_KIND_ERROR";
    error.then(Vec::new)
}

//! An error frame of a topic that the token does not open, with what happened there (contract, section 1, rule
//! 8).

use super::later;
use crate::wire::deviation::{Deviation, Socket, Step};
use crate::wire::deviations::batch;
use crate::wire::message::Message;
use crate::wire::row::Row;

pub(super) const ROW: Row =
    Row::no_go(Deviation::message(error_frame_of_others), "authz_leak", "org:77:billing");

fn error_frame_of_others(socket: &mut Socket, message: Message) -> Option<Vec<Step>> {
    let error = r#"{"code":"slow_consumer","action":"throttle","queue_depth":1,"queue_limit":64,"topic":"org:77:billing"}"#;
    later(socket, message, |join| {
        batch::frame(&join, "org:77:billing", 0, "KHALA_FRAME_KIND_ERROR", error)
    })
}

//! A frame of a reserved kind that carries a batch of a topic that the token does not open (contract, section
//! 1, rule 8): whoever looks at kinds first never sees whose it is.

use super::later;
use crate::wire::deviation::{Deviation, Socket, Step};
use crate::wire::deviations::batch;
use crate::wire::message::Message;
use crate::wire::row::Row;

pub(super) const ROW: Row =
    Row::no_go(Deviation::message(reserved_frame_of_others), "authz_leak", "org:77:billing");

fn reserved_frame_of_others(socket: &mut Socket, message: Message) -> Option<Vec<Step>> {
    later(socket, message, |join| {
        let [push, _] = batch::pushes(&join, "org:77:billing", 5);
        let carried = push.payload.to_string();
        batch::frame(&join, "org:77:billing", 5, "KHALA_FRAME_KIND_SUBSCRIBED", &carried)
    })
}

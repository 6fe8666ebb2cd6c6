//! A batch of a granted topic before the join is answered, so that no subscribe can have been sent
//! (contract, section 3: subscribe, then replay).

use crate::wire::deviation::{Deviation, Socket, Step};
use crate::wire::deviations::batch;
use crate::wire::message::Message;
use crate::wire::row::Row;

const LEFT: &str = "after_unsubscribe";

pub(super) const ROW: Row = Row::no_go(Deviation::message(push_before_subscribe), LEFT, "never");

fn push_before_subscribe(_: &mut Socket, message: Message) -> Option<Vec<Step>> {
    message.is_join_reply().then(|| {
        let [batch, frame] = batch::pushes(&message.join, batch::STREAM, 1);
        vec![(&batch).into(), (&frame).into(), (&message).into()]
    })
}

//! A batch's frame 5 ms behind its legacy push, as from two encoders of one server: the order is
//! set, and no time (contract, section 3, delivery).

use std::time::Duration;

use crate::wire::deviation::{Deviation, Socket, Step};
use crate::wire::message::Message;
use crate::wire::row::Row;

pub(super) const ROW: Row = Row::go(Deviation::message(frames_late));

fn frames_late(_: &mut Socket, message: Message) -> Option<Vec<Step>> {
    let late = Step::Wait(Duration::from_millis(5));
    (message.event == "sync:frame").then(|| vec![late, (&message).into()])
}

//! The reply to an unsubscribe comes 600 ms late, as behind a retransmission (RFC 6298 has a second at first): no time is
//! set for it (contract, section 3, subscribe), and what was pushed before stands before it.

use std::time::Duration;

use super::is_unsubscribe_reply;
use crate::wire::deviation::{Deviation, Socket, Step};
use crate::wire::message::Message;
use crate::wire::row::Row;

pub(super) const ROW: Row = Row::go(Deviation::message(unsubscribe_late)).leave();

fn unsubscribe_late(_: &mut Socket, message: Message) -> Option<Vec<Step>> {
    let late = Step::Wait(Duration::from_millis(600));
    is_unsubscribe_reply(&message).then(|| vec![late, (&message).into()])
}

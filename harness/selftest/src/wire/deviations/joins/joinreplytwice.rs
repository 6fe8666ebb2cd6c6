//! Every reply twice, as a transport that resends: phoenix.js takes the first one's handler away
//! (`cancelRefEvent`), and the second answers nothing any more.

use crate::wire::deviation::{Deviation, Socket, Step};
use crate::wire::message::Message;
use crate::wire::row::Row;

pub(super) const ROW: Row = Row::go(Deviation::message(joinreplytwice));

fn joinreplytwice(_: &mut Socket, message: Message) -> Option<Vec<Step>> {
    (message.event == "phx_reply").then(|| vec![(&message).into(), (&message).into()])
}

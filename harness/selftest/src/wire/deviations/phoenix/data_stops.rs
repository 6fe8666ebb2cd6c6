//! One client gets no more data, and all else (contract, section 1, rule 5: no gap): a subscription
//! that was lost in a hand-over between nodes.

use crate::wire::deviation::{Deviation, Socket, Step};
use crate::wire::deviations::LATER;
use crate::wire::message::Message;
use crate::wire::row::Row;

pub(super) const ROW: Row = Row::no_go(Deviation::message(data_stops), "lost_publish", "seq");

fn data_stops(socket: &mut Socket, message: Message) -> Option<Vec<Step>> {
    let lost = socket.number == 0 && socket.frames >= LATER && message.is_data();
    lost.then(Vec::new)
}

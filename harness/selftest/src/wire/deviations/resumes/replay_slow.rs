//! 10 ms before any push of the stream: a replay that is read row by row, as in libpq's single-row
//! mode.

use std::time::Duration;

use crate::wire::deviation::{Deviation, Socket, Step};
use crate::wire::deviations::batch::{STREAM, topic};
use crate::wire::message::Message;
use crate::wire::row::Row;

pub(super) const ROW: Row = Row::go(Deviation::message(replay_slow)).resume();

fn replay_slow(_: &mut Socket, message: Message) -> Option<Vec<Step>> {
    (message.is_data() && topic(&message) == STREAM)
        .then(|| vec![Step::Wait(Duration::from_millis(10)), (&message).into()])
}

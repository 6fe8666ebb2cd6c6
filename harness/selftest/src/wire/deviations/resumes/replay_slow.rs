//! 10 ms before any push of the stream: a replay that is read row by row.

use std::time::Duration;

use crate::wire::deviation::{Deviation, Socket, Step};
use crate::wire::message::Message;
use crate::wire::row::Row;

pub(super) const ROW: Row = Row::go(Deviation::message(replay_slow)).resume();

fn replay_slow(_: &mut Socket, message: Message) -> Option<Vec<Step>> {
    let of_stream = message.payload.to_string().contains("runtime.codex_worker_events");
    (message.is_data() && of_stream)
        .then(|| vec![Step::Wait(Duration::from_millis(10)), (&message).into()])
}

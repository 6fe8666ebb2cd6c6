//! The reply to a subscribe before all that is replayed: `{:reply, …}` and a replay in
//! `handle_info(:after_join)`, as Phoenix's guides have it. Contract, section 3: replay is complete when
//! the reply arrives.

use std::time::Duration;

use crate::wire::deviation::{Deviation, Socket, Step};
use crate::wire::message::Message;
use crate::wire::row::Row;

pub(super) const ROW: Row = Row::no_go(
    Deviation::message(replay_behind_reply),
    "false_replay_complete",
    "had been acknowledged before",
)
.resume();

fn replay_behind_reply(socket: &mut Socket, message: Message) -> Option<Vec<Step>> {
    if message.is_join_reply() {
        socket.stage = 1;
        return None;
    }
    if socket.stage != 1 {
        return None;
    }
    if message.is_subscribe_reply() {
        socket.stage = 2;
        let late = Step::Wait(Duration::from_millis(200));
        let kept = std::mem::take(&mut socket.kept);
        let replayed = kept.iter().map(Step::from);
        return Some([Step::from(&message), late].into_iter().chain(replayed).collect());
    }
    message.is_data().then(|| {
        socket.kept.push(message);
        Vec::new()
    })
}

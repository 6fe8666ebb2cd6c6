//! The reply to a subscribe says that its topics stand beyond where they do: a counter that was read and not the log
//! (contract, section 3, subscribe). A client that got nothing comes back with it, and misses what lies between.

use crate::wire::deviation::{Deviation, Socket, Step};
use crate::wire::message::Message;
use crate::wire::row::Row;

pub(super) const ROW: Row = Row::no_go(
    Deviation::message(subscribe_marks_ahead),
    "false_replay_complete",
    "was published after that",
);

fn subscribe_marks_ahead(_: &mut Socket, mut message: Message) -> Option<Vec<Step>> {
    message.is_subscribe_reply().then(|| {
        let marks = message.payload["response"]["current_watermarks"].as_array_mut();
        for mark in marks.into_iter().flatten() {
            mark["watermark"] = (mark["watermark"].as_u64().unwrap_or_default() + 1_000).into();
        }
        vec![(&message).into()]
    })
}

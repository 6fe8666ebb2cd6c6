//! Joins, their replies and their ends.

use std::time::Duration;

use serde_json::{Value, json};

use super::LATER;
use crate::wire::deviation::{Deviation, Socket, Step};
use crate::wire::message::Message;
use crate::wire::row::Row;

pub const ROWS: &[Row] = &[
    Row::go("joinreplytwice", Deviation::message(joinreplytwice)),
    Row::no_go("phxerror", Deviation::message(phxerror), "gate:stability", "channel_ends"),
    Row::go("old_join_data", Deviation::message(old_join_data)),
    Row::no_go("phxclose", Deviation::message(phxclose), "gate:stability", "channel_ends"),
    Row::go("replies_late", Deviation::message(replies_late)),
    Row::go("replies_swapped", Deviation::message(replies_swapped)),
    Row::no_go("subscribe_unanswered", Deviation::message(subscribe_unanswered), CONVERGE, "live")
        .set(&["target.request_timeout=1s"]),
    Row::no_go("heartbeats_unanswered", Deviation::message(heartbeats_unanswered), STABLE, BEATS)
        .set(&["phase.steady.duration=8s"]),
];

const CONVERGE: &str = "no_convergence";
const STABLE: &str = "gate:stability";
const BEATS: &str = "heartbeat_timeouts";

/// Every reply twice, as a transport that resends: the second answers nothing any more.
fn joinreplytwice(_: &mut Socket, message: Message) -> Option<Vec<Step>> {
    (message.event == "phx_reply").then(|| vec![(&message).into(), (&message).into()])
}

fn phx_error(join: Value) -> Message {
    let reference = join.clone();
    Message { reference, ..Message::push(join, "phx_error", json!({})) }
}

/// Every client's channel crashes once.
fn phxerror(socket: &mut Socket, message: Message) -> Option<Vec<Step>> {
    crash(socket, message, |message, _| vec![(&message).into()])
}

/// One client's channel crashes, so it joins again; then a push of the old join comes between the new
/// join's reply and the old one's `phx_close`. Contract, section 3: a second join closes the old channel,
/// after the new join's reply. What the old one still says until then real clients drop.
fn old_join_data(socket: &mut Socket, message: Message) -> Option<Vec<Step>> {
    if socket.number != 0 {
        return None;
    }
    crash(socket, message, |message, old| vec![(&message).into(), (&old).into()])
}

/// A `phx_error` behind a push, once. The runtime knows nothing of it, and what it says until the client
/// has joined again would not have been said: it is swallowed. `rejoined` says what becomes of the reply
/// to the new join, with the last push of the old one.
fn crash(
    socket: &mut Socket,
    message: Message,
    rejoined: fn(Message, Message) -> Vec<Step>,
) -> Option<Vec<Step>> {
    match socket.stage {
        0 if socket.frames >= LATER && message.event == "sync:frame" => {
            socket.stage = 1;
            let error = phx_error(message.join.clone());
            let steps = vec![(&message).into(), (&error).into()];
            socket.held = Some(message);
            Some(steps)
        }
        1 if message.is_join_reply() => {
            socket.stage = 2;
            Some(rejoined(message, socket.held.take()?))
        }
        1 => (message.channel != "phoenix").then(Vec::new),
        _ => None,
    }
}

/// Every client's channel is closed once; the socket stays (contract, section 3, heartbeats).
fn phxclose(socket: &mut Socket, message: Message) -> Option<Vec<Step>> {
    (socket.frames == LATER && message.channel != "phoenix").then(|| {
        let close = Message { event: "phx_close".to_owned(), ..phx_error(message.join.clone()) };
        vec![(&message).into(), (&close).into()]
    })
}

/// Joins and subscribes answered a second late.
fn replies_late(_: &mut Socket, message: Message) -> Option<Vec<Step>> {
    let late = message.is_join_reply() || message.is_subscribe_reply();
    late.then(|| vec![Step::Wait(Duration::from_secs(1)), (&message).into()])
}

/// The channel's heartbeat answered after the socket's, which was asked later: two processes of a
/// Phoenix server, and no order between them.
fn replies_swapped(socket: &mut Socket, message: Message) -> Option<Vec<Step>> {
    let beat = message.is_reply() && message.payload["response"].get("watermarks").is_some();
    if beat {
        socket.held = Some(message);
        return Some(Vec::new());
    }
    let held = socket.held.take_if(|_| message.channel == "phoenix")?;
    Some(vec![(&message).into(), (&held).into()])
}

/// No subscribe is ever answered.
fn subscribe_unanswered(_: &mut Socket, message: Message) -> Option<Vec<Step>> {
    message.is_subscribe_reply().then(Vec::new)
}

/// No heartbeat is answered, neither the channel's nor the socket's.
fn heartbeats_unanswered(_: &mut Socket, message: Message) -> Option<Vec<Step>> {
    let beat = message.channel == "phoenix"
        || message.is_reply() && message.payload["response"].get("watermarks").is_some();
    beat.then(Vec::new)
}

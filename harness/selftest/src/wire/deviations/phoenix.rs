//! What Phoenix servers say beside the contract, and real Phoenix clients pass over.

use serde_json::{Value, json};

use super::LATER;
use crate::wire::deviation::{Deviation, Socket, Step};
use crate::wire::message::Message;
use crate::wire::row::Row;

pub const ROWS: &[Row] = &[
    Row::told("presence", Deviation::message(presence), "unknown_event"),
    Row::told("response_extra", Deviation::message(response_extra), "unknown_field"),
    Row::go("reply_to_nobody", Deviation::message(reply_to_nobody)),
    Row::go("reply_without_ref", Deviation::message(reply_without_ref)),
    Row::go("heartbeat_pushes", Deviation::message(heartbeat_pushes)),
    Row::go("subscribe_reply_behind_a_batch", Deviation::message(subscribe_reply_behind_a_batch)),
    Row::go("beat_reply_before_its_push", Deviation::message(beat_reply_before_its_push)),
    Row::no_go("join_refused", Deviation::message(join_refused), "wrong_close_or_error", "join"),
    Row::no_go(
        "subscribe_refused",
        Deviation::message(subscribe_refused),
        "gate:stability",
        "bad_subscription",
    ),
    Row::no_go("data_stops", Deviation::message(data_stops), "lost_publish", "seq"),
    Row::no_go("batches_stop", Deviation::message(batches_stop), "frame_mismatch", "seq"),
    Row::no_go(
        "channel_goes_silent",
        Deviation::message(channel_goes_silent),
        "stuck_channel",
        "channel",
    )
    .set(&["phase.steady.duration=8s"]),
    Row::no_go(
        "another_session",
        Deviation::message(another_session),
        "authz_leak",
        "another client's",
    ),
];

/// `presence_state` behind the join's reply and a `presence_diff` later, as `Phoenix.Presence` pushes them
/// to every channel that tracks (its documentation, `handle_info(:after_join)`).
fn presence(socket: &mut Socket, message: Message) -> Option<Vec<Step>> {
    let (event, payload) = match () {
        () if message.is_join_reply() => ("presence_state", json!({"u": {"metas": []}})),
        () if socket.frames == LATER => ("presence_diff", json!({"joins": {}, "leaves": {}})),
        () => return None,
    };
    let join = if message.channel == "phoenix" { Value::Null } else { message.join.clone() };
    Some(vec![(&message).into(), (&Message::push(join, event, payload)).into()])
}

/// More fields in the responses of joins, subscribes and heartbeats: a newer server; clients read what
/// they know.
fn response_extra(_: &mut Socket, mut message: Message) -> Option<Vec<Step>> {
    message.is_reply().then(|| {
        message.payload["response"]["region"] = "eu".into();
        message.payload["response"]["limits"] = json!({"topics": 16});
        vec![(&message).into()]
    })
}

/// An ok reply on the client's channel to a ref of this kind, once.
fn reply(socket: &Socket, message: &Message, reference: Value) -> Option<Vec<Step>> {
    let mine = message.channel == "sync:v1" && !message.join.is_null();
    (socket.frames >= LATER && socket.stage == 0 && mine).then(|| {
        let payload = json!({"response": {}, "status": "ok"});
        let reply = Message::push(message.join.clone(), "phx_reply", payload);
        vec![message.into(), (&Message { reference, ..reply }).into()]
    })
}

/// A reply to a ref that the client never sent: phoenix.js looks for a handler of `chan_reply_9999` and
/// finds none.
fn reply_to_nobody(socket: &mut Socket, message: Message) -> Option<Vec<Step>> {
    let steps = reply(socket, &message, "9999".into());
    socket.stage += u32::from(steps.is_some());
    steps
}

/// A reply without a ref, as `Phoenix.Channel.reply` to a socket ref taken outside of a message gives.
fn reply_without_ref(socket: &mut Socket, message: Message) -> Option<Vec<Step>> {
    let steps = reply(socket, &message, Value::Null);
    socket.stage += u32::from(steps.is_some());
    steps
}

/// A `sync:heartbeat` push behind every tenth message: a runtime whose timer is faster than 15 s
/// (contract, section 3, heartbeats: the push asks nothing of a client).
fn heartbeat_pushes(socket: &mut Socket, message: Message) -> Option<Vec<Step>> {
    let mine = message.channel == "sync:v1" && message.is_data();
    (mine && socket.frames.is_multiple_of(10)).then(|| {
        let push = Message::push(message.join.clone(), "sync:heartbeat", json!({"watermarks": []}));
        vec![(&message).into(), (&push).into()]
    })
}

/// The reply to a subscribe only behind the first live batch: a channel process that is told of new events
/// before its own reply is out. The order of seq is kept (contract, section 1, rule 5).
fn subscribe_reply_behind_a_batch(socket: &mut Socket, message: Message) -> Option<Vec<Step>> {
    if message.is_subscribe_reply() {
        socket.held = Some(message);
        return Some(Vec::new());
    }
    // Behind both pushes of the batch; a heartbeat is not waited beyond.
    let held = socket.held.take_if(|_| message.event != "sync:update_batch")?;
    Some(vec![(&message).into(), (&held).into()])
}

/// The push that answers a heartbeat behind the reply to it: one process broadcasts, another replies.
fn beat_reply_before_its_push(socket: &mut Socket, message: Message) -> Option<Vec<Step>> {
    if message.event == "sync:heartbeat" {
        socket.held = Some(message);
        return Some(Vec::new());
    }
    let held = socket.held.take_if(|_| message.is_reply())?;
    Some(vec![(&message).into(), (&held).into()])
}

/// The reply in hand as a refusal.
fn refused(mut message: Message, response: Value) -> Option<Vec<Step>> {
    message.payload = json!({"response": response, "status": "error"});
    Some(vec![(&message).into()])
}

/// Every second client's first join is refused: "join crashed", as `Phoenix.Channel.Server` says when
/// `join/3` raises.
fn join_refused(socket: &mut Socket, message: Message) -> Option<Vec<Step>> {
    let hit = socket.number.is_multiple_of(2) && message.is_join_reply();
    hit.then(|| refused(message, json!({"reason": "join crashed"}))).flatten()
}

/// Every second client's subscribe is refused with a code of the contract that does not apply.
fn subscribe_refused(socket: &mut Socket, message: Message) -> Option<Vec<Step>> {
    let hit = socket.number.is_multiple_of(2) && message.is_subscribe_reply();
    let why = json!({"code": "bad_subscription", "message": "m"});
    hit.then(|| refused(message, why)).flatten()
}

/// One client gets no more data, and all else: a subscription that was lost in a hand-over between nodes.
fn data_stops(socket: &mut Socket, message: Message) -> Option<Vec<Step>> {
    let lost = socket.number == 0 && socket.frames >= LATER && message.is_data();
    lost.then(Vec::new)
}

/// One client gets frames and no batches any more: half of an old push that was switched off too early.
fn batches_stop(socket: &mut Socket, message: Message) -> Option<Vec<Step>> {
    let batch = message.event == "sync:update_batch";
    (socket.number == 0 && socket.frames >= LATER && batch).then(Vec::new)
}

/// The channel says nothing any more, and the socket answers its heartbeats: a channel process that hangs.
fn channel_goes_silent(socket: &mut Socket, message: Message) -> Option<Vec<Step>> {
    (socket.frames >= LATER && message.channel == "sync:v1").then(Vec::new)
}

/// The join is answered with another session's subscription: a proxy or a cache that mixes two clients up.
fn another_session(_: &mut Socket, mut message: Message) -> Option<Vec<Step>> {
    message.is_join_reply().then(|| {
        message.payload["response"]["subscription_id"] = "sub_sync_session:of-another".into();
        vec![(&message).into()]
    })
}

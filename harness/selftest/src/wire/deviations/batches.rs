//! Batches that come twice, in another order, in part or not at all.

use crate::wire::deviation::{Deviation, Socket, Step};
use crate::wire::message::Message;
use crate::wire::row::Row;

use super::LATER;

pub const ROWS: &[Row] = &[
    Row::go("batches_twice", Deviation::message(batches_twice)),
    Row::told("frames_first", Deviation::message(frames_first), "frame_before_batch"),
    Row::no_go("batch_lost", Deviation::message(batch_lost), "gap", "seq"),
    Row::no_go("batches_swapped", Deviation::message(batches_swapped), "nonmonotonic", "seq"),
    Row::no_go("frame_missing", Deviation::message(frame_missing), "frame_mismatch", "seq"),
];

/// The stream among the topics of the clients.
const STREAM: &str = "runtime.codex_worker_events";

/// Whether it is a push of the stream, by either of its shapes.
fn of_stream(message: &Message) -> bool {
    let first = &message.payload["updates"][0]["topic"];
    message.is_data() && (message.payload["topic"] == STREAM || *first == STREAM)
}

/// Every batch twice, both pushes: delivery is at least once (contract, section 1, rule 4).
fn batches_twice(socket: &mut Socket, message: Message) -> Option<Vec<Step>> {
    match message.event.as_str() {
        "sync:update_batch" => {
            let step = (&message).into();
            socket.held = Some(message);
            Some(vec![step])
        }
        "sync:frame" => {
            let batch = socket.held.take()?;
            Some(vec![(&message).into(), (&batch).into(), (&message).into()])
        }
        _ => None,
    }
}

/// Each batch's frame before its legacy push, in the same bytes: the contract has them the other way round,
/// and a client takes one of the two.
fn frames_first(socket: &mut Socket, message: Message) -> Option<Vec<Step>> {
    match message.event.as_str() {
        "sync:update_batch" => {
            socket.held = Some(message);
            Some(Vec::new())
        }
        "sync:frame" => {
            let batch = socket.held.take()?;
            Some(vec![(&message).into(), (&batch).into()])
        }
        _ => None,
    }
}

/// One batch of the stream never comes, neither push.
fn batch_lost(socket: &mut Socket, message: Message) -> Option<Vec<Step>> {
    let batch = socket.stage == 0 && socket.frames >= LATER && message.event == "sync:update_batch";
    let lost = of_stream(&message) && (batch || socket.stage == 1);
    socket.stage += u32::from(lost);
    lost.then(Vec::new)
}

/// Two batches of the stream in the wrong order.
fn batches_swapped(socket: &mut Socket, message: Message) -> Option<Vec<Step>> {
    if socket.frames < LATER || !of_stream(&message) {
        return None;
    }
    // 0: the batch is kept, and its frame not sent: a frame without its batch would say more than that
    // the order is wrong. 2: the next batch passes; 3: behind its frame comes what was kept.
    match socket.stage {
        0 if message.event == "sync:update_batch" => {
            (socket.stage, socket.held) = (1, Some(message));
            Some(Vec::new())
        }
        1 => {
            socket.stage = 2;
            let batch = socket.held.take()?;
            socket.pair = Some((batch, message));
            Some(Vec::new())
        }
        2 => {
            socket.stage = 3;
            None
        }
        3 => {
            socket.stage = 4;
            let (batch, frame) = socket.pair.take()?;
            Some(vec![(&message).into(), (&batch).into(), (&frame).into()])
        }
        _ => None,
    }
}

/// One batch's frame is missing.
fn frame_missing(socket: &mut Socket, message: Message) -> Option<Vec<Step>> {
    let missing = socket.stage == 0 && socket.frames >= LATER && message.event == "sync:frame";
    socket.stage += u32::from(missing);
    missing.then(Vec::new)
}

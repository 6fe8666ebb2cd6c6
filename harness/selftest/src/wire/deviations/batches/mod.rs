//! Batches that come twice, in another order, in part or not at all.

use crate::wire::message::Message;

rows![batches_twice, frames_first, batch_lost, batches_swapped, frame_missing,];

/// The stream among the topics of the clients.
const STREAM: &str = "runtime.codex_worker_events";

/// Whether it is a push of the stream, by either of its shapes.
fn of_stream(message: &Message) -> bool {
    let first = &message.payload["updates"][0]["topic"];
    message.is_data() && (message.payload["topic"] == STREAM || *first == STREAM)
}

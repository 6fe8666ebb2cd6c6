//! Batches that come twice, in another order, in part or not at all.

use crate::wire::deviations::batch::{STREAM, topic};
use crate::wire::message::Message;

rows![batches_twice, frames_first, batch_lost, batches_swapped, frame_missing,];

/// Whether it is a push of the stream, by either of its shapes.
fn of_stream(message: &Message) -> bool {
    message.is_data() && topic(message) == STREAM
}

//! Defect `unbounded_queue`: frames that a socket has not taken wait here, however many.
//!
//! To the connection all of them are sent at once, so that no write is ever stuck, nobody is struck
//! and retention has nothing to overrun. Operators still see how far the socket really is.

use std::collections::VecDeque;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::extract::ws::{Message, Utf8Bytes, WebSocket};
use futures_util::SinkExt as _;
use khala_wire::topic::TopicId;

use super::registry::Open;

enum Kept {
    Frame(Utf8Bytes),
    /// What was before it has been taken: the socket's position on a topic.
    Sent(TopicId, u64),
}

/// Frames that wait for one socket.
pub struct Hoard {
    queue: VecDeque<Kept>,
    open: Arc<Open>,
    /// Batches that wait.
    batches: u64,
    /// Whether more waits than a correct runtime would have let wait.
    over: bool,
}

impl Hoard {
    /// Nothing yet.
    pub fn new(open: Arc<Open>) -> Self {
        Self { queue: VecDeque::new(), open, batches: 0, over: false }
    }

    /// Takes frames.
    pub fn keep(&mut self, frames: impl Iterator<Item = Utf8Bytes>) {
        self.queue.extend(frames.map(Kept::Frame));
    }

    /// Takes the position that a batch reaches; says whether this is the first time that more
    /// batches wait than events may.
    pub fn keep_position(&mut self, topic: TopicId, sent: u64, queue_limit: u64) -> bool {
        self.queue.push_back(Kept::Sent(topic, sent));
        self.batches += 1;
        let over = self.batches > queue_limit;
        let first = over && !self.over;
        self.over |= over;
        first
    }

    /// Gives the socket what it takes. Ready only when the socket has failed.
    pub fn poll_give(
        &mut self,
        ws: &mut WebSocket,
        context: &mut Context<'_>,
    ) -> Poll<axum::Error> {
        while let Some(kept) = self.queue.front() {
            if let Kept::Sent(topic, sent) = *kept {
                self.open.set_sent(topic, Some(sent));
                self.queue.pop_front();
                self.batches -= 1;
                continue;
            }
            match ws.poll_ready_unpin(context) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Err(error)) => return Poll::Ready(error),
                Poll::Ready(Ok(())) => {}
            }
            if let Some(Kept::Frame(frame)) = self.queue.pop_front()
                && let Err(error) = ws.start_send_unpin(Message::Text(frame))
            {
                return Poll::Ready(error);
            }
        }
        match ws.poll_flush_unpin(context) {
            Poll::Ready(Err(error)) => Poll::Ready(error),
            _ => Poll::Pending,
        }
    }
}

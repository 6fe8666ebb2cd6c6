//! How fast a client reads: at full speed, at a rate, not at all; or not even the truth (dead).
//!
//! Sits between the TCP stream and the WebSocket, so that what is not read stays in the kernel and
//! the peer feels it. Small receive buffers make it felt soon.

use std::cell::{Cell, RefCell};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use tokio::time::Sleep;

use crate::clock;

/// Reads per second at a rate: each reads this share of it.
const READS_PER_S: u32 = 10;

/// How a socket is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pace {
    /// As fast as it comes.
    Full,
    /// This many bytes a second.
    Rate(u32),
    /// Nothing is read.
    Paused,
    /// Nothing is read, and what is written goes nowhere: half-open, for both sides.
    Dead,
}

/// The pace of one socket, set by its driver and asked by its stream.
#[derive(Debug)]
pub struct Throttle {
    pace: Cell<Pace>,
    waiting: RefCell<Option<Waker>>,
}

impl Default for Throttle {
    fn default() -> Self {
        Self { pace: Cell::new(Pace::Full), waiting: RefCell::new(None) }
    }
}

impl Throttle {
    /// The pace in force.
    #[must_use]
    pub fn pace(&self) -> Pace {
        self.pace.get()
    }

    /// Changes the pace; a read that waits is looked at again.
    pub fn set(&self, pace: Pace) {
        self.pace.set(pace);
        if let Some(waker) = self.waiting.borrow_mut().take() {
            waker.wake();
        }
    }

    /// Waits for the next change of pace.
    pub fn park(&self, cx: &Context<'_>) {
        *self.waiting.borrow_mut() = Some(cx.waker().clone());
    }
}

/// When a read at a rate is due, and how much it may read.
#[derive(Debug, Default)]
pub struct Allowance {
    next: Option<std::pin::Pin<Box<Sleep>>>,
}

impl Allowance {
    /// Bytes that may be read now at `rate` bytes a second.
    pub fn poll(&mut self, rate: u32, cx: &mut Context<'_>) -> Poll<usize> {
        if let Some(sleep) = &mut self.next {
            std::task::ready!(sleep.as_mut().poll(cx));
            self.next = None;
        }
        Poll::Ready((rate / READS_PER_S).max(1) as usize)
    }

    /// So many bytes were read: the next read waits as long as they are worth.
    pub fn spend(&mut self, bytes: usize, rate: u32) {
        let worth = Duration::from_secs_f64(bytes as f64 / f64::from(rate.max(1)));
        self.next = Some(Box::pin(tokio::time::sleep_until(clock::now() + worth)));
    }
}

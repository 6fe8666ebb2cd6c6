//! How often something may be done: so many times in any second, wherever the second begins.
//!
//! A bucket that fills up again lets nearly twice as many through in its first second; what an allow file grants is
//! held to the letter.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::clock;

/// The second that is looked back over.
const WINDOW: Duration = Duration::from_secs(1);

/// One allowance, shared by all who ask.
#[derive(Debug)]
pub struct Rate {
    most: usize,
    /// When it was done, for a second: as many as may be, at the most.
    done: Mutex<VecDeque<Instant>>,
    /// Who waits, one after the other.
    queue: tokio::sync::Mutex<()>,
}

impl Rate {
    /// So many times in a second.
    #[must_use]
    pub fn new(most: u32) -> Self {
        let most = usize::try_from(most).unwrap_or(usize::MAX);
        Self { most, done: Mutex::default(), queue: tokio::sync::Mutex::new(()) }
    }

    /// Takes one, if there is one now.
    pub fn take(&self) -> bool {
        let now = clock::now();
        let mut done = self.done.lock().unwrap_or_else(PoisonError::into_inner);
        while done.front().is_some_and(|&first| now.duration_since(first) >= WINDOW) {
            done.pop_front();
        }
        let one = done.len() < self.most;
        if one {
            done.push_back(now);
        }
        one
    }

    /// Takes one as soon as there is one, behind all who waited before. Where there is never one, it does not wait.
    pub async fn take_in_turn(&self) -> bool {
        let _first = self.queue.lock().await;
        while !self.take() {
            let Some(free) = self.free_at() else { return false };
            tokio::time::sleep_until(free).await;
        }
        true
    }

    /// When there will be one, of an allowance that is used up; `None` where there is never one.
    fn free_at(&self) -> Option<Instant> {
        let done = self.done.lock().unwrap_or_else(PoisonError::into_inner);
        Some(*done.front()? + WINDOW)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn no_second_has_more_wherever_it_begins() {
        let rate = Rate::new(20);
        let mut done = Vec::new();
        for _ in 0..400 {
            if rate.take() {
                done.push(clock::now());
            }
            tokio::time::advance(Duration::from_millis(10)).await;
        }
        assert_eq!(done.len(), 80, "4 s, as many as may be");
        for (at, first) in done.iter().enumerate() {
            let within = done[at..].iter().filter(|it| **it - *first < WINDOW).count();
            assert!(within <= 20, "{within} from {at}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn who_waits_is_let_in_as_soon_as_may_be() {
        let (rate, began) = (Rate::new(3), clock::now());
        for _ in 0..7 {
            assert!(rate.take_in_turn().await);
        }
        assert_eq!((clock::now() - began).as_secs(), 2);
        assert!(!Rate::new(0).take_in_turn().await);
    }
}

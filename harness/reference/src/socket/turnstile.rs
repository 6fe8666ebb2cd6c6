//! Two ways to make connections wait for one another that a runtime must not have.

use std::time::Duration;

use tokio::sync::{Mutex, MutexGuard};
use tokio::time::{Instant, sleep_until};

use crate::clock;
use crate::defect::{Defects, Kind};
use crate::shared::Shared;

/// A wait that counts: shorter ones are those of connections that keep up.
const STALL: Duration = Duration::from_millis(50);

/// Defect `slow_stalls_neighbours`: whoever writes a batch has it for as long as that takes.
#[derive(Default)]
pub struct Turnstile(Mutex<()>);

impl Turnstile {
    /// Waits for everybody who came before.
    pub async fn pass(&self, defects: &Defects) -> MutexGuard<'_, ()> {
        let came = clock::now();
        let turn = self.0.lock().await;
        if clock::now() - came >= STALL {
            defects.note(Kind::SlowStallsNeighbours);
        }
        turn
    }
}

/// Defect `slow_accepts`: upgrades go through one by one, with a time between them.
#[derive(Default)]
pub struct Door {
    last: Mutex<Option<Instant>>,
}

impl Door {
    /// Goes through the door. Whoever gives up leaves the queue, for the wait ends with its future.
    pub async fn pass(&self, shared: &Shared) {
        if !shared.defects.acts_every(Kind::SlowAccepts) {
            return;
        }
        let mut last = self.last.lock().await;
        let next = last.map(|last| last + shared.config.defect_times.accept_every);
        // A stop does not wait for a queue of upgrades.
        if let Some(next) = next.filter(|next| *next > clock::now() && !shared.stopping()) {
            shared.defects.note(Kind::SlowAccepts);
            sleep_until(next).await;
        }
        *last = Some(clock::now());
    }
}

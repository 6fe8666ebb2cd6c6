//! Two ways to make connections wait for one another that a runtime must not have.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::{Mutex, MutexGuard};
use tokio::time::{Instant, sleep};

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
        let came = Instant::now();
        let turn = self.0.lock().await;
        if came.elapsed() >= STALL {
            defects.note(Kind::SlowStallsNeighbours);
        }
        turn
    }
}

/// Defect `slow_accepts`: upgrades go through one by one, and those that had to wait slowly.
#[derive(Default)]
pub struct Door {
    waiting: AtomicUsize,
    turn: Mutex<()>,
}

/// One who waits at the door, until dropped: a client may give up while it waits.
struct Waiting<'a>(&'a AtomicUsize);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Door {
    /// Goes through the door.
    pub async fn pass(&self, shared: &Shared) {
        if !shared.defects.armed(Kind::SlowAccepts) {
            return;
        }
        let others = self.waiting.fetch_add(1, Ordering::Relaxed);
        let _waiting = Waiting(&self.waiting);
        let _turn = self.turn.lock().await;
        // A stop does not wait for a queue of upgrades.
        if others > 0 && !shared.stopping() && shared.defects.acts_every(Kind::SlowAccepts) {
            shared.defects.note(Kind::SlowAccepts);
            sleep(shared.config.defect_times.accept_every).await;
        }
    }
}

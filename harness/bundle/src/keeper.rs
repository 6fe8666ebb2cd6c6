//! Writes what a run's observer is told, `events.ndjson` and the snapshots under `metrics/`, on a thread
//! of its own: a disk that is slow or stuck holds up no run.
//!
//! The way to the thread is bounded and nobody waits on it: what does not fit is dropped and counted.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;

use rustix::io::Errno;

use crate::names::{EVENTS, METRICS};
use crate::{Error, clock, files};

/// Lines and snapshots on their way to the thread.
const QUEUE: usize = 1_024;
/// How long what is on its way may take to be written at the end.
const WRITTEN_WITHIN: Duration = Duration::from_secs(30);
/// Between two looks whether the thread has ended.
const STEP: Duration = Duration::from_millis(5);

enum Item {
    Event(Vec<u8>),
    Snapshot { name: String, json: Vec<u8> },
}

/// What the thread leaves.
#[derive(Debug, Default)]
pub struct Kept {
    /// Snapshots that could not be kept because the process had no descriptor left.
    pub unkept: u64,
    /// The first failure of another kind, and of which file.
    failed: Option<(PathBuf, io::Error)>,
}

/// The way to the thread, and what it had no room for.
pub struct Keeper {
    sender: SyncSender<Item>,
    thread: JoinHandle<Kept>,
    /// Lines that had no room.
    pub events_dropped: u64,
    /// Snapshots that had no room.
    pub snapshots_dropped: u64,
}

impl Keeper {
    /// Keeps events in `events`, and snapshots in the folder `metrics` of the bundle `dir`.
    ///
    /// # Errors
    /// When the thread cannot be started.
    pub fn begin(dir: &Path, events: impl Write + Send + 'static) -> Result<Self, Error> {
        let (sender, receiver) = sync_channel(QUEUE);
        let dir = dir.to_owned();
        let thread = std::thread::Builder::new()
            .name("khala-keeper".to_owned())
            .spawn(move || keep(&dir, events, &receiver))
            .map_err(Error::NoThread)?;
        Ok(Self { sender, thread, events_dropped: 0, snapshots_dropped: 0 })
    }

    /// Keeps a line, which ends with its line break.
    pub fn event(&mut self, line: Vec<u8>) {
        self.events_dropped += u64::from(self.sender.try_send(Item::Event(line)).is_err());
    }

    /// Keeps a snapshot.
    pub fn snapshot(&mut self, name: String, json: Vec<u8>) {
        let snapshot = Item::Snapshot { name, json };
        self.snapshots_dropped += u64::from(self.sender.try_send(snapshot).is_err());
    }

    /// Waits until all is written.
    ///
    /// # Errors
    /// The first failure, or that it takes too long.
    pub fn finish(self) -> Result<Kept, Error> {
        let Self { sender, thread, .. } = self;
        drop(sender);
        let until = clock::now() + WRITTEN_WITHIN;
        while !thread.is_finished() {
            if clock::now() >= until {
                return Err(Error::Slow { seconds: WRITTEN_WITHIN.as_secs() });
            }
            std::thread::sleep(STEP);
        }
        let mut kept = thread.join().map_err(|_| Error::Bug("keeper"))?;
        match kept.failed.take() {
            Some((path, error)) => Err(Error::write(&path)(error)),
            None => Ok(kept),
        }
    }
}

fn keep(dir: &Path, mut events: impl Write, items: &Receiver<Item>) -> Kept {
    let mut kept = Kept::default();
    while let Ok(item) = items.recv() {
        let (path, written) = match item {
            Item::Event(line) => {
                (dir.join(EVENTS), events.write_all(&line).and_then(|()| events.flush()))
            }
            Item::Snapshot { name, json } => {
                let path = dir.join(METRICS).join(name);
                let written = files::put(&path, &json);
                (path, written)
            }
        };
        match written {
            Ok(()) => {}
            // A generator that has run out of descriptors is no reason to lose all other evidence.
            Err(error) if no_descriptor(&error) => kept.unkept += 1,
            Err(error) => drop(kept.failed.get_or_insert((path, error))),
        }
    }
    kept
}

/// Whether the process, or the machine, has no descriptor left.
fn no_descriptor(error: &io::Error) -> bool {
    matches!(Errno::from_io_error(error), Some(Errno::MFILE | Errno::NFILE))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A disk that takes nothing until it is let.
    struct Stuck(Receiver<()>, SyncSender<Vec<u8>>);

    impl Write for Stuck {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            // Once nobody holds it back any more it takes everything.
            let _ = self.0.recv();
            let _ = self.1.send(bytes.to_vec());
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn nobody_waits_for_a_stuck_disk_and_what_had_no_room_is_counted() {
        let count = 3 * QUEUE;
        let ((release, held), (sender, written)) = (sync_channel(1), sync_channel(count));
        let mut keeper = Keeper::begin(Path::new("nowhere"), Stuck(held, sender)).expect("starts");
        // Would never come back from the second line if it waited.
        (0..count).for_each(|n| keeper.event(format!("{n}\n").into_bytes()));
        let dropped = usize::try_from(keeper.events_dropped).expect("few");
        // The thread may or may not have taken one out of the queue by now.
        assert!([count - QUEUE, count - QUEUE - 1].contains(&dropped), "{dropped}");
        drop(release);
        keeper.finish().expect("all is written");
        assert_eq!(written.iter().count(), count - dropped);
    }

    #[test]
    fn only_a_want_of_descriptors_costs_no_evidence() {
        let of = |errno: Errno| no_descriptor(&io::Error::from(errno));
        assert!(of(Errno::MFILE) && of(Errno::NFILE));
        assert!(!of(Errno::NOSPC) && !of(Errno::IO));
    }

    #[test]
    fn a_snapshot_that_cannot_be_written_is_said_at_the_end() {
        let mut keeper = Keeper::begin(Path::new("/nowhere"), io::sink()).expect("starts");
        keeper.snapshot("before.json".to_owned(), b"{}".to_vec());
        let error = keeper.finish().expect_err("there is no such folder");
        assert!(error.to_string().contains("cannot write /nowhere/metrics/before.json"));
    }
}

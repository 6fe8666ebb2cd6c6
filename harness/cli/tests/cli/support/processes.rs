//! Children of a process, found in `/proc`, and whether they are gone.

use std::time::{Duration, Instant};

use procfs::process::{Process, all_processes};
use rustix::process::{Pid, Signal, kill_process};

use super::PATIENCE;

/// A process, known by more than its number, which the system gives out again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Found {
    pub pid: i32,
    started: u64,
}

impl Found {
    /// Whether it still runs. One that nobody has waited for yet does not.
    pub fn runs(self) -> bool {
        let stat = Process::new(self.pid).and_then(|process| process.stat());
        stat.is_ok_and(|stat| stat.starttime == self.started && !matches!(stat.state, 'Z' | 'X'))
    }

    /// Sends it a signal, if it is there.
    pub fn signal(self, signal: Signal) {
        if let Some(pid) = Pid::from_raw(self.pid).filter(|_| self.runs()) {
            // It may have ended by now.
            let _ = kill_process(pid, signal);
        }
    }

    /// Its command line, for messages and for what must not stand in it.
    pub fn command_line(self) -> Vec<String> {
        Process::new(self.pid).and_then(|process| process.cmdline()).unwrap_or_default()
    }

    /// A variable of its environment.
    pub fn variable(self, name: &str) -> Option<String> {
        let environment = Process::new(self.pid).and_then(|process| process.environ()).ok()?;
        environment.get(std::ffi::OsStr::new(name))?.clone().into_string().ok()
    }
}

/// The children of a process that are reference runtimes.
pub fn references_of(parent: u32) -> Vec<Found> {
    children_of(parent, "reference")
}

/// The children of a process with a word among their arguments.
pub fn children_of(parent: u32, word: &str) -> Vec<Found> {
    let parent = i32::try_from(parent).expect("a process id");
    let processes = all_processes().expect("/proc can be read").flatten();
    let stats = processes.filter_map(|process| {
        let stat = process.stat().ok()?;
        let is_it = process.cmdline().ok()?.iter().any(|argument| argument == word);
        (stat.ppid == parent && is_it).then_some(Found { pid: stat.pid, started: stat.starttime })
    });
    stats.collect()
}

/// The one reference runtime that a run has started.
pub fn reference_of(parent: u32) -> Found {
    let children = references_of(parent);
    assert_eq!(children.len(), 1, "a run starts one reference runtime: {children:?}");
    children[0]
}

/// Waits until a process is gone. One that stays is killed, so that a failed test leaves nothing.
#[track_caller]
pub fn is_gone_soon(process: Found) {
    let until = Instant::now() + PATIENCE;
    while process.runs() {
        if Instant::now() > until {
            process.signal(Signal::KILL);
            panic!("{:?} is left", process.command_line());
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

//! The generator looks at itself: CPU, waiting for a core, descriptors, memory, read backlog.

use std::collections::BTreeMap;
use std::sync::Arc;

use khala_evidence::record::{Micros, Record};
use procfs::process::{Process, Task};

use crate::clock::Clock;
use crate::publisher;
use crate::transport::Backlog;
use crate::worker::THREAD_PREFIX;

/// Samples this process, once a second is enough.
#[derive(Debug)]
pub struct Probe {
    clock: Clock,
    last: Option<Sample>,
    backlog: Arc<Backlog>,
    unprobed: Vec<String>,
}

#[derive(Debug)]
struct Sample {
    at: Micros,
    threads: BTreeMap<i32, Times>,
    cpu_us: u64,
}

/// A thread's times since it began, in microseconds.
#[derive(Clone, Copy, Debug, Default)]
struct Times {
    running: u64,
    waiting: u64,
}

impl Probe {
    /// A probe that also shows what the sockets' reads left waiting.
    #[must_use]
    pub fn new(clock: Clock, backlog: Arc<Backlog>) -> Self {
        Self { clock, last: None, backlog, unprobed: Vec::new() }
    }

    /// Takes a sample: what is to be recorded of the time since the one before. Reads `/proc`, which
    /// takes its time where many descriptors are open.
    pub fn look(&mut self) -> Option<Record> {
        self.try_look().unwrap_or_else(|error| {
            let message = error.to_string();
            if !self.unprobed.contains(&message) {
                self.unprobed.push(message);
            }
            None
        })
    }

    /// What could not be read.
    #[must_use]
    pub fn unprobed(&self) -> Vec<String> {
        self.unprobed.clone()
    }

    fn try_look(&mut self) -> procfs::ProcResult<Option<Record>> {
        let me = Process::myself()?;
        let stat = me.stat()?;
        let mut threads = BTreeMap::new();
        for task in me.tasks()?.flatten() {
            // One that ended meanwhile has nothing to say.
            if let Ok(times) = times(&task) {
                threads.insert(task.tid, times);
            }
        }
        let at = self.clock.now();
        let ticks = (stat.utime + stat.stime) * 1_000_000 / procfs::ticks_per_second();
        let now = Sample { at, threads, cpu_us: ticks };
        if let Some(last) = self.last.replace(now)
            && let Some(now) = &self.last
        {
            let most = |time: fn(&Times) -> u64| {
                let spent = now.threads.iter().map(|(tid, times)| {
                    let before = last.threads.get(tid).copied().unwrap_or(*times);
                    time(times).saturating_sub(time(&before))
                });
                spent.max().unwrap_or(0)
            };
            return Ok(Some(Record::Probe(khala_evidence::record::Probe {
                at,
                wall_us: at.saturating_sub(last.at),
                cpu_us: now.cpu_us.saturating_sub(last.cpu_us),
                hottest_us: most(|times| times.running),
                waited_us: most(|times| times.waiting),
                descriptors: me.fd_count()? as u64,
                memory_kib: me.status()?.vmrss.unwrap_or_default(),
                backlog_bytes: self.backlog.take(),
            })));
        }
        Ok(None)
    }
}

/// The times of a thread that does the generator's work; other threads' are zero.
fn times(task: &Task) -> procfs::ProcResult<Times> {
    let name = task.stat()?.comm;
    if !name.starts_with(THREAD_PREFIX) && name != publisher::THREAD_NAME {
        return Ok(Times::default());
    }
    let stat = task.schedstat()?;
    Ok(Times { running: stat.sum_exec_runtime / 1_000, waiting: stat.run_delay / 1_000 })
}

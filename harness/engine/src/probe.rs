//! The generator looks at itself: CPU, busiest thread, descriptors, memory.

use std::collections::BTreeMap;
use std::time::Instant;

use khala_evidence::facts::Generator;
use procfs::process::Process;

use crate::worker::THREAD_PREFIX;

/// Samples this process, once a second is enough.
#[derive(Debug)]
pub struct Probe {
    last: Option<Sample>,
    facts: Generator,
    cpu_ticks: u64,
    wall_s: f64,
}

#[derive(Debug)]
struct Sample {
    at: Instant,
    process_ticks: u64,
    thread_ticks: BTreeMap<i32, u64>,
}

impl Probe {
    /// A probe of a generator with so many threads and descriptors.
    #[must_use]
    pub fn new(worker_threads: u32, descriptors_limit: u64) -> Self {
        let facts = Generator { worker_threads, descriptors_limit, ..Generator::default() };
        Self { last: None, facts, cpu_ticks: 0, wall_s: 0.0 }
    }

    /// Takes a sample.
    pub fn sample(&mut self) {
        if let Err(error) = self.try_sample() {
            let message = error.to_string();
            if !self.facts.unprobed.contains(&message) {
                self.facts.unprobed.push(message);
            }
        }
    }

    fn try_sample(&mut self) -> procfs::ProcResult<()> {
        let me = Process::myself()?;
        let stat = me.stat()?;
        let mut thread_ticks = BTreeMap::new();
        for task in me.tasks()?.flatten() {
            if let Ok(stat) = task.stat()
                && stat.comm.starts_with(THREAD_PREFIX)
            {
                thread_ticks.insert(task.tid, stat.utime + stat.stime);
            }
        }
        let now =
            Sample { at: Instant::now(), process_ticks: stat.utime + stat.stime, thread_ticks };
        if let Some(last) = &self.last {
            self.enter(last.at.elapsed().as_secs_f64(), last.process_ticks, &now);
        }
        self.facts.descriptors_peak = self.facts.descriptors_peak.max(me.fd_count()? as u64);
        let peak_kib = me.status()?.vmhwm.unwrap_or_default();
        self.facts.memory_peak_mib = self.facts.memory_peak_mib.max(peak_kib / 1024);
        self.last = Some(now);
        Ok(())
    }

    #[expect(clippy::cast_precision_loss, reason = "clock ticks of one run")]
    fn enter(&mut self, wall_s: f64, process_ticks: u64, now: &Sample) {
        let per_second = procfs::ticks_per_second() as f64;
        self.cpu_ticks += now.process_ticks.saturating_sub(process_ticks);
        self.wall_s += wall_s;
        if wall_s <= 0.0 {
            return;
        }
        self.facts.cpu_cores = self.cpu_ticks as f64 / per_second / self.wall_s;
        let last = self.last.as_ref();
        for (tid, ticks) in &now.thread_ticks {
            let before =
                last.and_then(|last| last.thread_ticks.get(tid)).copied().unwrap_or(*ticks);
            let share = ticks.saturating_sub(before) as f64 / per_second / wall_s;
            self.facts.hottest_thread = self.facts.hottest_thread.max(share);
        }
    }

    /// What was found.
    #[must_use]
    pub fn facts(&self) -> Generator {
        self.facts.clone()
    }
}

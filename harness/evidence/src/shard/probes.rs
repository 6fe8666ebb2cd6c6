//! The generator's look at itself, by second: CPU, waiting for a core, memory, descriptors, lag.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use serde::{Deserialize, Serialize};

use crate::pairs;
use crate::record::{Micros, Probe, second_of};

/// What was seen of the generator in one second. Times are sums, the rest are maxima.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProbeSecond {
    /// Time that the looks span, in microseconds.
    pub wall_us: u64,
    /// CPU time of the process in it.
    pub cpu_us: u64,
    /// CPU time of its busiest thread.
    pub hottest_us: u64,
    /// Time that the thread which waited most wanted a core and had none.
    pub waited_us: u64,
    /// Descriptors open.
    pub descriptors: u64,
    /// Resident set, in KiB.
    pub memory_kib: u64,
    /// Most bytes that waited in the kernel after a read by a client that is to keep up.
    pub backlog_bytes: u64,
    /// Lateness of the latest timer of any thread.
    pub lag_max_us: u64,
    /// The longest that a message, once read, waited for its client.
    #[serde(default)]
    pub queue_max_us: u64,
}

/// The generator by second.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Probes {
    #[serde(with = "pairs")]
    seconds: BTreeMap<u32, ProbeSecond>,
}

impl Probes {
    /// Enters a look.
    pub fn add(&mut self, probe: &Probe) {
        let second = ProbeSecond {
            wall_us: probe.wall_us,
            cpu_us: probe.cpu_us,
            hottest_us: probe.hottest_us,
            // The kernel books a wait when it ends, whenever it began.
            waited_us: probe.waited_us.min(probe.wall_us),
            descriptors: probe.descriptors,
            memory_kib: probe.memory_kib,
            backlog_bytes: probe.backlog_bytes,
            lag_max_us: 0,
            queue_max_us: 0,
        };
        self.seconds.entry(second_of(probe.at)).or_default().merge(&second);
    }

    /// Enters how late a timer was.
    pub fn lag(&mut self, at: Micros, lag_us: Micros) {
        let second = self.seconds.entry(second_of(at)).or_default();
        second.lag_max_us = second.lag_max_us.max(lag_us);
    }

    /// Enters how long a message waited for its client.
    pub fn queue(&mut self, at: Micros, waited_us: Micros) {
        let second = self.seconds.entry(second_of(at)).or_default();
        second.queue_max_us = second.queue_max_us.max(waited_us);
    }

    /// Adds another shard's.
    pub fn merge(&mut self, other: &Self) {
        for (&second, theirs) in &other.seconds {
            self.seconds.entry(second).or_default().merge(theirs);
        }
    }

    /// One second; zeros where nothing was seen.
    #[must_use]
    pub fn at(&self, second: u32) -> ProbeSecond {
        self.seconds.get(&second).copied().unwrap_or_default()
    }

    /// All that was seen in the seconds for which `within` holds.
    #[must_use]
    pub fn over(&self, within: impl Fn(u32) -> bool) -> ProbeSecond {
        let mut all = ProbeSecond::default();
        let seconds = self.seconds.iter().filter(|(second, _)| within(**second));
        seconds.for_each(|(_, second)| all.merge(second));
        all
    }

    /// The same, from one second to another, both included; the other seconds are not looked at.
    #[must_use]
    pub fn between(&self, seconds: RangeInclusive<u32>) -> ProbeSecond {
        let mut all = ProbeSecond::default();
        self.seconds.range(seconds).for_each(|(_, second)| all.merge(second));
        all
    }

    /// The longest that a message waited for its client, as nine in ten of these seconds had it.
    #[must_use]
    pub fn usual_queue_us(&self, within: impl Fn(u32) -> bool) -> u64 {
        let seconds = self.seconds.iter().filter(|(second, _)| within(**second));
        let mut waits: Vec<_> = seconds.map(|(_, second)| second.queue_max_us).collect();
        waits.sort_unstable();
        let ninth = (waits.len() * 9).div_ceil(10).saturating_sub(1);
        waits.get(ninth).copied().unwrap_or(0)
    }

    /// The busiest thread's share of a core in its busiest second.
    #[must_use]
    pub fn hottest_share(&self) -> f64 {
        self.seconds.values().map(|second| second.share(second.hottest_us)).fold(0.0, f64::max)
    }
}

impl ProbeSecond {
    fn merge(&mut self, other: &Self) {
        self.wall_us += other.wall_us;
        self.cpu_us += other.cpu_us;
        self.hottest_us += other.hottest_us;
        self.waited_us += other.waited_us;
        self.descriptors = self.descriptors.max(other.descriptors);
        self.memory_kib = self.memory_kib.max(other.memory_kib);
        self.backlog_bytes = self.backlog_bytes.max(other.backlog_bytes);
        self.lag_max_us = self.lag_max_us.max(other.lag_max_us);
        self.queue_max_us = self.queue_max_us.max(other.queue_max_us);
    }

    /// A time as a share of the time that was looked at; 0 when none was.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "microseconds of one run")]
    pub fn share(&self, time_us: u64) -> f64 {
        if self.wall_us == 0 { 0.0 } else { time_us as f64 / self.wall_us as f64 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_of_the_time_looked_at_and_levels_are_maxima() {
        let mut probes = Probes::default();
        for (at, waited_us, memory_kib) in [(500_000, 100_000, 9), (1_500_000, 300_000, 7)] {
            let wall_us = 1_000_000;
            probes.add(&Probe { at, wall_us, waited_us, memory_kib, ..Probe::default() });
        }
        let all = probes.over(|_| true);
        assert!((all.share(all.waited_us) - 0.2).abs() < 1e-9);
        assert_eq!(all.memory_kib, 9);
        assert_eq!(probes.over(|second| second == 1).memory_kib, 7);
        assert_eq!(
            [probes.between(1..=5), probes.between(0..=1)].map(|it| it.waited_us),
            [300_000, 400_000]
        );
        assert!(Probes::default().over(|_| true).share(0).abs() < 1e-9);
    }

    #[test]
    fn the_usual_queue_leaves_out_one_second_in_ten() {
        let mut probes = Probes::default();
        for second in 0..10 {
            probes.queue(second * 1_000_000, 5);
            probes.queue(second * 1_000_000 + 1, 10 + second);
        }
        probes.queue(3_000_000, 70_000);
        assert_eq!(probes.usual_queue_us(|_| true), 19);
        assert_eq!(probes.usual_queue_us(|second| second == 3), 70_000);
        assert_eq!(probes.over(|_| true).queue_max_us, 70_000);
        assert_eq!(Probes::default().usual_queue_us(|_| true), 0);
    }
}

//! Whether a thread of the generator stood still.
//!
//! Every thread ticks ([`TICK`]). Whoever records something looks first: when the last tick is too
//! long ago, the thread was stalled until now, whichever of its tasks happens to run first.

use std::cell::Cell;
use std::time::Duration;

use khala_evidence::record::{Micros, Record, Sink};

use crate::clock::{Clock, micros};

/// How often a thread shows that it is alive, and measures how late its timers are.
pub const TICK: Duration = Duration::from_millis(20);
/// A thread that does nothing for this long, its ticks included, stood still. Five ticks: what a busy
/// machine does to a healthy thread stays below, what hurts a latency of half a second does not.
const STALL_MIN: Duration = Duration::from_millis(100);

/// One thread's watch over itself.
#[derive(Debug)]
pub struct Watch {
    thread: u16,
    clock: Clock,
    alive_at: Cell<Micros>,
    stalled_us: Cell<Micros>,
    /// When the message was read that waited longest for its client in the second of it, and how long.
    longest: Cell<Option<(Micros, Micros)>>,
}

impl Watch {
    /// A watch over thread number `thread`, alive as of now.
    #[must_use]
    pub fn new(thread: u16, clock: Clock) -> Self {
        Self {
            thread,
            clock,
            alive_at: Cell::new(clock.now()),
            stalled_us: Cell::new(0),
            longest: Cell::new(None),
        }
    }

    /// Records a stall that has ended now, if there was one. To be called before anything is recorded
    /// that may have been under way in it.
    pub fn look(&self, sink: &mut impl Sink) {
        let to = self.clock.now();
        // Whoever looks is alive.
        let from = self.alive_at.replace(to);
        if to.saturating_sub(from) > micros(STALL_MIN) {
            self.stalled_us.set(self.stalled_us.get() + (to - from));
            sink.record(Record::Stall { thread: self.thread, from, to });
        }
    }

    /// How long it has stood still in all, as far as was looked.
    #[must_use]
    pub fn stalled_us(&self) -> Micros {
        self.stalled_us.get()
    }

    /// A client took up a message that was read at `read_at`. The longest wait of each second is recorded
    /// when that is over.
    pub fn took(&self, read_at: Micros, now: Micros, sink: &mut impl Sink) {
        self.tell_queue(read_at, sink);
        let waited = now.saturating_sub(read_at);
        if self.longest.get().is_none_or(|(_, longest)| waited > longest) {
            self.longest.set(Some((read_at, waited)));
        }
    }

    /// Records the longest wait, unless its second goes on.
    fn tell_queue(&self, now: Micros, sink: &mut impl Sink) {
        let Some((at, waited_us)) = self.longest.get() else { return };
        if now / 1_000_000 > at / 1_000_000 {
            self.longest.set(None);
            sink.record(Record::OwnQueue { thread: self.thread, at, waited_us });
        }
    }

    /// Ticks for ever, and records how late each tick was. `record` lends the sink.
    pub async fn tick<S: Sink>(&self, record: impl Fn(&mut dyn FnMut(&mut S))) {
        let every = micros(TICK);
        let mut due = self.clock.now() + every;
        loop {
            tokio::time::sleep_until(self.clock.instant(due)).await;
            record(&mut |sink: &mut S| {
                self.look(sink);
                let now = self.clock.now();
                self.tell_queue(now, sink);
                // Every tick that a stall swallowed would have been late too: enter them, as the
                // corrected latency of any other operation.
                loop {
                    let lag_us = now.saturating_sub(due);
                    sink.record(Record::SchedulerLag { thread: self.thread, at: due, lag_us });
                    due += every;
                    if due >= now {
                        break;
                    }
                }
            });
        }
    }

    /// Records how late something of the plan was begun.
    pub fn late(&self, intended: Micros, start: Micros, sink: &mut impl Sink) {
        let lag_us = start.saturating_sub(intended);
        sink.record(Record::SchedulerLag { thread: self.thread, at: intended, lag_us });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_that_did_nothing_stood_still_and_one_that_ticked_did_not() {
        let clock = Clock::starting_in(Duration::ZERO);
        let watch = Watch::new(3, clock);
        let mut records: Vec<Record> = Vec::new();
        watch.look(&mut records);
        assert_eq!(records, []);
        std::thread::sleep(STALL_MIN + TICK);
        watch.look(&mut records);
        let [Record::Stall { thread: 3, from, to }] = records[..] else { panic!("{records:?}") };
        assert!(to - from > micros(STALL_MIN));
        watch.look(&mut records);
        assert_eq!(records.len(), 1, "a stall is told once");
    }

    #[test]
    fn of_what_waits_for_clients_the_longest_of_each_second_is_told_when_it_is_over() {
        let watch = Watch::new(3, Clock::starting_in(Duration::ZERO));
        let mut records: Vec<Record> = Vec::new();
        watch.took(1_200_000, 1_200_300, &mut records);
        watch.took(1_300_000, 1_309_000, &mut records);
        watch.took(1_999_999, 2_000_500, &mut records);
        assert_eq!(records, []);
        watch.took(2_000_000, 2_000_001, &mut records);
        let told = |at, waited_us| Record::OwnQueue { thread: 3, at, waited_us };
        assert_eq!(records, [told(1_300_000, 9_000)]);
        watch.took(7_000_000, 7_000_000, &mut records);
        assert_eq!(records[1..], [told(2_000_000, 1)]);
    }

    #[tokio::test]
    async fn ticks_that_a_stall_swallowed_are_entered_as_late_ones() {
        let clock = Clock::starting_in(Duration::ZERO);
        let watch = Watch::new(3, clock);
        let sink = std::cell::RefCell::new(Vec::new());
        let ticking = watch.tick(|act: &mut dyn FnMut(&mut Vec<Record>)| {
            act(&mut sink.borrow_mut());
        });
        let stalling = async {
            tokio::time::sleep(TICK).await;
            std::thread::sleep(STALL_MIN * 2);
            tokio::time::sleep(TICK * 2).await;
        };
        tokio::select! { () = ticking => {}, () = stalling => {} }
        let lags: Vec<_> = sink
            .borrow()
            .iter()
            .filter_map(|record| match record {
                Record::SchedulerLag { thread: 3, lag_us, .. } => Some(*lag_us),
                _ => None,
            })
            .collect();
        let late = lags.iter().filter(|&&lag| lag > micros(STALL_MIN) / 2).count();
        assert!(late >= 5, "{lags:?}");
        assert!(sink.borrow().iter().any(|record| matches!(record, Record::Stall { .. })));
    }
}

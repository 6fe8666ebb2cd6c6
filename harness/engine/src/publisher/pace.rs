//! When each command is begun, and what kept it from being begun when it was due.
//!
//! A command that is begun late was kept by the generator (a timer that fired late, a stall, the cap by
//! which it catches up) or by the target, which had left as many commands unanswered as may be under
//! way. Only the first is the generator's lag. What catches up after the target let go is late by the
//! target's doing too.

use std::cell::RefCell;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use governor::{Quota, RateLimiter};
use khala_evidence::record::{Micros, Outcome, PublishId, Published, Record, Request, Sink};
use khala_plan::schedule::PlannedPublish;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::JoinSet;

use crate::answer::Answer;
use crate::clock::Clock;
use crate::stall::Watch;
use crate::worker::Stage;

/// The cap by which commands are begun, on the run's clock.
type Cap = RateLimiter<
    governor::state::NotKeyed,
    governor::state::InMemoryState,
    Clock,
    governor::middleware::NoOpMiddleware<std::time::Duration>,
>;

/// Begins commands when they are due. Needs a `LocalSet`.
pub(super) struct Pace<'a, S> {
    /// The run's clock.
    pub clock: Clock,
    /// The publishers' thread.
    pub watch: &'a Watch,
    /// Takes the records.
    pub sink: &'a RefCell<S>,
    /// How far the run is.
    pub stage: watch::Receiver<Stage>,
    /// Commands begun so far.
    pub begun: Arc<AtomicU64>,
    /// Commands begun in a second, at the most.
    pub cap: Quota,
    /// Commands under way at once.
    pub in_flight_max: usize,
}

/// What becomes of a command when its turn has come.
enum Turn {
    Begin(OwnedSemaphorePermit),
    /// The target left no room for it until publishing ended.
    Withheld,
    /// The run is over.
    Over,
}

/// A command that ended.
#[derive(Debug)]
pub(super) struct Command {
    /// What it was.
    pub published: Published,
    /// How its request ended.
    pub answer: Answer,
    /// What its acknowledgement says of another one.
    pub otherwise: Option<Record>,
}

/// A command that ended, and how much of its lateness was the target's.
struct Ended {
    command: Command,
    held_us: Micros,
}

impl<S: Sink> Pace<'_, S> {
    /// Begins all commands, as long as the run lasts, and waits for the answers to those begun, which
    /// must be timed out. Returns the acknowledged ones.
    pub async fn run<F>(
        self,
        publishes: &[PlannedPublish],
        begin: impl Fn(PlannedPublish) -> F,
    ) -> Vec<u32>
    where
        F: Future<Output = Command> + 'static,
    {
        let cap = RateLimiter::direct_with_clock(self.cap, self.clock);
        let room = Arc::new(Semaphore::new(self.in_flight_max));
        let mut under_way: JoinSet<Ended> = JoinSet::new();
        let mut acknowledged = Vec::new();
        let mut held_us = 0;
        for planned in publishes {
            match self.turn(planned.at_us, &cap, &room, &mut held_us).await {
                Turn::Begin(permit) => {
                    self.begun.fetch_add(1, Ordering::Relaxed);
                    let command = begin(*planned);
                    under_way.spawn_local(async move {
                        let command = command.await;
                        drop(permit);
                        Ended { command, held_us }
                    });
                }
                Turn::Withheld => {
                    let (intended, at) = (planned.at_us, self.clock.now());
                    let withheld = Record::Withheld { publish: planned.n, intended, at };
                    self.sink.borrow_mut().record(withheld);
                }
                Turn::Over => break,
            }
            while let Some(ended) = under_way.try_join_next() {
                self.enter(ended, &mut acknowledged);
            }
        }
        while let Some(ended) = under_way.join_next().await {
            self.enter(ended, &mut acknowledged);
        }
        acknowledged
    }

    async fn turn(
        &self,
        due_us: Micros,
        cap: &Cap,
        room: &Arc<Semaphore>,
        held_us: &mut Micros,
    ) -> Turn {
        let mut stage = self.stage.clone();
        tokio::select! {
            biased;
            // An error means that the run's end of the channel is gone: so is the run.
            _ = stage.wait_for(|stage| *stage >= Stage::Retire) => Turn::Over,
            turn = self.wait(due_us, cap, room, held_us) => turn,
        }
    }

    async fn wait(
        &self,
        due_us: Micros,
        cap: &Cap,
        room: &Arc<Semaphore>,
        held_us: &mut Micros,
    ) -> Turn {
        let now = self.clock.now();
        if now < due_us {
            *held_us = 0;
            tokio::time::sleep_until(self.clock.instant(due_us)).await;
        } else {
            // Of a delay that is passed on, what is left is first the target's: it was there first, and
            // while it is made up for it only shrinks.
            *held_us = (*held_us).min(now - due_us);
        }
        self.below(cap).await;
        if let Ok(permit) = Arc::clone(room).try_acquire_owned() {
            return Turn::Begin(permit);
        }
        let mut stage = self.stage.clone();
        let (permit, waited) = self
            .awake(async {
                tokio::select! {
                    biased;
                    permit = Arc::clone(room).acquire_owned() => permit.ok(),
                    _ = stage.wait_for(|stage| *stage >= Stage::Draining) => None,
                }
            })
            .await;
        *held_us += waited;
        permit.map_or(Turn::Withheld, Turn::Begin)
    }

    /// Waits until one more may be begun.
    async fn below(&self, cap: &Cap) {
        while let Err(not_until) = cap.check() {
            let wait = not_until.wait_time_from(governor::clock::Clock::now(&self.clock));
            tokio::time::sleep(wait).await;
        }
    }

    /// Waits for something; also says how long that took without the thread's own stalls.
    async fn awake<T>(&self, what: impl Future<Output = T>) -> (T, Micros) {
        let (since, stalled) = (self.clock.now(), self.watch.stalled_us());
        let done = what.await;
        self.watch.look(&mut *self.sink.borrow_mut());
        let stalled = self.watch.stalled_us() - stalled;
        (done, (self.clock.now() - since).saturating_sub(stalled))
    }

    fn enter(&self, ended: Result<Ended, tokio::task::JoinError>, acknowledged: &mut Vec<u32>) {
        let Ended { command: Command { published, answer, otherwise }, held_us } = match ended {
            Ok(ended) => ended,
            // A bug of ours ends the thread, so that the run says that evidence is missing.
            Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
            Err(_) => return,
        };
        if let (Outcome::Ok, PublishId::Planned(n)) = (published.outcome, published.id) {
            acknowledged.push(n);
        }
        let mut sink = self.sink.borrow_mut();
        self.watch.look(&mut *sink);
        let ours = published.start.saturating_sub(held_us);
        self.watch.late(published.intended, ours, &mut *sink);
        let (start, at) = (published.start, published.done);
        sink.record(Record::Published(published));
        sink.record(answer.record(Request::Publish, None, start, at));
        if let Some(otherwise) = otherwise {
            sink.record(otherwise);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;
    use std::time::Duration;

    use tokio::task::LocalSet;

    use super::*;
    use crate::clock::micros;

    /// One command every 10 ms.
    const EVERY: Duration = Duration::from_millis(10);
    /// When in these they are due: the thread's own ticks never are.
    const OFFSET: Micros = 3_000;
    /// A lateness that timers of 1 ms do not make.
    const LATE: Micros = 5_000;

    struct Run {
        records: Vec<Record>,
        ended: Micros,
    }

    impl Run {
        fn lags(&self) -> Vec<Micros> {
            let lag = |record: &Record| match record {
                Record::SchedulerLag { at, lag_us, .. } if at % micros(EVERY) == OFFSET => {
                    Some(*lag_us)
                }
                _ => None,
            };
            self.records.iter().filter_map(lag).collect()
        }

        fn published(&self) -> Vec<Published> {
            let published = |record: &Record| match record {
                Record::Published(published) => Some(*published),
                _ => None,
            };
            self.records.iter().filter_map(published).collect()
        }

        fn withheld(&self) -> Vec<u32> {
            let withheld = |record: &Record| match record {
                Record::Withheld { publish, .. } => Some(*publish),
                _ => None,
            };
            self.records.iter().filter_map(withheld).collect()
        }
    }

    /// Publishes `count` commands, at most 20 under way, to a target that answers as `takes` says: how
    /// long after which start. `beside`: what else happens on the thread.
    async fn run(
        count: u32,
        takes: impl Fn(Micros) -> Duration + Copy + 'static,
        stages: &[(Duration, Stage)],
        beside: impl Future<Output = ()>,
    ) -> Run {
        let clock = Clock::starting_in(Duration::ZERO);
        let watch = Watch::new(2, clock);
        let sink = RefCell::new(Vec::new());
        let publishes: Vec<_> = (0..count)
            .map(|n| PlannedPublish {
                n,
                load: 0,
                worker: 0,
                at_us: micros(EVERY) * (u64::from(n) + 1) + OFFSET,
                fault: None,
            })
            .collect();
        let (stage, seen) = tokio::sync::watch::channel(Stage::Running);
        let (begun, in_flight_max) = (Arc::new(AtomicU64::new(0)), 20);
        let number = |n| NonZeroU32::new(n).expect("more than none");
        let cap = Quota::per_second(number(400)).allow_burst(number(50));
        let pace =
            Pace { clock, watch: &watch, sink: &sink, stage: seen, begun, cap, in_flight_max };
        let begin = |planned: PlannedPublish| async move {
            let start = clock.now();
            tokio::time::sleep(takes(start)).await;
            let published = Published {
                id: PublishId::Planned(planned.n),
                worker: 0,
                intended: planned.at_us,
                start,
                done: clock.now(),
                outcome: Outcome::Timeout,
                status: None,
                worker_seq: None,
                payload: 0,
            };
            let answer = Answer::of(Outcome::Timeout, "timeout");
            Command { published, answer, otherwise: None }
        };
        let staged = async {
            for &(at, next) in stages {
                tokio::time::sleep_until(clock.instant(micros(at))).await;
                stage.send_replace(next);
            }
            std::future::pending::<()>().await;
        };
        let ticking =
            watch.tick(|act: &mut dyn FnMut(&mut Vec<Record>)| act(&mut sink.borrow_mut()));
        let ended = LocalSet::new()
            .run_until(async {
                let beside = async {
                    beside.await;
                    std::future::pending::<()>().await;
                };
                tokio::select! {
                    _ = pace.run(&publishes, begin) => clock.now(),
                    () = ticking => 0,
                    () = staged => 0,
                    () = beside => 0,
                }
            })
            .await;
        Run { records: sink.into_inner(), ended }
    }

    const AT_ONCE: Duration = Duration::from_millis(1);

    /// Answers at once, but for a time in which it is frozen.
    fn frozen_from_1_s_to_4_s(start: Micros) -> Duration {
        if (1_000_000..4_000_000).contains(&start) {
            Duration::from_micros(4_000_000 - start)
        } else {
            AT_ONCE
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_waits_for_answers_of_the_target_is_late_and_no_lag_of_the_generator() {
        let run = run(1_000, frozen_from_1_s_to_4_s, &[], async {}).await;
        let late = |p: &Published| p.start - p.intended;
        let latest = run.published().iter().map(late).max();
        assert!(latest > Some(2_500_000), "the target held them up for {latest:?} us");
        assert_eq!(run.lags().len(), 1_000);
        let most = run.lags().into_iter().max();
        assert!(most < Some(LATE), "while it waits and while it catches up: {most:?} us");
    }

    #[tokio::test(start_paused = true)]
    async fn what_a_stall_of_ours_delays_is_lag_to_the_last_that_is_caught_up() {
        let stalling = async {
            tokio::time::sleep(Duration::from_millis(995)).await;
            tokio::time::advance(Duration::from_secs(2)).await;
        };
        let run = run(1_000, |_| AT_ONCE, &[], stalling).await;
        let lags = run.lags();
        assert!(lags.iter().max() > Some(&1_900_000), "{lags:?}");
        let late = |p: &Published| p.start - p.intended;
        let late = run.published().iter().filter(|p| late(p) > LATE).count();
        let lagging = lags.iter().filter(|&&lag| lag > LATE).count();
        assert!(late > 200, "the cap spreads out what it catches up: {late}");
        assert_eq!(lagging, late);
    }

    #[tokio::test(start_paused = true)]
    async fn a_stall_of_ours_while_we_wait_for_the_target_is_ours() {
        let stalling = async {
            tokio::time::sleep(Duration::from_millis(2_005)).await;
            tokio::time::advance(Duration::from_secs(3)).await;
        };
        let run = run(1_000, frozen_from_1_s_to_4_s, &[], stalling).await;
        // It would have gone on at 4 s, and did at 5.
        let most = run.lags().into_iter().max();
        assert!(most > Some(900_000), "{most:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn what_the_target_leaves_no_room_for_until_publishing_ends_is_withheld_and_told() {
        let time_out = Duration::from_secs(30);
        let stages = [(Duration::from_secs(5), Stage::Draining)];
        let run = run(400, move |_| time_out, &stages, async {}).await;
        assert_eq!(run.published().len(), 20, "as many as may be under way");
        assert_eq!(run.withheld(), (20..400).collect::<Vec<_>>());
        // The answers to those that began are waited for, and for nothing more.
        assert!(run.ended < 31_000_000, "{}", run.ended);
    }

    #[tokio::test(start_paused = true)]
    async fn the_end_of_the_run_ends_a_wait_for_the_target() {
        let time_out = Duration::from_secs(30);
        let stages = [(Duration::from_secs(2), Stage::Retire)];
        let run = run(400, move |_| time_out, &stages, async {}).await;
        assert_eq!((run.published().len(), run.withheld()), (20, vec![]));
        assert!(run.ended < 31_000_000, "{}", run.ended);
    }
}

//! The target's own windows: what it retains, where its head is, and how far behind a cursor may be.

use std::collections::{BTreeSet, HashMap};
use std::rc::Rc;
use std::time::Duration;

use khala_evidence::record::{Outcome, Record, Request, TIMED_OUT, Tier};
use khala_plan::Plan;
use khala_plan::model::Resume;
use khala_wire::metrics::FanoutMetrics;
use khala_wire::topic::TopicId;
use tokio::sync::{Mutex, OnceCell};

use super::{Target, asked};
use crate::answer::{Answer, answer_to};
use crate::clock::Clock;
use crate::http::Http;

/// How long clients that come back wait for the metrics before its refusals are asked: what they wait is no
/// lateness of the target's.
const READ_WITHIN: Duration = Duration::from_secs(1);

/// A topic's window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// Oldest seq retained; `None` of a topic pruned empty, or of one that never had an event.
    pub oldest: Option<u64>,
    /// Head.
    pub head: u64,
    /// Replay budget.
    pub budget: u64,
    /// Tier of service.
    pub tier: Option<Tier>,
}

impl Window {
    /// Lowest cursor that retention still serves.
    #[must_use]
    pub fn floor(&self) -> u64 {
        self.oldest.map_or(self.head, |oldest| oldest.saturating_sub(1))
    }

    /// The cursor that a fault wants; `None` keeps what the client has.
    #[must_use]
    pub fn cursor(&self, resume: Resume) -> Option<u64> {
        match resume {
            Resume::Kept => None,
            Resume::BelowFloor => self.floor().checked_sub(1),
            Resume::AtFloor => Some(self.floor()),
            Resume::BeyondBudget => self.head.checked_sub(self.budget.saturating_add(1)),
            Resume::AtBudget => self.head.checked_sub(self.budget),
        }
    }
}

/// The windows of a target's metrics.
#[must_use]
pub fn windows(metrics: &FanoutMetrics) -> Vec<(TopicId, Window)> {
    let window = |row: &khala_wire::metrics::TopicWindow| {
        let (oldest, budget) = (row.oldest_sequence, row.replay_budget_events);
        Some((
            TopicId::of(&row.topic)?,
            Window {
                oldest,
                head: row.head_sequence.unwrap_or(0),
                budget,
                tier: Tier::of(&row.qos_tier),
            },
        ))
    };
    metrics.topic_windows.iter().filter_map(window).collect()
}

/// What was read for one fault.
#[derive(Debug)]
pub struct Read(Vec<(TopicId, Window)>);

impl Read {
    /// The cursor that a fault wants on a topic.
    #[must_use]
    pub fn cursor(&self, topic: TopicId, resume: Resume) -> Option<(TopicId, u64)> {
        let (_, window) = self.0.iter().find(|(known, _)| *known == topic)?;
        Some((topic, window.cursor(resume)?))
    }
}

/// Windows read by the clients of a thread: once for each fault, when the first client needs them.
#[derive(Debug)]
pub struct Windows {
    http: Http,
    read: Mutex<HashMap<u16, Once>>,
}

/// One fault's windows: not read yet, not to be had, or there.
type Once = Rc<OnceCell<Option<Rc<Read>>>>;

impl Windows {
    /// Nothing read yet.
    #[must_use]
    pub fn new(http: Http) -> Self {
        Self { http, read: Mutex::default() }
    }

    /// The windows at the return from a fault: by the target's metrics, else by its refusals. `None` when it
    /// does not tell them in time, so that clients come back with what they have. `record` takes how the
    /// request for the metrics ended.
    pub async fn at(
        &self,
        fault: u16,
        plan: &Plan,
        target: &Target,
        clock: Clock,
        record: impl FnOnce(Record),
    ) -> Option<Rc<Read>> {
        let cell = Rc::clone(self.read.lock().await.entry(fault).or_default());
        let read = async {
            let start = clock.now();
            let read = tokio::time::timeout(READ_WITHIN, target.metrics(&self.http)).await;
            let answer = match &read {
                Ok(read) => answer_to(read),
                Err(_) => Answer::of(Outcome::Timeout, TIMED_OUT),
            };
            record(answer.record(Request::Metrics, None, start, clock.now()));
            let windows = match read {
                Ok(Ok(metrics)) => windows(&metrics.document),
                _ => {
                    asked::windows(plan, target, self.http.user_agent(), &fleet_topics(plan)).await
                }
            };
            (!windows.is_empty()).then(|| Rc::new(Read(windows)))
        };
        cell.get_or_init(|| read).await.clone()
    }
}

/// The topics of all the fleet, each once.
pub fn fleet_topics(plan: &Plan) -> Vec<TopicId> {
    let topics = plan.fleet.cohorts.iter().flat_map(|cohort| cohort.topics.iter().copied());
    topics.collect::<BTreeSet<_>>().into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chosen_cursors_lie_on_either_side_of_floor_and_budget() {
        let window = Window { oldest: Some(101), head: 500, budget: 300, tier: None };
        let cursor = |resume| window.cursor(resume);
        assert_eq!((cursor(Resume::BelowFloor), cursor(Resume::AtFloor)), (Some(99), Some(100)));
        assert_eq!(
            (cursor(Resume::BeyondBudget), cursor(Resume::AtBudget)),
            (Some(199), Some(200))
        );
        assert_eq!(cursor(Resume::Kept), None);
    }

    #[test]
    fn the_floor_of_a_topic_pruned_empty_is_its_head() {
        let window = Window { oldest: None, head: 500, budget: 300, tier: None };
        assert_eq!(window.cursor(Resume::AtFloor), Some(500));
        assert_eq!(window.cursor(Resume::BelowFloor), Some(499));
    }

    #[tokio::test]
    async fn a_read_in_vain_is_told_once_however_many_clients_wait_for_it() {
        let (listener, target) = crate::testing::frozen();
        drop(listener);
        let windows = Windows::new(Http::new(&target.reach, "test", Duration::from_secs(5)));
        let plan = crate::testing::plan(crate::client::driver_tests::TEXT);
        let clock = Clock::starting_in(Duration::ZERO);
        let told = std::cell::RefCell::new(Vec::new());
        for _ in 0..2 {
            let take = |record| told.borrow_mut().push(record);
            assert!(windows.at(7, &plan, &target, clock, take).await.is_none());
        }
        let told = told.into_inner();
        let [Record::Answered(answered)] = &*told else { panic!("one request, not {told:?}") };
        let how = (answered.request, answered.outcome, &*answered.status);
        assert_eq!(how, (Request::Metrics, Outcome::ConnectionFailed, "connection refused"));
    }
}

//! The publishers' thread under a paused clock, and a target that freezes when as many commands are under
//! way as may be.

use std::cell::Cell;
use std::collections::BTreeSet;
use std::time::Duration;

use khala_evidence::record::Micros;
use khala_wire::marker::marker_of;

use super::*;
use crate::clock::micros;
use crate::testing::{frozen, plan};

const TEXT: &str = r#"
version = 1
name = "frozen"
seed = 7
[target]
kind = "url"
url = "http://127.0.0.1:1"
exclusive = true
request_timeout = "4s"
[auth]
mint = "hs256"
secret = { env = "KEY" }
[fleet]
clients = 1
ramp = "1s"
[[fleet.surface]]
name = "desktop"
share = 1.0
[[load]]
command = "codex-worker-events"
rate = "50/s"
arrival = "constant"
payload_bytes = 256
[[phase]]
name = "steady"
duration = "10s"
[[gate]]
name = "g"
[[gate.objective]]
metric = "violations"
require = "count == 0"
"#;

/// Commands under way at once.
const ROOM: usize = 8;
/// When the target freezes.
const FREEZES: Micros = 3_000_000;
/// A lateness that timers of 1 ms do not make, nor the cap, which waits for one of them at a time.
const LATE: Micros = 50_000;

/// A target that takes every command and answers those that it is not frozen for.
struct Freezing {
    clock: Clock,
    /// When it goes on.
    thaws: Micros,
    under_way: Cell<usize>,
    most: Cell<usize>,
    taken: RefCell<Vec<u32>>,
}

impl Freezing {
    async fn answer(&self, body: &Bytes, within: Duration) -> Acknowledged {
        let text = std::str::from_utf8(body).expect("a command is text");
        let at = text.find(r#""payload":"#).expect("it has a payload") + r#""payload":"#.len();
        let payload = &text[at..text.len() - 2];
        self.taken.borrow_mut().push(marker_of(payload).expect("it is marked").n);
        self.under_way.set(self.under_way.get() + 1);
        self.most.set(self.most.get().max(self.under_way.get()));
        let now = self.clock.now();
        let frozen = (FREEZES..self.thaws).contains(&now);
        let answers = if frozen { self.thaws } else { now + 1_000 };
        let answered = tokio::time::sleep_until(self.clock.instant(answers));
        let answered = tokio::time::timeout(within, answered).await;
        self.under_way.set(self.under_way.get() - 1);
        match answered {
            Ok(()) => {
                let seq = self.taken.borrow().len() as u64;
                let data = Acknowledgement::of_seq(seq);
                Ok(Reply { status: 202, document: Data { data } })
            }
            Err(_) => Err(HttpError::Timeout("POST".to_owned(), within)),
        }
    }
}

/// What a run came to.
struct Ran {
    planned: BTreeSet<u32>,
    /// Those of them that are due before the target freezes.
    before: BTreeSet<u32>,
    records: Vec<Record>,
    acknowledged: Vec<u32>,
    target: Rc<Freezing>,
    ended: Micros,
}

impl Ran {
    fn published(&self, with: Outcome) -> BTreeSet<u32> {
        let of = |record: &Record| match record {
            Record::Published(Published { id: PublishId::Planned(n), outcome, .. }) => {
                (*outcome == with).then_some(*n)
            }
            _ => None,
        };
        self.records.iter().filter_map(of).collect()
    }

    fn withheld(&self) -> BTreeSet<u32> {
        let of = |record: &Record| match record {
            Record::Withheld { publish, .. } => Some(*publish),
            _ => None,
        };
        self.records.iter().filter_map(of).collect()
    }

    /// How late the latest command was begun, and the longest lag of the generator itself.
    fn latest(&self) -> (Micros, Micros) {
        let late = self.records.iter().filter_map(|record| match record {
            Record::Published(published) => Some(published.start - published.intended),
            _ => None,
        });
        let lag = self.records.iter().filter_map(|record| match record {
            Record::SchedulerLag { lag_us, .. } => Some(*lag_us),
            _ => None,
        });
        (late.max().unwrap_or_default(), lag.max().unwrap_or_default())
    }
}

/// Publishes what the plan has; publishing ends with its phases.
async fn run(thaws: Micros) -> Ran {
    let plan = Arc::new(plan(TEXT));
    let schedule = Arc::new(Schedule::of(&plan));
    let (_listener, target) = frozen();
    let clock = Clock::starting_in(Duration::ZERO);
    let (stage, seen) = watch::channel(Stage::Running);
    let over = schedule.phases.last().expect("the drain").start_us;
    let setup = Setup {
        clock,
        plan: Arc::clone(&plan),
        schedule: Arc::clone(&schedule),
        target,
        run_id: "run".to_owned(),
        user_agent: "test".to_owned(),
        workers: worker_names(&plan, "run"),
        stage: seen,
        begun: Arc::default(),
        heads: Arc::new(Heads::new(1, 0)),
        contact: Arc::new(Contact::new(clock, 1)),
        in_flight_max: ROOM,
    };
    let target = Rc::new(Freezing {
        clock,
        thaws,
        under_way: Cell::new(0),
        most: Cell::new(0),
        taken: RefCell::default(),
    });
    let (asked, within) = (Rc::clone(&target), plan.target.request_timeout);
    let post = move |_: String, _: Vec<Header>, body: Bytes| {
        let target = Rc::clone(&asked);
        async move { target.answer(&body, within).await }
    };
    let drains = async {
        tokio::time::sleep_until(clock.instant(over)).await;
        stage.send_replace(Stage::Draining);
        std::future::pending::<()>().await;
    };
    let (records, acknowledged) = LocalSet::new()
        .run_until(async {
            tokio::select! {
                ran = publish_over(post, setup, Vec::new()) => ran,
                () = drains => unreachable!("it waits for ever"),
            }
        })
        .await;
    let planned = schedule.publishes.iter();
    let before = planned.clone().filter(|planned| planned.at_us < FREEZES);
    let before = before.map(|planned| planned.n).collect();
    let planned = planned.map(|planned| planned.n).collect();
    Ran { planned, before, records, acknowledged, target, ended: clock.now() }
}

#[tokio::test(start_paused = true)]
async fn a_target_that_freezes_under_a_full_pipeline_and_goes_on_gets_every_command_once_and_late()
{
    let ran = run(6_000_000).await;
    assert_eq!(ran.target.most.get(), ROOM, "the pipeline was full, and never fuller");
    let taken = ran.target.taken.borrow();
    assert_eq!(taken.len(), ran.planned.len());
    assert_eq!(taken.iter().copied().collect::<BTreeSet<_>>(), ran.planned, "each once");
    assert_eq!(ran.published(Outcome::Ok), ran.planned);
    assert_eq!(ran.acknowledged.iter().copied().collect::<BTreeSet<_>>(), ran.planned);
    assert_eq!(ran.withheld(), BTreeSet::new());
    let (late, lag) = ran.latest();
    assert!(late > 2_500_000, "the target held them up: {late}");
    assert!(lag < LATE, "which is no lag of the generator's: {lag}");
}

#[tokio::test(start_paused = true)]
async fn a_target_that_stays_frozen_under_a_full_pipeline_ends_with_time_outs_and_what_is_withheld()
{
    let ran = run(3_600_000_000).await;
    assert_eq!(ran.target.most.get(), ROOM);
    let (well, in_vain) = (ran.published(Outcome::Ok), ran.published(Outcome::Timeout));
    assert!(!ran.before.is_empty());
    assert_eq!(well, ran.before);
    assert_eq!(ran.acknowledged.iter().copied().collect::<BTreeSet<_>>(), well);
    // Three seconds, then four each for the time-outs: the pipeline is filled at 3, 7 and 11 s.
    assert!((ROOM..=3 * ROOM).contains(&in_vain.len()), "{in_vain:?}");
    let withheld = ran.withheld();
    assert_eq!(&(&well | &in_vain) | &withheld, ran.planned, "nothing is forgotten");
    assert!(withheld.is_disjoint(&in_vain) && !withheld.is_empty());
    // The phases are over at 11 s; what begins then, in the room that is left, has its four seconds.
    assert!(ran.ended < micros(Duration::from_secs(16)), "{}", ran.ended);
    assert!(ran.latest().1 < LATE);
}

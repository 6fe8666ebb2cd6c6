//! A worker thread under a paused clock, with a target that takes connections and answers nothing.

use std::collections::BTreeMap;

use khala_evidence::record::{Heard, Op, OpKind, Outcome, Record};

use super::*;
use crate::client::driver_tests::TEXT;
use crate::testing::{frozen, plan};

/// When everybody leaves.
const RETIRES: Duration = Duration::from_secs(12);

#[tokio::test(start_paused = true)]
async fn a_thread_whose_target_answers_nothing_tells_so_and_ends_when_it_is_told() {
    let plan = Arc::new(plan(TEXT));
    let (_listener, target) = frozen();
    let clock = Clock::starting_in(Duration::ZERO);
    let (stage, seen) = watch::channel(Stage::Running);
    let schedule = Arc::new(Schedule::of(&plan));
    let setup = Setup {
        switches: Arc::default(),
        index: 0,
        clock,
        schedule: Arc::clone(&schedule),
        target,
        heads: Arc::new(Heads::new(0, schedule.faults.len())),
        contact: Arc::new(Contact::new(clock, 1)),
        turnstile: None,
        run_id: "run".to_owned(),
        user_agent: "test".to_owned(),
        workers: HashMap::new(),
        stage: seen,
        numbers: Arc::default(),
        backlog: Arc::default(),
        first_cursors: Arc::default(),
        plan: Arc::clone(&plan),
    };
    let retires = async {
        tokio::time::sleep_until(clock.instant(micros(RETIRES))).await;
        stage.send_replace(Stage::Retire);
    };
    let (records, ()) = LocalSet::new()
        .run_until(async { tokio::join!(work(setup, Vec::<Record>::new()), retires) })
        .await;
    let ended = clock.now();
    assert!(
        ended < micros(RETIRES + Duration::from_secs(1)),
        "nobody has a goodbye to say: {ended}"
    );

    let mut retired: BTreeMap<u32, u32> = BTreeMap::new();
    for record in &records {
        match record {
            Record::Retired { client, connected: false, .. } => {
                *retired.entry(*client).or_default() += 1;
            }
            Record::Op(Op { kind: OpKind::Connect, outcome: Outcome::Timeout, .. }) => {}
            Record::Op(op) => panic!("{op:?}"),
            Record::Connected { .. } | Record::Delivered(_) => panic!("{record:?}"),
            _ => {}
        }
    }
    let mine = |client| plan.generator.thread_of(client) == plan.generator.thread_of(0);
    let mine = schedule.arrivals.iter().map(|arrival| arrival.client).filter(|id| mine(*id));
    let each_once: BTreeMap<u32, u32> = mine.map(|client| (client, 1)).collect();
    assert_eq!(retired, each_once);
    let timed_out = records.iter().filter(|record| matches!(record, Record::Op(_))).count();
    assert!(timed_out >= each_once.len() && timed_out > 0, "{timed_out}");
    let silent = |record: &&Record| matches!(record, Record::Silence { heard: Heard::Nothing, .. });
    assert!(records.iter().any(|record| silent(&record)), "and somebody had asked");
    assert!(!records.iter().any(|record| matches!(record, Record::Stall { .. })));
}

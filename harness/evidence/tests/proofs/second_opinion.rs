//! Histories for the second opinion: valid ones with a few things wrong, each as a bundle with the
//! oracle's verdict in it. `scripts/second-opinion` judges them by itself and must come to the same.
//!
//! Writes files, so it only runs when asked: `KHALA_HISTORIES=DIR` and `--ignored`.

use std::fs;
use std::path::Path;

use khala_evidence::Record;
use khala_evidence::judge::{Case, judge};
use khala_evidence::oracle::End;
use khala_evidence::recording::{self, Begin, Chunk, End as Last, Line, Thread};
use khala_evidence::report::RunReport;
use proptest::prelude::*;
use proptest::sample::Index;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;

use crate::support::authority;
use crate::support::edit::Manner::{Again, Fresh};
use crate::support::edit::{self, Change, apply};
use crate::support::history::{History, valid};
use crate::support::records::{self, state, stream};
use crate::support::{plans, shards};

/// Histories, unless `KHALA_HISTORIES_COUNT` says otherwise.
const COUNT: u32 = 200;
/// Bound of [`plans::history`] on a state's lag.
const SETTLE_US: u64 = 200_000;

/// Kinds of edits.
const KINDS: usize = 22;

/// Every place for one kind of edit.
fn changes(records: &[Record], kind: usize) -> Vec<Change> {
    let any = |_: &khala_evidence::record::Delivery| true;
    match kind % KINDS {
        0 => edit::missing_mid_stream(records),
        1 => edit::missing_for_everybody(records).into_iter().map(|(change, _)| change).collect(),
        2 => edit::missing_tail(records),
        3 => edit::swapped(records, stream(), any),
        4 => edit::swapped(records, state(), any),
        5 => edit::at_or_below_cursor(records, stream(), false),
        6 => edit::at_or_below_cursor(records, state(), true),
        7 => edit::another_content(records, Fresh),
        8 => edit::another_content(records, Again),
        9 => edit::another_hash(records, Fresh, true),
        10 => edit::not_what_was_published(records, Again),
        11 => edit::reply_before_replay(records, true),
        12 => edit::replay_without_a_settled_version(records, SETTLE_US, true),
        13 => authority::accepted_token(records),
        14 => authority::heard_after_revocation(records),
        15 => authority::leaked(records),
        16 => authority::obeyed(records),
        17 => authority::came_out(records),
        18 => authority::unheard_of(records),
        19 => edit::acknowledged_earlier(records, 2 * SETTLE_US),
        20 => edit::ended_stale(records),
        _ => edit::no_reply(records).into_iter().map(|(change, _)| change).collect(),
    }
}

fn edited(history: &History, edits: &[(Index, Index)]) -> Vec<Record> {
    edits.iter().fold(history.records.clone(), |records, (kind, place)| {
        let found = changes(&records, kind.index(KINDS));
        if found.is_empty() { records } else { apply(&records, place.get(&found)) }
    })
}

/// A bundle of which only the recording and run.json are there.
fn write(dir: &Path, name: &str, records: &[Record], end: End) {
    let planned = plans::history();
    let mut facts = records::sound_facts(&planned.schedule, end.at);
    name.clone_into(&mut facts.run_id);
    facts.drained = end.drained;
    let settled = shards::settle(planned, records, end);
    let (plan, schedule) = (&planned.plan, &planned.schedule);
    let case = Case { plan, schedule, facts: &facts, settled: &settled };
    let report = RunReport::of(&case, judge(&case), "0.0.0");

    let begin = Begin::of(plan, schedule, name.to_owned(), "0.0.0".to_owned());
    let records: Vec<Record> = records.iter().filter(|r| recording::keeps(r)).cloned().collect();
    let count = records.len() as u64;
    let last = Last {
        at: end.at,
        drained: end.drained,
        interrupted: false,
        lost_threads: 0,
        threads: vec![Thread { thread: 0, chunks: 1, records: count, dropped: 0 }],
    };
    let chunk = Chunk { thread: 0, number: 0, records: count };
    let frames = [
        recording::frame(&Line::Begin(Box::new(begin)), &[]),
        recording::frame(&Line::Chunk(chunk), &records),
        recording::frame(&Line::End(last), &[]),
    ];
    let mut bytes = recording::HEAD.to_vec();
    frames.into_iter().for_each(|frame| bytes.extend(frame.expect("frames")));

    let bundle = dir.join(name);
    fs::create_dir_all(bundle.join("recording")).expect("can be made");
    fs::write(bundle.join("recording/run.recording"), bytes).expect("can be written");
    let json = serde_json::to_vec(&report).expect("JSON");
    fs::write(bundle.join("run.json"), json).expect("can be written");
}

#[test]
#[ignore = "writes files for scripts/second-opinion; see the top of the file"]
fn histories_with_a_few_things_wrong_are_written() {
    let dir = std::env::var_os("KHALA_HISTORIES").expect("KHALA_HISTORIES names a folder");
    let count =
        std::env::var("KHALA_HISTORIES_COUNT").map_or(COUNT, |n| n.parse().expect("a number"));
    let edits = prop::collection::vec(any::<(Index, Index)>(), 0..4);
    let strategy = (valid(), edits, any::<Index>(), 0_u8..4);
    let mut runner = TestRunner::new(proptest::test_runner::Config {
        rng_seed: proptest::test_runner::RngSeed::Fixed(u64::from(count)),
        ..Default::default()
    });
    for number in 0..count {
        let drawn = strategy.new_tree(&mut runner).expect("draws").current();
        let (history, edits, cut, whole) = drawn;
        let mut records = edited(&history, &edits);
        let mut end = history.end;
        if whole == 0 {
            // Breaks off somewhere, as a run does that is interrupted.
            records.truncate(cut.index(records.len() + 1));
            end.drained = false;
        }
        write(Path::new(&dir), &format!("history-{number:05}"), &records, end);
    }
}

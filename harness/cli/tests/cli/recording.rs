//! `run --record`: everything that the judge was given is in the file, in order, and it says so.

use std::collections::BTreeMap;

use crate::support::{Ended, Harness, exit, number};
use khala_evidence::Record;
use khala_evidence::framing::Frames;
use khala_evidence::recording::{Begin, End, HEAD, Line, lines};

const FILE: &str = "recording/run.recording";

/// A whole recording: its ends, and each thread's records.
fn recording(run: &Ended) -> (Begin, End, BTreeMap<u16, Vec<Record>>) {
    let mut frames = Frames::of(run.file(FILE), HEAD).expect("a recording");
    let (mut begin, mut end, mut threads) = (None, None, BTreeMap::<_, Vec<_>>::new());
    while let Some(frame) = frames.next_as(lines) {
        assert!(end.is_none(), "nothing follows the end");
        match frame.expect("a whole frame") {
            (Line::Begin(line), _) => assert!(begin.replace(*line).is_none(), "one beginning"),
            (Line::End(line), _) => end = Some(line),
            (Line::Chunk(chunk), records) => {
                threads.entry(chunk.thread).or_default().extend(records)
            }
        }
    }
    (begin.expect("begins"), end.expect("ends"), threads)
}

#[test]
fn every_record_that_was_judged_is_in_the_recording_and_in_order() {
    let run = Harness::tiny().arg("--record").ended().exits(exit::GO);
    let report = run.report();
    let (begin, end, threads) = recording(&run);
    assert_eq!(report["run_id"], begin.run_id);
    assert_eq!((begin.clients, begin.seed, begin.settle_us), (24, 7, 10_000_000));
    assert!(end.drained && end.lost_threads == 0);

    for said in &end.threads {
        let found = threads.get(&said.thread).map_or(0, Vec::len);
        assert_eq!((found as u64, 0), (said.records, said.dropped));
    }
    let count = |is_it: fn(&Record) -> bool| {
        threads.values().flatten().filter(|record| is_it(record)).count() as u64
    };
    let delivered = count(|record| matches!(record, Record::Delivered(_)));
    assert!(delivered > 0);
    assert_eq!(delivered, number(&report, "/oracle/deliveries"));
    let connects = count(|record| matches!(record, Record::ConnectBegun { .. }));
    assert_eq!(connects, number(&report, "/fleet/connects"));
    let published = count(|record| matches!(record, Record::Published(_)));
    let answered = number(&report, "/load/acknowledged") + number(&report, "/load/refused");
    assert_eq!(published, answered);
    assert_eq!(count(|record| matches!(record, Record::Retired { .. })), 24);
    assert_eq!(count(|record| matches!(record, Record::Frame { .. })), 0, "nothing judges them");

    for client in 0..24 {
        let of_client = |records: &&Vec<Record>| records.iter().any(|r| r.client() == Some(client));
        assert_eq!(threads.values().filter(of_client).count(), 1, "a client stays on its thread");
        let records = threads.values().find(of_client).expect("one");
        let epochs: Vec<_> = records
            .iter()
            .filter_map(|record| match record {
                Record::SubscribeSent { client: of, epoch, .. } if *of == client => Some(*epoch),
                _ => None,
            })
            .collect();
        assert_eq!(epochs, (1..).take(epochs.len()).collect::<Vec<_>>(), "in order");
    }
    let manifest: serde_json::Value =
        serde_json::from_slice(run.file("manifest.json")).expect("JSON");
    assert!(manifest["files"][FILE]["sha256"].is_string(), "{manifest}");
}

#[test]
fn a_run_that_was_not_asked_for_one_has_no_recording() {
    let run = Harness::tiny().ended().exits(exit::GO);
    assert!(!run.files.contains_key(FILE), "{:?}", run.names());
}

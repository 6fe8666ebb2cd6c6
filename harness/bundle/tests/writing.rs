//! A bundle is written without engine and command line, and read back: the records of a kept run, recorded
//! once more, come to the same.

use std::path::{Path, PathBuf};

use khala_bundle::recording::Line;
use khala_bundle::{Bundle, Error, Evidence, Leftover, LogSink, Maker, Reading, Wanted, Writer};
use khala_bundle::{names, verify};
use khala_evidence::{Record, Sink as _};
use tempfile::TempDir;

fn kept() -> Bundle {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/no-go");
    Bundle::open(&dir).expect("a bundle")
}

/// Each thread's records, in the order of the threads.
fn records(bundle: &Bundle) -> Vec<Vec<Record>> {
    let mut threads: Vec<Vec<Record>> = Vec::new();
    for line in bundle.recording().expect("can be read").expect("there is one") {
        if let (Line::Chunk(chunk), records) = line.expect("a whole frame") {
            let thread = usize::from(chunk.thread);
            threads.resize_with(threads.len().max(thread + 1), Vec::new);
            threads[thread].extend(records);
        }
    }
    threads
}

/// The kept run, written once more into `out_dir`.
fn written(out_dir: &Path, wanted: Wanted) -> (PathBuf, Leftover) {
    let bundle = kept();
    let Evidence { plan, schedule, facts, .. } = bundle.settle().expect("settles");
    let begin = bundle.begin().clone();
    let mut writer = Writer::create(out_dir, &begin.started_at, &plan.name, "again").expect("made");
    bundle.events().iter().for_each(|event| writer.event(event));
    let mut logs = writer.logs(&plan, &schedule, begin, wanted).expect("begun");
    let mut sinks: Vec<LogSink> = Vec::new();
    for records in records(&bundle) {
        let mut sink = logs.sink();
        records.into_iter().for_each(|record| sink.record(record));
        sinks.push(sink);
    }
    let left = writer.finish(logs, sinks, facts).expect("ended");
    (writer.dir().to_owned(), left)
}

#[test]
fn a_bundle_that_is_written_says_what_its_records_come_to() {
    let out_dir = TempDir::new().expect("a folder");
    let wanted = Wanted { journal_max: 1 << 30, recording: true };
    let (dir, left) = written(out_dir.path(), wanted);
    assert!(dir.ends_with("20261129T044624Z-smoke-again"), "{}", dir.display());
    assert_eq!(left.why, [""; 0]);
    let bundle = Bundle::open(&dir).expect("a bundle");
    let reading = Reading { hlog: true, client: None };
    let evidence = bundle.settle_with(reading, left).expect("settles");
    let derived = evidence.derive(Maker::Run).expect("renders");
    assert_eq!(derived.unwritten, [""; 0]);

    // Frames are not recorded, so that what they are cases of was not put to the test this time.
    let (is, was) = (&derived.report, kept().settle().expect("settles").report());
    assert_eq!((is.decision, is.oracle.violations()), (was.decision, was.oracle.violations()));
    assert!(is.oracle.violations() > 0);
    assert_eq!((&is.oracle.kept, &is.oracle.causes), (&was.oracle.kept, &was.oracle.causes));
    assert_eq!((&is.fleet, &is.load), (&was.fleet, &was.load));
    // A journal of that build lacks what a metric is settled from that came later; its records do not.
    let once = kept().settle_recording().expect("a recording").report();
    assert!(is.metrics == once.metrics && is.series == once.series, "every figure");
    let recorded = bundle.settle_recording().expect("a recording").report();
    assert!(recorded == derived.report, "and once more");
    let found = verify(&dir, None).expect("a bundle");
    assert_eq!((found.problems, found.notes), (vec![], vec![]));
    for name in [names::RECORDING, names::EVENTS, names::HLOG, names::RUN_JSON] {
        assert!(dir.join(name).is_file(), "{name}");
    }
}

#[test]
fn a_run_into_another_runs_evidence_is_refused_and_one_that_did_not_begin_leaves_nothing() {
    let out_dir = TempDir::new().expect("a folder");
    let (dir, _) = written(out_dir.path(), Wanted { journal_max: 1 << 30, recording: false });
    assert!(!dir.join("recording").exists(), "nobody asked for one");
    let refused = Writer::create(&dir.join("metrics"), "2026-01-01T00:00:00Z", "again", "1").err();
    assert!(matches!(refused, Some(Error::Within { .. })), "{refused:?}");

    let empty = Writer::create(out_dir.path(), "2026-01-01T00:00:00Z", "smoke", "2").expect("made");
    let dir = empty.dir().to_owned();
    assert!(dir.is_dir());
    empty.abandon();
    assert!(!dir.exists());
}

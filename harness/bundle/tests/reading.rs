//! What a bundle that is read must have, and what is said of one that has it not.

use std::fs;
use std::path::{Path, PathBuf};

use khala_bundle::{
    Bundle, Error, Keep, Leftover, Lock, Maker, Reading, names, prune, summary, verify,
};
use khala_evidence::journal::{self, Entry};
use khala_evidence::judge::Decision;
use tempfile::TempDir;

/// A copy of the kept bundle `go`, to be damaged.
fn copy() -> (TempDir, PathBuf) {
    let dir = TempDir::new().expect("a folder");
    let bundle = dir.path().join("bundle");
    copy_all(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/go"), &bundle);
    (dir, bundle)
}

fn copy_all(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("can be made");
    for entry in fs::read_dir(from).expect("can be read").flatten() {
        let to = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy_all(&entry.path(), &to);
        } else {
            fs::copy(entry.path(), to).expect("can be copied");
        }
    }
}

fn edit(bundle: &Path, name: &str, change: impl FnOnce(Vec<u8>) -> Vec<u8>) {
    let path = bundle.join(name);
    fs::write(&path, change(fs::read(&path).expect("read"))).expect("written");
}

fn replaced(from: &str, to: &str) -> impl FnOnce(Vec<u8>) -> Vec<u8> {
    move |bytes| {
        let text = String::from_utf8(bytes).expect("text");
        assert!(text.contains(from), "no `{from}`");
        text.replace(from, to).into_bytes()
    }
}

#[test]
fn a_bundle_of_a_later_version_is_refused_in_a_sentence_that_names_it() {
    let refused = |bundle: &Path, file: &str, version: u64| {
        let error = Bundle::open(bundle).expect_err("it is of a later version");
        assert!(matches!(&error, Error::Version { found, .. } if *found == version), "{error}");
        let said = format!("{file} is of version {version} of the format");
        assert!(error.to_string().contains(&said), "{error}");
        assert_eq!(error.to_string().lines().count(), 1);
        let found = verify(bundle, None).expect("something is there");
        assert!(found.problems.iter().any(|problem| problem.contains(&said)), "{found:?}");
    };
    let (_dir, bundle) = copy();
    edit(&bundle, names::JOURNAL, |mut bytes| {
        bytes[14] = b'7';
        bytes
    });
    refused(&bundle, names::JOURNAL, 7);
    let (_dir, bundle) = copy();
    edit(&bundle, names::MANIFEST, replaced("\"format_version\": 1", "\"format_version\": 70"));
    refused(&bundle, names::MANIFEST, 70);
}

#[test]
fn of_an_earlier_version_that_is_no_more_read_no_later_build_is_said_to_read_it() {
    let (_dir, bundle) = copy();
    edit(&bundle, names::JOURNAL, |mut bytes| {
        bytes[14] = b'0';
        bytes
    });
    let error = Bundle::open(&bundle).expect_err("it is of an earlier version").to_string();
    assert!(error.ends_with("reads version 1: use the build that wrote it"), "{error}");
}

#[test]
fn a_journal_that_had_no_room_is_told_as_such_and_nobody_is_suspected() {
    let (_dir, bundle) = copy();
    // As a full disk leaves it: a report, no manifest, and the run's own end among the events.
    fs::remove_file(bundle.join(names::MANIFEST)).expect("can be removed");
    let rewritten = |last: Option<Entry>| {
        edit(&bundle, names::JOURNAL, |bytes| {
            let entries: Vec<_> =
                journal::Entries::of(&*bytes).expect("a journal").map_while(Result::ok).collect();
            let kept =
                entries.into_iter().filter(|it| !matches!(it, Entry::End(_) | Entry::Cut { .. }));
            let frames = kept.chain(last).map(|entry| journal::frame(&entry).expect("a frame"));
            journal::HEAD.iter().copied().chain(frames.flatten()).collect()
        });
        Bundle::open(&bundle).expect("a bundle").settle().expect("settles")
    };
    let why = "No space left on device (os error 28)".to_owned();
    let settled = rewritten(Some(Entry::Cut { why }));
    let said = settled.facts.unfinished.clone().expect("it has no end");
    assert!(said.contains("could not be written on: No space left on device"), "{said}");
    assert!(said.contains("went on to its end at"), "{said}");
    let report = settled.report();
    assert_eq!((report.decision, report.altered), (Decision::Hold, false));
    // Where the journal does not say so, it may have been cut.
    let settled = rewritten(None);
    assert!(settled.facts.unfinished.clone().is_some_and(|it| it.contains("cut or changed")));
    assert!(settled.report().altered);
}

#[test]
fn a_report_is_read_as_it_was_written_and_one_of_a_later_version_is_refused() {
    let (_dir, bundle) = copy();
    let read = summary(&bundle).expect("of version 1");
    assert_eq!((read.format_version, read.decision.to_string()), (1, "GO".into()));
    assert!(!read.series.is_empty() && read.metrics.iter().any(|line| line.samples.is_some()));
    let settled = Bundle::open(&bundle).expect("a bundle").settle().expect("settles");
    settled.derive(Maker::Report).expect("renders");
    let again = summary(&bundle).expect("of this version");
    assert!(again == settled.report().summary(), "and what is made of its sources now");
    assert_eq!(again.format_version, 2);

    edit(&bundle, names::RUN_JSON, replaced("\"format_version\":2", "\"format_version\":3"));
    let error = summary(&bundle).expect_err("it is of a later version");
    assert!(error.to_string().contains("run.json is of version 3 of the format"), "{error}");
    let found = verify(&bundle, None).expect("a bundle");
    let said = |what: &str| found.problems.iter().any(|problem| problem.contains(what));
    assert!(said("run.json is of version 3 of the format"), "{found:?}");
}

#[test]
fn a_forged_report_is_found_whatever_its_version() {
    for (from, to, problem) in [
        (
            "\"decision\":\"GO\"",
            "\"decision\":\"NO-GO\"",
            "run.json says NO-GO, the sources say GO",
        ),
        ("\"deliveries\":", "\"deliveries\":1", "run.json is not what the sources give"),
        ("\"response\":[\"", "\"response\":[\"A", "run.json is not what the sources give"),
    ] {
        let (_dir, bundle) = copy();
        edit(&bundle, names::RUN_JSON, replaced(from, to));
        let found = verify(&bundle, None).expect("a bundle");
        assert_eq!(found.problems, ["run.json is not what was written", problem]);
    }
}

#[test]
fn what_is_no_bundle_is_named_with_what_is_missing() {
    let (dir, bundle) = copy();
    let error = Bundle::open(dir.path()).expect_err("that is the folder above");
    assert!(matches!(error, Error::NotABundle { .. }), "{error}");
    assert!(error.to_string().contains("it has no journal/run.journal"), "{error}");
    fs::remove_file(bundle.join(names::MANIFEST)).expect("can be removed");
    let error = Bundle::open(&bundle).expect("has a journal").manifest().expect_err("it is gone");
    assert!(error.to_string().contains(": manifest.json is missing: "), "{error}");
    fs::remove_file(bundle.join(names::SCHEDULE)).expect("can be removed");
    let error = Bundle::open(&bundle).expect("has a journal").settle().err().expect("no schedule");
    assert!(error.to_string().contains("schedule.ndjson: No such file"), "{error}");
    assert!(!error.to_string().contains("name the folder of a run"), "it is one: {error}");
}

#[test]
fn whatever_a_folder_is_it_is_verified_and_only_what_is_none_is_refused() {
    let (dir, bundle) = copy();
    fs::remove_file(bundle.join(names::SCHEDULE)).expect("can be removed");
    let found = verify(&bundle, None).expect("a folder");
    let shown = bundle.display().to_string();
    let said = |what: &str| found.problems.iter().filter(|it| it.contains(what)).count();
    assert_eq!((said("schedule.ndjson is missing"), said(&shown)), (1, 0), "{found:?}");
    assert_eq!(said("nothing can be judged: schedule.ndjson: No such file"), 1, "{found:?}");

    let empty = dir.path().join("empty");
    fs::create_dir(&empty).expect("can be made");
    let found = verify(&empty, None).expect("a folder");
    assert_eq!((found.unchanged, found.problems.len(), found.decision), (0, 2, None));

    for none in [dir.path().join("nowhere"), bundle.join(names::MANIFEST)] {
        let error = verify(&none, None).expect_err("no folder");
        assert!(matches!(error, Error::NotABundle { .. }), "{error}");
    }
}

#[test]
fn a_folder_in_a_bundle_that_cannot_be_read_is_a_problem_of_it() {
    use rustix::fs::{Mode, OFlags, mkdirat, openat};
    let (_dir, bundle) = copy();
    // Nobody, root included, can name a folder that lies so deep.
    let mut at: std::os::fd::OwnedFd = fs::File::open(&bundle).expect("opens").into();
    for _ in 0..40 {
        let name = "d".repeat(200);
        mkdirat(&at, &name, Mode::RWXU).expect("can be made");
        at = openat(&at, &name, OFlags::RDONLY | OFlags::DIRECTORY, Mode::empty()).expect("opens");
    }
    let found = verify(&bundle, None).expect("a folder");
    let unread: Vec<_> =
        found.problems.iter().filter(|it| it.contains(" cannot be read: ")).collect();
    assert!(unread.iter().any(|it| it.starts_with("ddd")), "{found:?}");
    assert!(found.unchanged > 5, "all else is verified: {found:?}");
}

#[test]
fn a_bundle_is_made_again_and_says_what_differed() {
    let (_dir, bundle) = copy();
    fs::write(bundle.join("summary.md"), "forged").expect("can be written");
    let evidence = Bundle::open(&bundle).expect("a bundle").settle().expect("settles");
    let derived = evidence.derive(Maker::Report).expect("renders");
    assert_eq!((derived.report.decision.to_string(), derived.unwritten.len()), ("GO".into(), 0));
    let manifest = Bundle::open(&bundle).expect("a bundle").manifest().expect("a manifest");
    let differed = &manifest.remade.first().expect("it was made again").differed;
    assert!(differed.iter().any(|name| name == "summary.md"), "{differed:?}");
    let found = verify(&bundle, None).expect("a bundle");
    assert_eq!(found.problems, [""; 0]);
    let told = |told: &String| {
        told.contains("summary.md")
            && told.ends_with(" were not what the sources give: they are made anew")
    };
    assert!(derived.remade.iter().any(told), "{:?}", derived.remade);

    let again = |gone: &[&str]| {
        gone.iter().for_each(|name| fs::remove_file(bundle.join(name)).expect("can be removed"));
        let evidence = Bundle::open(&bundle).expect("a bundle").settle().expect("settles");
        evidence.derive(Maker::Report).expect("renders").remade
    };
    assert_eq!(again(&[]), [""; 0], "nothing is made otherwise a second time");
    let told = again(&["summary.md", "junit.xml"]);
    assert_eq!(told, ["junit.xml, summary.md were missing: they are made anew"]);
    let found = verify(&bundle, None).expect("a bundle");
    let noted = |what: &str| found.notes.iter().any(|note| note.ends_with(what));
    assert!(noted("nothing differed, junit.xml, summary.md had vanished"), "{found:?}");
    let told = again(&[names::MANIFEST, "summary.md"]);
    assert!(told[0].starts_with("manifest.json was missing"), "{told:?}");
    assert_eq!(told[1], "summary.md was missing: it is made anew");
}

#[test]
fn a_bundle_that_is_still_written_is_not_pruned() {
    let (dir, bundle) = copy();
    let other = dir.path().join("another");
    copy_all(&bundle, &other);
    let no_stages = dir.path().join("stages");
    let pruned = |latest: usize| {
        let keep = Keep { latest, cited_in: &no_stages };
        prune(dir.path(), keep, false).expect("a folder of runs")
    };
    let lock = Lock::take(&bundle).expect("nobody has it");
    let error = Lock::take(&bundle).expect_err("it is taken");
    assert!(error.to_string().ends_with("the run is still going on; wait for its end"), "{error}");
    let first = pruned(0);
    assert_eq!(
        (first.removed, first.still_running),
        (vec!["another".into()], vec!["bundle".into()])
    );
    drop(lock);
    assert_eq!(pruned(1).kept, ["bundle"]);
    assert_eq!(pruned(0).removed, ["bundle"]);
    assert!(!bundle.exists() && !other.exists());
}

#[test]
fn evidence_that_was_changed_is_not_told_as_what_the_run_found() {
    let (_dir, bundle) = copy();
    let events = bundle.join("events.ndjson");
    let mut text = fs::read(&events).expect("can be read");
    text.push(b'\n');
    fs::write(&events, text).expect("can be written");
    let derived: Vec<_> = fs::read_dir(&bundle)
        .expect("can be read")
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .filter(|name| names::is_derived(name))
        .collect();
    assert!(derived.len() > 5, "{derived:?}");
    let kept = || -> Vec<_> {
        let files = derived.iter().map(String::as_str).chain([names::MANIFEST]);
        files.map(|name| fs::read(bundle.join(name)).expect("can be read")).collect()
    };
    let before = kept();
    let again = || {
        let reading = Reading { hlog: true, ..Reading::default() };
        let opened = Bundle::open(&bundle).expect("a bundle");
        let evidence = opened.settle_with(reading, Leftover::default()).expect("settles");
        evidence.derive(Maker::Report).expect("renders")
    };
    let made = again();
    assert!(made.report.altered, "{:?}", made.report.reasons);
    let altered = bundle.join(names::ALTERED);
    let summary = fs::read_to_string(altered.join("summary.md")).expect("can be read");
    let first: Vec<_> = summary.lines().take(5).collect();
    assert!(first.join(" ").contains("the evidence was changed after the run"), "{first:?}");

    // What the run itself made is not lost by it, and what is new is told where it is.
    assert!(kept() == before, "a file of the run's own was written over");
    assert!(altered.join(names::HLOG).is_file() && !bundle.join(".latency.hlog.part").exists());
    let told = made.remade.join("\n");
    assert!(told.starts_with("the sources were changed after the run (events.ndjson): "), "{told}");
    assert!(told.contains(&altered.display().to_string()), "{told}");
    let found = verify(&bundle, None).expect("a bundle");
    assert_eq!(
        found.problems,
        ["events.ndjson is not what was written", "run.json says GO, the sources say HOLD"]
    );
    assert!(found.notes.iter().any(|note| note.starts_with("altered/ holds what `report` made")));

    // Without the manifest nobody can say which sources were changed, but the verdict is another.
    fs::remove_file(bundle.join(names::MANIFEST)).expect("can be removed");
    edit(&bundle, names::RUN_JSON, replaced("\"decision\":\"GO\"", "\"decision\":\"NO-GO\""));
    let forged = fs::read(bundle.join(names::RUN_JSON)).expect("can be read");
    let told = again().remade.join("\n");
    assert!(told.contains("run.json says NO-GO where the sources give HOLD"), "{told}");
    let report = again().report;
    assert_eq!((report.altered, report.decision), (true, Decision::NoGo), "a NO-GO stands");
    assert!(fs::read_to_string(altered.join("summary.md")).expect("read").contains("that stands"));
    assert!(fs::read(bundle.join(names::RUN_JSON)).expect("can be read") == forged);
    assert!(!bundle.join(names::MANIFEST).exists(), "nothing vouches for it");
}

/// The journal with a bit of the length of one of its entries flipped.
fn with_another_length(mut journal: Vec<u8>, entry: usize, byte: usize) -> Vec<u8> {
    let mut at = journal.iter().position(|&byte| byte == b'\n').expect("a head") + 1;
    for _ in 0..entry {
        let length: [u8; 4] = journal[at..at + 4].try_into().expect("a length");
        at += 12 + usize::try_from(u32::from_le_bytes(length)).expect("fits");
    }
    journal[at + byte] ^= 0x20;
    journal
}

#[test]
fn a_length_that_was_changed_in_a_journal_is_named_and_softens_no_verdict() {
    // Before and after what broke the rule, read on and past the end.
    for (entry, byte, manifest) in [(5, 2, true), (5, 0, true), (40, 3, true), (5, 2, false)] {
        let dir = TempDir::new().expect("a folder");
        let bundle = dir.path().join("bundle");
        copy_all(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/no-go"), &bundle);
        edit(&bundle, names::JOURNAL, |journal| with_another_length(journal, entry, byte));
        if !manifest {
            fs::remove_file(bundle.join(names::MANIFEST)).expect("can be removed");
        }
        let found = verify(&bundle, None).expect("a bundle").problems.join("\n");
        assert!(found.contains("its journal, journal/run.journal, ends early"), "{found}");
        let report = Bundle::open(&bundle).expect("a bundle").settle().expect("settles").report();
        assert_eq!((report.decision, report.altered), (Decision::NoGo, true), "{entry} {byte}");
        assert!(report.reasons[0].contains("journal/run.journal"), "{:?}", report.reasons);
    }
}

#[test]
fn a_source_that_was_edited_is_told_in_the_report_though_the_manifest_is_gone() {
    let (_dir, bundle) = copy();
    fs::remove_file(bundle.join(names::MANIFEST)).expect("can be removed");
    let report = || Bundle::open(&bundle).expect("opens").settle().expect("settles").report();
    let made = report();
    assert_eq!((made.unvouched, made.altered, made.decision), (true, false, Decision::Go));
    edit(&bundle, names::SCENARIO, |mut text| {
        text.push(b'\n');
        text
    });
    let made = report();
    assert_eq!((made.unvouched, made.altered, made.decision), (false, true, Decision::Hold));
    assert!(made.reasons[0].contains("scenario.resolved.toml"), "{:?}", made.reasons);
}

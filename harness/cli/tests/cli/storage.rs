//! Evidence that has no room: before the load it is said and nothing is sent, later the verdict is told
//! all the same and what was written is kept. On a small file system of its own, which takes the right to
//! mount one: where that is missing these tests say so and do nothing.

use std::path::{Path, PathBuf};

use crate::support;
use crate::support::small::Small;
use crate::support::{Harness, Running, exit, reasons};
use serde_json::Value;
use tempfile::TempDir;

/// A run into it.
fn tiny_into(small: &Small) -> Harness {
    Harness::tiny().arg("--out-dir").arg(small.path().join("runs"))
}

/// The one bundle in it.
fn bundle_in(small: &Small) -> PathBuf {
    support::only_folder(&small.path().join("runs")).expect("there is a run")
}

/// Waits until the run's events hold one of this kind.
fn wait_for(small: &Small, event: &str) {
    support::eventually(event, || {
        let events = support::only_folder(&small.path().join("runs"))?.join("events.ndjson");
        let text = std::fs::read_to_string(events).ok()?;
        text.contains(&format!(r#""event":"{event}""#)).then_some(())
    });
}

#[test]
fn where_there_is_no_room_nothing_is_sent() {
    let Some(small) = Small::of(512) else { return };
    let run = tiny_into(&small).ended_plain().exits(exit::SETUP);
    for said in ["has room for", "needs at least", "make room", "--out-dir", "nothing was sent"] {
        assert!(run.stderr.contains(said), "no `{said}` in {}", run.stderr);
    }
    assert_eq!(run.stderr.trim_end().lines().count(), 1, "one sentence: {}", run.stderr);
    assert!(!run.stderr.contains("target ready"), "{}", run.stderr);
    let left = std::fs::read_dir(small.path()).expect("is there").count();
    assert_eq!(left, 0, "nothing is left");
    let filled = small.fill();
    tiny_into(&small).ended_plain().exits(exit::SETUP);
    drop(filled);
}

#[test]
fn a_folder_that_cannot_be_made_or_written_is_a_set_up_failure() {
    let folder = TempDir::new().expect("a folder");
    let file = folder.path().join("a-file");
    std::fs::write(&file, "in the way").expect("is written");
    for out_dir in [file.join("runs"), PathBuf::from("/proc/runs"), PathBuf::from("/sys/runs")] {
        let run = Harness::tiny().arg("--out-dir").arg(&out_dir).ended_plain().exits(exit::SETUP);
        assert!(run.stderr.contains(&out_dir.display().to_string()), "{}", run.stderr);
        assert!(run.stderr.contains("--out-dir"), "{}", run.stderr);
        assert!(!run.stderr.contains("make room"), "room is not what is missing: {}", run.stderr);
        assert_eq!((run.stdout.as_str(), run.stderr.trim_end().lines().count()), ("", 1));
    }
}

/// What a run owes that ran out of room when it was under way.
fn keeps_what_it_has(small: &Small, running: Running, filler: &Path) {
    let run = running.ended().exits(exit::HOLD);
    assert!(run.stdout.starts_with("HOLD"), "{}", run.stdout);
    let why = "what is judged here could not all be kept as evidence";
    assert!(run.said().contains(why) && run.said().contains("No space left"), "{}", run.stdout);
    // All of it was judged, also what is not on disk.
    assert!(!run.stdout.contains("UNFINISHED"), "{}", run.stdout);
    assert!(run.said().contains("100 of 100 planned publishes begun"), "{}", run.stdout);
    std::fs::remove_file(filler).expect("can be removed");
    let bundle = bundle_in(small);
    // Room had been kept for the journal's end: the same is made of it again, and nobody is suspected.
    let made = Harness::new("report").arg(&bundle).arg("--json").ended_plain().exits(exit::HOLD);
    let report: Value = serde_json::from_str(&made.stdout).expect("JSON");
    assert!(reasons(&report).contains(why), "{}", reasons(&report));
    assert_eq!(report["finished"], true, "{}", reasons(&report));
    for suspicion in ["cut or changed", "no end", "ends early"] {
        assert!(!made.stdout.contains(suspicion), "{suspicion} in {}", made.stdout);
    }
    Harness::new("verify").arg(&bundle).ended_plain().exits(exit::GO);
}

#[test]
fn a_disk_that_is_full_during_the_run_costs_no_verdict() {
    let Some(small) = Small::of(8 * 1024) else { return };
    let running = tiny_into(&small).start_plain();
    wait_for(&small, "fault_due");
    let filler = small.fill();
    keeps_what_it_has(&small, running, &filler);
}

#[test]
fn a_disk_that_is_full_at_the_end_costs_no_verdict() {
    let Some(small) = Small::of(8 * 1024) else { return };
    let running = tiny_into(&small).start_plain();
    wait_for(&small, "drain_began");
    let filler = small.fill();
    keeps_what_it_has(&small, running, &filler);
}

#[test]
fn a_report_that_cannot_be_written_is_told_all_the_same() {
    let Some(small) = Small::of(8 * 1024) else { return };
    // Whatever the verdict, which a machine that is busy with something else changes.
    let run = tiny_into(&small).ended_plain();
    let (code, word) = match run.code {
        Some(exit::HOLD) => (exit::HOLD, "HOLD"),
        _ => (exit::GO, "GO"),
    };
    run.exits(code);
    let bundle = bundle_in(&small);
    for derived in ["run.json", "latency.hlog", "summary.md"] {
        std::fs::remove_file(bundle.join(derived)).expect("can be removed");
    }
    let filler = small.fill();
    let made = Harness::new("report").arg(&bundle).ended_plain().exits(code);
    assert!(made.stdout.starts_with(word), "{}", made.stdout);
    for said in ["run.json", "latency.hlog", "the verdict stands"] {
        assert!(made.stderr.contains(said), "no `{said}` in {}", made.stderr);
    }
    std::fs::remove_file(filler).expect("can be removed");
    Harness::new("report").arg(&bundle).ended_plain().exits(code);
    Harness::new("verify").arg(&bundle).ended_plain().exits(exit::GO);
}

#[test]
fn a_page_that_cannot_be_written_costs_no_verdict() {
    let run = Harness::tiny().defect("drop_nth,0.5").ended().exits(exit::NO_GO);
    let (dir, bundle) = run.restored(|_| true);
    let page = |bundle: &Path, file: &Path| {
        Harness::new("report").arg(bundle).arg("--page").arg(file).ended_plain()
    };
    // Taken when it is opened, and full when it is written.
    let full = page(&bundle, Path::new("/dev/full")).exits(exit::NO_GO);
    assert!(full.stdout.starts_with("NO-GO"), "{}", full.stdout);
    let said =
        "error: cannot write /dev/full: No space left on device (os error 28); make room there";
    assert!(full.stderr.contains(said), "{}", full.stderr);
    // What is known before is told then, and nothing is made.
    std::fs::remove_file(bundle.join("summary.md")).expect("can be removed");
    let nowhere = page(&bundle, &dir.path().join("nowhere/page.html")).exits(exit::SETUP);
    assert!(nowhere.stderr.contains("nowhere/page.html: "), "{}", nowhere.stderr);
    assert!(nowhere.stdout.is_empty() && !bundle.join("summary.md").exists());
    page(&bundle, &dir.path().join("page.html")).exits(exit::NO_GO);
    assert!(bundle.join("summary.md").exists());
}

#[test]
fn what_is_made_of_evidence_that_was_changed_and_has_no_place_costs_no_verdict() {
    let run = Harness::tiny().defect("drop_nth,0.5").ended().exits(exit::NO_GO);
    let (_dir, bundle) = run.restored(|_| true);
    let events = bundle.join("events.ndjson");
    let text = std::fs::read_to_string(&events).expect("can be read");
    std::fs::write(&events, text + "\n").expect("can be written");
    std::fs::write(bundle.join("altered"), "in the way").expect("can be written");
    let made = Harness::new("report").arg(&bundle).ended_plain().exits(exit::NO_GO);
    assert!(made.stdout.starts_with("NO-GO"), "{}", made.stdout);
    for said in ["altered: ", "the verdict stands"] {
        assert!(made.stderr.contains(said), "no `{said}` in {}", made.stderr);
    }
}

#[test]
fn a_bundle_that_nobody_can_write_to_is_told_of_with_what_to_do_and_can_be_scored() {
    let Some(small) = Small::of(8 * 1024) else { return };
    let run = Harness::tiny().defect("drop_nth,0.5").ended().exits(exit::NO_GO);
    let (_dir, restored) = run.restored(|_| true);
    let bundle = small.path().join("run");
    let copied = std::process::Command::new("cp").arg("-a").args([&restored, &bundle]).status();
    assert!(copied.is_ok_and(|status| status.success()), "it is copied");
    small.is_read_only();
    for command in ["report", "seal"] {
        let mut asked = Harness::new(command).arg(&bundle);
        if command == "seal" {
            asked = asked.arg("--statement");
        }
        let run = asked.ended_plain().exits(exit::SETUP);
        assert!(run.stderr.contains("Read-only file system"), "{command}: {}", run.stderr);
        assert!(run.stderr.contains("take a copy of it to where that is so"), "{}", run.stderr);
        assert_eq!(run.stderr.trim_end().lines().count(), 1, "{}", run.stderr);
    }
    let gates = concat!(env!("CARGO_MANIFEST_DIR"), "/../../scenarios/gates/runbook.toml");
    let scored = Harness::new("score").arg(&bundle).arg("--gates").arg(gates).ended_plain();
    let scored = scored.exits(exit::NO_GO);
    assert!(scored.stdout.contains("NO-GO"), "{}", scored.stdout);
    Harness::new("verify").arg(&bundle).ended_plain().exits(exit::GO);
}

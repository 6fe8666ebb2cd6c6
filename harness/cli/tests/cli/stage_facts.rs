//! Stages fail closed: whatever a decision would rest on and is missing, was changed or lies elsewhere makes a HOLD, with
//! what to do, and what was seen once is not forgotten.

use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::support;
use crate::support::by_hand::{reference_by_hand, reference_with};
use crate::support::rollout::{Rollout, ended, reasons, report};
use crate::support::{Harness, Running, eventually, exit};
use khala_stage::journal::Journal;
use rustix::process::Signal;

/// The folder of the evidence of a step's run, once it has one.
fn bundle(rollout: &Rollout, step: &str) -> PathBuf {
    let bundle = eventually("the run's folder", || {
        let bundles = rollout.entries("step_bundle");
        bundles.into_iter().find(|entry| entry["step"] == step)
    });
    PathBuf::from(bundle["bundle"].as_str().expect("a folder"))
}

/// Waits until a run is in its phase.
fn in_phase(bundle: &Path) {
    eventually("the phase", || {
        let events = std::fs::read_to_string(bundle.join("events.ndjson")).unwrap_or_default();
        events.contains("\"phase\":\"hold\"").then_some(())
    });
}

/// Stage 0, killed while it is held.
fn killed_in_its_hold(rollout: &Rollout) -> PathBuf {
    let killed: Running = rollout.held_for("0", "60s").start_plain();
    let bundle = bundle(rollout, "hold");
    in_phase(&bundle);
    std::thread::sleep(Duration::from_secs(2));
    killed.signal(Signal::KILL);
    killed.ended();
    bundle
}

fn change(file: &Path) -> String {
    let was = ended(file);
    std::fs::write(file, format!("{was}\n")).expect("can be written");
    was
}

#[test]
fn what_failed_before_an_interruption_is_a_no_go_whatever_is_there_afterwards() {
    let by_hand = reference_with(&["--defect".as_ref(), "drop_nth".as_ref()]);
    let rollout = Rollout::of(&by_hand, "echo 7");
    let stage = rollout.stage("0").start_plain();
    in_phase(&bundle(&rollout, "scenario held"));
    std::thread::sleep(Duration::from_secs(1));
    stage.signal(Signal::INT);
    stage.ended().exits(exit::INTERRUPTED);
    drop(by_hand);
    let resumed = report(&rollout.stage("0").arg("--resume").ended_plain().exits(exit::NO_GO));
    assert_eq!(rollout.entries("step_bundle").len(), 1, "it was not run again");
    let blockers = resumed["blockers"].as_array().expect("blockers");
    assert!(blockers.iter().any(|blocker| blocker["step"] == "scenario held"), "{blockers:?}");
}

#[test]
fn a_part_of_a_hold_whose_evidence_is_gone_is_a_hold_until_it_is_put_back() {
    let rollout = Rollout::new();
    let part = killed_in_its_hold(&rollout);
    let away = part.with_extension("away");
    std::fs::rename(&part, &away).expect("can be moved");
    let lines = rollout.journal().len();
    let resume = || rollout.held_for("0", "60s").arg("--resume");
    let gone = resume().ended_plain().exits(exit::HOLD);
    for says in [
        "hold: the evidence of a run that was interrupted is missing",
        "put it back",
        "without --resume",
    ] {
        assert!(gone.stderr.contains(says), "{says}: {}", gone.stderr);
    }
    assert_eq!(rollout.journal().len(), lines, "nothing is decided");
    // What is left of it is not what it was: that is decided, and no other part is run in its place.
    std::fs::rename(&away, &part).expect("can be moved");
    std::fs::write(part.join("schedule.ndjson"), "").expect("can be written");
    let told = report(&resume().ended_plain().exits(exit::HOLD));
    assert!(reasons(&told).contains("is missing"), "{}", reasons(&told));
    let next = told["reasons"][0]["next"].as_str().expect("what to do");
    assert!(next.contains("begin a new attempt"), "{next}");
    let of_hold = rollout.entries("step_bundle").iter().filter(|it| it["step"] == "hold").count();
    assert_eq!(of_hold, 1, "no other part was run");
}

#[test]
fn an_attempt_is_resumed_with_what_it_was_begun_with_alone() {
    let rollout = Rollout::new();
    killed_in_its_hold(&rollout);
    let refused = |stage: support::Harness, says: &str| {
        let refused = stage.arg("--resume").ended_plain().exits(exit::USAGE);
        assert!(refused.stderr.contains(says), "{says}: {}", refused.stderr);
    };
    let waivers = rollout.path("waivers.toml");
    let text = "[[waiver]]\ngate = \"ux\"\nowner = \"Ada\"\nreason = \"known\"\nexpires = \"2999-01-01\"\n";
    std::fs::write(&waivers, text).expect("can be written");
    let stage = || rollout.held_for("0", "60s");
    refused(stage().arg("--waivers").arg(waivers.into_os_string()), "what --waivers has");
    refused(
        stage().arg("--without-predecessor").arg("a word"),
        "the reason of --without-predecessor",
    );
    refused(rollout.held_for("0", "50s"), "the length of the hold");
    let held = rollout.path("held.toml");
    let lax = ended(&held).replace("count == 0", "count <= 1000");
    std::fs::write(&held, lax).expect("can be written");
    refused(stage(), "what is asked");
}

#[test]
fn a_go_opens_the_next_stage_on_the_same_target_with_its_evidence_as_it_was() {
    let (by_hand, other) = (reference_by_hand(), reference_by_hand());
    let rollout = Rollout::of(&by_hand, "echo 7");
    rollout.stage("0").ended_plain().exits(exit::GO);
    let first = bundle(&rollout, "scenario held");

    let held = |what: &str| {
        let told = report(&rollout.stage("1").ended_plain().exits(exit::HOLD));
        assert!(reasons(&told).contains(what), "{what}: {}", reasons(&told));
        assert!(told["opened"]["not"].is_object(), "{}", told["opened"]);
    };
    // What a file of the evidence says.
    let summary = first.join("summary.md");
    let was = change(&summary);
    held("summary.md of its evidence");
    std::fs::write(&summary, was).expect("can be written");
    let away = first.with_extension("away");
    std::fs::rename(&first, &away).expect("can be moved");
    held("is no longer there");
    // Or is reached by a link, as a whole or a file of it: what it leads to is as it was, today.
    symlink(&away, &first).expect("can be linked");
    held("is a link");
    std::fs::remove_file(&first).expect("can be removed");
    std::fs::rename(&away, &first).expect("can be moved");
    std::fs::rename(&summary, &away).expect("can be moved");
    symlink(&away, &summary).expect("can be linked");
    held("summary.md of its evidence");
    std::fs::rename(&away, &summary).expect("can be moved");
    // What the scenario asked.
    let scenario = rollout.path("held.toml");
    let was = change(&scenario);
    held("is by another `held.toml`");
    std::fs::write(&scenario, was).expect("can be written");
    // Where the target is: the profile has its name, and another URL.
    let profile = rollout.path("canary.toml");
    let was = ended(&profile);
    std::fs::write(&profile, was.replace(&by_hand.url, &other.url)).expect("can be written");
    held("is of another target");
    let word = rollout.stage("1").arg("--without-predecessor").arg("the canary moved");
    let word = report(&word.ended_plain().exits(exit::GO));
    let by_word = &word["opened"]["by_word"];
    assert_eq!(by_word["reason"], "the canary moved");
    assert!(by_word["instead"].as_str().is_some_and(|it| it.contains("another target")));
    std::fs::write(&profile, was).expect("can be written");
    let opened = report(&rollout.stage("1").ended_plain().exits(exit::GO));
    assert_eq!(opened["opened"]["by"]["stage"], "0");
}

/// Puts the journal forward by an hour, as a machine wrote it whose clock is now set back over a start of it.
fn an_hour_ahead_of_another_start(rollout: &Rollout) {
    let path = rollout.path("stages/journal.ndjson");
    let mut written = Journal::default();
    let mut text = String::new();
    for line in Journal::read(&ended(&path)).expect("it holds together").lines {
        let (mut stamp, entry) = (line.stamp, line.entry);
        stamp.unix_ms += 3_600_000;
        stamp.boot = "another".to_owned();
        text.push_str(&written.append(stamp, entry).expect("serialises"));
    }
    std::fs::write(path, text).expect("can be written");
    let head = serde_json::to_vec(&written.head()).expect("JSON");
    std::fs::write(rollout.path("stages/journal.head"), head).expect("can be written");
}

#[test]
fn an_attempt_is_not_taken_up_by_a_clock_that_was_set_back_over_a_start_of_the_machine() {
    let rollout = Rollout::new();
    killed_in_its_hold(&rollout);
    an_hour_ahead_of_another_start(&rollout);
    let lines = rollout.journal().len();
    let refused = rollout.held_for("0", "60s").arg("--resume").ended_plain().exits(exit::HOLD);
    for says in ["the clock was set back by ", "nothing is sent", "NTP", "without --resume"] {
        assert!(refused.stderr.contains(says), "{says}: {}", refused.stderr);
    }
    assert_eq!(rollout.journal().len(), lines, "nothing is written, and nothing decided");
}

/// Copies the files of a folder into another, and removes what else is there.
fn put_back(from: &Path, to: &Path) {
    let _ = std::fs::remove_dir_all(to);
    std::fs::create_dir(to).expect("is made");
    for file in std::fs::read_dir(from).expect("is there").flatten() {
        std::fs::copy(file.path(), to.join(file.file_name())).expect("is copied");
    }
}

#[test]
fn a_folder_of_stages_that_was_put_back_as_it_was_before_a_no_go_is_a_hold() {
    let rollout = Rollout::new();
    // A machine that is busy with something else makes a HOLD of it, which is as good here.
    report(&rollout.stage("0").ended_plain());
    let (stages, backup, whole) =
        (rollout.path("stages"), rollout.path("backup"), rollout.path("whole"));
    put_back(&stages, &backup);
    // Before any load, so that no run tells of it.
    std::fs::write(rollout.path("broken"), "").expect("can be written");
    rollout.stage("0").ended_plain().exits(exit::NO_GO);
    std::fs::remove_file(rollout.path("broken")).expect("can be removed");
    put_back(&stages, &whole);

    put_back(&backup, &stages);
    let lines = rollout.journal().len();
    let refused = rollout.stage("1").ended_plain().exits(exit::HOLD);
    for says in [
        "the last of attempt 2 (stage 0): NO-GO",
        "it was put back as it was before that",
        "put the folder back as it was last",
        "another --stage-dir",
    ] {
        assert!(refused.stderr.contains(says), "{says}: {}", refused.stderr);
    }
    assert_eq!(rollout.journal().len(), lines, "nothing is begun");
    let verified = Harness::new("verify").arg(stages.as_os_str()).ended_plain().exits(exit::HOLD);
    assert!(
        verified.said().contains("the last of attempt 2 (stage 0): NO-GO"),
        "{}",
        verified.said()
    );
    // With other runs it is found by those that the journal names.
    let elsewhere = rollout.path("other-runs");
    let stage = Harness::new("stage").arg("1").arg("--owner").arg("Ada").arg("--hold").arg("3s");
    let stage = stage.arg("--rollout").arg(rollout.path("rollout.toml"));
    let stage = stage.arg("--stage-dir").arg(stages.as_os_str()).arg("--out-dir").arg(elsewhere);
    let refused = stage.arg("--allow-hooks").ended_plain().exits(exit::HOLD);
    assert!(refused.stderr.contains("was put back"), "{}", refused.stderr);
    // Whole again, the NO-GO counts; another folder knows of nothing.
    put_back(&whole, &stages);
    let told = report(&rollout.stage("1").ended_plain().exits(exit::HOLD));
    assert!(reasons(&told).contains("is NO-GO"), "{}", reasons(&told));
    std::fs::remove_dir_all(&stages).expect("can be removed");
    report(&rollout.stage("0").ended_plain());
}

/// What was made of a file of samples.
type Made<'a> = (&'a str, String, Option<String>);

/// The samples and their head in each way in which a sample can be gone or another.
fn tampered(text: &str, head: &str) -> Vec<Made<'static>> {
    let lines: Vec<_> = text.split_inclusive('\n').collect();
    assert!(lines.len() >= 2, "too few samples: {text}");
    let but_last = lines[..lines.len() - 1].concat();
    let head = || Some(head.to_owned());
    let edited = text.replacen("\"build\":\"7\"", "\"build\":\"8\"", 1);
    assert_ne!(edited, text);
    vec![
        ("edited", edited, head()),
        ("the first was taken out", lines[1..].concat(), head()),
        ("cut", but_last.clone(), head()),
        ("cut in its last line", text[..text.len() - 2].to_owned(), head()),
        ("emptied", String::new(), head()),
        ("cut, and its head is gone", but_last, None),
    ]
}

#[test]
fn a_sample_of_the_build_that_was_edited_or_cut_off_is_missed_when_the_stage_is_resumed() {
    let by_hand = reference_by_hand();
    let rollout = Rollout::of(&by_hand, "echo 7");
    let (samples, head) =
        (rollout.path("stages/builds-1.ndjson"), rollout.path("stages/builds-1.head"));
    let killed = rollout.held_for("0", "60s").start_plain();
    in_phase(&bundle(&rollout, "hold"));
    // One in three seconds of a minute.
    eventually("samples", || {
        let text = std::fs::read_to_string(&samples).unwrap_or_default();
        (text.lines().count() >= 3).then_some(())
    });
    killed.signal(Signal::KILL);
    killed.ended();
    let head_was = ended(&head);
    // What was under way when it was killed may be in the file, and not yet in its head.
    let written =
        serde_json::from_str::<serde_json::Value>(&head_was).expect("JSON")["lines"].clone();
    let written = usize::try_from(written.as_u64().expect("a number")).expect("few");
    let was: String = ended(&samples).split_inclusive('\n').take(written).collect();
    let journal = rollout.journal().len();
    let resume = || rollout.held_for("0", "60s").arg("--resume");
    for (what, text, head_text) in tampered(&was, &head_was) {
        std::fs::write(&samples, &text).expect("can be written");
        match &head_text {
            Some(text) => std::fs::write(&head, text).expect("can be written"),
            None => std::fs::remove_file(&head).expect("can be removed"),
        }
        let refused = resume().ended_plain().exits(exit::HOLD);
        for says in ["builds-1.ndjson", "put it back", "without --resume"] {
            assert!(refused.stderr.contains(says), "{what}: {says}: {}", refused.stderr);
        }
        assert_eq!(rollout.journal().len(), journal, "{what}: nothing is decided");
        assert_eq!(ended(&samples), text, "{what}: nothing is written");
        std::fs::write(&head, &head_was).expect("can be written");
    }
    std::fs::remove_file(&samples).expect("can be removed");
    let gone = resume().ended_plain().exits(exit::HOLD);
    assert!(gone.stderr.contains("builds-1.ndjson is gone"), "{}", gone.stderr);
}

#[test]
fn a_sample_of_the_build_that_was_edited_or_cut_off_afterwards_opens_no_stage() {
    let by_hand = reference_by_hand();
    let rollout = Rollout::of(&by_hand, "echo 7");
    let first = report(&rollout.stage("0").ended_plain().exits(exit::GO));
    let samples = rollout.path("stages/builds-1.ndjson");
    let head = rollout.path("stages/builds-1.head");
    let (was, head_was) = (ended(&samples), ended(&head));
    assert_eq!(first["hold"]["samples"]["lines"], was.lines().count(), "{}", first["hold"]);
    for (what, text, head_text) in tampered(&was, &head_was) {
        std::fs::write(&samples, &text).expect("can be written");
        if head_text.is_none() {
            std::fs::remove_file(&head).expect("can be removed");
        }
        let told = report(&rollout.stage("1").ended_plain().exits(exit::HOLD));
        assert!(reasons(&told).contains("builds-1.ndjson"), "{what}: {}", reasons(&told));
        assert!(told["opened"]["not"].is_object(), "{what}: {}", told["opened"]);
        std::fs::write(&head, &head_was).expect("can be written");
    }
    // Whoever makes the chain and its head anew is found by the journal.
    std::fs::write(&samples, "").expect("can be written");
    let none = format!("{{\"lines\":0,\"sha256\":\"{}\"}}", "0".repeat(64));
    std::fs::write(&head, none).expect("can be written");
    let told = report(&rollout.stage("1").ended_plain().exits(exit::HOLD));
    assert!(reasons(&told).contains("builds-1.ndjson"), "{}", reasons(&told));
    std::fs::write(&samples, was).expect("can be written");
    std::fs::write(&head, head_was).expect("can be written");
    let opened = report(&rollout.stage("1").ended_plain().exits(exit::GO));
    assert_eq!(opened["opened"]["by"]["stage"], "0");
}

/// A rollout with one attempt, a NO-GO that nothing was sent for; the name of its report.
fn one_no_go() -> (Rollout, String) {
    let rollout = Rollout::new();
    std::fs::write(rollout.path("broken"), "").expect("can be written");
    rollout.stage("0").ended_plain().exits(exit::NO_GO);
    std::fs::remove_file(rollout.path("broken")).expect("can be removed");
    let mut reports = rollout.reports();
    reports.retain(|name| name.ends_with("-stage-0.json"));
    let [report] = &reports[..] else { panic!("one report: {reports:?}") };
    let report = report.clone();
    (rollout, report)
}

/// Stage 0 is refused, with these words and what to do, and nothing of the folder is changed.
fn refused(rollout: &Rollout, says: &str) {
    let files = || {
        let mut files: Vec<_> =
            rollout.reports().into_iter().filter(|it| it != ".writing").collect();
        files.sort_unstable();
        let read = |name: &String| std::fs::read(rollout.path("stages").join(name)).ok();
        files.iter().map(|name| (name.clone(), read(name))).collect::<Vec<_>>()
    };
    let before = files();
    let refused = rollout.stage("0").ended_plain().exits(exit::HOLD);
    assert!(refused.stderr.contains(says), "{says}: {}", refused.stderr);
    assert!(
        refused.stderr.contains("put it back") || refused.stderr.contains("put the journal back")
    );
    assert_eq!(files(), before, "{says}");
    assert!(!rollout.path("runs").exists(), "nothing was sent");
}

#[test]
fn a_journal_that_was_emptied_or_cut_begins_nothing_anew() {
    let (rollout, name) = one_no_go();
    let path = |name: &str| rollout.path("stages").join(name);
    let whole = ended(&path("journal.ndjson"));
    let cut = |lines: usize| whole.split_inclusive('\n').take(lines).collect::<String>();
    for lines in [0, 2] {
        std::fs::write(path("journal.ndjson"), cut(lines)).expect("can be written");
        refused(&rollout, "were written");
    }
    // Nor where what says up to where it was written is gone as well, and the report is broken.
    std::fs::remove_file(path("journal.head")).expect("can be removed");
    std::fs::write(path(&name), "{").expect("can be written");
    std::fs::write(path("journal.ndjson"), "").expect("can be written");
    let stem = name.trim_end_matches(".json");
    refused(&rollout, stem);
    std::fs::remove_file(path("journal.ndjson")).expect("can be removed");
    let told = rollout.stage("0").ended_plain().exits(exit::HOLD);
    assert!(told.stderr.contains(stem), "{}", told.stderr);
    for end in ["md", "html", "json"] {
        std::fs::remove_file(path(&name).with_extension(end)).expect("can be removed");
    }
    refused(&rollout, "stage.json is of no attempt");
}

#[test]
fn a_report_that_was_edited_is_told_and_one_that_is_missing_is_written_again_as_it_was() {
    let (rollout, name) = one_no_go();
    let path = |name: &str| rollout.path("stages").join(name);
    let was = ended(&path(&name));
    for file in [name.as_str(), "stage.json"] {
        change(&path(file));
        refused(&rollout, file);
        std::fs::write(path(file), &was).expect("can be written");
    }
    for file in [name.as_str(), "stage.json"] {
        std::fs::remove_file(path(file)).expect("can be removed");
        std::fs::write(rollout.path("broken"), "").expect("can be written");
        let again = rollout.stage("0").ended_plain().exits(exit::NO_GO);
        assert!(again.stderr.contains("is written again"), "{}", again.stderr);
        assert_eq!(ended(&path(&name)), was);
    }
}

#[test]
fn nothing_is_written_through_a_link_of_the_stage_folder() {
    for name in ["journal.ndjson", ".writing"] {
        let rollout = Rollout::new();
        std::fs::create_dir(rollout.path("stages")).expect("is made");
        let precious = rollout.path("precious");
        std::fs::write(&precious, "").expect("can be written");
        symlink(&precious, rollout.path("stages").join(name)).expect("is linked");
        let refused = rollout.stage("0").ended_plain().exits(exit::SETUP);
        assert!(refused.stderr.contains("is a symbolic link"), "{}", refused.stderr);
        assert_eq!(ended(&precious), "", "{name}");
    }
    // What stands in its place whole takes the place of a link.
    let rollout = Rollout::new();
    std::fs::write(rollout.path("broken"), "").expect("can be written");
    std::fs::create_dir(rollout.path("stages")).expect("is made");
    let precious = rollout.path("precious");
    std::fs::write(&precious, "mine").expect("can be written");
    symlink(&precious, rollout.path("stages/.journal.head.part")).expect("is linked");
    rollout.stage("0").ended_plain().exits(exit::NO_GO);
    assert_eq!(ended(&precious), "mine");
}

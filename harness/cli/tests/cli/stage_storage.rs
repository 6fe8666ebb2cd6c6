//! The folders of a stage, where they take nothing: what can be known is said before anything is sent, and later what was
//! written stands, what failed is a NO-GO, and the rest is taken up once the folder takes files again.

use std::path::Path;

use crate::support::rollout::{Rollout, reasons, report};
use crate::support::small::Small;
use crate::support::{Ended, Harness, eventually, exit};

/// Waits until a scenario of the stage is in its phase: by then all that is written down of its beginning is.
fn under_way(rollout: &Rollout) {
    eventually("the scenario's phase", || {
        let bundles = rollout.entries("step_bundle");
        let bundle = Path::new(bundles.first()?["bundle"].as_str()?);
        let events = std::fs::read_to_string(bundle.join("events.ndjson")).ok()?;
        events.contains("\"phase\":\"hold\"").then_some(())
    });
}

/// The report of a stage that was decided, and in which nothing failed: a machine that is busy with something else makes a
/// HOLD of it.
#[track_caller]
fn decided(ended: Ended) -> serde_json::Value {
    let told = report(&ended);
    let code = if told["decision"] == "GO" { exit::GO } else { exit::HOLD };
    ended.exits(code);
    told
}

/// A stage that was not begun, and says so in a sentence with these in it.
#[track_caller]
fn not_begun(rollout: &Rollout, stage: Harness, says: &[&str]) {
    let refused = stage.ended_plain().exits(exit::SETUP);
    let all = ["nothing was begun"];
    for says in says.iter().chain(&all) {
        assert!(refused.stderr.contains(says), "{says}: {}", refused.stderr);
    }
    assert_eq!(refused.stderr.trim_end().lines().count(), 1, "one sentence: {}", refused.stderr);
    assert!(rollout.journal().is_empty(), "nothing is written down");
}

#[test]
fn a_stage_is_not_begun_where_one_of_its_folders_takes_nothing() {
    for (folder, flag) in [("stages", "--stage-dir"), ("runs", "--out-dir")] {
        let rollout = Rollout::new();
        let path = rollout.path(folder);
        std::fs::write(&path, "in the way").expect("is written");
        let shown = path.display().to_string();
        not_begun(&rollout, rollout.stage("0"), &[&shown, flag]);
        std::fs::remove_file(&path).expect("is removed");
        let Some(_small) = Small::at(&path, "size=8m,ro") else { return };
        not_begun(&rollout, rollout.stage("0"), &[&shown, flag, "Read-only file system"]);
    }
}

#[test]
fn a_stage_is_not_begun_where_one_of_its_folders_has_no_room() {
    for (folder, says) in [
        ("stages", ["make room there", "No space left on device"]),
        ("runs", ["make room there", "and the evidence needs at least"]),
    ] {
        let rollout = Rollout::new();
        let path = rollout.path(folder);
        let Some(_small) = Small::at(&path, "size=1m") else { return };
        let shown = path.display().to_string();
        not_begun(&rollout, rollout.stage("0"), &[&shown, says[0], says[1]]);
        let left = std::fs::read_dir(&path).expect("is there").flatten();
        let left: Vec<_> = left.filter(|it| it.metadata().is_ok_and(|it| it.len() > 0)).collect();
        assert!(left.is_empty(), "{left:?}");
    }
}

/// What came of a stage whose folder of stages is full from its scenario on.
fn filled(rollout: &Rollout, stage: Harness) -> Option<(Ended, Small)> {
    let small = Small::at(&rollout.path("stages"), "size=8m")?;
    let running = stage.start_plain();
    under_way(rollout);
    let filler = small.fill();
    let ended = running.ended();
    std::fs::remove_file(filler).expect("can be removed");
    Some((ended, small))
}

#[test]
fn a_stage_whose_folder_is_full_meanwhile_goes_on_once_there_is_room() {
    let rollout = Rollout::new();
    let Some((full, _small)) = filled(&rollout, rollout.stage("0")) else { return };
    let full = full.exits(exit::SETUP);
    for says in ["No space left on device", "make room there", "--resume", "nothing is decided"] {
        assert!(full.stderr.contains(says), "{says}: {}", full.stderr);
    }
    assert!(
        full.stderr.contains("stage 0: scenario held: "),
        "what came of it is said: {}",
        full.stderr
    );
    let told = decided(rollout.stage("0").arg("--resume").ended_plain());
    let begun = rollout.entries("step_begun");
    let of = |step: &str| begun.iter().filter(|entry| entry["step"] == step).count();
    assert_eq!((of("precondition says"), of("scenario held")), (1, 1), "nothing twice: {told}");
}

#[test]
fn what_failed_is_a_no_go_with_its_report_although_the_folder_is_full() {
    let rollout = Rollout::new();
    let stage = rollout.stage("0").arg("--defect").arg("drop_nth");
    let Some((full, _small)) = filled(&rollout, stage) else { return };
    let full = full.exits(exit::NO_GO);
    assert!(full.stderr.contains("No space left on device"), "{}", full.stderr);
    let told = report(&full);
    assert_eq!(told["decision"], "NO-GO");
    assert_eq!(rollout.entries("ended").len(), 1, "it is written down");
    let reports = rollout.reports();
    for end in [".md", ".html", "-stage-0.json", "stage.json"] {
        assert!(reports.iter().any(|name| name.ends_with(end)), "{end}: {reports:?}");
    }
}

#[test]
fn a_folder_of_stages_that_vanishes_ends_the_stage_and_is_gone_on_with_once_it_is_back() {
    let rollout = Rollout::new();
    let running = rollout.stage("0").start_plain();
    under_way(&rollout);
    let (stages, away) = (rollout.path("stages"), rollout.path("away"));
    std::fs::rename(&stages, &away).expect("can be moved");
    let gone = running.ended().exits(exit::SETUP);
    for says in ["No such file or directory", "put the folder back as it was", "--resume"] {
        assert!(gone.stderr.contains(says), "{says}: {}", gone.stderr);
    }
    std::fs::rename(&away, &stages).expect("can be moved");
    decided(rollout.stage("0").arg("--resume").ended_plain());
}

#[test]
fn a_no_go_is_one_although_the_folder_of_stages_vanished() {
    let rollout = Rollout::new();
    let running = rollout.stage("0").arg("--defect").arg("drop_nth").start_plain();
    under_way(&rollout);
    std::fs::rename(rollout.path("stages"), rollout.path("away")).expect("can be moved");
    let gone = running.ended().exits(exit::NO_GO);
    let says = "NO-GO all the same: scenario held: ";
    assert!(gone.stderr.contains(says), "{}", gone.stderr);
}

#[test]
fn a_folder_of_runs_that_vanishes_is_a_hold_with_its_report() {
    let rollout = Rollout::new();
    let running = rollout.stage("0").start_plain();
    under_way(&rollout);
    std::fs::rename(rollout.path("runs"), rollout.path("away")).expect("can be moved");
    let told = report(&running.ended().exits(exit::HOLD));
    let why = reasons(&told);
    assert!(why.contains("it was carried out, and its evidence cannot be had"), "{why}");
    let next = told["reasons"][0]["next"].as_str().expect("what to do");
    assert!(next.contains("--out-dir"), "{next}");
}

#[test]
fn a_go_whose_report_cannot_be_written_is_told_as_none_until_it_is() {
    let rollout = Rollout::new();
    let running = rollout.stage("0").start_plain();
    under_way(&rollout);
    // A folder with something in it stands where the report is to lie.
    let in_the_way = rollout.path("stages/stage.json");
    std::fs::create_dir_all(in_the_way.join("something")).expect("is made");
    let told = running.ended();
    let decision = report(&told)["decision"].as_str().expect("what was decided is said").to_owned();
    let told = told.exits(if decision == "GO" { exit::SETUP } else { exit::HOLD });
    for says in ["the decision is in the journal, and its report is not written", "--resume"] {
        assert!(told.stderr.contains(says), "{says}: {}", told.stderr);
    }
    std::fs::remove_dir_all(&in_the_way).expect("can be removed");
    let again = rollout.stage("0").arg("--resume").ended_plain().exits(exit::USAGE);
    for says in ["was missing, and is written again", &format!("was decided: {decision}")] {
        assert!(again.stderr.contains(says), "{says}: {}", again.stderr);
    }
    assert!(in_the_way.is_file());
}

//! Evidence that survives: a killed run, a bundle made again, other gates, changed files, old runs.

use std::fs;
use std::path::{Path, PathBuf};

use crate::support::processes::{is_gone_soon, reference_of};
use crate::support::{Ended, Harness, exit, number, read_folder, reasons};
use rustix::process::Signal;
use serde_json::Value;
use tempfile::TempDir;

/// What is not made from the rest of a bundle.
fn is_source(name: &str) -> bool {
    let files = ["events.ndjson", "schedule.ndjson", "scenario.resolved.toml"];
    files.contains(&name) || name.starts_with("journal/") || name.starts_with("metrics/")
}

/// The bundle of an ended run, put back on disk; all of it, or its sources alone.
fn restored(run: &Ended, sources_only: bool) -> (TempDir, PathBuf) {
    run.restored(|name| !sources_only || is_source(name))
}

fn with_dir(command: &str, bundle: &Path) -> Harness {
    Harness::new(command).arg(bundle.as_os_str())
}

#[test]
fn a_killed_run_leaves_a_hold_and_the_same_one_whenever_it_is_made() {
    let mut run = Harness::tiny().set("phase.storm.duration=60s").start();
    run.wait_for("the proof of the fault", |event| event["event"] == "fault_proven");
    // The journal is written each second.
    run.wait_for_seconds(3);
    let reference = reference_of(run.pid());
    run.signal(Signal::KILL);
    is_gone_soon(reference);
    let run = run.ended();
    assert_eq!(run.code, None, "a signal ended it");
    assert!(!run.files.contains_key("run.json"));
    let (_dir, bundle) = restored(&run, false);

    let first = with_dir("report", &bundle).ended_plain().exits(exit::HOLD);
    assert!(first.stdout.starts_with("HOLD"), "{}", first.stdout);
    assert!(first.stdout.contains("UNFINISHED"), "{}", first.stdout);
    let files = read_folder(&bundle);
    let report: Value = serde_json::from_slice(&files["run.json"]).expect("JSON");
    assert_eq!((&report["decision"], &report["finished"]), (&"HOLD".into(), &false.into()));
    assert!(reasons(&report).contains("did not finish"), "{}", reasons(&report));
    assert!(number(&report, "/oracle/deliveries") > 0, "what was seen until then is in it");
    assert!(number(&report, "/faults/0/effective") > 0, "so is what was proven until then");
    assert!(number(&report, "/generator/memory_peak_mib") > 0);
    for name in ["summary.md", "junit.xml", "latency.hlog", "timeseries.csv", "manifest.json"] {
        assert!(!files[name].is_empty(), "{name} is empty");
    }

    with_dir("report", &bundle).ended_plain().exits(exit::HOLD);
    assert!(read_folder(&bundle) == files, "made twice, it is the same to the byte");
    with_dir("verify", &bundle).ended_plain().exits(exit::GO);
}

#[test]
fn everything_but_the_sources_can_be_made_again_to_the_byte() {
    let run = Harness::tiny().ended().exits(exit::GO);
    let (_dir, bundle) = restored(&run, true);
    let made = with_dir("report", &bundle).ended_plain().exits(exit::GO);
    let files = read_folder(&bundle);
    let (names, made_names) = (run.names(), files.keys().collect::<Vec<_>>());
    assert_eq!(names, made_names);
    for (name, bytes) in files.iter().filter(|(name, _)| *name != "manifest.json") {
        assert!(*bytes == run.files[name], "{name} is another one");
    }
    // Who made the manifest afterwards cannot say what the run wrote.
    let mut manifest: Value = serde_json::from_slice(&files["manifest.json"]).expect("JSON");
    let fields = manifest.as_object_mut().expect("an object");
    assert!(fields.remove("made_afterwards").is_some_and(|at| at.is_string()), "{fields:?}");
    let its_own = fields.remove("manifest_sha256");
    let mut written: Value = serde_json::from_slice(run.file("manifest.json")).expect("JSON");
    assert_ne!(its_own, written.as_object_mut().and_then(|it| it.remove("manifest_sha256")));
    assert_eq!(manifest, written);
    let found = with_dir("verify", &bundle).ended_plain().exits(exit::HOLD).stdout;
    assert!(found.contains("manifest.json was made by `report` at "), "{found}");
    // What people read is the same as well, but for the path.
    let summary = |text: &str| text.rsplit_once("\n\n").map(|(head, _)| head.to_owned());
    assert_eq!(summary(&made.stdout), summary(&run.stdout));
}

#[test]
fn a_damaged_journal_is_a_hold_that_says_where() {
    let run = Harness::tiny().ended().exits(exit::GO);
    let (_dir, bundle) = restored(&run, true);
    let path = bundle.join("journal/run.journal");
    let mut bytes = fs::read(&path).expect("can be read");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&path, bytes).expect("can be written");
    let made = with_dir("report", &bundle).ended_plain().exits(exit::HOLD);
    assert!(made.said().contains("is damaged: its checksum does not fit"), "{}", made.stdout);
}

#[test]
fn what_is_no_bundle_is_said_in_a_sentence_and_not_touched() {
    let dir = TempDir::new().expect("a folder");
    let lacks = "it has no journal/run.journal";
    let ended = with_dir("report", dir.path()).ended_plain().exits(exit::SETUP);
    assert!(ended.stderr.contains(lacks), "{}", ended.stderr);
    let ended = with_dir("verify", dir.path()).ended_plain().exits(exit::HOLD);
    assert!(ended.stdout.contains(lacks), "{}", ended.stdout);
    for command in ["report", "verify"] {
        let missing = dir.path().join("missing");
        with_dir(command, &missing).ended_plain().exits(exit::SETUP);
        assert!(!missing.exists());
    }
    assert_eq!(read_folder(dir.path()).len(), 0);
}

#[test]
fn a_run_that_goes_on_is_neither_reported_on_nor_verified() {
    let mut run = Harness::tiny().start();
    run.wait_for_phase("steady");
    let bundle = run.bundle().expect("the bundle is there");
    for command in ["report", "verify"] {
        let refused = with_dir(command, &bundle).ended_plain().exits(exit::SETUP);
        assert!(refused.stderr.contains("still going on"), "{command}: {}", refused.stderr);
    }
    run.ended().exits(exit::GO);
}

const IMPOSSIBLE: &str = r#"
[[gate]]
name = "reconnect"
[[gate.objective]]
metric = "time_to_recovered"
during = ["storm"]
require = "p(50) < 301ms"
"#;

#[test]
fn a_run_is_judged_by_other_gates_without_being_run_again() {
    let run = Harness::tiny().ended().exits(exit::GO);
    let (dir, bundle) = restored(&run, false);
    let before = read_folder(&bundle);
    let gates = dir.path().join("gates.toml");
    let score = || with_dir("score", &bundle).arg("--gates").arg(gates.as_os_str());

    fs::write(&gates, IMPOSSIBLE).expect("can be written");
    let scored = score().arg("--json").ended_plain().exits(exit::NO_GO);
    let report: Value = serde_json::from_str(&scored.stdout).expect("JSON");
    assert_eq!(report["decision"], "NO-GO");
    let judged = report["gates"].as_array().map(Vec::len);
    assert_eq!(judged, Some(3), "the new one, stability's and the oracle's");

    fs::write(&gates, IMPOSSIBLE.replace("301ms", "60s")).expect("can be written");
    score().ended_plain().exits(exit::GO);

    // Who waits for 300 ms before it comes back is not back within 200, whatever the target does.
    fs::write(&gates, IMPOSSIBLE.replace("301ms", "200ms")).expect("can be written");
    let scored = score().ended_plain().exits(exit::HOLD);
    let said = scored.said();
    for said_of_it in [
        "no client can keep this bound: time_to_recovered p(50) < 200ms",
        "gates.toml and judge by it again, no run is needed: bound it above",
    ] {
        assert!(said.contains(said_of_it), "no `{said_of_it}` in {said}");
    }
    assert!(scored.stderr.contains("scenario.resolved.toml --gates "), "{}", scored.stderr);

    fs::write(&gates, IMPOSSIBLE.replace("storm", "strom")).expect("can be written");
    let refused = score().ended_plain().exits(exit::INVALID_SCENARIO);
    assert!(refused.stderr.contains("gates.toml"), "{}", refused.stderr);
    assert!(read_folder(&bundle) == before, "nothing in the bundle was changed");
}

#[test]
fn whatever_was_changed_is_found() {
    let run = Harness::tiny().ended().exits(exit::GO);
    let (_dir, bundle) = restored(&run, false);
    let verified = |code: i32| with_dir("verify", &bundle).ended_plain().exits(code).stdout;
    verified(exit::GO);

    let run_json = fs::read_to_string(bundle.join("run.json")).expect("can be read");
    let forged = run_json.replace(r#""decision":"GO""#, r#""decision":"NO-GO""#);
    assert_ne!(forged, run_json);
    fs::write(bundle.join("run.json"), forged).expect("can be written");
    fs::remove_file(bundle.join("summary.md")).expect("can be removed");
    fs::write(bundle.join("notes.txt"), "mine").expect("can be written");
    let found = verified(exit::HOLD);
    for problem in [
        "run.json is not what was written",
        "run.json says NO-GO, the sources say GO",
        "summary.md is missing",
        "notes.txt was not there when the run ended",
    ] {
        assert!(found.contains(problem), "{found}");
    }

    let toml = bundle.join("scenario.resolved.toml");
    let changed = fs::read_to_string(&toml).expect("can be read").replace("seed = ", "seed = 1");
    fs::write(&toml, changed).expect("can be written");
    let found = verified(exit::HOLD);
    for problem in ["is not the schedule of", "scenario.resolved.toml is not what was written"] {
        assert!(found.contains(problem), "{found}");
    }
}

#[test]
fn whatever_is_missing_of_a_bundle_is_a_problem_of_it() {
    let run = Harness::tiny().ended().exits(exit::GO);
    for gone in run.names() {
        if gone.starts_with("metrics/during-") {
            continue;
        }
        let (_dir, bundle) = run.restored(|name| name != gone);
        let found = with_dir("verify", &bundle).ended_plain().exits(exit::HOLD);
        assert!(found.stdout.contains(gone), "{gone}: {}", found.stdout);
        assert_eq!(found.stderr, "", "{gone}");
    }
    let (dir, bundle) = run.restored(|_| true);
    for (path, target) in [("journal/run.journal", "run.journal"), ("metrics", "metrics")] {
        let elsewhere = dir.path().join(target);
        fs::rename(bundle.join(path), &elsewhere).expect("can be moved");
        std::os::unix::fs::symlink(&elsewhere, bundle.join(path)).expect("can be linked");
    }
    let found = with_dir("verify", &bundle).ended_plain().exits(exit::HOLD).stdout;
    for path in ["journal/run.journal", "metrics"] {
        assert!(found.contains(&format!("{path} is a symbolic link to ")), "{found}");
    }
}

/// A bundle of a run that is a NO-GO.
fn no_go() -> Ended {
    let strict = "gate.reconnect.objective=[{ metric = \"time_to_recovered\", during = [\"storm\"], \
                  require = \"p(50) < 301ms\" }]";
    Harness::tiny().set(strict).ended().exits(exit::NO_GO)
}

#[test]
fn the_first_manifest_is_final_for_the_sources() {
    let run = Harness::tiny().ended().exits(exit::GO);
    let (_dir, bundle) = run.restored(|_| true);
    let events = bundle.join("events.ndjson");
    let mut text = fs::read_to_string(&events).expect("can be read");
    text.push('\n');
    fs::write(&events, text).expect("can be written");
    let said = "the sources are not what the run wrote, and it said GO of those that it wrote: \
                events.ndjson";
    let made = with_dir("report", &bundle).ended_plain().exits(exit::HOLD);
    assert!(made.said().contains(said), "{}", made.stdout);
    let found = with_dir("verify", &bundle).ended_plain().exits(exit::HOLD).stdout;
    for problem in
        ["events.ndjson is not what was written", "run.json says GO, the sources say HOLD"]
    {
        assert!(found.contains(problem), "{found}");
    }
    for name in ["summary.md", "run.json", "junit.xml", "latency.hlog", "manifest.json"] {
        let now = fs::read(bundle.join(name)).expect("can be read");
        assert!(now == run.file(name), "{name} of the run itself was written over");
        let altered = bundle.join("altered").join(name);
        assert_eq!(altered.is_file(), name != "manifest.json", "{name}");
    }
    let made = read_folder(&bundle);
    with_dir("report", &bundle).ended_plain().exits(exit::HOLD);
    assert!(read_folder(&bundle) == made, "made twice, it is the same to the byte");
}

#[test]
fn nothing_is_written_through_a_link_in_a_bundle() {
    use std::os::unix::fs::symlink;
    let run = Harness::tiny().ended().exits(exit::GO);
    let (dir, bundle) = run.restored(|_| true);
    let elsewhere = dir.path().join("elsewhere");
    fs::create_dir(&elsewhere).expect("a folder");
    let (folder, precious) = (elsewhere.join("altered"), elsewhere.join("precious"));
    fs::create_dir(&folder).expect("a folder");
    fs::write(&precious, "somebody's").expect("can be written");
    let kept = || fs::read_to_string(&precious).expect("can be read");

    // A file that is begun takes the place of a link; the lock does not.
    symlink(&precious, bundle.join(".summary.md.part")).expect("can be linked");
    with_dir("report", &bundle).ended_plain().exits(exit::GO);
    assert_eq!(kept(), "somebody's");
    symlink(&precious, bundle.join(".writing")).expect("can be linked");
    let refused = with_dir("report", &bundle).ended_plain().exits(exit::SETUP).stderr;
    assert!(refused.contains(".writing is a symbolic link to "), "{refused}");
    assert_eq!(kept(), "somebody's");
    fs::remove_file(bundle.join(".writing")).expect("can be removed");

    let events = bundle.join("events.ndjson");
    let text = fs::read_to_string(&events).expect("can be read");
    fs::write(&events, text + "\n").expect("can be written");
    symlink(&folder, bundle.join("altered")).expect("can be linked");
    let refused = with_dir("report", &bundle).ended_plain().exits(exit::SETUP).stderr;
    assert!(refused.contains("altered is a symbolic link to "), "{refused}");
    assert!(refused.contains("nothing is written through one: remove it"), "{refused}");
    assert!(fs::read_dir(&folder).expect("a folder").next().is_none(), "it is empty");
}

#[test]
fn a_truncated_journal_does_not_hide_a_no_go() {
    let run = no_go();
    let (_dir, bundle) = run.restored(|_| true);
    let journal = run.file("journal/run.journal");
    fs::write(bundle.join("journal/run.journal"), &journal[..journal.len() / 2]).expect("written");
    let made = with_dir("report", &bundle).ended_plain().exits(exit::NO_GO);
    assert!(made.said().contains("and it said NO-GO of those"), "{}", made.stdout);
    let found = with_dir("verify", &bundle).ended_plain().exits(exit::HOLD).stdout;
    assert!(found.contains("run.json says NO-GO, the sources say HOLD"), "{found}");

    // Not even where the manifest is gone, too.
    let (_dir, bundle) = run.restored(|name| name != "manifest.json");
    fs::write(bundle.join("journal/run.journal"), &journal[..journal.len() / 2]).expect("written");
    with_dir("report", &bundle).ended_plain().exits(exit::NO_GO);
    let found = with_dir("verify", &bundle).ended_plain().exits(exit::HOLD).stdout;
    assert!(found.contains("run.json says NO-GO, the sources say HOLD"), "{found}");
}

#[test]
fn nothing_is_written_into_the_evidence_of_another_run() {
    let run = Harness::tiny().ended().exits(exit::GO);
    let (_dir, bundle) = run.restored(|_| true);
    let again = Harness::run("scenario.resolved.toml").in_folder(&bundle).ended_plain();
    let again = again.exits(exit::SETUP);
    assert!(again.stderr.contains("is in the evidence of another run"), "{}", again.stderr);
    with_dir("verify", &bundle).ended_plain().exits(exit::GO);
}

#[test]
fn a_score_by_which_nothing_is_judged_is_a_hold() {
    let run = no_go();
    let (dir, bundle) = run.restored(|_| true);
    let gates = dir.path().join("gates.toml");
    let score = || with_dir("score", &bundle).arg("--gates").arg(gates.as_os_str());
    for nothing in ["", "# nothing yet\n", "gate = []\n"] {
        fs::write(&gates, nothing).expect("can be written");
        let scored = score().ended_plain().exits(exit::HOLD);
        assert!(scored.said().contains("no objective of any gate was judged"), "{}", scored.stdout);
    }
    // What the run itself came to is said, whatever other gates say.
    fs::write(&gates, IMPOSSIBLE.replace("301ms", "60s")).expect("can be written");
    let scored = score().ended_plain().exits(exit::GO);
    let said = scored.said();
    let (head, _) = said.split_once("Go on: ").expect("its own headline comes after");
    for said in ["gates.toml", "in place of", "error-budget, replay, reconnect", "NO-GO"] {
        assert!(head.contains(said), "no `{said}` in {head}");
    }
}

#[test]
fn what_is_wrong_with_the_gates_of_a_score_is_said_of_their_file() {
    let run = Harness::tiny().ended().exits(exit::GO);
    let (dir, bundle) = run.restored(|_| true);
    let gates = dir.path().join("gates.toml");
    let refused = || {
        let score = with_dir("score", &bundle).arg("--gates").arg(gates.as_os_str());
        let refused = score.ended_plain().exits(exit::INVALID_SCENARIO);
        assert!(refused.stderr.contains(&gates.display().to_string()), "{}", refused.stderr);
        assert!(!refused.stderr.contains("scenario.resolved.toml"), "{}", refused.stderr);
        refused.stderr
    };
    refused();
    fs::write(&gates, "root:x:0:0:root:/root:/bin/bash\n").expect("can be written");
    let said = refused();
    assert!(said.contains("is no gate file") && !said.contains("/bin/bash"), "{said}");
    fs::write(&gates, "[[gate]\nname = 1\n").expect("can be written");
    refused();
}

#[test]
fn old_runs_go_and_those_that_a_stage_report_cites_stay() {
    let run = Harness::tiny().ended().exits(exit::GO);
    let dir = TempDir::new().expect("a folder");
    let (runs, stages) = (dir.path().join("runs"), dir.path().join("stages"));
    let names = ["20260101T000000Z-a-1", "20260102T000000Z-b-2", "20260103T000000Z-c-3"];
    for name in names {
        let journal = runs.join(name).join("journal");
        fs::create_dir_all(&journal).expect("can be made");
        fs::write(journal.join("run.journal"), run.file("journal/run.journal")).expect("written");
    }
    fs::create_dir_all(runs.join("not-a-run")).expect("can be made");
    fs::create_dir_all(&stages).expect("can be made");
    fs::write(stages.join("stage-1.md"), format!("see reports/runs/{}/run.json", names[0]))
        .expect("can be written");
    let prune = |keep: &str| {
        Harness::new("prune")
            .arg("--keep")
            .arg(keep)
            .arg("--runs-dir")
            .arg(runs.as_os_str())
            .arg("--stage-dir")
            .arg(stages.as_os_str())
    };
    let there = || names.map(|name| runs.join(name).exists());

    let dry = prune("1").arg("--dry-run").ended_plain().exits(exit::GO);
    assert!(dry.stdout.contains(&format!("{} would be removed", names[1])), "{}", dry.stdout);
    assert_eq!(there(), [true, true, true]);
    let pruned = prune("1").ended_plain().exits(exit::GO);
    assert!(pruned.stdout.contains("a stage report cites it"), "{}", pruned.stdout);
    assert_eq!(there(), [true, false, true]);
    assert!(runs.join("not-a-run").exists(), "what is no run is not touched");
    prune("0").ended_plain().exits(exit::GO);
    assert_eq!(there(), [true, false, false]);
}

#[test]
fn a_journal_too_small_for_anything_is_a_usage_error() {
    for size in ["0B", "1KiB", "65535B"] {
        let run = Harness::tiny().arg("--bundle-max").arg(size).ended().exits(exit::USAGE);
        assert!(run.stderr.contains("at least 64KiB"), "{}", run.stderr);
        assert!(run.out_dir_is_empty);
    }
}

#[test]
fn a_small_journal_is_written_less_often_and_loses_no_sample() {
    let run = Harness::tiny().arg("--bundle-max").arg("64KiB").ended().exits(exit::GO);
    let report = run.report();
    let findings = report["findings"].as_array().expect("findings");
    assert!(findings.iter().any(|f| f["name"] == "journal_thinned"), "{findings:?}");
    let whole = Harness::tiny().ended().exits(exit::GO).report();
    // Of states, versions may be skipped; of a stream every event counts.
    let applied = |report: &Value| number(report, "/oracle/applied/runtime.codex_worker_events");
    assert_eq!(applied(&report), applied(&whole), "the same seed, the same events");
}

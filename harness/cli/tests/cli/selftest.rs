//! `selftest`: rows that are caught, arguments that mean nothing, and an interrupt. What a row that is
//! not caught comes to is tested beside the judging itself, for no defect is there to be missed.

use std::path::Path;

use crate::support;
use crate::support::processes::{children_of, is_gone_soon, references_of};
use crate::support::{Ended, Harness, eventually, exit};
use rustix::process::Signal;
use serde_json::Value;
use tempfile::TempDir;

fn selftest(arguments: &[&str], dir: &Path) -> Harness {
    let harness = arguments.iter().fold(Harness::new("selftest"), |harness, one| harness.arg(*one));
    harness.arg("--out-dir").arg(dir.as_os_str())
}

fn json(dir: &Path, name: &str) -> Value {
    let text = std::fs::read_to_string(dir.join(name)).expect("is written");
    serde_json::from_str(&text).expect("is JSON")
}

#[test]
fn one_row_of_the_matrix_is_caught_and_written_down() {
    let dir = TempDir::new().expect("a folder");
    let run = selftest(&["--matrix", "--only", "drop_on_reconnect"], dir.path()).ended_plain();
    let run = run.exits(exit::GO);
    let matrix = json(dir.path(), "matrix.json");
    assert_eq!(matrix["version"], 1);
    assert_eq!((&matrix["totals"]["rows"], &matrix["totals"]["caught"]), (&1.into(), &1.into()));
    let row = &matrix["defects"][0];
    assert_eq!((&row["name"], &row["primary"]), (&"drop_on_reconnect".into(), &"gap".into()));
    assert_eq!((&row["status"], &row["raised"]), (&"caught".into(), &true.into()));
    assert_eq!(row["decision"], "NO-GO");
    assert_eq!(row["undeclared"], serde_json::json!([]));
    assert!(row["acted"].as_u64().is_some_and(|times| times > 0), "{row}");
    assert!(row["deliveries"].as_u64().is_some_and(|count| count > 0), "{row}");
    assert!(row["detection_s"].as_f64().is_some_and(|seconds| seconds >= 0.0), "{row}");
    let page = std::fs::read_to_string(dir.path().join("matrix.md")).expect("is written");
    assert!(page.contains("drop_on_reconnect"), "{page}");
    assert!(run.stdout.starts_with(&page), "the page is what is printed: {}", run.stdout);
    assert_eq!(run.stdout.lines().last(), Some(&*dir.path().display().to_string()));
    let progress = run.stderr.lines().find(|line| line.contains("drop_on_reconnect"));
    assert!(progress.is_some_and(|line| line.contains("1/1")), "{}", run.stderr);
    assert!(row["run_dir"].is_null(), "what was caught needs no evidence: {row}");
    let mut left: Vec<_> = support::read_folder(dir.path()).into_keys().collect();
    left.sort_unstable();
    assert_eq!(left, ["matrix.json", "matrix.md"]);
}

#[test]
fn a_bundle_is_kept_when_asked_for() {
    let dir = TempDir::new().expect("a folder");
    let arguments = ["--matrix", "--only", "after_unsubscribe", "--keep"];
    selftest(&arguments, dir.path()).ended_plain().exits(exit::GO);
    let matrix = json(dir.path(), "matrix.json");
    let bundle = matrix["defects"][0]["run_dir"].as_str().expect("a bundle").to_owned();
    let report = json(Path::new(&bundle), "run.json");
    assert_eq!(report["decision"], "NO-GO");
    assert_eq!(report["target"]["defects"].as_array().map(Vec::len), Some(1));
}

#[test]
fn a_clean_run_is_counted_and_bounded() {
    let dir = TempDir::new().expect("a folder");
    let run = selftest(&["--clean", "1", "--only", "two-topics"], dir.path()).ended_plain();
    // A machine that is too slow makes a HOLD, and none makes a false alarm.
    assert!(matches!(run.code, Some(exit::GO | exit::HOLD)), "{}{}", run.stdout, run.stderr);
    let clean = json(dir.path(), "clean.json");
    let totals = &clean["totals"];
    assert_eq!((&totals["runs"], &totals["violations"]), (&totals["asked"], &0.into()));
    assert!(totals["runs"].as_u64().is_some_and(|runs| runs > 0), "{totals}");
    let deliveries = totals["deliveries"].as_f64().expect("a number");
    let bound = totals["violations_per_delivery_max"].as_f64().expect("a bound");
    assert!((bound * deliveries - 3.0).abs() < 1e-9, "{totals}");
    let status = if run.code == Some(exit::GO) { "clean" } else { "hold" };
    assert_eq!(clean["runs"][0]["status"], status);
    let page = std::fs::read_to_string(dir.path().join("clean.md")).expect("is written");
    assert!(page.contains("rule of three"), "{page}");
}

/// One valid deviation and one that is none, each judged as it must be.
#[test]
fn rows_of_the_wire_matrix_are_judged_and_written_down() {
    let dir = TempDir::new().expect("a folder");
    let arguments = ["--wire", "--only", "up_odd_reason,json_bom", "--seed", "11"];
    let run = selftest(&arguments, dir.path()).ended_plain().exits(exit::GO);
    let wire = json(dir.path(), "wire.json");
    assert_eq!(
        (&wire["version"], &wire["seed"], &wire["whole"]),
        (&1.into(), &11.into(), &false.into())
    );
    let totals = serde_json::json!({"rows": 2, "right": 2, "wrong": 0, "error": 0, "not_run": 0});
    assert_eq!(wire["totals"], totals);
    let [valid, broken] = &wire["deviations"].as_array().expect("rows")[..] else {
        panic!("two rows: {wire}");
    };
    assert_eq!((&valid["name"], &valid["came"]), (&"up_odd_reason".into(), &"GO".into()));
    assert_eq!(valid["raised"], serde_json::json!([]));
    assert_eq!((&broken["name"], &broken["came"]), (&"json_bom".into(), &"NO-GO".into()));
    let raised = broken["raised"].as_array().expect("names");
    assert!(raised.contains(&"malformed_message".into()), "{broken}");
    let page = std::fs::read_to_string(dir.path().join("wire.md")).expect("is written");
    assert!(
        page.contains("2 of 2 rows right") && page.contains("| json_bom | NO-GO by "),
        "{page}"
    );
    assert!(run.stdout.starts_with(&page), "the page is what is printed: {}", run.stdout);

    let shown = selftest(&["--page", &dir.path().display().to_string()], dir.path());
    let shown = shown.ended_plain().exits(exit::GO).stdout;
    assert!(shown.contains("| 2 of 2, a part only | none |"), "{shown}");
    assert!(shown.contains("defects of the reference runtime | not run |"), "{shown}");
}

#[test]
fn the_list_of_deviations_is_printed_and_nothing_is_run() {
    let dir = TempDir::new().expect("a folder");
    let list = selftest(&["--wire", "--list", "--only", "plain"], dir.path());
    let list = list.ended_plain().exits(exit::GO).stdout;
    assert!(
        list.contains("1 deviations, 1 of them valid.") && list.contains("| `plain` | GO |"),
        "{list}"
    );
    assert_eq!(std::fs::read_dir(dir.path()).expect("a folder").count(), 0);
}

fn is_misused(arguments: &[&str], said: &[&str]) {
    let dir = TempDir::new().expect("a folder");
    let run = selftest(arguments, dir.path()).ended_plain().exits(exit::USAGE);
    for word in said {
        assert!(run.stderr.contains(word), "{arguments:?}: no `{word}` in:\n{}", run.stderr);
    }
    assert_eq!(run.stdout, "");
    let left = std::fs::read_dir(dir.path()).expect("a folder").count();
    assert_eq!(left, 0, "nothing was begun");
}

#[test]
fn a_name_that_is_not_there_is_a_usage_error_that_lists_the_known_ones() {
    let defects = ["drop_everything", "drop_on_reconnect", "slow_accepts"];
    is_misused(&["--matrix", "--only", "drop_everything"], &defects);
    is_misused(&["--matrix", "--only", "swap_two,drop_everything"], &defects);
    let scenarios = ["drop_nth", "smoke", "stale-cursor"];
    is_misused(&["--clean", "1", "--only", "drop_nth"], &scenarios);
}

#[test]
fn what_means_nothing_is_a_usage_error() {
    is_misused(&[], &["--matrix", "--clean"]);
    is_misused(&["--matrix", "--clean", "1"], &["--matrix", "--clean"]);
    is_misused(&["--clean", "0"], &["--clean"]);
    is_misused(&["--clean", "1", "--seed", "3"], &["--seed"]);
    is_misused(&["--matrix", "--list"], &["--list"]);
    is_misused(&["--wire", "--only", "no_such_deviation"], &["json_bom", "up_odd_reason"]);
    is_misused(&["--matrix", "--part", "4/3"], &["--part", "4/3"]);
    is_misused(&["--matrix", "--only", "gap", "--part", "1/2"], &["gap"]);
    is_misused(&["--matrix", "--only", "swap_two", "--part", "9/9"], &["empty"]);
    is_misused(&["--matrix", "--jobs", "0"], &["--jobs"]);
}

/// A selftest that is sent a signal while its first run is under way; its runs end with it.
fn interrupted(signal: Signal) -> (Ended, TempDir) {
    let dir = TempDir::new().expect("a folder");
    let arguments = ["--matrix", "--only", "drop_nth,drop_on_reconnect,tail_lost", "--jobs", "1"];
    let running = selftest(&arguments, dir.path()).start_plain();
    let run = eventually("a run", || children_of(running.pid(), "run").pop());
    let runtime = eventually("its target", || {
        references_of(u32::try_from(run.pid).expect("a process id")).pop()
    });
    running.signal(signal);
    let ended = running.ended();
    is_gone_soon(run);
    is_gone_soon(runtime);
    (ended, dir)
}

#[test]
fn an_interrupt_ends_its_runs_and_leaves_what_is_known() {
    let (run, dir) = interrupted(Signal::INT);
    let run = run.exits(exit::INTERRUPTED);
    let matrix = json(dir.path(), "matrix.json");
    assert_eq!((&matrix["interrupted"], &matrix["totals"]["not_run"]), (&true.into(), &4.into()));
    assert_eq!(matrix["defects"], serde_json::json!([]), "what was cut off proves nothing");
    assert!(run.stdout.contains("Interrupted"), "{}", run.stdout);
}

#[test]
fn a_selftest_that_is_killed_leaves_no_runs_behind() {
    let (run, _dir) = interrupted(Signal::KILL);
    assert_eq!(run.code, None);
}

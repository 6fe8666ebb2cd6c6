//! `run` to its end against the reference runtime that keeps the contract: GO, the evidence, and what
//! must not depend on chance.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use crate::support;
use crate::support::{Ended, Harness, exit, gates_with, number, objectives, reasons, violated};
use serde_json::{Value, json};

/// Clients of the scenario.
const CLIENTS: u64 = 24;
/// Its workers.
const WORKERS: u64 = 2;
/// The topic of which every event counts.
const STREAM: &str = "runtime.codex_worker_events";

/// One run for all tests that only look at what a GO leaves.
static GO: LazyLock<Ended> = LazyLock::new(|| Harness::tiny().ended());

fn applied(report: &Value) -> u64 {
    report["oracle"]["applied"][STREAM].as_u64().expect("applied events of the stream")
}

#[test]
fn a_correct_runtime_is_a_go_and_the_report_says_so() {
    assert_eq!(GO.code, Some(exit::GO), "{}{}", GO.stdout, GO.stderr);
    let report = GO.report();
    assert_eq!(report["format_version"], 2);
    assert_eq!(report["decision"], "GO");
    assert_eq!(report["verdict"], "PASS");
    assert_eq!(report["interrupted"], false);
    assert_eq!(report["scenario"]["name"], "tiny");
    assert_eq!(report["scenario"]["seed"], 7);
    assert_eq!(report["reasons"], json!([]));
    assert!(GO.stdout.starts_with("GO "), "the verdict comes first: {}", GO.stdout);
}

#[test]
fn the_commit_that_was_built_stands_in_the_evidence() {
    let version = Harness::new("--version").ended_plain().exits(exit::GO).stdout;
    let (_, commit) = version.trim().split_once("(commit ").expect("it is printed");
    let commit = commit.trim_end_matches(')');
    let report = GO.report();
    let manifest: Value = serde_json::from_slice(GO.file("manifest.json")).expect("JSON");
    for said in [&report["tool"]["commit"], &manifest["tool_commit"]] {
        match commit {
            "not known" => assert!(said.is_null(), "{said}"),
            known => assert_eq!(said, known),
        }
    }
    let summary = String::from_utf8_lossy(GO.file("summary.md"));
    assert!(commit == "not known" || summary.contains(&format!("(commit {commit})")), "{summary}");
}

#[test]
fn every_gate_of_a_go_is_judged_passed_and_has_samples() {
    let report = GO.report();
    let names: Vec<_> =
        report["gates"].as_array().expect("gates").iter().map(|gate| &gate["name"]).collect();
    assert_eq!(names, ["error-budget", "replay", "reconnect", "stability", "oracle"]);
    assert_eq!(gates_with(&report, "PASS").len(), names.len());
    for gate in ["error-budget", "replay", "reconnect", "stability", "oracle"] {
        for objective in objectives(&report, gate) {
            assert_eq!(objective["verdict"], "PASS", "{objective}");
            assert!(number(objective, "/n") > 0, "{objective}");
        }
    }
    // One verdict for each surface, never an average over them.
    let recovered = objectives(&report, "reconnect").iter();
    let surfaces: Vec<_> = recovered
        .filter(|objective| objective["metric"] == "time_to_recovered")
        .map(|objective| (&objective["selector"], &objective["n"]))
        .collect();
    let each = [json!("surface=desktop"), json!("surface=ios")];
    assert_eq!(surfaces, [(&each[0], &json!(12)), (&each[1], &json!(12))]);
}

#[test]
fn the_oracle_of_a_go_has_judged_every_delivery_and_found_nothing() {
    let report = GO.report();
    assert_eq!(violated(&report), [] as [&str; 0]);
    for rule in [
        "divergent_value",
        "nonmonotonic",
        "gap",
        "lost_publish",
        "false_replay_complete",
        "no_convergence",
    ] {
        assert_eq!(report["oracle"]["violations"][rule], 0, "{rule} is listed");
    }
    assert_eq!(report["oracle"]["drained"], true);
    // Every client of the stream got every event: those planned, and what a worker says of itself
    // when it starts and, if that is still heard, when it stops.
    let planned = number(&report, "/load/planned");
    let (applied, deliveries) = (applied(&report), number(&report, "/oracle/deliveries"));
    assert!(planned > 0);
    assert!(applied >= CLIENTS * (planned + WORKERS), "{applied} of {planned} planned");
    assert!(applied <= CLIENTS * (planned + 2 * WORKERS), "{applied} of {planned} planned");
    assert_eq!(applied % CLIENTS, 0, "nobody has more than another");
    assert!(deliveries >= applied);
    assert_eq!(number(&report, "/load/acknowledged"), planned + WORKERS);
    assert_eq!(number(&report, "/load/refused"), 0);
}

#[test]
fn the_fleet_the_fault_and_the_generator_of_a_go_are_what_was_planned() {
    let report = GO.report();
    assert_eq!(number(&report, "/fleet/clients_peak"), CLIENTS);
    assert_eq!(number(&report, "/fleet/clients_live_at_end"), CLIENTS);
    assert_eq!(report["fleet"]["clients"], json!({"desktop": 12, "ios": 12}));
    assert_eq!(number(&report, "/fleet/connects"), 2 * CLIENTS);

    assert_eq!(report["faults"].as_array().expect("faults").len(), 1);
    let fault = &report["faults"][0];
    assert_eq!((&fault["kind"], &fault["phase"]), (&json!("disconnect"), &json!("storm")));
    assert_eq!((&fault["planned"], &fault["effective"]), (&json!(CLIENTS), &json!(CLIENTS)));
    let proof = fault["proof"].as_str().expect("how it was counted");
    assert!(proof.contains("target"), "counted from the other side: {proof}");

    let generator = &report["generator"];
    assert_eq!(generator["worker_threads"], 2);
    assert_eq!(generator["publishes_planned"], report["load"]["planned"]);
    assert_eq!(generator["publishes_begun"], report["load"]["planned"]);
    assert_eq!(generator["dropped_records"], 0);
    assert!(number(generator, "/descriptors_peak") > CLIENTS);
    assert!(number(generator, "/descriptors_limit") > number(generator, "/descriptors_peak"));
    assert!(report["findings"].is_array());
}

#[test]
fn the_bundle_of_a_go_is_whole() {
    for name in [
        "run.json",
        "summary.md",
        "report.html",
        "violations.ndjson",
        "events.ndjson",
        "timeseries.csv",
        "histograms.ndjson",
        "clusters.ndjson",
        "stories.ndjson",
        "schedule.ndjson",
        "scenario.resolved.toml",
    ] {
        assert!(GO.files.contains_key(name), "no {name} among {:?}", GO.names());
    }
    let halves: Vec<_> = GO.names().into_iter().filter(|name| name.contains(".part")).collect();
    assert!(halves.is_empty(), "half-written files remain: {halves:?}");
    assert!(GO.lines("violations.ndjson").is_empty());

    let events = GO.lines("events.ndjson");
    let story: Vec<_> =
        events.iter().map(|event| event["event"].as_str().expect("an event")).collect();
    let mut rest = story.iter();
    for expected in [
        "target_ready",
        "phase_began",
        "phase_began",
        "phase_began",
        "fault_due",
        "fault_proven",
        "drain_began",
        "drain_ended",
        "retired",
    ] {
        assert!(rest.any(|event| *event == expected), "no {expected} in its place: {story:?}");
    }

    let schedule = GO.lines("schedule.ndjson");
    assert!(schedule.len() as u64 > CLIENTS + number(&GO.report(), "/load/planned"));
    let csv = std::str::from_utf8(GO.file("timeseries.csv")).expect("text");
    assert!(csv.lines().count() > 5, "a line for each second: {csv}");
}

#[test]
fn results_go_to_standard_output_and_progress_to_standard_error() {
    let bundle = GO.bundle.as_ref().expect("there is a bundle").display().to_string();
    assert_eq!(GO.stdout.lines().last(), Some(&*bundle), "the last line is the bundle's path");
    assert!(bundle.contains("-tiny-"), "{bundle}");
    assert!(GO.stderr.contains("phase storm"), "{}", GO.stderr);
    assert!(!GO.stdout.contains("phase storm"), "{}", GO.stdout);
    for (stream, text) in [("stdout", &GO.stdout), ("stderr", &GO.stderr)] {
        assert!(!text.contains('\u{1b}'), "{stream} is no terminal: {text:?}");
        assert!(!text.contains('\r'), "{stream} is no terminal: {text:?}");
    }
}

#[test]
fn the_same_seed_plans_the_same_run_and_another_seed_another() {
    let start = |seed: &str| Harness::tiny().arg("--seed").arg(seed).start();
    let [one, two, other] = ["11", "11", "12"].map(start).map(|run| run.ended().exits(exit::GO));
    let text = |run: &Ended| String::from_utf8(run.file("schedule.ndjson").to_vec()).expect("text");
    assert_eq!(text(&one), text(&two), "byte for byte");
    assert_ne!(text(&one), text(&other));
    assert_ne!(one.report()["run_id"], two.report()["run_id"]);
    assert_eq!(other.report()["scenario"]["seed"], 12);
    // Planned, not seen: neither the port nor the id of a run is in it.
    let url = one.report()["target"]["url"].as_str().expect("a URL").to_owned();
    let port = url.rsplit(':').next().expect("a port").to_owned();
    let id = one.report()["run_id"].as_str().expect("an id").to_owned();
    assert!(!text(&one).contains(&format!(":{port}")) && !text(&one).contains(&id));
}

#[test]
fn the_number_of_worker_threads_changes_nothing_that_counts() {
    let start = |threads: &str| Harness::tiny().arg("--worker-threads").arg(threads).start();
    let runs = ["1", "2", "4"].map(start).map(|run| run.ended().exits(exit::GO));
    let reports: Vec<_> = runs.iter().map(Ended::report).collect();
    let threads = reports.iter().map(|report| number(report, "/generator/worker_threads"));
    assert_eq!(threads.collect::<Vec<_>>(), [1, 2, 4]);
    let same: BTreeSet<_> = reports
        .iter()
        .map(|report| {
            let decision = report["decision"].as_str().expect("a decision").to_owned();
            let clients = number(report, "/fleet/clients_peak");
            (decision, clients, number(report, "/load/planned"), applied(report))
        })
        .collect();
    assert_eq!(same.len(), 1, "{same:?}");
    let schedules: BTreeSet<_> = runs.iter().map(|run| run.file("schedule.ndjson")).collect();
    assert_eq!(schedules.len(), 1, "the plan does not know of threads");
}

#[test]
fn json_puts_the_report_on_standard_output_and_the_path_on_standard_error() {
    let run = Harness::run(support::scenario("no_load.toml")).arg("--json").ended();
    let run = run.exits(exit::HOLD);
    assert_eq!(run.stdout.as_bytes(), run.file("run.json"));
    let bundle = run.bundle.as_ref().expect("there is a bundle").display().to_string();
    assert_eq!(run.stderr.lines().last(), Some(&*bundle));
}

#[test]
fn a_run_without_traffic_is_never_a_go() {
    let run = Harness::run(support::scenario("no_load.toml")).ended().exits(exit::HOLD);
    let report = run.report();
    assert_eq!(report["decision"], "HOLD");
    assert_eq!(number(&report, "/oracle/deliveries"), 0);
    assert!(reasons(&report).contains("nothing was delivered"), "{}", reasons(&report));
    assert_eq!(violated(&report), [] as [&str; 0]);
}

#[test]
fn a_fault_aimed_at_nobody_is_refused_before_the_run() {
    let fault = "phase.storm.fault.0.mode=fixed";
    let run = Harness::tiny().set(fault).set("phase.storm.fault.0.value=0").ended();
    let run = run.exits(exit::INVALID_SCENARIO);
    assert!(run.out_dir_is_empty, "nothing was run");
    assert!(run.stderr.contains("value"), "{}", run.stderr);
}

#[test]
fn a_storm_that_hits_one_client_cannot_speak_for_the_others() {
    // One sample cannot decide p(50) of a surface, and of the other the plan says that there is none.
    let run = Harness::tiny().set("phase.storm.fault.0.mode=one").ended().exits(exit::HOLD);
    let report = run.report();
    assert_eq!(
        (number(&report, "/faults/0/planned"), number(&report, "/faults/0/effective")),
        (1, 1)
    );
    assert_eq!(gates_with(&report, "INCONCLUSIVE"), ["reconnect"]);
    assert!(reasons(&report).contains("fewer than the 5 needed"), "{}", reasons(&report));
    let verdicts: Vec<_> =
        objectives(&report, "reconnect").iter().map(|it| it["verdict"].clone()).collect();
    assert!(verdicts.contains(&"NOT_APPLICABLE".into()), "{verdicts:?}");
}

#[test]
fn a_load_too_thin_to_surround_the_storm_is_never_a_go() {
    let run = Harness::tiny().set("load.codex-worker-events.rate=1/s").ended().exits(exit::HOLD);
    let reasons = reasons(&run.report());
    assert!(reasons.contains("deliveries before or after"), "{reasons}");
}

//! Where runs lie, runs that are repeated, quiet ones, and whoever is told of them.

use std::collections::BTreeSet;
use std::path::Path;

use crate::support;
use crate::support::servers::{Server, told};
use crate::support::{Harness, eventually, exit, scenario};
use serde_json::Value;
use tempfile::TempDir;

fn json(path: &Path) -> Value {
    serde_json::from_slice(&std::fs::read(path).expect("is there")).expect("JSON")
}

fn run_into(runs: &Path) -> Harness {
    Harness::tiny().arg("--out-dir").arg(runs)
}

#[test]
fn latest_is_the_run_that_was_begun_last_and_the_index_has_all() {
    let dir = TempDir::new().expect("a folder");
    let runs = dir.path().join("runs");
    let first = run_into(&runs).ended_plain().exits(exit::GO);
    let latest = runs.join("latest");
    let path = |ended: &support::Ended| ended.stdout.lines().last().expect("a path").to_owned();
    let leads = || latest.canonicalize().expect("leads somewhere");
    assert_eq!(leads(), Path::new(&path(&first)).canonicalize().expect("is there"));
    Harness::new("verify").arg(&latest).ended_plain().exits(exit::GO);

    // While another goes on there is no decision to be read: not that of the run before.
    let second = run_into(&runs).start_plain();
    eventually("latest is the second run", || (leads() != Path::new(&path(&first))).then_some(()));
    assert!(latest.join("scenario.resolved.toml").exists() && !latest.join("run.json").exists());
    let second = second.ended().exits(exit::GO);
    assert_eq!(json(&latest.join("run.json"))["decision"], "GO");

    let index = json(&runs.join("index.json"));
    let listed: Vec<_> = index["runs"].as_array().expect("a list").iter().collect();
    let name = |ended: &support::Ended| {
        Path::new(&path(ended)).file_name().expect("a name").to_string_lossy().into_owned()
    };
    assert_eq!(listed.len(), 2);
    assert_eq!(
        (&listed[0]["dir"], &listed[1]["dir"]),
        (&name(&second).into(), &name(&first).into())
    );
    for run in listed {
        assert_eq!((&run["decision"], &run["scenario"]), (&"GO".into(), &"tiny".into()), "{run}");
        assert!(run["run_id"].is_string() && run["target"]["url"].is_string(), "{run}");
    }
    let page = std::fs::read_to_string(runs.join("index.md")).expect("text");
    assert!(page.contains(&format!("({}/summary.md) | GO | tiny |", name(&first))), "{page}");

    let pruned = Harness::new("prune").arg("--keep").arg("0").arg("--runs-dir").arg(&runs);
    pruned.ended_plain().exits(exit::GO);
    assert!(std::fs::symlink_metadata(&latest).is_err(), "it would lead nowhere");
    assert_eq!(json(&runs.join("index.json"))["runs"].as_array().map(Vec::len), Some(0));
}

#[test]
fn runs_that_say_nothing_of_a_target_as_it_is_are_marked_and_one_client_alone_is_not_the_latest() {
    let dir = TempDir::new().expect("a folder");
    let name = |ended: &support::Ended| {
        let path = ended.stdout.lines().last().expect("a path");
        Path::new(path).file_name().expect("a name").to_string_lossy().into_owned()
    };
    let broken = run_into(dir.path()).defect("drop_on_reconnect").ended_plain();
    let broken = broken.exits(exit::NO_GO);
    let leads = || std::fs::read_link(dir.path().join("latest")).expect("a link");
    assert_eq!(leads(), Path::new(&name(&broken)));
    // Another run may be the latest by the time somebody types what is printed.
    let told = Harness::new("explain").arg(dir.path().join("latest")).arg("3").ended_plain();
    let told = told.exits(exit::GO);
    assert!(told.stdout.contains(&name(&broken)), "{}", told.stdout);
    assert!(!told.stdout.contains("/latest"), "{}", told.stdout);
    let alone = run_into(dir.path()).arg("--only-client").arg("3").ended_plain();
    assert_eq!(leads(), Path::new(&name(&broken)), "a look at one client is no run to act on");
    assert!(alone.stdout.lines().next().is_some_and(|head| head.contains("  client 3 alone")));

    let page = std::fs::read_to_string(dir.path().join("index.md")).expect("text");
    let row = |name: &str| {
        page.lines().find(|line| line.contains(&format!("({name}/"))).expect("a row").to_owned()
    };
    let of_broken = row(&name(&broken));
    assert!(of_broken.contains(" | NO-GO (with the defect drop_on_reconnect"), "{of_broken}");
    assert!(row(&name(&alone)).contains("(client 3 alone) |"), "{page}");
    let index = json(&dir.path().join("index.json"));
    assert_eq!(index["runs"][0]["only_clients"], serde_json::json!([3]), "{index}");
    assert!(index["runs"][1]["defects"][0].as_str().is_some_and(|it| it.starts_with("drop_on")));
    // Of its clients the report knows the one that took part.
    let report = json(&dir.path().join(name(&alone)).join("run.json"));
    let clients = report["fleet"]["clients"].as_object().expect("by surface");
    assert_eq!(clients.values().filter_map(Value::as_u64).sum::<u64>(), 1, "{report}");
    Harness::new("verify").arg(dir.path().join(name(&alone))).ended_plain().exits(exit::GO);
}

#[test]
fn what_somebody_else_keeps_as_latest_stays() {
    let dir = TempDir::new().expect("a folder");
    std::fs::write(dir.path().join("latest"), "mine").expect("is written");
    let run = run_into(dir.path()).ended_plain().exits(exit::GO);
    assert!(run.stderr.contains("latest: it is no link; the evidence is whole"), "{}", run.stderr);
    assert_eq!(std::fs::read_to_string(dir.path().join("latest")).expect("text"), "mine");
}

#[test]
fn a_run_that_could_not_begin_leaves_no_decision_at_latest() {
    let dir = TempDir::new().expect("a folder");
    run_into(dir.path()).ended_plain().exits(exit::GO);
    let nobody = support::servers::nobody();
    let gone =
        Harness::run(scenario("elsewhere.toml")).env("KHALA_TEST_KEY", "x").env("URL", &nobody);
    let gone = gone.arg("--target").arg(&nobody).set("auth.secret.env=KHALA_TEST_KEY");
    gone.arg("--out-dir").arg(dir.path()).ended_plain().exits(exit::SETUP);
    assert!(!dir.path().join("latest/run.json").exists());
}

#[test]
fn repeated_runs_tell_what_differed_and_end_with_the_worst() {
    let dir = TempDir::new().expect("a folder");
    let run = run_into(&dir.path().join("go")).arg("--repeat").arg("2").arg("--json").start_plain();
    let strict = "gate.reconnect.objective=[{ metric = \"time_to_recovered\", during = [\"storm\"], \
                  require = \"p(50) < 301ms\" }]";
    let bad = run_into(&dir.path().join("bad")).set(strict).arg("--repeat").arg("2").start_plain();
    let run = run.ended().exits(exit::GO);
    let told: Value = serde_json::from_str(&run.stdout).expect("JSON");
    assert_eq!((&told["decision"], &told["seed"]), (&"GO".into(), &7.into()));
    let runs = told["runs"].as_array().expect("a list");
    let ids: BTreeSet<_> = runs.iter().map(|run| run["run_id"].as_str().expect("an id")).collect();
    assert_eq!((runs.len(), ids.len()), (2, 2));
    let schedule = |run: &Value| {
        let bundle = Path::new(run["bundle"].as_str().expect("a path"));
        std::fs::read(bundle.join("schedule.ndjson")).expect("is there")
    };
    assert!(schedule(&runs[0]) == schedule(&runs[1]), "one plan");
    assert!(!told["spread"].as_array().expect("a list").is_empty(), "{told}");

    let run = bad.ended().exits(exit::NO_GO);
    assert!(run.stdout.starts_with("run 1 of 2  NO-GO  "), "{}", run.stdout);
    assert!(run.stdout.ends_with("NO-GO tiny: 2 of 2 runs, of 2 asked for\n"), "{}", run.stdout);
}

#[test]
fn a_quiet_run_says_its_decision_and_where_it_lies() {
    let run = Harness::tiny().arg("--quiet").ended().exits(exit::GO);
    let lines: Vec<_> = run.stdout.lines().collect();
    assert_eq!((lines.len(), run.stderr.as_str()), (2, ""), "{}", run.stdout);
    assert!(lines[0].starts_with("GO  tiny  seed 7"), "{}", lines[0]);
    assert_eq!(Some(Path::new(lines[1])), run.bundle.as_deref());
}

#[test]
fn a_webhook_is_told_the_decision_and_its_path_stays_secret() {
    let (server, kept) = told("200 OK");
    let url = format!("{}/T0/hunter-2?key=hunter-2", server.url);
    let run = Harness::tiny().arg("--webhook").arg(&url).ended().exits(exit::GO);
    let kept = kept.lock().expect("nobody panics");
    let [request] = kept.as_slice() else { panic!("once: {kept:?}") };
    let (head, body) = request.split_once("\r\n\r\n").expect("a head");
    assert!(head.starts_with("POST /T0/hunter-2?key=hunter-2 HTTP/1.1"), "{head}");
    let (told, report): (Value, Value) = (serde_json::from_str(body).expect("JSON"), run.report());
    for key in ["decision", "run_id", "started_at", "ended_at"] {
        assert_eq!(told[key], report[key], "{key}");
    }
    assert_eq!((&told["event"], &told["exit_code"]), (&"decision".into(), &0.into()));
    let id = report["run_id"].as_str().expect("an id");
    assert!(head.contains(&format!("(run {id})")), "{head}");
    let files = run.files.iter().map(|(name, bytes)| (name.as_str(), bytes.as_slice()));
    let said = [("stdout", run.stdout.as_bytes()), ("stderr", run.stderr.as_bytes())];
    for (name, bytes) in files.chain(said) {
        assert!(!bytes.windows(8).any(|window| window == b"hunter-2"), "{name}");
    }
}

#[test]
fn a_webhook_that_is_not_told_changes_no_verdict() {
    let (refuses, _) = told("500 Internal Server Error");
    let silent = Server::silent();
    let whys =
        [(refuses.url, "500"), (support::servers::nobody(), "refused"), (silent.url, "timeout")];
    let runs = whys.map(|(url, why)| {
        let run = Harness::tiny().env("KHALA_HARNESS_WEBHOOK", &format!("{url}/hunter-2"));
        (run.start(), why)
    });
    for (run, why) in runs {
        let run = run.ended().exits(exit::GO);
        let said = run.stderr.lines().find(|line| line.contains("webhook")).expect("it is said");
        assert!(said.contains(why) && said.contains("the verdict stands"), "{said}");
        assert!(!run.stderr.contains("hunter-2"), "{}", run.stderr);
    }
    let far = Harness::tiny().arg("--webhook").arg("https://hooks.example.com/hunter-2");
    let far = far.ended().exits(exit::SETUP);
    assert!(
        far.stderr.contains("no entry of an allow file") && far.out_dir_is_empty,
        "{}",
        far.stderr
    );
    assert!(!far.stderr.contains("hunter-2"), "{}", far.stderr);
}

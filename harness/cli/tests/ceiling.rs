//! `selftest --ceiling` answers in the time that it is given, with what the null server bears out; how
//! high the ceiling is, is the machine's business.

#[path = "cli/support/mod.rs"]
#[expect(dead_code, reason = "each program of tests uses its own part")]
mod support;

use crate::support::{Harness, exit, number};
use serde_json::Value;

fn ceiling(max_time: &str) -> (support::Ended, tempfile::TempDir) {
    let dir = tempfile::TempDir::new().expect("a folder");
    let asked = Harness::new("selftest").arg("--ceiling").arg("--max-time").arg(max_time);
    let ended = asked.arg("--out-dir").arg(dir.path()).ended_plain();
    (ended, dir)
}

fn written(dir: &tempfile::TempDir) -> Value {
    let text = std::fs::read_to_string(dir.path().join("ceiling.json")).expect("it is written");
    serde_json::from_str(&text).expect("JSON")
}

#[test]
fn each_step_is_a_run_whose_deliveries_are_those_of_the_null_server() {
    let (ended, dir) = ceiling("26s");
    let found = written(&dir);
    let steps = found["steps"].as_array().expect("steps");
    assert!(
        (1..=3).contains(&steps.len()),
        "three steps of eight seconds or more at most: {found}"
    );
    for step in steps {
        assert!(number(step, "/deliveries") > 0);
        let (seen, sent) = (number(step, "/deliveries"), number(step, "/deliveries_true"));
        // One that did not keep up may have left some unread.
        let all = step["unfit"] != serde_json::json!([]) || seen == sent;
        assert!(all && seen <= sent, "{step}");
        assert!(step["lag_us"].is_u64() && step["cpu_cores"].as_f64() > Some(0.0), "{step}");
        let bundle = step["bundle"].as_str().expect("a folder");
        assert!(std::path::Path::new(bundle).join("run.json").is_file());
    }
    let is_fit = |step: &&Value| step["unfit"] == serde_json::json!([]);
    let clients = |step: &&Value| number(step, "/clients");
    let unfit = steps.iter().filter(|step| !is_fit(step)).map(|step| clients(&step)).min();
    let below = |step: &&Value| unfit.is_none_or(|unfit| clients(step) < unfit);
    let fit = steps.iter().filter(is_fit).filter(below).max_by_key(clients);
    let ended = ended.exits(if fit.is_some() { exit::GO } else { exit::HOLD });
    // How much this machine carries is its own affair; that it was too busy for any step is said too.
    if let Some(fit) = fit {
        let answer = format!("{} clients with", fit["clients"]);
        assert!(ended.stdout.contains(&answer), "{}", ended.stdout);
    } else {
        assert!(ended.stdout.contains("No step was fit."), "{}", ended.stdout);
    }
    if found["end"]["kind"] == "time" {
        let left = if fit.is_some() { "at least " } else { "There was no time for another step" };
        assert!(ended.stdout.contains(left), "{}", ended.stdout);
    }
    let page = std::fs::read_to_string(dir.path().join("ceiling.md")).expect("it is written");
    assert!(page.contains(&format!("| 1 | {} |", steps[0]["clients"])), "{page}");
}

#[test]
fn without_time_for_a_step_nothing_follows() {
    let (ended, dir) = ceiling("1s");
    let ended = ended.exits(exit::HOLD);
    assert!(ended.stdout.contains("Nothing was tried."), "{}", ended.stdout);
    assert_eq!(written(&dir)["end"]["kind"], "time");
}

#[test]
fn what_cannot_be_understood_is_said() {
    Harness::new("selftest").ended_plain().exits(exit::USAGE);
    for (option, wrong, said) in [
        ("--latency", "lognormal:1s", "lognormal:MEDIAN,SIGMA"),
        ("--latency", "lognormal:1s,9", "from 0 to 3"),
        ("--freeze", "5s", "AFTER+LENGTH"),
    ] {
        let ended = Harness::new("null-server").arg(option).arg(wrong).ended_plain();
        let ended = ended.exits(exit::USAGE);
        assert!(ended.stderr.contains(said), "{}", ended.stderr);
    }
}

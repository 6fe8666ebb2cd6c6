//! What a plan cannot exercise is said, and what must apply is held to it.

use crate::estimate::not_applicable;
use crate::testing::Load;

const TEXT: &str = r#"
version = 1
name = "quiet"
[target]
kind = "reference"
[auth]
mint = "hs256"
[fleet]
clients = 10
[[fleet.surface]]
name = "desktop"
share = 1
[[load]]
command = "codex-worker-events"
rate = "5/s"
[[phase]]
name = "steady"
duration = "30s"
[[gate]]
name = "g"
"#;

fn objective(text: &str) -> String {
    format!("[[gate.objective]]\n{text}\n")
}

/// Why the only objective is not applicable.
fn why(from: &str, to: &str, text: &str) -> Option<String> {
    let scenario = format!("{TEXT}{}", objective(text)).replacen(from, to, 1);
    let plan = Load::of(&scenario).plan();
    let schedule = crate::Schedule::of(&plan);
    let mut found = not_applicable(&plan, &schedule, &plan.gates[0].objectives[0]);
    found.pop().map(|(_, why)| why)
}

const MINT: &str = "metric = \"mint_errors\"\nrequire = \"proportion <= 1%\"";
const LAG: &str =
    "metric = \"replay_lag\"\nwhere = { surface = \"*\" }\nrequire = \"p(95) <= 250\"";
const SPARED: &str =
    "metric = \"violations\"\nwhere = { rule = \"no_eviction\" }\nrequire = \"count == 0\"";

#[test]
fn what_the_plan_has_no_occasion_for_is_not_applicable() {
    let signs = why("", "", MINT).expect("the harness signs");
    assert!(signs.contains("only with auth.mint = \"control\""), "{signs}");
    assert_eq!(why("hs256", "control", MINT), None);
    let lag = why("", "", LAG).expect("nobody is cut off");
    assert_eq!(lag, "no fault brings back a desktop in these phases");
    let cut = "duration = \"30s\"\n[[phase.fault]]\ntype = \"disconnect\"\nat = \"1s\"";
    assert_eq!(why("duration = \"30s\"", cut, LAG), None);
}

#[test]
fn a_slow_reader_that_no_load_gets_evicted_is_no_case_and_the_load_is_said() {
    let none = why("", "", SPARED).expect("nobody is slow");
    assert_eq!(
        none,
        "the plan has no fault `slow_reader`, without which `no_eviction` has no case"
    );
    let slow = "duration = \"30s\"\n[[phase.fault]]\ntype = \"slow_reader\"\nat = \"1s\"\n\
                duration = \"20s\"\nattributes = { pause = true, rcvbuf = \"4KiB\" }";
    let spared = why("duration = \"30s\"", slow, SPARED).expect("the kernel takes it all");
    assert!(spared.contains("4MiB may wait in the kernel"), "{spared}");
    assert!(spared.contains("for each slow client would"), "{spared}");
    let small = format!("{slow}\n[target.slow_consumer]\nsend_buffer = \"4KiB\"\nqueue_limit = 2");
    assert_eq!(why("duration = \"30s\"", &small, SPARED), None);
}

#[test]
fn what_must_apply_has_a_name_that_there_is() {
    let scenario = |must: &str| {
        let must = format!("name = \"quiet\"\nmust_apply = [{must}]");
        format!("{TEXT}{}", objective(SPARED)).replacen("name = \"quiet\"", &must, 1)
    };
    let names = "\"g\", \"violations\", \"no_eviction\", \"runtime.codex_worker_events\"";
    let plan = Load::of(&scenario(names)).plan();
    assert!(plan.must_apply(&plan.gates[0], &plan.gates[0].objectives[0]));
    let wrong = Load::of(&scenario("\"no_evictions\"")).complaints();
    assert!(
        wrong.contains("no gate, no objective of one and no topic is called `no_evictions`"),
        "{wrong}"
    );
}

//! Scenarios and arguments that are wrong: everything said at once, with its place, before anything
//! is sent. And what `check` says of one that is right.

use std::path::PathBuf;

use crate::support;
use crate::support::pty::Terminal;
use crate::support::{Ended, Harness, exit, scenario};

/// The mistakes of `mistakes.toml`: line, and what must be quoted there.
const MISTAKES: [(u32, &str); 5] =
    [(10, "clinets"), (15, "dekstop"), (20, "twice a second"), (30, "diskonnect"), (39, "strom")];

fn names_all_mistakes(run: &Ended) {
    for (line, offence) in MISTAKES {
        let place = format!("mistakes.toml:{line}:");
        assert!(run.stderr.contains(&place), "no {place} in:\n{}", run.stderr);
        assert!(run.stderr.contains(offence), "no {offence} in:\n{}", run.stderr);
    }
    assert_eq!(run.stdout, "");
    assert!(!run.stderr.contains('\u{1b}'), "no terminal, no colours: {:?}", run.stderr);
}

#[test]
fn check_names_all_five_mistakes_with_their_lines() {
    let run = Harness::check(scenario("mistakes.toml")).ended_plain();
    names_all_mistakes(&run.exits(exit::INVALID_SCENARIO));
}

#[test]
fn run_names_them_too_and_leaves_nothing() {
    let run = Harness::run(scenario("mistakes.toml")).ended().exits(exit::INVALID_SCENARIO);
    names_all_mistakes(&run);
    assert!(run.out_dir_is_empty);
}

#[test]
fn a_file_that_is_not_there_is_named() {
    for harness in [Harness::check("nowhere.toml"), Harness::run("nowhere.toml")] {
        let run = harness.ended_plain().exits(exit::INVALID_SCENARIO);
        assert!(run.stderr.contains("nowhere.toml"), "{}", run.stderr);
        assert_eq!(run.stdout, "");
    }
}

#[test]
fn a_file_that_is_no_toml_says_where_it_ends_to_be_toml() {
    let file = scenario("no_toml.toml");
    let run = Harness::check(file).ended_plain().exits(exit::INVALID_SCENARIO);
    assert!(run.stderr.contains("no_toml.toml:3:"), "{}", run.stderr);
}

#[test]
fn a_mistake_in_an_override_names_the_flag() {
    for (assignment, said) in [
        ("fleet.clients=many", "many"),
        ("fleet.nonsense=3", "nonsense"),
        ("phase.strom.duration=3s", "strom"),
        ("no-equals-sign", "no-equals-sign"),
    ] {
        let run = Harness::check(scenario("tiny.toml")).set(assignment).ended_plain();
        let run = run.exits(exit::INVALID_SCENARIO);
        assert!(run.stderr.contains("--set"), "{assignment}:\n{}", run.stderr);
        assert!(run.stderr.contains(said), "{assignment}:\n{}", run.stderr);
        assert!(!run.stderr.contains("tiny.toml:"), "the file is right:\n{}", run.stderr);
    }
}

#[test]
fn a_profile_that_is_not_there_is_a_mistake() {
    let run = Harness::check(scenario("tiny.toml")).arg("--profile").arg("huge").ended_plain();
    let run = run.exits(exit::INVALID_SCENARIO);
    assert!(run.stderr.contains("huge"), "{}", run.stderr);
}

#[test]
fn an_unknown_defect_is_a_usage_error_that_lists_the_known_ones() {
    for harness in
        [Harness::tiny(), Harness::check(scenario("tiny.toml")), Harness::new("reference")]
    {
        let run = harness.defect("drop_everything").ended_plain().exits(exit::USAGE);
        for known in ["drop_everything", "drop_on_reconnect", "slow_recovery", "--defect"] {
            assert!(run.stderr.contains(known), "no {known} in:\n{}", run.stderr);
        }
    }
}

#[test]
fn usage_errors_are_told_from_all_others_by_their_code() {
    Harness::new("walk").ended_plain().exits(exit::USAGE);
    Harness::new("run").ended_plain().exits(exit::USAGE);
    let run = Harness::tiny().arg("--worker-threads").arg("few").ended_plain().exits(exit::USAGE);
    assert!(run.stderr.contains("--worker-threads"), "{}", run.stderr);
    let help = Harness::new("--help").ended_plain().exits(exit::GO);
    for code in ["99", "95", "100", "104", "105"] {
        assert!(help.stdout.contains(code), "{}", help.stdout);
    }
}

/// `check` of a target by URL, with what the scenario lacks for one.
fn check_by_url(url: &str) -> Harness {
    let check = Harness::check(scenario("tiny.toml")).set("target.kind=url");
    let check = check.set(&format!("target.url={url:?}")).set("auth.mint=hs256");
    let check = check.set("auth.secret={ env = \"KEY\" }").env("KEY", &"k".repeat(32));
    check.arg("--allow-shared-writes")
}

#[test]
fn check_refuses_what_run_would_refuse() {
    for url in ["http://127.0.0.1:0", "http://127.0.0.1:99999", "http://127.0.0.1:x"] {
        let run = check_by_url(url).ended_plain().exits(exit::INVALID_SCENARIO);
        assert!(run.stderr.contains("is no port"), "{url}: {}", run.stderr);
    }
    for url in ["http://10.0.0.1", "http://10.0.0.1:80", "http://[2001:db8::1]:80"] {
        let run = check_by_url(url).ended_plain().exits(exit::SETUP);
        assert!(
            run.stderr.contains("is not this machine, and no entry of an allow file"),
            "{url}: {}",
            run.stderr
        );
    }
    check_by_url("http://[::1]:80").ended_plain().exits(exit::GO);
    let sources = "generator.source_addresses=[\"127.0.0.2\"]";
    let run = check_by_url("http://[::1]:80").set(sources).ended_plain();
    assert!(run.exits(exit::INVALID_SCENARIO).stderr.contains("IPv4 addresses reach none"));
    let run = Harness::check(scenario("tiny.toml")).set("fleet.clients=1000000").ended_plain();
    assert!(run.exits(exit::SETUP).stderr.contains("file descriptors"));
}

#[test]
fn a_hold_that_can_be_foreseen_ends_a_strict_check() {
    let gate = |require: &str| {
        let objective = format!("{{ metric = \"connect\", require = \"{require}\" }}");
        let gate = format!("gate=[{{ name = \"g\", objective = [{objective}] }}]");
        Harness::check(scenario("tiny.toml")).set(&gate)
    };
    gate("p(99.99) < 3s").ended_plain().exits(exit::GO);
    let run = gate("p(99.99) < 3s").arg("--strict").ended_plain().exits(exit::HOLD);
    assert!(run.stderr.contains("would be HOLD"), "{}", run.stderr);
    gate("max < 3s").arg("--strict").ended_plain().exits(exit::GO);
}

#[test]
fn for_machines_mistakes_are_json_on_standard_output() {
    let run = Harness::check(scenario("mistakes.toml")).arg("--json").ended_plain();
    let run = run.exits(exit::INVALID_SCENARIO);
    let said: serde_json::Value = serde_json::from_str(&run.stdout).expect("JSON");
    let errors = said["errors"].as_array().expect("errors");
    assert_eq!(errors.len(), 5, "{said}");
    let at = errors[0]["at"].as_str().expect("a place");
    assert!(at.contains("mistakes.toml:"), "{at}");
    assert!(errors.iter().all(|error| error["what"].is_string()));
}

#[test]
fn a_seed_is_itself_or_refused_at_every_entrance() {
    let most = i64::MAX.unsigned_abs();
    let by_key = |seed: u64| Harness::check(scenario("tiny.toml")).set(&format!("seed={seed}"));
    let by_flag =
        |seed: u64| Harness::check(scenario("tiny.toml")).arg("--seed").arg(seed.to_string());
    for run in [by_key(most), by_flag(most)] {
        let run = run.ended_plain().exits(exit::GO);
        assert!(run.stdout.contains(&most.to_string()), "{}", run.stdout);
    }
    let run = by_key(most + 1).ended_plain().exits(exit::INVALID_SCENARIO);
    assert!(run.stderr.contains("`seed` is 9223372036854775808"), "{}", run.stderr);
    by_flag(most + 1).ended_plain().exits(exit::USAGE);
}

#[test]
fn a_misspelt_defect_is_answered_with_the_one_that_was_meant() {
    let run = Harness::tiny().arg("--defect").arg("drop_nt").ended_plain().exits(exit::USAGE);
    assert!(run.stderr.contains("did you mean `drop_nth`?"), "{}", run.stderr);
}

#[test]
fn it_is_told_where_a_defect_shows_and_where_it_may_not() {
    let flat = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    for command in ["run", "check"] {
        let help = Harness::new(command).arg("--help").ended_plain().exits(exit::GO);
        let said = "A defect shows where it has an occasion to act: harness/reference/DEFECTS.md names the scenario \
                    for each, and `khala-harness selftest --matrix --only NAME` runs it.";
        assert!(flat(&help.stdout).contains(said), "{}", help.stdout);
    }
    let noted = |file: PathBuf, defect: &str| {
        let run = Harness::check(file).defect(defect).ended_plain().exits(exit::GO);
        flat(&run.stderr)
    };
    assert_eq!(
        noted(scenario("tiny.toml"), "drop_nth"),
        "note: the defect drop_nth may have no occasion to act here: the scenario `smoke` shows it, and \
         `khala-harness selftest --matrix --only drop_nth` does"
    );
    // No shipped scenario shows it.
    assert_eq!(
        noted(scenario("tiny.toml"), "slow_recovery"),
        "note: the defect slow_recovery may have no occasion to act here: `khala-harness selftest --matrix --only \
         slow_recovery` does"
    );
    assert_eq!(noted(shipped().join("smoke.toml"), "drop_nth"), "");
    let one = Harness::new("list").arg("defects").arg("drop_nth").ended_plain().exits(exit::GO);
    let shows = "khala-harness run scenarios/smoke.toml --profile smoke --defect drop_nth";
    assert!(one.stdout.contains(shows), "{}", one.stdout);
}

#[test]
fn there_is_a_list_of_whatever_can_be_chosen() {
    for (what, one) in [
        ("surfaces", "web-shell "),
        ("faults", "pause "),
        ("metrics", "time_to_recovered "),
        ("rules", "gap "),
        ("defects", "drop_nth "),
        ("scenarios", "reconnect-storm "),
    ] {
        let run = Harness::new("list").arg(what).ended_plain().exits(exit::GO);
        assert!(run.stdout.lines().any(|line| line.starts_with(one)), "{what}: {}", run.stdout);
        let bare = run.stdout.lines().find(|line| line.split_whitespace().count() < 2);
        assert_eq!(bare, None, "each says what it is");
    }
}

#[test]
fn check_prints_the_resolved_plan_and_follows_overrides() {
    let run = Harness::check(scenario("tiny.toml")).ended_plain().exits(exit::GO);
    for said in ["24 at peak: desktop 12, ios 12", "steady (1s)", "disconnect of 24 clients"] {
        assert!(run.stdout.contains(said), "no `{said}` in:\n{}", run.stdout);
    }
    assert_eq!(run.stderr, "");
    let run = Harness::check(scenario("tiny.toml"))
        .set("fleet.clients=50")
        .set("phase.steady.duration=7s")
        .ended_plain()
        .exits(exit::GO);
    for said in ["50 at peak: desktop 25, ios 25", "steady (7s)", "disconnect of 50 clients"] {
        assert!(run.stdout.contains(said), "no `{said}` in:\n{}", run.stdout);
    }
}

#[test]
fn check_says_which_objectives_cannot_reach_a_verdict() {
    let run = Harness::check(scenario("tiny.toml")).set("fleet.clients=6").ended_plain();
    let run = run.exits(exit::GO);
    assert!(run.stdout.contains("CANNOT REACH A VERDICT"), "{}", run.stdout);
    let run = Harness::check(scenario("tiny.toml")).ended_plain();
    assert!(!run.stdout.contains("CANNOT REACH A VERDICT"), "{}", run.stdout);
}

#[test]
fn check_prints_json_for_machines() {
    let tiny = || Harness::check(scenario("tiny.toml")).arg("--json");
    let read = |run: &Ended| -> serde_json::Value {
        serde_json::from_str(&run.stdout).expect("one document of JSON")
    };
    let run = tiny().ended_plain().exits(exit::GO);
    let plan = read(&run);
    assert_eq!((&plan["version"], &plan["scenario"]), (&1.into(), &"tiny".into()));
    assert_eq!((&plan["clients_peak"], &plan["warnings"]), (&24.into(), &serde_json::json!([])));
    assert_eq!(plan["timeline"][2]["faults"][0]["clients"], 24);
    assert_eq!(run.stderr, "");
    let run = tiny().set("fleet.clients=6").ended_plain().exits(exit::GO);
    assert!(run.stderr.contains("cannot reach a verdict"), "{}", run.stderr);
    assert!(read(&run)["warnings"][0]["what"].is_string(), "{}", run.stdout);
    let run = tiny().set("fleet.clients=0").ended_plain().exits(exit::INVALID_SCENARIO);
    assert!(read(&run)["scenario"].is_null(), "what is wrong is no plan");
    // What is refused otherwise is told there, too.
    let first = |run: &Ended| read(run)["errors"][0]["what"].as_str().map(str::to_owned);
    let run = tiny().set("fleet.clients=900000").ended_plain().exits(exit::SETUP);
    assert!(first(&run).is_some_and(|what| what.contains("file descriptors")), "{}", run.stdout);
    assert_eq!(read(&run)["clients_peak"], 900_000, "the plan is told all the same");
    let run = tiny().set("fleet.clients=6").arg("--strict").ended_plain().exits(exit::HOLD);
    assert!(first(&run).is_some_and(|what| what.contains("would be HOLD")), "{}", run.stdout);
    let run = Harness::check(scenario("tinny.toml")).arg("--json").ended_plain();
    let run = run.exits(exit::INVALID_SCENARIO);
    assert!(first(&run).is_some_and(|what| what.contains("tiny.toml?")), "{}", run.stdout);
}

#[test]
fn what_is_named_and_is_not_there_ends_with_the_code_of_what_it_belongs_to() {
    let kept = concat!(env!("CARGO_MANIFEST_DIR"), "/../bundle/tests/data/no-go");
    let smoke = concat!(env!("CARGO_MANIFEST_DIR"), "/../../scenarios/smoke.toml");
    let cases: [(&[&str], i32); 11] = [
        // It belongs to a scenario.
        (&["check", "nowhere.toml"], exit::INVALID_SCENARIO),
        (&["check", smoke, "--profile", "nobody"], exit::INVALID_SCENARIO),
        (&["check", smoke, "--target", "nowhere"], exit::INVALID_SCENARIO),
        (&["check", smoke, "--gates", "nowhere.toml"], exit::INVALID_SCENARIO),
        // The command line names it.
        (&["list", "faults", "nothing"], exit::USAGE),
        (&["check", smoke, "--defect", "nothing"], exit::USAGE),
        (&["explain", kept, "999"], exit::USAGE),
        (&["explain", kept, "--violation", "999"], exit::USAGE),
        // Any other file or folder.
        (&["check", smoke, "--allow", "nowhere.toml"], exit::SETUP),
        (&["explain", "nowhere", "1"], exit::SETUP),
        (&["selftest", "--page", "nowhere"], exit::SETUP),
    ];
    for (words, code) in cases {
        let harness = Harness::new(words[0]);
        let run = words[1..].iter().fold(harness, |harness, word| harness.arg(*word)).ended_plain();
        let run = run.exits(code);
        assert!(run.stderr.starts_with("error: "), "{words:?}: {}", run.stderr);
    }
}

/// Numbers that a profile changes; `one` and `half` hold under any.
const NUMBERS: [&str; 14] = [
    "two", "three", "four", "five", "ten", "twelve", "twenty", "thirty", "forty", "fifty", "sixty",
    "hundred", "thousand", "dozen",
];

#[test]
fn what_a_shipped_scenario_says_of_itself_holds_under_its_profiles_too() {
    let mut count = 0;
    for entry in std::fs::read_dir(shipped()).expect("there are scenarios").flatten() {
        let text = std::fs::read_to_string(entry.path()).unwrap_or_default();
        let lines = text.lines();
        let Some(told) = lines.filter_map(|line| line.strip_prefix("description = ")).next() else {
            continue;
        };
        count += 1;
        let told = told.to_lowercase();
        let words: Vec<_> = told.split(|c: char| !c.is_alphanumeric()).collect();
        let numbers =
            |word: &&str| NUMBERS.contains(word) || word.contains(|c: char| c.is_ascii_digit());
        assert_eq!(words.into_iter().find(numbers), None, "{told}");
    }
    assert!(count >= 2, "smoke and reconnect-storm at least");
}

/// The folder of the scenarios that everybody gets.
fn shipped() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../scenarios")
}

#[test]
fn every_shipped_scenario_and_its_smoke_profile_are_right() {
    let mut count = 0;
    for entry in std::fs::read_dir(shipped()).expect("there are scenarios").flatten() {
        let path = entry.path();
        let name = path.file_name().and_then(|name| name.to_str()).expect("a name").to_owned();
        if !name.ends_with(".toml") || name == "rollout.toml" {
            continue;
        }
        count += 1;
        // What those by URL need of whoever starts them; what they publish to is only looked at.
        let check = || {
            let check = Harness::check(&path).env("RUNTIME_SYNC_TOKEN_SIGNING_KEY", "key");
            check.arg("--allow-hooks").arg("--allow-shared-writes")
        };
        let whole = check().ended_plain().exits(exit::GO);
        assert!(whole.stdout.contains("time line"), "{name}:\n{}", whole.stdout);
        check().arg("--profile").arg("smoke").ended_plain().exits(exit::GO);
    }
    assert!(count >= 2, "smoke and reconnect-storm at least");
}

fn on_a_terminal(no_color: Option<&str>) -> String {
    let terminal = Terminal::open();
    let mut harness = Harness::check(scenario("mistakes.toml")).stderr(terminal.side());
    if let Some(value) = no_color {
        harness = harness.env("NO_COLOR", value);
    }
    let running = harness.start_plain();
    let text = terminal.read();
    running.ended().exits(exit::INVALID_SCENARIO);
    text.join().expect("is read")
}

#[test]
fn mistakes_are_coloured_on_a_terminal_unless_no_color_says_otherwise() {
    let coloured = on_a_terminal(None);
    assert!(coloured.contains("\u{1b}["), "{coloured:?}");
    assert!(on_a_terminal(Some("")).contains("\u{1b}["), "an empty NO_COLOR says nothing");
    let plain = on_a_terminal(Some("1"));
    assert!(!plain.contains('\u{1b}'), "{plain:?}");
    assert!(plain.contains("clinets"), "{plain}");
}

#[test]
fn a_summary_is_coloured_on_a_terminal_unless_no_color_says_otherwise() {
    let start = |no_color: bool| {
        let terminal = Terminal::open();
        let harness = Harness::run(scenario("no_load.toml")).stdout(terminal.side());
        let harness = if no_color { harness.env("NO_COLOR", "1") } else { harness };
        (harness.start(), terminal.read())
    };
    let end = |(running, text): (support::Running, std::thread::JoinHandle<String>)| {
        running.ended().exits(exit::HOLD);
        text.join().expect("is read")
    };
    let (coloured, plain) = (start(false), start(true));
    let (coloured, plain) = (end(coloured), end(plain));
    assert!(coloured.contains("\u{1b}["), "{coloured:?}");
    assert!(!plain.contains('\u{1b}'), "{plain:?}");
    assert!(plain.contains("HOLD"), "{plain}");
}

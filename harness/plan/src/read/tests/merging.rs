//! Profiles, `--set`, included gates and the environment.

use std::time::Duration;

use insta::assert_snapshot;

use crate::fault::FaultKind;
use crate::fault::disconnect::Disconnect;
use crate::model::{Plan, TargetKind};
use crate::testing::{Load, SOUND, edited};

fn smoke(text: &str) -> Plan {
    Load { profile: Some("smoke"), ..Load::of(text) }.plan()
}

fn set(flags: &[&str]) -> Plan {
    Load { set: flags, ..Load::of(SOUND) }.plan()
}

#[test]
fn a_profile_addresses_by_name_and_says_what_it_judges() {
    let plan = smoke(SOUND);
    assert_eq!(plan.profile.as_deref(), Some("smoke"));
    assert_eq!(plan.phases[1].duration, Duration::from_secs(8));
    assert_eq!(plan.phases[0].duration, Duration::from_secs(10), "the rest stays");
    let judged: Vec<_> = plan.gates.iter().map(|g| (g.name.as_str(), g.judged)).collect();
    assert_eq!(judged, [("reconnect", false), ("ux", true)]);
}

#[test]
fn loads_objectives_and_faults_have_names_too_and_everything_has_an_index() {
    let text = format!(
        "{SOUND}
[profile.smoke.load.codex-worker-events]
rate = \"8/s\"
[profile.smoke.fleet.surface.0]
heartbeat = \"5s\"
[profile.smoke.gate.reconnect.objective.time_to_recovered]
require = \"p(80) < 9s\"
warn = \"p(80) < 8s\"
[profile.smoke.phase.1.fault.disconnect]
at = \"1s\"
"
    );
    let plan = smoke(&text.replace("[profile.smoke.phase.storm]\nduration = \"8s\"", ""));
    assert_eq!(plan.loads[0].rate_per_s, 8.0);
    assert_eq!(plan.fleet.cohorts[0].heartbeat, Duration::from_secs(5));
    assert_eq!(plan.gates[0].objectives[0].require.text, "p(80) < 9s");
    assert_eq!(plan.phases[1].faults[0].at, Duration::from_secs(1));
}

#[test]
fn a_list_in_a_profile_replaces_the_list() {
    let text = format!(
        "{SOUND}\n[[profile.smoke.gate]]\nname = \"ux\"\n[[profile.smoke.gate.objective]]\nmetric = \"violations\"\nrequire = \"count <= 1\"\n"
    );
    let plan = smoke(&text);
    assert_eq!(plan.gates.len(), 1);
    assert_eq!(plan.gates[0].objectives[0].require.text, "count <= 1");
}

#[test]
fn tables_that_say_one_thing_are_replaced_whole() {
    let base = edited(&[
        ("share = 0.6", "share = 0.6\nbackoff = { base = \"1s\", cap = \"9s\" }"),
        ("style = \"reset\"", "style = \"close\", close_code = 1001"),
    ]);
    let text = format!(
        "{base}fault.disconnect.attributes = {{ style = \"reset\" }}
[profile.smoke.fleet.surface.desktop]
backoff = {{ fixed = \"3s\" }}
"
    );
    let loaded = Load { profile: Some("smoke"), ..Load::of(&text) }.sound();
    assert_eq!(loaded.warnings.len(), 0, "no left-over close code: {}", loaded.warnings);
    let backoff = &loaded.plan.fleet.cohorts[0].backoff;
    assert_eq!(backoff.longest(), Duration::from_secs(3));
    let kind = &loaded.plan.phases[1].faults[0].kind;
    let reset = crate::model::DisconnectStyle::Reset;
    assert_eq!(*kind, FaultKind::from(Disconnect { style: reset }));
}

#[test]
fn flags_override_by_the_same_addresses_and_go_last() {
    let plan = set(&[
        "fleet.clients=200",
        "phase.storm.duration=10s",
        "load.0.rate=4.5/s",
        "load.codex-worker-events.workers = 7",
        "phase.storm.fault.0.attributes.style=close",
        "gate.ux.objective.violations.require=count <= 2",
        "generator.source_addresses=[\"127.0.0.1\", \"127.0.0.2\"]",
        "description=a = b",
        "fleet.surface.ios.backoff={ fixed = \"1s\" }",
    ]);
    assert_eq!(plan.fleet.clients, 200);
    assert_eq!(plan.phases[1].duration, Duration::from_secs(10));
    assert_eq!((plan.loads[0].rate_per_s, plan.loads[0].workers), (4.5, 7));
    assert_eq!(plan.gates[1].objectives[0].require.text, "count <= 2");
    assert_eq!(plan.generator.source_addresses.len(), 2);
    assert_eq!(plan.description.as_deref(), Some("a = b"));
    assert_eq!(plan.fleet.cohorts[1].backoff.longest(), Duration::from_secs(1));
    let both = Load {
        profile: Some("smoke"),
        set: &["phase.storm.duration=9s", "phase.storm.duration=11s"],
        ..Load::of(SOUND)
    };
    assert_eq!(both.plan().phases[1].duration, Duration::from_secs(11));
}

#[test]
fn flags_that_address_nothing_are_refused() {
    let load = Load {
        set: &[
            "nonsense",
            "=3",
            "a..b=3",
            "profile.smoke.seed=3",
            "gate.uxx.name=ux",
            "phase.7.duration=1s",
            "seed.x=3",
            "fleet.size=3",
            "load.codex.rate=1/s",
            "fleet.surface.desktop=3",
        ],
        ..Load::of(SOUND)
    };
    assert_snapshot!(load.complaints(), @"
    --set nonsense `--set` takes a key, `=` and a value -> write such as `--set fleet.clients=200` or `--set phase.storm.duration=10s`
    --set =3 a part of the key is empty -> write such as `--set fleet.clients=200` or `--set phase.storm.duration=10s`
    --set a..b=3 a part of the key is empty -> write such as `--set fleet.clients=200` or `--set phase.storm.duration=10s`
    --set profile.smoke.seed=3 `--set` changes the scenario after its profile was applied -> leave the first two parts of the key out
    --set gate.uxx.name=ux the scenario has no `gate` called `uxx` -> did you mean `ux`?
    --set phase.7.duration=1s the scenario has no `phase` called `7` -> there is `steady` and `storm`
    --set seed.x=3 `seed` is an integer and has nothing inside -> address `seed` itself
    --set fleet.size=3 unknown key `size` in `[fleet]` -> its keys are `clients`, `ramp`, `stage`, `name_prefix`, `users`, `orgs`, `user_ids`, `first_user_id`, `first_subscribe`, `surface` and `only_clients`
    --set load.codex.rate=1/s the scenario has no `load` called `codex` -> there is `codex-worker-events`
    --set fleet.surface.desktop=3 `[[fleet.surface]]` must be a table, not an integer
    ");
}

#[test]
fn an_ambiguous_name_asks_for_an_index() {
    let text = edited(&[(
        "arrival = \"constant\"",
        "\n[[load]]\ncommand = \"codex-worker-events\"\nrate = \"1/s\"",
    )]);
    let load = Load { set: &["load.codex-worker-events.rate=2/s"], ..Load::of(&text) };
    assert_snapshot!(load.complaints(), @"--set load.codex-worker-events.rate=2/s `codex-worker-events` addresses more than one `load` -> address one by its index, from `load.0` to `load.1`");
    assert_eq!(
        Load { set: &["load.1.rate=2/s"], ..Load::of(&text) }.plan().loads[1].rate_per_s,
        2.0
    );
}

const RUNBOOK: (&str, &str) = (
    "scenarios/gates/runbook.toml",
    "[[gate]]\nname = \"ux\"\n[[gate.objective]]\nmetric = \"violations\"\nrequire = \"count <= 9\"\n
     [[gate]]\nname = \"error-budget\"\n[[gate.objective]]\nmetric = \"publish_errors\"\nrequire = \"proportion <= 5%\"\n",
);

#[test]
fn gate_files_add_gates_and_the_scenarios_own_go_first() {
    let text = edited(&[("seed = 7", "gates = [\"gates/runbook.toml\"]")]);
    let plan = Load { files: &[RUNBOOK], ..Load::of(&text) }.plan();
    let gates: Vec<_> = plan
        .gates
        .iter()
        .map(|gate| (gate.name.as_str(), gate.objectives[0].require.text.as_str()))
        .collect();
    assert_eq!(
        gates,
        [("reconnect", "p(90) < 20s"), ("ux", "count == 0"), ("error-budget", "proportion <= 5%")]
    );
}

#[test]
fn profiles_and_flags_may_include_and_address_included_gates() {
    let text = format!(
        "{SOUND}
[profile.other]
gates = [\"gates/runbook.toml\"]
[profile.other.gate.error-budget.objective.0]
require = \"proportion <= 9%\"
"
    );
    let load = Load { profile: Some("other"), files: &[RUNBOOK], ..Load::of(&text) };
    assert_eq!(load.plan().gates[2].objectives[0].require.text, "proportion <= 9%");
    let flag = Load {
        set: &[
            "gates=[\"gates/runbook.toml\"]",
            "gate.error-budget.objective.0.require=count == 0",
        ],
        files: &[RUNBOOK],
        ..Load::of(SOUND)
    };
    assert_eq!(flag.plan().gates[2].objectives[0].require.text, "count == 0");
}

#[test]
fn what_is_wrong_with_a_gate_file_is_said_of_that_file() {
    let text = edited(&[("seed = 7", "gates = [\"gates/none.toml\", \"gates/bad.toml\"]")]);
    let bad = "name = \"x\"\n[[gate]]\nname = \"g\"\n[[gate.objective]]\nmetric = \"delivry\"\nrequire = 3\n";
    let load = Load { files: &[("scenarios/gates/bad.toml", bad)], ..Load::of(&text) };
    assert_snapshot!(load.complaints(), @"
    4:10 cannot read the gate file `scenarios/gates/none.toml`: no such file -> paths are relative to the folder of the scenario
    scenarios/gates/bad.toml:1:1 unknown key `name` in the gate file -> its keys are `gate` and `must_apply`
    scenarios/gates/bad.toml:5:10 there is no metric `delivry` -> did you mean `delivery`?
    scenarios/gates/bad.toml:6:11 `require` must be a string, not an integer
    ");
    let twice = edited(&[("seed = 7", "gates = [\"gates/runbook.toml\", \"b.toml\"]")]);
    let other = ("scenarios/b.toml", RUNBOOK.1);
    let load = Load { files: &[RUNBOOK, other], ..Load::of(&twice) };
    assert_snapshot!(load.complaints(), @"scenarios/b.toml:8:8 there is another gate `error-budget` -> name each once");
}

#[test]
fn of_a_file_that_is_none_of_gates_nothing_is_shown() {
    let text = edited(&[("seed = 7", "gates = [\"../../etc/passwd\"]")]);
    for other in ["root:x:0:0:root:/root:/bin/bash\n", "[db]\npassword = \"hunter2\"\n"] {
        let files = [("scenarios/../../etc/passwd", other)];
        let load = Load { files: &files, ..Load::of(&text) };
        let rendered = load.load().expect_err("no gates").render(false);
        assert!(!rendered.contains("root") && !rendered.contains("hunter2"), "{rendered}");
        insta::allow_duplicates! {
            assert_snapshot!(load.complaints(), @"scenarios/../../etc/passwd:1:1 `scenarios/../../etc/passwd` is no gate file: it has no `[[gate]]` table -> name a file of `[[gate]]` tables, such as scenarios/gates/runbook.toml");
        }
    }
}

#[test]
fn the_environment_fills_strings_in_after_everything_was_merged() {
    let text = edited(&[
        ("kind = \"reference\"", "kind = \"url\"\nurl = \"http://${HOST:-localhost}:${PORT}\""),
        ("mint = \"hs256\"", "mint = \"control\""),
    ]);
    let load = Load { env: &[("PORT", "4000")], ..Load::of(&text) };
    let url = |base: &str| TargetKind::Url { base_url: base.to_owned() };
    assert_eq!(load.plan().target.kind, url("http://localhost:4000"));
    // What is overridden needs no variable.
    let load = Load { set: &["target.url=http://h:1"], ..Load::of(&text) };
    assert_eq!(load.plan().target.kind, url("http://h:1"));
    assert_snapshot!(Load::of(&text).complaints(), @"8:34 the environment variable `PORT` is not set, or is empty -> set it, or give a default: `${PORT:-…}`");
    let broken = edited(&[("ramp = \"2s\"", "ramp = \"${\"\nname_prefix = \"${a b}\"")]);
    assert_snapshot!(Load::of(&broken).complaints(), @"
    14:9 `${` is not closed -> write `${NAME}` or `${NAME:-default}`; `$${` stands for a plain `${`
    15:16 `a b` is not the name of an environment variable -> names are letters, digits and underscores, such as `${KHALA_TARGET_URL}`
    ");
}

#[test]
fn a_variable_that_only_another_profile_needs_is_not_missed() {
    let text = format!(
        "{SOUND}[profile.staging.target]\nkind = \"url\"\nurl = \"${{STAGING}}\"\n[profile.staging.auth]\nmint = \"control\"\n"
    );
    Load::of(&text).plan();
    let load = Load { profile: Some("staging"), ..Load::of(&text) };
    assert_snapshot!(load.complaints(), @"67:8 the environment variable `STAGING` is not set, or is empty -> set it, or give a default: `${STAGING:-…}`");
}

#[test]
fn profiles_that_were_not_asked_for_are_checked_too() {
    let text = edited(&[("[profile.smoke.phase.storm]", "[profile.smoke.phase.strom]")]);
    assert_snapshot!(Load::of(&text).load().expect_err("a typing error").render(false), @"
    error: the scenario has no `phase` called `strom`
      --> scenarios/s.toml:63:22
       |
    63 | [profile.smoke.phase.strom]
       |                      ^^^^^
       |
       = note: this is so with the profile `smoke`
       = help: did you mean `storm`?
    ");
}

#[test]
fn flags_neither_cause_nor_cure_what_is_wrong_elsewhere() {
    // The flag completes the template, for all of its profiles.
    let template = edited(&[("clients = 100\n", "")]);
    Load { set: &["fleet.clients=100"], ..Load::of(&template) }.plan();
    // The flag makes the other profile's fault impossible, which nobody asked for.
    let text = format!("{SOUND}fault.0.mode = \"fixed\"\nfault.0.value = 90\n");
    Load { set: &["fleet.clients=80"], ..Load::of(&text) }.plan();
}

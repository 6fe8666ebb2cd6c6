//! The reader never panics, and the scenarios that are shipped are sound.

use proptest::prelude::*;

use crate::estimate::Estimate;
use crate::schedule::Schedule;
use crate::testing::Load;

const SHIPPED: [(&str, &str); 10] = [
    ("smoke", include_str!("../../../../../scenarios/smoke.toml")),
    ("reconnect-storm", include_str!("../../../../../scenarios/reconnect-storm.toml")),
    ("stale-cursor", include_str!("../../../../../scenarios/stale-cursor.toml")),
    ("slow-consumer", include_str!("../../../../../scenarios/slow-consumer.toml")),
    ("breathing", include_str!("../../../../../scenarios/breathing.toml")),
    ("passive", include_str!("../../../../../scenarios/passive.toml")),
    ("quiet", include_str!("../../../../../scenarios/quiet.toml")),
    ("deep-replay", include_str!("../../../../../scenarios/deep-replay.toml")),
    ("cursor-bounds", include_str!("../../../../../scenarios/cursor-bounds.toml")),
    ("half-open", include_str!("../../../../../scenarios/half-open.toml")),
];
const RUNBOOK: &str = include_str!("../../../../../scenarios/gates/runbook.toml");

#[test]
fn shipped_scenarios_are_sound_with_and_without_their_smoke_profile() {
    for (name, text) in SHIPPED {
        for profile in [None, Some("smoke")] {
            let loaded = Load { profile, ..Load::of(text) }.sound();
            assert_eq!(loaded.plan.name, name);
            assert!(loaded.warnings.is_empty(), "{name}: {}", loaded.warnings);
            let gates = loaded.plan.gates.iter().map(|gate| gate.name.as_str());
            // The runbook's five, and two that smoke profiles leave out.
            let known = [
                "error-budget",
                "replay",
                "reconnect",
                "slow-consumer",
                "ux",
                "bystanders",
                "live",
            ];
            assert!(gates.clone().all(|gate| known.contains(&gate)), "{name}");
        }
    }
}

#[test]
fn smoke_runs_take_seconds() {
    for (name, text) in SHIPPED {
        let plan = Load { profile: Some("smoke"), ..Load::of(text) }.plan();
        let seconds = Estimate::of(&plan, &Schedule::of(&plan)).total.as_secs();
        let limit = match name {
            "slow-consumer" | "stale-cursor" => 30,
            // Two heartbeats of real clients, whatever the profile.
            "half-open" => 80,
            // It has to listen for as long as others take to write enough.
            "passive" => 120,
            _ => 25,
        };
        assert!(seconds <= limit, "{name}: {seconds} s");
    }
    let plan = Load::of(SHIPPED[0].1).plan();
    assert!(Estimate::of(&plan, &Schedule::of(&plan)).total.as_secs() < 20);
}

#[test]
fn the_runbooks_gates_fit_a_scenario_that_is_long_enough() {
    let text = crate::testing::edited(&[
        ("seed = 7", "seed = 7\ngates = [\"gates/runbook.toml\"]"),
        ("mint = \"hs256\"", "mint = \"control\""),
        ("clients = 100", "clients = 1000"),
        ("duration = \"10s\"", "duration = \"40s\""),
    ]);
    let files = [("scenarios/gates/runbook.toml", RUNBOOK)];
    let loaded = Load { files: &files, ..Load::of(&text) }.sound();
    // What is claimed of slow consumers does not apply, for nobody reads slowly in it: that is no warning.
    let warnings: Vec<_> = loaded.warnings.iter().map(|warning| warning.what()).collect();
    assert_eq!(warnings, [""; 0]);
    let mut gates: Vec<_> = loaded.plan.gates.iter().map(|gate| gate.name.as_str()).collect();
    gates.sort_unstable();
    assert_eq!(gates, ["error-budget", "reconnect", "replay", "slow-consumer", "ux"]);
    // Without the sound scenario's own gates in their stead, and shorter by a second.
    let short = text.replace("duration = \"40s\"", "duration = \"39s\"");
    let from = short.find("[[gate]]").expect("gates");
    let to = short.find("[profile.smoke]").expect("a profile");
    let short = format!("{}{}", &short[..from], &short[to..]);
    let warnings = Load { files: &files, ..Load::of(&short) }.sound().warnings;
    let warnings: Vec<_> = warnings.iter().map(|warning| warning.what()).collect();
    assert_eq!(warnings, ["`heartbeat_timeouts` cannot reach a verdict"]);
}

/// Loads, and renders what is wrong: neither may panic, and what is wrong is said.
fn load_and_render(text: &str, set: &[&str]) {
    let load = Load { profile: Some("smoke"), set, env: &[("A", "1")], ..Load::of(text) };
    match load.load() {
        Ok(loaded) => drop(loaded.warnings.render(true)),
        Err(wrong) => {
            assert!(!wrong.is_empty());
            assert!(!wrong.render(false).is_empty());
            assert!(wrong.iter().all(|one| !wrong.location(one).is_empty()));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn no_text_panics(text in "(?s).{0,200}") {
        load_and_render(&text, &[]);
    }

    #[test]
    fn nothing_like_toml_panics(text in "([a-z]{1,5}( = |=|\\.)|\\[|\\]|\\{|\\}|\"|'|\n|,|[0-9]|é|#|\\$\\{|\\\\|\r){0,60}") {
        load_and_render(&text, &[]);
    }

    #[test]
    fn no_flag_panics(flag in "([a-z]{1,8}|phase|storm|fleet|surface|gate|load|0|\\.|=|\\[|\\{|\"|é){0,10}") {
        load_and_render(SHIPPED[1].1, &[&flag]);
    }

    #[test]
    fn no_mutation_of_a_shipped_scenario_panics(
        which in 0..SHIPPED.len(),
        cuts in prop::collection::vec((any::<prop::sample::Index>(), 0_usize..40, "(?s).{0,6}"), 1..4),
    ) {
        let mut text: Vec<char> = SHIPPED[which].1.chars().collect();
        for (at, length, put) in cuts {
            let at = at.index(text.len());
            let end = (at + length).min(text.len());
            text.splice(at..end, put.chars());
        }
        load_and_render(&text.into_iter().collect::<String>(), &["fleet.clients=50"]);
    }

    #[test]
    fn no_line_is_needed_to_not_panic(
        which in 0..SHIPPED.len(),
        drop in prop::collection::vec(any::<prop::sample::Index>(), 1..6),
        twice in any::<prop::sample::Index>(),
    ) {
        let mut lines: Vec<&str> = SHIPPED[which].1.lines().collect();
        for index in drop {
            lines.remove(index.index(lines.len()));
        }
        lines.push(lines[twice.index(lines.len())]);
        load_and_render(&lines.join("\n"), &[]);
    }
}

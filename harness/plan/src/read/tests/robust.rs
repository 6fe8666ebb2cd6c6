//! The reader never panics, and the scenarios that are shipped are sound.

use proptest::prelude::*;

use crate::estimate::Estimate;
use crate::schedule::Schedule;
use crate::testing::Load;

const SHIPPED: [(&str, &str); 2] = [
    ("smoke", include_str!("../../../../../scenarios/smoke.toml")),
    ("reconnect-storm", include_str!("../../../../../scenarios/reconnect-storm.toml")),
];

#[test]
fn shipped_scenarios_are_sound_with_and_without_their_smoke_profile() {
    for (name, text) in SHIPPED {
        for profile in [None, Some("smoke")] {
            let loaded = Load { profile, ..Load::of(text) }.sound();
            assert_eq!(loaded.plan.name, name);
            assert!(loaded.warnings.is_empty(), "{name}: {}", loaded.warnings);
            let gates = loaded.plan.gates.iter().map(|gate| gate.name.as_str());
            let known = ["error-budget", "replay", "reconnect", "slow-consumer", "ux"];
            assert!(gates.clone().all(|gate| known.contains(&gate)), "{name}");
        }
    }
}

#[test]
fn smoke_runs_take_seconds() {
    for (name, text) in SHIPPED {
        let plan = Load { profile: Some("smoke"), ..Load::of(text) }.plan();
        let seconds = Estimate::of(&plan, &Schedule::of(&plan)).total.as_secs();
        assert!(seconds <= 25, "{name}: {seconds} s");
    }
    let plan = Load::of(SHIPPED[0].1).plan();
    assert!(Estimate::of(&plan, &Schedule::of(&plan)).total.as_secs() < 20);
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

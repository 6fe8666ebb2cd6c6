//! What the reader takes is valid.

use std::path::Path;

use super::complete::{REFERENCE, URL};
use super::{assert_valid, json, problems};
use crate::testing::{Load, edited};

/// The first line of a shipped scenario: editors look for the schema there.
const DIRECTIVE: &str = "#:schema ./scenario.schema.json";

/// Path and text of the scenarios in a folder of the repository.
pub(super) fn scenarios_in(folder: &str) -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(folder);
    let entries = std::fs::read_dir(&root).unwrap().map(|entry| entry.unwrap().path());
    let scenarios = entries.filter(|path| path.extension().is_some_and(|name| name == "toml"));
    scenarios
        .map(|path| (path.display().to_string(), std::fs::read_to_string(&path).unwrap()))
        .collect()
}

#[test]
fn shipped_scenarios_are_valid_and_name_the_schema() {
    let mut shipped = scenarios_in("scenarios");
    // What is no scenario is read by its own reader's test.
    shipped.retain(|(path, _)| !path.ends_with("rollout.toml"));
    shipped.extend(scenarios_in("harness/cli/src/commands/init"));
    assert!(shipped.len() >= 7, "{}", shipped.len());
    for (path, text) in shipped {
        assert_eq!(problems(&json(&text)), [""; 0], "{path}");
        assert_eq!(text.lines().next(), Some(DIRECTIVE), "{path}");
    }
}

#[test]
fn of_the_command_lines_test_scenarios_only_the_one_with_mistakes_is_not_valid() {
    for (path, text) in scenarios_in("harness/cli/tests/scenarios") {
        if !path.ends_with("no_toml.toml") {
            let valid = problems(&json(&text)).is_empty();
            assert_eq!(valid, !path.ends_with("mistakes.toml"), "{path}");
        }
    }
}

#[test]
fn scenarios_with_every_key_load_and_are_valid() {
    for text in [REFERENCE, URL] {
        Load::of(text).sound();
        assert_valid(text);
    }
    Load { profile: Some("smoke"), ..Load::of(REFERENCE) }.sound();
}

#[test]
fn strings_may_read_the_environment_wherever_there_are_strings() {
    let text = REFERENCE
        .replace("\"reference\"", "\"${A:-reference}\"")
        .replace("\"60s\"", "\"${A:-60s}\"")
        .replace("\"20/s\"", "\"${A:-20}/s\"")
        .replace("\"8KiB\"", "\"${A:-8KiB}\"")
        .replace("\"2KiB/s\"", "\"${A:-2}KiB/s\"")
        .replace("\"disconnect\"", "\"${A:-disconnect}\"")
        .replace("\"far\"", "\"${A:-far}\"")
        .replace("\"127.0.0.2\"", "\"127.0.0.${A:-2}\"")
        .replace("\"violations\"", "\"${A:-violations}\"")
        .replace("\"count == 0\"", "\"count == ${A:-0}\"")
        .replace("p(90) < 20s", "p(90) < ${A:-20s}")
        .replace("rule = \"gap\"", "rule = \"${A:-gap}\"");
    // The profile's address knows the name as it is written, not as it is filled in.
    let from = text.find("[profile.smoke]").unwrap();
    let text = &text[..from];
    Load::of(text).sound();
    assert_valid(text);
}

#[test]
fn quantities_and_claims_may_be_spelt_loosely() {
    for (from, to) in [
        ("ttl = \"15m\"", "ttl = \" 1m30.5s \""),
        ("ttl = \"15m\"", "ttl = \"1_000ms\""),
        ("ttl = \"15m\"", "ttl = \".5h\""),
        ("ttl = \"15m\"", "ttl = \"1h2m3s4ms5us\""),
        ("rate = \"20/s\"", "rate = \" 1_200. / min \""),
        ("\"8KiB\"", "\" 8 KiB \""),
        ("\"2KiB/s\"", "\" 2 KiB /s \""),
        ("\"p(90) < 20s\"", "\" p ( 90.0 )<=20s \""),
        ("\"p(90) < 20s\"\nwarn = \"p(90) < 15s\"", "\"max<1h\"\nwarn = \"max < 1m\""),
        ("\"ratio < 1.5\"", "\"ratio<1e1\""),
        ("\"count == 0\"", "\"count<= 10.0\""),
    ] {
        let text = REFERENCE.replacen(from, to, 1);
        assert_ne!(text, REFERENCE, "{from}");
        Load::of(&text).sound();
    }
    for (metric, claim) in [
        ("mint_errors", "proportion<=3 %"),
        ("mint_errors", "proportion < .03"),
        ("mint_errors", "count == 0"),
        ("reconnects", "rate<= 90 / min"),
        ("replay_lag", "p(50) <= 250"),
    ] {
        let (metric, claim) = (format!("\"{metric}\""), format!("\"{claim}\""));
        let text = edited(&[("\"violations\"", &metric), ("\"count == 0\"", &claim)]);
        Load::of(&text).sound();
    }
}

#[test]
fn a_profile_may_replace_an_array_or_address_its_elements() {
    for (profile, valid) in [
        ("phase = [{ name = \"steady\", duration = \"1s\" }]", true),
        ("phase = [{ name = \"steady\" }]", false),
        ("phase.steady.duration = \"1s\"", true),
        ("phase.steady.durations = \"1s\"", false),
        ("phase.steady.duration = 1", false),
        ("gate.reconnect.objective.violations.require = \"count <= 1\"", true),
        ("gate.reconnect.objective.0.requires = \"count <= 1\"", false),
        ("fleet.surface.ios.backoff = { fixed = \"1s\" }", true),
        ("fleet.surface.ios.backoff = { cap = \"1s\" }", false),
        ("auth.secret = { file = \"x\" }", true),
        ("auth.secret = {}", false),
        ("target.kind = \"url\"", true),
        ("profile.inner.seed = 3", false),
        ("judge = \"reconnect\"", false),
        ("judge = []", false),
        ("version = 1", true),
    ] {
        let text = format!("{REFERENCE}\n[profile.other]\n{profile}\n");
        let problems = problems(&json(&text));
        assert_eq!(problems.is_empty(), valid, "{profile}: {problems:?}");
    }
}

//! What the schema refuses, the reader refuses; and of mistakes that need no knowledge of the rest
//! of the scenario, each is refused by both.

use serde_json::{Value, json as j};

use super::complete::{REFERENCE, URL};
use super::{json, problems};
use crate::testing::{Load, edited, listed};

/// What the reader says against a scenario.
fn complaints(scenario: &Value) -> String {
    let text = toml::to_string(scenario).expect("TOML");
    match Load::of(&text).load() {
        Ok(_) => String::new(),
        Err(wrong) => listed(&wrong),
    }
}

/// Calls `visit` with a pointer to every value inside a scenario.
fn visit(value: &Value, pointer: &str, visit_one: &mut impl FnMut(&str, &Value)) {
    let mut inside = |step: String, inner: &Value| {
        let pointer = format!("{pointer}/{}", step.replace('~', "~0").replace('/', "~1"));
        visit_one(&pointer, inner);
        visit(inner, &pointer, visit_one);
    };
    match value {
        Value::Object(table) => table.iter().for_each(|(key, inner)| inside(key.clone(), inner)),
        Value::Array(items) => {
            items.iter().enumerate().for_each(|(index, inner)| inside(index.to_string(), inner));
        }
        _ => {}
    }
}

/// Every pointer into a scenario, with the value there.
fn pointers(scenario: &Value) -> Vec<(String, Value)> {
    let mut out = vec![(String::new(), scenario.clone())];
    visit(scenario, "", &mut |pointer, value| out.push((pointer.to_owned(), value.clone())));
    out
}

fn changed(scenario: &Value, pointer: &str, value: Value) -> Value {
    let mut changed = scenario.clone();
    *changed.pointer_mut(pointer).expect("it is there") = value;
    changed
}

fn without(scenario: &Value, pointer: &str) -> Value {
    let mut changed = scenario.clone();
    let (parent, key) = pointer.rsplit_once('/').expect("a pointer");
    match changed.pointer_mut(parent).expect("it is there") {
        Value::Object(table) => drop(table.remove(&key.replace("~1", "/"))),
        Value::Array(items) => drop(items.remove(key.parse().expect("an index"))),
        _ => unreachable!("nothing is inside"),
    }
    changed
}

#[track_caller]
fn both_refuse(scenario: &Value, what: &str) {
    assert_ne!(problems(scenario), [""; 0], "the schema takes {what}");
    assert_ne!(complaints(scenario), "", "the reader takes {what}");
}

/// Tables whose keys are names that the scenario gives.
fn has_keys_of_its_own(pointer: &str) -> bool {
    let steps: Vec<&str> = pointer.split('/').skip(1).collect();
    matches!(
        steps.as_slice(),
        ["profile"]
            | ["profile", _, "phase" | "gate" | "load"]
            | ["profile", _, "fleet", "surface"]
            | ["profile", _, "phase", _, "fault"]
            | ["profile", _, "gate", _, "objective"]
    )
}

#[test]
fn an_unknown_key_in_any_table() {
    for text in [REFERENCE, URL] {
        let scenario = json(text);
        for (pointer, value) in pointers(&scenario) {
            let Value::Object(mut table) = value else { continue };
            if has_keys_of_its_own(&pointer) {
                continue;
            }
            table.insert("unknown_key".to_owned(), j!(1));
            let wrong = changed(&scenario, &pointer, Value::Object(table));
            both_refuse(&wrong, &format!("an unknown key in `{pointer}`"));
        }
    }
}

#[test]
fn a_value_of_another_type_anywhere() {
    for text in [REFERENCE, URL] {
        let scenario = json(text);
        for (pointer, value) in pointers(&scenario).into_iter().skip(1) {
            let other = match value {
                // A limit is one or the other.
                Value::String(text) if text.contains('%') || text.contains("/min") => {
                    vec![j!(true), j!(["x"])]
                }
                Value::String(_) => vec![j!(1), j!(true), j!(["x"])],
                Value::Number(_) => vec![j!("1"), j!(true)],
                Value::Bool(_) => vec![j!("true"), j!(1)],
                _ => vec![j!("x"), j!(1)],
            };
            for other in other {
                let wrong = changed(&scenario, &pointer, other.clone());
                both_refuse(&wrong, &format!("{other} at `{pointer}`"));
            }
        }
    }
}

#[test]
fn a_key_that_is_missing() {
    let mut needed = 0;
    for text in [REFERENCE, URL] {
        let scenario = json(text);
        for (pointer, _) in pointers(&scenario).into_iter().skip(1) {
            let less = without(&scenario, &pointer);
            let (says, refuses) = (complaints(&less), !problems(&less).is_empty());
            // A name that others refer to is missed by the reader alone.
            assert!(!refuses || !says.is_empty(), "only the schema misses `{pointer}`");
            // What a profile lacks may be in the scenario, which the schema does not look up.
            if says.contains(" lacks `") && !pointer.starts_with("/profile") {
                needed += 1;
                assert!(refuses, "only the reader misses `{pointer}`: {says}");
            }
        }
    }
    assert!(needed >= 30, "{needed}");
}

#[test]
fn a_name_that_there_is_not() {
    for (from, to) in [
        ("\"time_to_recovered\"", "\"time_to_recover\""),
        ("\"offline\"", "\"ofline\""),
        ("\"ios\"", "\"iso\""),
        ("\"ios\"", "\"onyx\""),
        ("{ surface = \"*\" }", "{ surface = \"onyx\" }"),
        ("{ surface = \"*\" }", "{ rule = \"gap\" }"),
        ("{ rule = \"gap\" }", "{ rule = \"gaps\" }"),
        ("\"codex-worker-events\"", "\"codex\""),
        ("topics = [\"runtime.codex_worker_events\"", "topics = [\"runtime.worker_events\""),
        ("[target.topics.\"runtime.codex_worker_events\"]", "[target.topics.\"runtime.events\"]"),
        ("topic = \"runtime.codex_worker_events\"", "topic = \"runtime.events\""),
        ("lane = \"ws\"", "lane = \"poll\""),
        ("mint = \"hs256\"", "mint = \"rs256\""),
        ("apply = \"frame\"", "apply = \"both\""),
        ("snapshot = \"http\"", "snapshot = \"ftp\""),
        ("kind = \"reference\"", "kind = \"embedded\""),
        ("arrival = \"constant\"", "arrival = \"even\""),
        ("mode = \"one\"", "mode = \"two\""),
        ("style = \"close\"", "style = \"shut\""),
        ("resume = \"kept\"", "resume = \"lost\""),
    ] {
        let text = REFERENCE.replacen(from, to, 1);
        assert_ne!(text, REFERENCE, "{from}");
        both_refuse(&json(&text), to);
    }
}

#[test]
fn a_text_that_is_not_what_it_should_be() {
    for (from, to) in [
        ("\"complete\"", "\"com plete\""),
        ("socket_path = \"/sync", "socket_path = \"sync"),
        ("ttl = \"15m\"", "ttl = \"15\""),
        ("ttl = \"15m\"", "ttl = \"15 m\""),
        ("ttl = \"15m\"", "ttl = \"\""),
        ("ttl = \"15m\"", "ttl = \"1s15m\""),
        ("ttl = \"15m\"", "ttl = \"1d\""),
        ("rate = \"20/s\"", "rate = \"20\""),
        ("rate = \"20/s\"", "rate = \"20/day\""),
        ("\"8KiB\"", "\"8KB\""),
        ("\"2KiB/s\"", "\"2KiB\""),
        ("env = \"KEY\"", "env = \"a key\""),
        ("{ env = \"KEY\" }", "{ env = \"KEY\", file = \"x\" }"),
        ("\"127.0.0.2\"", "\"10.0.0.2\""),
        ("require = \"p(90) < 20s\"", "require = \"p(90) > 20s\""),
        ("require = \"p(90) < 20s\"", "require = \"p(90) < 20\""),
        ("require = \"p(90) < 20s\"", "require = \"p(90) == 20s\""),
        ("require = \"p(90) < 20s\"", "require = \"count == 0\""),
        ("require = \"p(90) < 20s\"", "require = \"median < 20s\""),
        ("warn = \"p(90) < 15s\"", "warn = \"\""),
        ("require = \"ratio < 1.5\"", "require = \"ratio < x\""),
        ("require = \"count == 0\"", "require = \"proportion < 1%\""),
    ] {
        let text = REFERENCE.replacen(from, to, 1);
        assert_ne!(text, REFERENCE, "{from}");
        both_refuse(&json(&text), to);
    }
    for url in ["wss://h", "h:1", "http://", "http://u@h", "http://h/x"] {
        let text = URL.replace("${URL:-http://127.0.0.1:4000/}", url);
        both_refuse(&json(&text), url);
    }
}

#[test]
fn a_number_out_of_range() {
    for (from, to) in [
        ("version = 1", "version = 2"),
        ("seed = 3", "seed = -3"),
        ("clients = 1000", "clients = 0"),
        ("clients = 1000", "clients = 1.5"),
        ("share = 0.5", "share = 0"),
        ("share = 0.5", "share = 1.5"),
        ("replay_batch_size = 200", "replay_batch_size = 1001"),
        ("payload_bytes = 256", "payload_bytes = 95"),
        ("burst_size = 20", "burst_size = 0"),
        ("value = 12.5", "value = 101"),
        ("value = 5\n", "value = 5.5\n"),
        ("close_code = 1001", "close_code = 999"),
        ("jitter = 0.5", "jitter = 11"),
        ("queue_limit = 8", "queue_limit = 0"),
        ("retain_events = 1_000", "retain_events = 0"),
        ("min_samples = 30", "min_samples = 0"),
        ("reach = \"1 %\"", "reach = 1"),
        ("min_samples = 30", "reach = \"1 %\""),
        ("worker_threads = 2", "worker_threads = 0"),
        ("lag_share_max = 0.1", "lag_share_max = 0"),
        ("pause = true", "pause = false"),
        ("stale_by = 100", "stale_by = 0"),
        ("garbage = \"text\"", "garbage = \"letters\""),
    ] {
        let text = REFERENCE.replacen(from, to, 1);
        assert_ne!(text, REFERENCE, "{from}");
        both_refuse(&json(&text), to);
    }
}

#[test]
fn keys_that_do_not_go_together() {
    for (from, to) in [
        ("type = \"offline\"", "type = \"offline\"\nduration = \"1s\""),
        ("type = \"retention_trim\"", "type = \"retention_trim\"\nmode = \"one\""),
        ("type = \"retention_trim\"", "type = \"retention_trim\"\ncohort = \"far\""),
        ("duration = \"5s\"\nmode = \"fixed-percent\"", "mode = \"fixed-percent\""),
        ("attributes = { pause = true }", "attributes = { pause = true, rate = \"1B/s\" }"),
        ("attributes = { pause = true }", "attributes = { }"),
        ("attributes = { pause = true }\n", ""),
        ("{ stale_by = 100 }", "{ stale_by = 100, future_by = 100 }"),
        ("{ stale_by = 100 }", "{ }"),
        ("{ signal = \"kill\" }", "{ signal = \"hup\" }"),
        ("{ signal = \"kill\" }", "{ }"),
        ("attributes = { pause = true }", "attributes = { style = \"reset\" }"),
        ("{ fixed = \"2s\" }", "{ fixed = \"2s\", base = \"1s\", cap = \"2s\" }"),
        ("{ fixed = \"2s\" }", "{ base = \"1s\" }"),
        ("against = [\"steady\"]\n", ""),
        ("during = [\"storm\"]\nrequire = \"p", "against = [\"steady\"]\nrequire = \"p"),
        ("during = [\"storm\"]\nrequire = \"p", "during = []\nrequire = \"p"),
        ("during = [\"storm\"]\nrequire = \"p", "during = [\"storm\", \"storm\"]\nrequire = \"p"),
        ("[\"127.0.0.1\", \"127.0.0.2\"]", "[]"),
        ("rate = \"20/s\"\n", ""),
    ] {
        let text = REFERENCE.replacen(from, to, 1);
        assert_ne!(text, REFERENCE, "{from}");
        both_refuse(&json(&text), &format!("{to} for {from}"));
    }
}

#[test]
fn a_secret_in_clear_text() {
    let text = edited(&[("mint = \"hs256\"", "secret = \"hunter2\"")]);
    both_refuse(&json(&text), "a secret");
}

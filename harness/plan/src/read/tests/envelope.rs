//! Every way to get phases, faults and gates wrong, and what is said of it.

use insta::assert_snapshot;

use crate::testing::{Load, complaints, edited};

#[test]
fn phases_have_names_of_their_own() {
    assert_snapshot!(complaints(&[("name = \"steady\"", "name = \"ramp\"")]), @"30:8 `ramp` is the name of a phase that every run has -> call this one something else");
    assert_snapshot!(complaints(&[("name = \"steady\"", "name = \"storm\"")]), @"
    34:8 there is another phase `storm` -> name each once
    63:22 `storm` addresses more than one `phase` -> address one by its index, from `phase.0` to `phase.1`
    ");
    assert_snapshot!(complaints(&[("name = \"steady\"\nduration = \"10s\"", "")]), @r#"
    29:1 `[[phase]]` lacks `name` -> add `name = "steady"`
    29:1 `[[phase]]` lacks `duration` -> add `duration = "20s"`
    "#);
    assert_snapshot!(
        Load::of("version = 1\nname = \"x\"\nphase = []\n[fleet]\nclients = 1\n[[fleet.surface]]\nname = \"ios\"\nshare = 1").complaints(),
        @r#"1:1 the scenario has no phase, so there is nothing to run -> add `[[phase]]` with `name = "steady"` and `duration = "20s"`"#
    );
}

#[test]
fn fault_types_are_known() {
    for (other, beside) in [
        // What a fault of any type must not say is told with it, what only some have is not.
        (
            "latency\"\nduration = \"1s\"\ncohort = \"x",
            ["40:10 the fleet has no cohort `x`"].as_slice(),
        ),
        ("meteor", &[]),
    ] {
        let wrong = complaints(&[("type = \"disconnect\"", &format!("type = \"{other}\""))]);
        let name = other.split('"').next().unwrap_or_default();
        let said = format!("38:8 there is no fault `{name}` -> there is `disconnect`, `offline`, ");
        assert!(wrong.starts_with(&said), "{wrong}");
        let others: Vec<_> = wrong.lines().skip(1).collect();
        assert_eq!(others.len(), beside.len(), "{wrong}");
        assert!(others.iter().zip(beside).all(|(it, said)| it.starts_with(said)), "{wrong}");
    }
    assert_snapshot!(complaints(&[("type = \"disconnect\"", "type = \"disconect\"")]), @"38:8 there is no fault `disconect` -> did you mean `disconnect`?");
    assert_snapshot!(complaints(&[("type = \"disconnect\"\n", "")]), @r#"37:1 `[[phase.fault]]` lacks `type` -> add `type = "disconnect"`"#);
}

#[test]
fn a_fault_happens_within_its_phase_and_at_an_instant() {
    assert_snapshot!(complaints(&[("at = \"2s\"", "at = \"20s\"\nduration = \"1s\"\ncolour = \"x\"")]), @"
    39:6 the fault is due at 20s, after its phase, which is 20s long -> `at` counts from the start of the phase
    40:12 the fault happens at an instant and has no duration -> remove `duration`
    41:1 unknown key `colour` in `[[phase.fault]]` -> its keys are `type`, `at`, `cohort`, `mode`, `value`, `duration`, `spread`, `by_hand` and `attributes`
    ");
    assert_snapshot!(complaints(&[("at = \"2s\"", "spred = \"2s\"")]), @"39:1 unknown key `spred` in `[[phase.fault]]` -> did you mean `spread`?");
    // The profile makes the phase too short for it.
    assert_snapshot!(complaints(&[("at = \"2s\"", "at = \"9s\"")]), @"39:6 the fault is due at 9s, after its phase, which is 8s long -> `at` counts from the start of the phase");
}

#[test]
fn modes_hit_somebody_and_not_more_than_there_are() {
    let mode = |mode: &str| complaints(&[("mode = \"all\"", mode)]);
    assert_snapshot!(mode("mode = \"most\""), @"40:8 `most` is not a value of `mode` -> there is `all`, `one`, `fixed`, `fixed-percent` and `random-max-percent`");
    assert_snapshot!(mode("mode = \"fixed\""), @"37:1 `[[phase.fault]]` lacks `value` -> add `value = 10`");
    assert_snapshot!(mode("mode = \"fixed\"\nvalue = 0"), @"41:9 `value` is 0; it must be from 1 to 4294967295");
    assert_snapshot!(mode("mode = \"fixed\"\nvalue = 101"), @r#"41:9 the fault hits 101 clients, but the fleet has 100 -> use `mode = "all"`, or a smaller value"#);
    assert_snapshot!(mode("mode = \"fixed-percent\"\nvalue = 0.1"), @r#"41:9 so small a share of 100 clients is nobody -> raise `value`, or use `mode = "one"`"#);
    assert_snapshot!(mode("mode = \"random-max-percent\"\nvalue = 101"), @"41:9 `value` is 101; a percentage is above 0 and at most 100");
}

#[test]
fn disconnects_have_a_style() {
    let attributes = |attributes: &str| complaints(&[("{ style = \"reset\" }", attributes)]);
    assert_snapshot!(attributes("{ style = \"half_open\" }"), @"
    37:1 the phase is too short for clients to notice a half-open socket -> lengthen the phase
    50:11 no target can keep the bound of `time_to_recovered` for `desktop` and `ios` -> `desktop`: bound it above 22s, by what connect and replay may take; `ios`: bound it above 20.366s, by what connect and replay may take
    ");
    assert_snapshot!(attributes("{ style = \"rest\", codes = 1 }"), @"
    41:24 `rest` is not a value of `style` -> did you mean `reset`?
    41:32 unknown key `codes` in `attributes` -> its keys are `style` and `close_code`
    ");
    assert_snapshot!(attributes("{ close_code = 999 }"), @"41:29 `close_code` is 999; it must be from 1000 to 4999");
    assert_snapshot!(attributes("{ close_code = 1006 }"), @"41:29 no endpoint may send the close code 1006 -> use 1000 to 1003, 1007 to 1014, or 3000 to 4999 (RFC 6455, section 7.4)");
    assert_snapshot!(attributes("3"), @"41:14 `attributes` must be a table, not an integer");
}

#[test]
fn gates_are_named_once_and_decide_something() {
    assert_snapshot!(complaints(&[("name = \"ux\"", "name = \"reconnect\""), ("judge = [\"ux\"]\n", "")]), @"54:8 there is another gate `reconnect` -> name each once");
    let bare = edited(&[("[profile.smoke]", "[[gate]]\nname = \"replay\"\n[profile.smoke]")]);
    assert_snapshot!(Load::of(&bare).complaints(), @"60:1 a gate without an objective decides nothing -> add `[[gate.objective]]` with `metric` and `require`");
}

#[test]
fn metrics_and_labels_are_in_the_catalogue() {
    assert_snapshot!(complaints(&[("metric = \"time_to_recovered\"", "metric = \"time_to_recover\"")]), @"47:10 there is no metric `time_to_recover` -> did you mean `time_to_recovered`?");
    assert_snapshot!(complaints(&[("metric = \"violations\"", "metric = \"publish\"\nwhere = { surface = \"*\" }")]), @"
    58:11 samples of `publish` have no label `surface` -> leave `where` out
    59:12 `publish` has no `count` -> it has `p(q)` and `max`
    ");
    assert_snapshot!(complaints(&[("where = { surface = \"*\" }", "where = { rule = \"gap\", phase = 3 }")]), @"
    48:11 samples of `time_to_recovered` have no label `rule` -> they have `surface`
    48:33 `phase` must be a string, not an integer
    ");
    assert_snapshot!(complaints(&[("where = { surface = \"*\" }", "where = \"*\"")]), @"48:9 `where` must be a table, not a string");
    assert_snapshot!(complaints(&[("surface = \"*\"", "surface = \"web-shell\"")]), @"48:21 the fleet has no surface `web-shell` -> the fleet has `desktop` and `ios`; `*` judges each of them");
    assert_snapshot!(complaints(&[("surface = \"*\"", "surface = \"dekstop\"")]), @"48:21 the fleet has no surface `dekstop` -> did you mean `desktop`?");
    let rule = |rule: &str| {
        let line = format!("metric = \"violations\"\nwhere = {{ rule = \"{rule}\" }}");
        complaints(&[("metric = \"violations\"", &line)])
    };
    assert_snapshot!(rule("gaps"), @"58:18 the oracle judges no rule `gaps` -> did you mean `gap`?");
    assert_snapshot!(rule("gap"), @"");
    assert_snapshot!(rule("*"), @"");
}

#[test]
fn objectives_hold_during_phases_that_are_measured() {
    assert_snapshot!(complaints(&[("during = [\"storm\"]", "during = [\"strom\", \"ramp\", \"ramp\"]")]), @"
    49:11 there is no phase `strom` -> did you mean `storm`?
    49:28 there is another phase `ramp` -> name each once
    ");
    assert_snapshot!(complaints(&[("during = [\"storm\"]", "during = []")]), @"49:10 an objective that holds during no phase says nothing -> leave `during` out for all measured phases");
    assert_snapshot!(complaints(&[("name = \"storm\"", "name = \"storm\"\nmeasure = false")]), @"50:11 the phase `storm` is not measured -> remove its `measure = false`, or do not judge it");
    assert_snapshot!(complaints(&[
        ("name = \"storm\"", "name = \"storm\"\nmeasure = false"),
        ("name = \"steady\"", "name = \"steady\"\nmeasure = false"),
        ("during = [\"storm\"]\n", ""),
    ]), @"
    48:1 no phase is measured, so the objective has no samples -> remove a `measure = false`
    57:1 no phase is measured, so the objective has no samples -> remove a `measure = false`
    ");
}

#[test]
fn claims_are_pointed_into() {
    assert_snapshot!(complaints(&[("require = \"p(90) < 20s\"\n", "")]), @r#"46:1 `[[gate.objective]]` lacks `require` -> add `require = "p(99) < 20s"`"#);
    assert_snapshot!(complaints(&[("p(90) < 20s", "p(90) < 20"), ("p(90) < 15s", "p(190) < 15s")]), @"
    50:20 `20` lacks a unit; `h`, `m`, `s`, `ms` and `us` are known -> write such as `p(99) < 20s`
    51:11 `190` is not a percentile, which lies between 0 and 100 -> write such as `p(99)` or `p(99.9)`
    ");
    assert_snapshot!(complaints(&[("count == 0", "count == 0.5"), ("[\"storm\"]\n", "[\"storm\"]\nmin_samples = 0\n")]), @"
    50:15 `min_samples` is 0; it must be from 1 to 4294967295
    59:21 `0.5` is not a count -> write such as `count == 0`
    ");
}

#[test]
fn a_warning_comes_before_the_failure() {
    assert_snapshot!(complaints(&[("p(90) < 15s", "p(90) < 20s")]), @"51:8 `warn` is no tighter than `require`, so it would never warn -> lower its bound");
    assert_snapshot!(complaints(&[("p(90) < 15s", "max < 15s")]), @"51:8 `warn` is about another figure than `require` -> use the same estimator in both");
    assert_eq!(
        complaints(&[("p(90) < 15s", "p(50) < 20s")]),
        "",
        "another percentile is a claim of its own"
    );
}

#[test]
fn profiles_judge_gates_that_exist() {
    assert_snapshot!(complaints(&[("judge = [\"ux\"]", "judge = [\"u\", \"ux\", \"ux\"]")]), @"
    61:10 the profile judges a gate `u` that there is not -> did you mean `ux`?
    61:21 there is another gate `ux` -> name each once
    ");
    assert_snapshot!(complaints(&[("judge = [\"ux\"]", "judge = []")]), @"61:9 a profile that judges no gate cannot pass -> name a gate, or leave `judge` out to judge all");
}

#[test]
fn profiles_are_tables_side_by_side() {
    assert_snapshot!(complaints(&[("[profile.smoke]", "[profile.smoke.profile.x]\n[profile.smoke]")]), @"60:16 a profile has no profiles of its own -> name them side by side");
    assert_snapshot!(complaints(&[("[profile.smoke]", "[profile]\nquick = 1\n[profile.smoke]")]), @"61:9 a profile is a table, not an integer -> write `[profile.NAME]`");
    assert!(Load::of("profile = 1").complaints().contains("1:11 a profile is a table"));
}

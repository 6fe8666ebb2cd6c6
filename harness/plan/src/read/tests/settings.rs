//! What a target retains and endures, cohorts, loads that pause, ratios.

use insta::assert_snapshot;
use khala_wire::topic::{TopicId, WORKER_EVENTS};

use crate::metric::MetricId;
use crate::model::{
    Estimator, Extra, ExtraValue, Secret, SlowConsumerLimits, SnapshotPath, TargetKind,
    TopicSettings,
};
use crate::surface::Surface;
use crate::testing::{Load, SOUND, complaints, edited};

const REFERENCE: &str = "kind = \"reference\"";

fn target(lines: &str) -> crate::model::Target {
    Load::of(&edited(&[(REFERENCE, &format!("{REFERENCE}\n{lines}"))])).plan().target
}

fn wrong_target(lines: &str) -> String {
    complaints(&[(REFERENCE, &format!("{REFERENCE}\n{lines}"))])
}

#[test]
fn a_target_has_limits_and_retains() {
    let plain = target("");
    let limits = SlowConsumerLimits {
        queue_limit: 64,
        max_strikes: 3,
        send_buffer_bytes: None,
        kernel_buffer_bytes: 4 << 20,
    };
    assert_eq!((plain.snapshot, plain.slow_consumer), (SnapshotPath::Http, limits));
    let limits = target("[target.slow_consumer]\nqueue_limit = 8\nsend_buffer = \"8KiB\"");
    assert_eq!(
        limits.slow_consumer,
        SlowConsumerLimits {
            queue_limit: 8,
            max_strikes: 3,
            send_buffer_bytes: Some(8_192),
            kernel_buffer_bytes: 4 << 20
        }
    );
    assert_eq!(target("snapshot = \"reset\"").snapshot, SnapshotPath::Reset);
    assert_eq!(plain.client_build_id, None);
    let build = target("client_build_id = \"2026a\"").client_build_id;
    assert_eq!(build.as_deref(), Some("2026a"));
    let topics = target("[target.topics.\"runtime.codex_worker_events\"]\nretain_events = 7");
    let TargetKind::Reference { topics, .. } = topics.kind else { panic!("the reference") };
    let settings = TopicSettings { retain_events: Some(7), replay_budget_events: None };
    assert_eq!(
        topics.into_iter().collect::<Vec<_>>(),
        [(TopicId::of(WORKER_EVENTS).unwrap(), settings)]
    );
    let retains = "\n[target.retains.\"runtime.codex_worker_events\"]\nreplay_budget_events = 30";
    let of_url = format!("kind = \"url\"\nurl = \"http://h\"{retains}");
    let text = edited(&[(REFERENCE, &of_url), ("mint = \"hs256\"", "mint = \"control\"")]);
    let told = TopicSettings { retain_events: None, replay_budget_events: Some(30) };
    let retains: Vec<_> = Load::of(&text).plan().target.retains.into_iter().collect();
    assert_eq!(retains, [(TopicId::of(WORKER_EVENTS).unwrap(), told)]);
    let text = edited(&[
        (REFERENCE, "kind = \"url\"\nurl = \"http://h\""),
        ("mint = \"hs256\"", "mint = \"control\""),
    ]);
    assert_eq!(Load::of(&text).plan().target.snapshot, SnapshotPath::Reset);
}

#[test]
fn a_variable_may_give_a_number_a_duration_or_a_boolean() {
    let text = edited(&[
        ("clients = 100", "clients = \"${CLIENTS}\""),
        ("share = 0.6", "share = \"${SHARE:-0.6}\""),
        ("rate = \"4/s\"", "rate = \"${RATE:-3/s}\""),
        ("duration = \"10s\"", "duration = \"10s\"\nmeasure = \"${MEASURE:-false}\""),
    ]);
    let plan = Load { env: &[("CLIENTS", "40")], ..Load::of(&text) }.plan();
    assert_eq!((plan.fleet.clients, plan.loads[0].rate_per_s), (40, 3.0));
    assert!(!plan.phases[0].measure && plan.phases[1].measure);
    let wrong = Load { env: &[("CLIENTS", "many")], ..Load::of(&text) }.complaints();
    assert!(wrong.contains("`clients` must be an integer, not a string"), "{wrong}");
    // What stands in quotes and is filled in by nobody is a string.
    let quoted = edited(&[("clients = 100", "clients = \"100\"")]);
    assert!(Load::of(&quoted).complaints().contains("write it without quotes"));
}

#[test]
fn integers_beyond_what_toml_holds_are_refused_as_they_were_written() {
    for digits in ["9223372036854775808", "18446744073709551616", "0xffffffffffffffffff"] {
        let wrong = complaints(&[("seed = 7", &format!("seed = {digits}"))]);
        let shown = digits.trim_start_matches("0x");
        assert!(wrong.contains(&format!("`seed` is {shown}; it must be at most")), "{wrong}");
    }
    assert_eq!(complaints(&[("seed = 7", "seed = 9223372036854775807")]), "");
}

#[test]
fn a_target_may_close_with_codes_of_its_own_and_its_clients_take_messages_up_to_a_size() {
    let plain = target("");
    assert_eq!((plain.close_codes, plain.message_max), (vec![], 16 << 20));
    let own = target("close_codes = [1001, 1005, 4001]\nmessage_max = \"64KiB\"");
    assert_eq!((own.close_codes, own.message_max), (vec![1001, 1005, 4001], 64 << 10));
    assert_snapshot!(wrong_target("close_codes = [1001, 999, 70000]\nmessage_max = \"1KiB\""), @r#"
    8:22 `999` is no close code -> write codes from 1000 to 4999, 1005 for a close frame without a code
    8:27 `70000` is no close code -> write codes from 1000 to 4999, 1005 for a close frame without a code
    9:15 `message_max` is 1KiB; it must be from 64KiB to 256MiB
    "#);
}

#[test]
fn a_target_may_say_that_its_states_are_dense_and_which_findings_are_rules() {
    let plain = target("");
    assert_eq!((plain.dense_states, plain.findings_are_rules), (false, vec![]));
    let own = target("dense_states = true\nfindings_are_rules = [\"holes\"]");
    assert_eq!((own.dense_states, own.findings_are_rules), (true, vec!["holes"]));
    assert_snapshot!(
        wrong_target("findings_are_rules = [\"hole\"]"),
        @"8:23 `hole` is no finding that can be a rule -> there is `holes`, `expired_token_lives`, `revoked_device_lives`, `future_cursor_accepted`, `future_cursor_silence`, `update_over_limit`, `batch_over_limit`, `publish_over_limit` and `replay_head_behind`"
    );
}

#[test]
fn a_target_may_say_what_may_be_done_to_it() {
    assert_eq!(target("").allows, None);
    assert_eq!(target("allows = [\"reads\", \"revokes\"]").allows, Some(vec!["reads", "revokes"]));
    assert_snapshot!(
        wrong_target("allows = [\"read\"]"),
        @"8:11 `read` is no thing that is done to a target -> there is `reads`, `writes`, `revokes` and `abuses`"
    );
    assert_snapshot!(
        wrong_target("allows = []"),
        @r#"8:10 `allows` allows nothing -> leave it out, or write such as ["reads"]"#
    );
}

#[test]
fn a_targets_settings_are_strict() {
    assert_snapshot!(wrong_target("snapshot = \"ftp\"\nslow_consumer = { queue_limit = 0, strikes = 3, send_buffer = 8192 }"), @r#"
    8:12 `ftp` is not a value of `snapshot` -> there is `http` and `reset`
    9:33 `queue_limit` is 0; it must be from 1 to 1000000
    9:36 unknown key `strikes` in `[target.slow_consumer]` -> its keys are `queue_limit`, `max_strikes`, `send_buffer` and `kernel_buffer`
    9:63 `send_buffer` must be a size such as "8KiB", not an integer -> give it a unit: `"8192B"`
    "#);
    assert_snapshot!(wrong_target("slow_consumer = 3\ntopics = 4"), @"
    8:17 `[target.slow_consumer]` must be a table, not an integer
    9:10 `[target.topics]` must be a table, not an integer
    ");
    assert_snapshot!(wrong_target("topics = { \"runtime.codex_worker_event\" = { retain_event = 3 }, \"runtime.notifications\" = { retain_events = 0 } }"), @r#"
    8:12 there is no topic `runtime.codex_worker_event` -> did you mean `runtime.codex_worker_events`?
    8:45 unknown key `retain_event` in `[target.topics."runtime.codex_worker_event"]` -> did you mean `retain_events`?
    8:109 `retain_events` is 0; it must be from 1 to 10000000
    "#);
    assert_snapshot!(complaints(&[
        (REFERENCE, "kind = \"url\"\nurl = \"http://h\"\ntopics = { }"),
        ("mint = \"hs256\"", "mint = \"control\""),
    ]), @"9:10 `topics` has no effect with `kind = \"url\"`: what such a target retains is its own affair -> remove it");
}

#[test]
fn cohorts_share_a_surface_and_are_addressed_by_name() {
    let text = edited(&[("name = \"ios\"", "name = \"desktop\"\ncohort = \"slow\"")]);
    let mut load = Load::of(&text);
    load.set = &["fleet.surface.slow.heartbeat=7s", "fleet.surface.desktop.heartbeat=9s"];
    let plan = load.plan();
    let cohorts = plan.fleet.cohorts.iter();
    let seen: Vec<_> =
        cohorts.map(|c| (c.name.as_str(), c.surface, c.heartbeat.as_secs())).collect();
    assert_eq!(seen, [("desktop", Surface::Desktop, 9), ("slow", Surface::Desktop, 7)]);
    assert_eq!(plan.fleet.surfaces(), [Surface::Desktop]);
    assert_eq!(load.complaints(), "");
    let cohort =
        |name: &str| complaints(&[("name = \"ios\"", &format!("name = \"ios\"\ncohort = {name}"))]);
    assert_snapshot!(cohort("\"desktop\""), @r#"22:10 there is another cohort `desktop` -> give it a name of its own: `cohort = "…"`"#);
    assert_snapshot!(cohort("\"a b\""), @"22:10 `a b` is not a plain name -> names are up to 64 letters, digits, `-` and `_`, a letter or digit first");
    assert_snapshot!(cohort("3"), @"22:10 `cohort` must be a string, not an integer");
    assert_snapshot!(complaints(&[("name = \"ios\"", "name = \"ios\"\ncohort = \"far\""), ("surface = \"*\"", "surface = \"far\"")]), @"49:21 the fleet has no surface `far` -> the fleet has `desktop` and `ios`; `*` judges each of them");
}

#[test]
fn loads_run_in_phases_that_are_declared() {
    let during = |list: &str| {
        edited(&[("arrival = \"constant\"", &format!("arrival = \"constant\"\nduring = {list}"))])
    };
    let named = during("[\"storm\"]");
    let plan = Load::of(&named).plan();
    assert_eq!(plan.loads[0].during, ["storm"]);
    assert!(plan.loads[0].runs_in("storm") && !plan.loads[0].runs_in("steady"));
    assert!(Load::of(&during("[]")).plan().loads[0].runs_in("steady"), "none named are all");
    assert_snapshot!(Load::of(&during("[\"strom\", \"ramp\", \"storm\", \"storm\"]")).complaints(), @"
    28:11 there is no phase `strom` -> did you mean `storm`?
    28:20 nothing is published in the ramp -> name phases that the scenario declares
    28:37 there is another phase `storm` -> name each once
    ");
    assert_snapshot!(Load::of(&during("\"storm\"")).complaints(), @r#"28:10 `during` must be an array, not a string -> put it in brackets: `["storm"]`"#);
    // Storms need deliveries around them, and there are none before this one.
    let late = named.replace("at = \"2s\"\n", "");
    assert_snapshot!(Load::of(&late).complaints(), @"38:1 the storm has too few deliveries around it to be judged -> raise the load's rate, or lengthen the phases");
}

/// The sound scenario with another first objective.
fn objective(lines: &str) -> String {
    edited(&[(
        "metric = \"time_to_recovered\"\nwhere = { surface = \"*\" }\nduring = [\"storm\"]\n\
         require = \"p(90) < 20s\"\nwarn = \"p(90) < 15s\"\n",
        lines,
    )])
}

#[test]
fn ratios_are_held_against_phases() {
    let ratio = "metric = \"bystander_ratio\"\nrequire = \"ratio < 1.5\"";
    let text = objective(&format!("{ratio}\nagainst = [\"steady\"]"));
    let plan = Load::of(&text).plan();
    let found = &plan.gates[0].objectives[0];
    assert_eq!(
        (found.metric, found.require.estimator),
        (MetricId::BystanderRatio, Estimator::Ratio)
    );
    // Where none is named, all but those that it is held against.
    assert_eq!(
        (found.during.clone(), found.against.clone()),
        (vec!["storm".to_owned()], vec!["steady".to_owned()])
    );
    assert_eq!((found.require.bound, found.min_samples), (1.5, 1_000));
    let wrong = |lines: &str| Load::of(&objective(lines)).complaints();
    assert_snapshot!(wrong(ratio), @r#"46:1 `[[gate.objective]]` lacks `against` -> add `against = ["steady"]`"#);
    assert_snapshot!(wrong(&format!("{ratio}\nagainst = []")), @r#"49:11 a ratio against no phase says nothing -> name such as `"steady"`"#);
    assert_snapshot!(wrong(&format!("{ratio}\nagainst = [\"stedy\"]")), @"49:12 there is no phase `stedy` -> did you mean `steady`?");
    assert_snapshot!(wrong(&format!("{ratio}\nagainst = [\"steady\", \"storm\"]")), @"46:1 no phase is left to hold `against` the others -> name fewer phases in it");
    assert_snapshot!(wrong(&format!("{ratio}\nagainst = [\"steady\"]\nduring = [\"steady\", \"storm\"]")), @"50:11 the phase `steady` would be compared with itself -> name it in `during` or in `against`");
    assert_snapshot!(wrong("metric = \"delivery\"\nrequire = \"p(50) < 1s\"\nagainst = [\"steady\"]"), @"49:11 `delivery` is not compared with other phases -> remove `against`");
    assert_snapshot!(wrong("metric = \"bystander_ratio\"\nrequire = \"count == 0\"\nagainst = [\"steady\"]"), @"48:12 `bystander_ratio` has no `count` -> it has `ratio`");
    assert_snapshot!(wrong("metric = \"delivery\"\nrequire = \"ratio < 2\""), @"48:12 `delivery` has no `ratio` -> it has `p(q)` and `max`");
}

#[test]
fn what_is_wrong_at_any_time_counts_from_ramp_to_drain() {
    for (metric, claim) in
        [("auth_errors", "proportion < 5%"), ("unplanned_stale_cursors", "count == 0")]
    {
        let text = objective(&format!("metric = \"{metric}\"\nrequire = \"{claim}\""));
        let during = Load::of(&text).plan().gates[0].objectives[0].during.clone();
        assert_eq!(during, ["ramp", "steady", "storm", "drain"], "{metric}");
    }
    assert_eq!(Load::of(SOUND).plan().gates[0].objectives[0].during, ["storm"]);
}

#[test]
fn the_build_of_a_target_is_said_by_a_header_or_by_a_command_and_not_by_both() {
    use crate::model::BuildSource;
    let build = |lines: &str| target(lines).build;
    assert_eq!(build(""), None);
    let header = build("build_header = \"x-build\"");
    assert_eq!(header, Some(BuildSource::Header("x-build".to_owned())));
    let command = build("build_command = [\"cat\", \"BUILD\"]");
    assert_eq!(command, Some(BuildSource::Command(vec!["cat".to_owned(), "BUILD".to_owned()])));
    for wrong in [
        "build_header = \"x build\"",
        "build_command = []",
        "build_command = [\"\"]",
        "build_header = \"x\"\nbuild_command = [\"cat\"]",
    ] {
        let text = edited(&[("kind = \"reference\"", &format!("kind = \"reference\"\n{wrong}"))]);
        assert!(Load::of(&text).load().is_err(), "{wrong}");
    }
}

#[test]
fn only_clients_that_there_are_can_take_part() {
    let with =
        |numbers: &str| [("clients = 100", format!("clients = 100\nonly_clients = {numbers}"))];
    let few = with("[70, 3]");
    let fleet = Load::of(&edited(&[(few[0].0, &few[0].1)])).plan().fleet;
    assert_eq!(fleet.only_clients, [3, 70]);
    for (numbers, what) in
        [("[100]", "there is no client 100 among 100"), ("[3, 3]", "client 3 is named twice")]
    {
        let wrong = with(numbers);
        let complaint = complaints(&[(wrong[0].0, &wrong[0].1)]);
        assert!(complaint.contains(what), "{complaint}");
    }
}

#[test]
fn a_limit_is_the_scenarios_else_the_targets_else_the_contracts_else_assumed() {
    use crate::stability::{Allowance, Incident, LimitFrom};
    let of = |edits: &[(&str, &str)], incident| {
        let limit = Load::of(&edited(edits)).plan().stability.limits[&incident];
        (limit.allowance, limit.at_least, limit.from)
    };
    let none = (Allowance::Count(0), 0, LimitFrom::Assumed);
    assert_eq!(of(&[], Incident::SocketEnds), none);
    let mints = (Allowance::Share(0.01), 0, LimitFrom::Contract);
    assert_eq!(of(&[], Incident::MintErrors), mints);
    let url = "kind = \"url\"\nurl = \"http://h\"\n[target.stability]\nmint_errors = 5\n";
    let elsewhere = [(REFERENCE, url), ("mint = \"hs256\"", "mint = \"control\"")];
    let assumed = (Allowance::ClientsPerHour(0.001), 1, LimitFrom::Assumed);
    assert_eq!(of(&elsewhere, Incident::SocketEnds), assumed);
    let known = (Allowance::Count(5), 0, LimitFrom::Target);
    assert_eq!(of(&elsewhere, Incident::MintErrors), known);
    let seventh = (Allowance::PerSecond(0.05), 1, LimitFrom::Contract);
    assert_eq!(of(&elsewhere, Incident::HeartbeatTimeouts), seventh);
    let wanted = "seed = 7\n[stability]\nlimit = \"2%\"\nsocket_ends = 1";
    let both = [elsewhere[0], elsewhere[1], ("seed = 7", wanted)];
    let every = (Allowance::Share(0.02), 0, LimitFrom::Scenario);
    assert_eq!(of(&both, Incident::MintErrors), every, "the scenario's goes before the target's");
    let ends = (Allowance::Count(1), 0, LimitFrom::Scenario);
    assert_eq!(of(&both, Incident::SocketEnds), ends, "what is named goes before what is not");
    let absence = |lines: &str| {
        let text = edited(&[("seed = 7", &format!("seed = 7\n{lines}"))]);
        let stability = Load::of(&text).plan().stability;
        (stability.absence.as_millis(), stability.absence_from)
    };
    assert_eq!(absence(""), (3_000, LimitFrom::Assumed));
    assert_eq!(absence("[stability]\nabsence = \"500ms\""), (500, LimitFrom::Scenario));
}

#[test]
fn limits_are_strict() {
    let wrong =
        |lines: &str| complaints(&[("seed = 7", &format!("seed = 7\n[stability]\n{lines}"))]);
    assert_snapshot!(wrong("absence = \"1ms\"\nlimit = \"many\"\nsocket_end = 0\nrejoins = -1\npublish_errors = \"3%/s\""), @"
    6:11 `absence` is 1ms; it must be from 500ms to 1h
    7:9 bad limit for `limit`: `many` is no limit, such as `1%` of the occasions, `0.05/s`, or `0.1%/h` of the clients; a plain number stands without quotes
    8:1 unknown key `socket_end` in `[stability]` -> did you mean `socket_ends`?
    9:11 `rejoins` is -1; it must not be negative
    10:18 bad limit for `publish_errors`: `3%/s` is a share per `s`; a share is per `h`
    ");
}

#[test]
fn any_gate_may_decide_nothing() {
    let advisory = |edits: &[(&str, &str)]| {
        let plan = Load::of(&edited(edits)).plan();
        let gates: Vec<_> = plan.gates.iter().map(|gate| gate.advisory).collect();
        (gates, plan.oracle.advisory, plan.stability.advisory)
    };
    let ux = "[[gate]]\nname = \"ux\"";
    assert_eq!(advisory(&[]), (vec![false, false], false, false));
    let text = format!("{ux}\nadvisory = true");
    assert_eq!(advisory(&[(ux, &text)]), (vec![false, true], false, false));
    let text = format!("[[gate]]\nname = \"stability\"\nadvisory = true\n{ux}");
    assert_eq!(advisory(&[(ux, &text)]), (vec![false, false], false, true));
    let text = format!("[[gate]]\nname = \"oracle\"\nadvisory = true\n{ux}");
    assert_eq!(advisory(&[(ux, &text)]), (vec![false, false], true, false));
}

#[test]
fn a_gate_that_is_always_judged_has_no_objectives_and_is_not_named_by_a_profile() {
    assert_snapshot!(complaints(&[("name = \"ux\"", "name = \"oracle\"")]), @"
    53:1 `oracle` is a gate that is always judged, by rules of its own -> call this one otherwise; of a gate that is always judged only `advisory` can be said
    61:10 the profile judges a gate `ux` that there is not -> there is `reconnect`
    ");
}

#[test]
fn requests_may_carry_headers_and_parameters_of_the_targets_own() {
    let plain = target("");
    assert_eq!((plain.headers, plain.query), (vec![], vec![]));
    let lines = "headers = { X-Route = \"blue\", x-edge-token = { env = \"EDGE\" } }\n\
                 [target.query]\ntenant = \"a&b\"\npass = { file = \"pass\" }";
    let given = target(lines);
    let extra = |name: &str, value| Extra { name: name.to_owned(), value };
    let text = |text: &str| ExtraValue::Text(text.to_owned());
    let edge = ExtraValue::Secret(Secret::Env("EDGE".to_owned()));
    let pass = ExtraValue::Secret(Secret::File("pass".to_owned()));
    assert_eq!(given.headers, [extra("X-Route", text("blue")), extra("x-edge-token", edge)]);
    assert_eq!(given.query, [extra("pass", pass), extra("tenant", text("a&b"))]);
    assert_snapshot!(wrong_target("headers = 3"), @r#"8:11 `headers` must be a table, not an integer -> write `headers = { name = "value" }`"#);
    assert_snapshot!(wrong_target("headers = { Host = \"h\", \"a b\" = \"c\", sec-websocket-key = \"k\" }"), @r#"
    8:13 requests set this header themselves -> remove it
    8:25 that is no name of a header -> remove it
    8:38 requests set this header themselves -> remove it
    "#);
    assert_snapshot!(wrong_target("headers = { x-a = \"1\", X-A = \"2\", x-b = 3, x-c = \"a\\nb\" }"), @r#"
    8:13 the header `x-a` is there already, in another case -> remove one of them
    8:41 `x-b` must be a string, not an integer
    8:50 the value of `x-c` has a control character in it
    "#);
    assert_snapshot!(wrong_target("query = { token = \"t\", \"\" = \"u\" }"), @r#"
    8:11 requests set this parameter themselves -> remove it
    8:24 a parameter has a name -> remove it
    "#);
    let text = edited(&[(REFERENCE, &format!("{REFERENCE}\nquery = {{ a = \"${{EDGE_KEY}}\" }}"))]);
    let load = Load { env: &[("EDGE_KEY", "hunter2")], ..Load::of(&text) };
    assert_snapshot!(load.complaints(), @r#"8:15 the value of `EDGE_KEY` would be kept with the scenario -> write `{ env = "EDGE_KEY" }`"#);
    let secret = "headers = { Authorization = \"Basic hunter2\" }";
    let text = edited(&[(REFERENCE, &format!("{REFERENCE}\n{secret}"))]);
    let shown = Load::of(&text).load().expect_err("a secret").render(false);
    assert!(
        shown.contains("must not stand in a scenario") && !shown.contains("hunter2"),
        "{shown}"
    );
}

#[test]
fn a_reach_is_asked_of_percentiles_of_what_flows_all_the_time() {
    let p99 = "metric = \"delivery\"\nrequire = \"p(99) < 1s\"";
    let asked = |lines: &str| Load::of(&objective(lines)).plan().gates[0].objectives[0].reach;
    assert_eq!(asked(p99), None);
    assert_eq!(asked(&format!("{p99}\nreach = \"1 %\"")), Some(0.01));
    let resolved = Load::of(&objective(&format!("{p99}\nreach = \"1 %\""))).plan();
    let resolved = crate::resolved::to_toml(&resolved);
    assert!(resolved.contains("reach = \"0.01\""), "{resolved}");
    let wrong = |lines: &str| Load::of(&objective(lines)).complaints();
    for (lines, said) in [
        (format!("{p99}\nreach = \"0 %\""), "no number of seconds shows that none is worse"),
        (format!("{p99}\nreach = \"much\""), "`reach` is not a share"),
        (
            "metric = \"delivery\"\nrequire = \"max < 1s\"\nreach = \"1 %\"".to_owned(),
            "`delivery max < 1s` has no reach",
        ),
        (
            "metric = \"connect\"\nrequire = \"p(99) < 1s\"\nreach = \"1 %\"".to_owned(),
            "only percentiles of what flows all the time have one: `delivery`",
        ),
    ] {
        assert!(wrong(&lines).contains(said), "{lines}: {}", wrong(&lines));
    }
}

#[test]
fn a_claim_about_streams_is_refused_where_there_are_none() {
    let of = |metric: &str, place: &str| {
        let lines = format!("metric = \"{metric}\"\n{place}require = \"p(90) < 1s\"");
        objective(&lines).replace("name = \"ios\"", "name = \"web-shell\"")
    };
    let shell = "where = { surface = \"web-shell\" }\n";
    let said = Load::of(&of("delivery", shell)).complaints();
    assert!(
        said.contains("`delivery` is of streams, and `web-shell` subscribes to none"),
        "{said}"
    );
    assert!(said.contains("`violations` with `where = { rule = \"state_stale\" }`"), "{said}");
    for sound in
        [of("connect", shell), of("delivery", ""), of("delivery", "where = { surface = \"*\" }\n")]
    {
        let said = Load::of(&sound).complaints();
        assert!(!said.contains("is of streams"), "{said}");
    }
    let nowhere = of("delivery", "").replace(
        "name = \"desktop\"",
        "name = \"desktop\"\ntopics = [\"runtime.codex_worker_summaries\"]",
    );
    let said = Load::of(&nowhere).complaints();
    assert!(said.contains("`delivery` is of streams, and the fleet subscribes to none"), "{said}");
}

#[test]
fn a_value_without_effect_keeps_its_range_all_the_same() {
    let text = edited(&[]);
    for (set, said) in [
        ("phase.storm.fault.disconnect.attributes.close_code=99999999", "`close_code` is 99999999"),
        (
            "phase.storm.fault.disconnect.attributes.close_code=9223372036854775808",
            "`close_code` is",
        ),
        ("phase.storm.fault.disconnect.value=-1", "`value` is -1"),
        ("phase.storm.fault.disconnect.value=1e300", "it must be above 0 and at most 4294967295"),
        ("load.codex-worker-events.burst_size=0", "`burst_size` is 0"),
        ("load.codex-worker-events.burst_gap=soon", "bad duration for `burst_gap`"),
        ("fleet.first_user_id=-5", "`first_user_id` is -5"),
        ("target.slow_consumer.kernel_buffer=1B", "`kernel_buffer` is 1B"),
        ("target.clear_text=1", "`clear_text` must be a boolean"),
    ] {
        let load = Load { set: &[set], ..Load::of(&text) };
        let found = load.load().map(|_| "it was taken".to_owned());
        let found = found.unwrap_or_else(|wrong| wrong.render(false));
        assert!(found.contains(said), "{set}: {found}");
    }
}

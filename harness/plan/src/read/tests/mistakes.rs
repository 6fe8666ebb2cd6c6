//! Every way to get a table other than phases, faults and gates wrong, and what is said of it.

use insta::assert_snapshot;

use crate::testing::{Load, SOUND, complaints, edited};

const SURFACES: &str = "[[fleet.surface]]\nname = \"desktop\"\nshare = 0.6\n\n\
                        [[fleet.surface]]\nname = \"ios\"\nshare = 0.4\n";

#[test]
fn an_empty_file_lacks_what_has_no_default() {
    assert_snapshot!(Load::of("").complaints(), @r#"
    1:1 the scenario has no phase, so there is nothing to run -> add `[[phase]]` with `name = "steady"` and `duration = "20s"`
    1:1 the scenario lacks `version` -> add `version = 1`
    1:1 the scenario lacks `name` -> add `name = "reconnect-storm"`
    1:1 the scenario lacks `fleet` -> add `[fleet]`
    "#);
}

#[test]
fn keys_below_a_header_that_is_broken_are_no_unknown_keys_of_the_table_before() {
    let broken = complaints(&[("[fleet]", "[fleet")]);
    assert!(broken.starts_with("12:"), "{broken}");
    assert_eq!(broken.lines().count(), 1, "{broken}");
    // What belongs to other tables is looked at as ever, before it and after it.
    let mistakes = [("seed = 7", "sede = 7"), ("rate = \"4/s\"", "rote = \"4/s\"")];
    let all = complaints(&[&[("[fleet]", "[fleet")][..], &mistakes].concat());
    assert!(all.contains("did you mean `seed`?") && all.contains("did you mean `rate`?"), "{all}");
    assert_eq!(all.lines().count(), 3, "{all}");
}

#[test]
fn syntax_errors_do_not_hide_what_else_is_wrong() {
    assert_snapshot!(complaints(&[
        ("seed = 7", "seed = "),
        ("clients = 100", "clients = 10s"),
        ("ramp = \"2s\"", "ramp = \"2 parsecs\""),
        ("name = \"ios\"", "name = \"ios"),
    ]), @r#"
    4:8 a value is missing, or a string lacks its quotes -> see https://toml.io for how TOML is written
    13:11 a value is missing, or a string lacks its quotes -> see https://toml.io for how TOML is written
    14:8 bad duration for `ramp`: `2 parsecs` has the unit `parsecs`; `h`, `m`, `s`, `ms` and `us` are known
    21:12 invalid basic string, expected `"` -> see https://toml.io for how TOML is written
    "#);
    // The rest of the file is inside the bracket: not a line of it is complained about.
    assert_snapshot!(complaints(&[("seed = 7", "seed = [1,")]), @"4:8 the bracket is never closed -> see https://toml.io for how TOML is written");
    assert_snapshot!(complaints(&[("seed = 7", "seed = 7\nseed = 8")]), @"5:1 duplicate key -> remove one of them");
}

#[test]
fn of_a_key_that_is_given_twice_both_places_are_named() {
    let notes = |edits: &[(&str, &str)]| {
        let wrong = Load::of(&edited(edits)).load().expect_err("it is no TOML");
        let rendered = wrong.render(false);
        let first = rendered.lines().find(|line| line.contains("the first one")).expect("a note");
        first.trim_start_matches([' ', '|', '=']).to_owned()
    };
    // Not the key of the same name in another table, nor in one that is closed.
    for (edits, first) in [
        (("seed = 7", "seed = 7\nseed = 8"), "note: the first one is at line 4, column 1"),
        (
            ("style = \"reset\"", "style = \"reset\", style = \"close\""),
            "note: the first one is at line 41, column 16",
        ),
        (
            ("[[phase]]\nname = \"storm\"", "[[phase]]\nname = \"storm\"\nname = \"x\""),
            "note: the first one is at line 34, column 1",
        ),
        (
            ("[[load]]", "[auth]\nmint = \"hs256\"\n\n[[load]]"),
            "note: the first one is at line 9, column 2",
        ),
    ] {
        assert_eq!(notes(&[edits]), first);
    }
}

#[test]
fn a_gate_file_is_no_scenario_and_a_scenario_no_gate_file() {
    let gates = "[[gate]]\nname = \"g\"\n[[gate.objective]]\nmetric = \"violations\"\nrequire = \"count == 0\"\n";
    assert_snapshot!(Load::of(gates).complaints(), @r#"1:1 `scenarios/s.toml` is a file of gates, and no scenario -> `khala-harness score DIR --gates FILE` judges a run by it; a scenario takes it up by `gates = ["FILE"]`"#);
    let text = edited(&[("seed = 7", "seed = 7\ngates = [\"other.toml\"]")]);
    let load = Load { files: &[("scenarios/other.toml", SOUND)], ..Load::of(&text) };
    assert_snapshot!(load.complaints(), @r#"scenarios/other.toml:1:1 `scenarios/other.toml` is a scenario, and no gate file -> name a file of `[[gate]]` tables, such as scenarios/gates/runbook.toml; the gates of a scenario can be moved into such a file, and named in it by `gates = ["…"]`"#);
}

#[test]
fn unknown_keys_are_refused_wherever_they_stand() {
    assert_snapshot!(complaints(&[
        ("seed = 7", "sede = 7"),
        ("kind = \"reference\"", "kin = \"reference\""),
        ("mint = \"hs256\"", "colour = \"red\""),
        ("ramp = \"2s\"", "Ramp = \"2s\""),
        ("share = 0.6", "share = 0.6\nnoise = 1"),
        ("rate = \"4/s\"", "rate = \"4/s\"\nrates = \"4/s\""),
        ("[profile.smoke]", "[oracle]\nconverge = \"1s\"\n[generator]\nthreads = 1\n[profile.smoke]"),
    ]), @"
    4:1 unknown key `sede` in the scenario -> did you mean `seed`?
    7:1 unknown key `kin` in `[target]` -> did you mean `kind`?
    10:1 unknown key `colour` in `[auth]` -> its keys are `mint`, `token`, `session_token`, `kid`, `issuer`, `audience`, `secret` and `ttl`
    14:1 unknown key `Ramp` in `[fleet]` -> did you mean `ramp`?
    19:1 unknown key `noise` in `[[fleet.surface]]` -> its keys are `name`, `cohort`, `share`, `topics`, `backoff`, `heartbeat` and `replay_batch_size`
    28:1 unknown key `rates` in `[[load]]` -> did you mean `rate`?
    63:1 unknown key `converge` in `[oracle]` -> its keys are `converge_within`, `settle_within`, `drain_within`, `storm_min_deliveries` and `violations_kept`
    65:1 unknown key `threads` in `[generator]` -> its keys are `worker_threads`, `source_addresses` and `lag_share_max`
    ");
}

#[test]
fn wrong_types_are_named() {
    assert_snapshot!(complaints(&[
        ("version = 1", "version = \"1\""),
        ("name = \"sound\"", "name = 1979-05-27"),
        ("seed = 7", "seed = 7.5"),
        ("kind = \"reference\"", "exclusive = \"true\"\nsocket_path = 1\nconnect_timeout = 5"),
        ("clients = 100", "clients = \"100\""),
        ("share = 0.6", "share = \"0.6\"\ntopics = \"runtime.codex_worker_events\""),
        ("share = 0.4", "share = nan\nheartbeat = true"),
        ("rate = \"4/s\"", "rate = 4"),
        ("[[phase]]\nname = \"steady\"", "[[phase]]\nmeasure = 1\nname = [\"steady\"]"),
    ]), @r#"
    2:11 `version` must be an integer, not a string -> write it without quotes
    3:8 `name` must be a string, not a date
    4:8 `seed` is 7.5; it must be a whole number
    7:13 `exclusive` must be a boolean, not a string -> write it without quotes
    8:15 `socket_path` must be a string, not an integer
    9:19 `connect_timeout` must be a duration such as "10s", not an integer -> give it a unit: `"5s"`
    15:11 `clients` must be an integer, not a string -> write it without quotes
    20:9 `share` must be a number, not a string
    21:10 `topics` must be an array, not a string -> put it in brackets: `["runtime.codex_worker_events"]`
    25:9 `share` is NaN; it must be a finite number
    26:13 `heartbeat` must be a duration such as "10s", not a boolean
    30:8 `rate` must be a rate such as "2/s", not an integer -> say per what: `"4/s"`
    34:11 `measure` must be a boolean, not an integer -> write `true` or `false`
    35:8 `name` must be a string, not an array
    "#);
    assert_snapshot!(complaints(&[(SURFACES, "surface = 3"), ("[auth]\nmint = \"hs256\"", "auth = 1")]), @"
    9:1 unknown key `auth` in `[target]` -> its keys are `kind`, `url`, `defects`, `topics`, `retains`, `lane`, `socket_path`, `client_build_id`, `connect_timeout`, `request_timeout`, `exclusive`, `apply`, `snapshot`, `slow_consumer`, `build_header`, `build_command`, `close_codes`, `admin_token`, `commands`, `command`, `command_secret`, `clients_max`, `connect_rate_max`, `headers`, `query`, `message_max`, `dense_states`, `findings_are_rules`, `allows`, `control_url`, `proxy`, `clear_text`, `tls` and `stability`
    15:11 `surface` must be a list of tables, not an integer -> write `[[fleet.surface]]`
    ");
    assert_snapshot!(complaints(&[(SURFACES, "[fleet.surface]\nname = \"ios\"\nshare = 1")]), @"16:1 `surface` is a list of tables -> write `[[fleet.surface]]` with two pairs of brackets");
}

#[test]
fn numbers_out_of_range_say_the_range() {
    assert_snapshot!(complaints(&[
        ("version = 1", "version = 2"),
        ("seed = 7", "seed = -7"),
        ("kind = \"reference\"", "connect_timeout = \"1h\""),
        ("mint = \"hs256\"", "ttl = \"0s\""),
        ("clients = 100", "clients = 0"),
        ("share = 0.6", "share = 1.6"),
        ("share = 0.4", "share = 0.4\nreplay_batch_size = 0"),
        ("rate = \"4/s\"", "rate = \"0/s\"\npayload_bytes = 95\nworkers = 0"),
        ("[profile.smoke]", "[generator]\nworker_threads = 5000000000\nlag_share_max = 2\n[profile.smoke]"),
    ]), @"
    2:11 version 2 of the scenario format is not known -> this harness reads version 1
    4:8 `seed` is -7; it must not be negative
    7:19 `connect_timeout` is 1h; it must be from 10ms to 10m
    10:7 `ttl` is 0s; it must be from 1s to 24h
    13:11 `clients` is 0; it must be from 1 to 1000000
    18:9 `share` is 1.6; it must be above 0 and at most 1
    23:21 `replay_batch_size` is 0; it must be from 1 to 1000
    27:8 `rate` is 0/s; it must be from 0.0001/s to 100000/s
    28:17 `payload_bytes` is 95; it must be from 128 to 262144
    29:11 `workers` is 0; it must be from 1 to 10000
    64:18 `worker_threads` is 5000000000; it must be at most 4294967295
    65:17 `lag_share_max` is 2; it must be from 0.001 to 1
    ");
}

#[test]
fn quantities_without_sense_are_refused() {
    assert_snapshot!(complaints(&[
        ("ramp = \"2s\"", "ramp = \"2\""),
        ("rate = \"4/s\"", "rate = \"four/s\""),
        ("duration = \"10s\"", "duration = \"ten seconds\""),
        ("duration = \"20s\"", "duration = \"0s\""),
    ]), @"
    14:8 bad duration for `ramp`: `2` lacks a unit; `h`, `m`, `s`, `ms` and `us` are known
    26:8 bad rate for `rate`: `four/s` is not a rate, such as `2/s`, `120/min` or `30/h`
    31:12 bad duration for `duration`: `ten seconds` is not a number with a unit, such as `10s`, `250ms` or `1h30m`
    35:12 `duration` is 0s; it must be from 1ms to 168h
    ");
}

#[test]
fn names_are_plain() {
    assert_snapshot!(complaints(&[
        ("name = \"sound\"", "name = \"so und\""),
        ("ramp = \"2s\"", "name_prefix = \"a/b\""),
        ("name = \"steady\"", "name = \"\""),
        ("name = \"ux\"", "name = \"-ux\""),
        ("[profile.smoke.phase.storm]", "[profile.\"s m\".phase.storm]"),
    ]), @"
    3:8 `so und` is not a plain name -> names are up to 64 letters, digits, `-` and `_`, a letter or digit first
    14:15 `a/b` is not a plain name -> names are up to 64 letters, digits, `-` and `_`, a letter or digit first
    30:8 `` is not a plain name -> names are up to 64 letters, digits, `-` and `_`, a letter or digit first
    54:8 `-ux` is not a plain name -> names are up to 64 letters, digits, `-` and `_`, a letter or digit first
    61:10 the profile judges a gate `ux` that there is not -> there is `reconnect`
    63:10 `s m` is not a plain name -> names are up to 64 letters, digits, `-` and `_`, a letter or digit first
    ");
}

#[test]
fn a_target_is_what_it_says() {
    assert_snapshot!(complaints(&[("kind = \"reference\"", "kind = \"referense\"")]), @"7:8 `referense` is not a value of `kind` -> did you mean `reference`?");
    assert_snapshot!(complaints(&[("kind = \"reference\"", "url = \"http://h\"")]), @r#"7:7 `url` without a `kind`: the embedded reference runtime would be tested -> add `kind = "url"`"#);
    assert_snapshot!(complaints(&[("kind = \"reference\"", "kind = \"url\"")]), @r#"6:1 `[target]` lacks `url` -> add `url = "http://127.0.0.1:4000"`"#);
    for (url, why) in [
        ("wss://h", "starts with `http://` or `https://`"),
        ("h:4000", "starts with `http://` or"),
        ("http://u:p@h", "must not carry a user"),
        ("http://", "not a base url"),
        ("http://h/?x", "not a base url"),
        ("http://h/path", "not a base url"),
    ] {
        let kind = format!("kind = \"url\"\nurl = \"{url}\"");
        let found = complaints(&[("kind = \"reference\"", &kind)]);
        assert!(found.contains(why), "{url}: {found}");
    }
    assert_snapshot!(complaints(&[
        ("kind = \"reference\"", "lane = \"poll\"\nsocket_path = \"x\"\napply = \"both\""),
    ]), @r#"
    7:8 the poll lane is not yet served -> use `lane = "ws"`
    8:15 `x` is not a path -> write such as `/sync/socket/websocket`, without a query
    9:9 `both` is not a value of `apply` -> there is `frame` and `update_batch`
    "#);
    assert_snapshot!(complaints(&[("kind = \"reference\"", "lane = \"pol\"")]), @"7:8 `pol` is not a value of `lane` -> there is `ws`");
}

#[test]
fn only_the_reference_runtime_has_defects() {
    let text = crate::testing::edited(&[
        ("kind = \"reference\"", "kind = \"url\"\nurl = \"http://h\"\ndefects = [\"drop\"]"),
        ("mint = \"hs256\"", "mint = \"control\""),
    ]);
    let mut load = Load::of(&text);
    load.defects = &["gap,0.1"];
    assert_snapshot!(load.complaints(), @r#"
    9:11 a target of kind `url` cannot be given defects -> a run gives defects to the embedded runtime alone (`kind = "reference"`): leave `--target` and `defects` out of it, or start `khala-harness reference --defect NAME` by hand and name its address by `--target`
    --defect gap,0.1 a target of kind `url` cannot be given defects -> a run gives defects to the embedded runtime alone (`kind = "reference"`): leave `--target` and `defects` out of it, or start `khala-harness reference --defect NAME` by hand and name its address by `--target`
    "#);
}

#[test]
fn secrets_are_never_literal() {
    assert_snapshot!(complaints(&[("mint = \"hs256\"", "secret = \"hunter2\"")]), @r#"10:10 `secret` is a secret and must not stand in a scenario -> write `secret = { env = "NAME" }` or `{ file = "path" }`"#);
    assert_snapshot!(complaints(&[("mint = \"hs256\"", "secret = { env = \"hunter 2\" }")]), @"10:18 `env` is not the name of an environment variable -> write the variable's name here, not the secret");
    assert_snapshot!(complaints(&[("mint = \"hs256\"", "secret = { }")]), @r#"10:10 `secret` is read from one place -> write one of `{ env = "NAME" }`, `{ file = "path" }` and `{ command = ["program"] }`"#);
    assert_snapshot!(
        complaints(&[("mint = \"hs256\"", "secret = { env = \"A\", file = \"b\", vault = \"c\" }")]),
        @r#"
    10:10 `secret` is read from one place -> write one of `{ env = "NAME" }`, `{ file = "path" }` and `{ command = ["program"] }`
    10:35 unknown key `vault` in `secret` -> its keys are `env`, `file` and `command`
    "#
    );
}

#[test]
fn a_secret_is_told_by_one_of_three() {
    let with = |secret: &str| {
        complaints(&[(
            "mint = \"hs256\"",
            &format!("mint = \"control\"\nsession_token = {secret}"),
        )])
    };
    assert_snapshot!(with("{ command = [] }"), @r#"11:29 `command` is empty -> write program and arguments, such as `["sh", "-c", "…"]`"#);
    assert_snapshot!(with("{ command = [\"pass\"], env = \"A\" }"), @r#"11:17 `session_token` is read from one place -> write one of `{ env = "NAME" }`, `{ file = "path" }` and `{ command = ["program"] }`"#);
    assert_snapshot!(complaints(&[("kind = \"reference\"", "kind = \"reference\"\nheaders = { x-token = { command = [\"pass\"] } }")]), @r#"
    8:23 `x-token` is read from one place -> write either `{ env = "NAME" }` or `{ file = "path" }`
    8:25 unknown key `command` in `x-token` -> its keys are `env` and `file`
    "#);
}

#[test]
fn who_leaves_before_the_oracle_could_speak_is_no_witness() {
    let with = |churn: &str, within: &str| {
        let stage = format!(
            "[[fleet.stage]]\nduration = \"2s\"\ntarget = 4\nchurn = \"{churn}\"\n[[fleet.surface]]"
        );
        let oracle = format!("[oracle]\nconverge_within = \"{within}\"\n[profile.smoke]");
        let text = edited(&[("[profile.smoke]", &oracle)]).replacen("[[fleet.surface]]", &stage, 1);
        Load::of(&text).complaints()
    };
    let quick = with("100/s", "1m");
    let said = "and only after 1m is one that is not up to date held against";
    assert!(quick.contains(said), "{quick}");
    // Whoever comes in so short a stage does not leave in it.
    assert!(!with("60/min", "1m").contains("held against"), "{}", with("60/min", "1m"));
    assert!(!with("100/s", "100ms").contains("held against"), "{}", with("100/s", "100ms"));
}

#[test]
fn misspelt_secrets_are_masked_too() {
    let text = crate::testing::edited(&[("mint = \"hs256\"", "secrt = \"hunter2\"")]);
    let shown = Load::of(&text).load().expect_err("an unknown key").render(false);
    assert!(shown.contains("unknown key `secrt`") && !shown.contains("hunter2"), "{shown}");
}

#[test]
fn schedules_are_bounded() {
    assert_snapshot!(complaints(&[("rate = \"4/s\"", "rate = \"100000/s\""), ("duration = \"10s\"", "duration = \"60s\"")]), @"24:1 the loads publish about 8000000 commands in the run -> stay below 5000000: lower the rate, or shorten the phases");
    let faults = "[[phase.fault]]\ntype = \"disconnect\"\n".repeat(200);
    let text = crate::testing::edited(&[
        ("[[phase.fault]]", &format!("{faults}[[phase.fault]]")),
        ("clients = 100", "clients = 1_000_000"),
    ]);
    assert_snapshot!(Load::of(&text).complaints(), @"37:1 201 faults may hit 201000000 clients in all -> stay below 100000000: plan fewer faults");
}

#[test]
fn tokens_come_from_somewhere() {
    assert_snapshot!(complaints(&[("mint = \"hs256\"", "mint = \"magic\"\nkid = \"k\"")]), @"10:8 `magic` is not a value of `mint` -> there is `hs256`, `control` and `static`");
    assert_snapshot!(complaints(&[("mint = \"hs256\"", "mint = \"static\"")]), @r#"
    9:1 `[auth]` lacks `token` -> add `token = { env = "KHALA_TOKEN" }`
    10:8 the reference runtime makes its key for each run, which no static token fits -> use `mint = "hs256"`
    "#);
    let url = ("kind = \"reference\"", "kind = \"url\"\nurl = \"http://h\"");
    assert_snapshot!(complaints(&[url]), @r#"10:1 `[auth]` lacks the `secret` that the target verifies with -> add `secret = { env = "RUNTIME_SYNC_TOKEN_SIGNING_KEY" }` to the `[auth]` of scenarios/s.toml; a target that `--target URL` names is given the key in that variable without it"#);
}

#[test]
fn a_fleet_has_surfaces_that_exist_and_add_up() {
    assert_snapshot!(complaints(&[(SURFACES, "")]), @r#"12:1 `[fleet]` has no surface, so there are no clients -> add `[[fleet.surface]]` with `name = "desktop"` and `share = 1`"#);
    assert_snapshot!(complaints(&[("name = \"ios\"", "name = \"onyx\"")]), @"21:8 `onyx` may read run events only, which this lane has not -> the surfaces of the lane `ws` are `web-shell`, `desktop` and `ios`");
    assert_snapshot!(complaints(&[("name = \"ios\"", "name = \"destkop\"")]), @"21:8 there is no surface `destkop` -> did you mean `desktop`?");
    assert_snapshot!(complaints(&[("name = \"ios\"", "name = \"desktop\"")]), @r#"21:8 there is another cohort `desktop` -> give it a name of its own: `cohort = "…"`"#);
    assert_snapshot!(complaints(&[("share = 0.6", "share = 0.5")]), @"18:9 the shares of the surfaces sum to 0.9, not to 1 -> make them sum to 1");
    assert_snapshot!(complaints(&[("share = 0.6", "share = 0.999"), ("share = 0.4", "share = 0.001")]), @"22:9 a share of 0.001 leaves `ios` without a client -> raise `fleet.clients` or the share");
    assert_snapshot!(complaints(&[("ramp = \"2s\"", "users = 101\norgs = 0")]), @"
    14:9 `users` is 101; it must be from 1 to the number of clients, 100
    15:8 `orgs` is 0; it must be from 1 to the number of users, 100
    ");
}

#[test]
fn topics_exist_and_come_once() {
    let topics =
        |list: &str| complaints(&[("share = 0.6", &format!("share = 0.6\ntopics = {list}"))]);
    assert_snapshot!(topics("[]"), @"19:10 a client without a topic receives nothing -> name a topic, or leave `topics` out for the surface's own");
    assert_snapshot!(topics("[\"runtime.codex_worker_event\", \"x\", 3]"), @"
    19:11 there is no topic `runtime.codex_worker_event` -> did you mean `runtime.codex_worker_events`?
    19:41 there is no topic `x` -> there is `runtime.run_summaries`, `runtime.codex_worker_summaries`, `runtime.codex_worker_events` and `runtime.notifications`
    19:46 `topics` must be a string, not an integer
    ");
    assert_snapshot!(topics("[\"runtime.codex_worker_events\", \"runtime.codex_worker_events\"]"), @"19:42 there is another topic `runtime.codex_worker_events` -> name each once");
}

#[test]
fn a_back_off_is_fixed_or_exponential() {
    let backoff =
        |table: &str| complaints(&[("share = 0.6", &format!("share = 0.6\nbackoff = {table}"))]);
    assert_snapshot!(backoff("\"2s\""), @"19:11 `backoff` must be a table, not a string");
    assert_snapshot!(backoff("{ }"), @r#"
    19:11 `backoff` lacks `base` -> add `base = "250ms"`
    19:11 `backoff` lacks `cap` -> add `cap = "8s"`
    "#);
    assert_snapshot!(backoff("{ fixed = \"2s\", cap = \"3s\", jiter = 1 }"), @r#"
    19:11 `backoff` is either fixed or exponential -> write `{ fixed = "2s" }` or `{ base = "250ms", cap = "8s" }`
    19:39 unknown key `jiter` in `backoff` -> did you mean `jitter`?
    "#);
    assert_snapshot!(backoff("{ base = \"2s\", cap = \"1s\", exponent_max = 32, jitter = -1 }"), @"
    19:32 `cap` is shorter than `base`, so every delay would be the cap -> raise `cap`, or write `{ fixed = … }`
    19:53 `exponent_max` is 32; it must be from 0 to 31
    19:66 `jitter` is -1; it must be from 0 to 10
    ");
}

#[test]
fn a_load_is_open_loop_in_one_of_three_ways() {
    assert_snapshot!(complaints(&[("command = \"codex-worker-events\"\n", "")]), @r#"24:1 `[[load]]` lacks `command` -> add `command = "codex-worker-events"`"#);
    assert_snapshot!(complaints(&[
        ("command = \"codex-worker-events\"", "command = \"run-events\""),
        ("arrival = \"constant\"", "arrival = \"steady\""),
    ]), @"
    25:11 `run-events` is not a value of `command` -> there is `codex-worker-events`
    27:11 `steady` is not a value of `arrival` -> there is `poisson`, `constant` and `bursts`
    ");
    assert_snapshot!(complaints(&[("rate = \"4/s\"\n", "")]), @r#"24:1 `[[load]]` lacks `rate` -> add `rate = "2/s"`"#);
    assert_snapshot!(complaints(&[("arrival = \"constant\"", "arrival = \"bursts\"")]), @r#"
    24:1 `[[load]]` lacks `burst_size` -> add `burst_size = 20`
    24:1 `[[load]]` lacks `burst_gap` -> add `burst_gap = "10s"`
    "#);
    assert_snapshot!(
        complaints(&[("arrival = \"constant\"", "arrival = \"bursts\"\nburst_size = 20\nburst_gap = \"10s\"")]),
        @"26:8 `rate` is 4/s, but the bursts make 2.000/s -> leave `rate` out: it follows from `burst_size` and `burst_gap`"
    );
}

#[test]
fn source_addresses_are_of_this_machine() {
    let addresses = |list: &str| {
        let table = format!("[generator]\nsource_addresses = {list}\n\n[profile.smoke]");
        complaints(&[("[profile.smoke]", &table)])
    };
    assert_snapshot!(addresses("[]"), @r#"61:20 without a source address no client can connect -> leave `source_addresses` out for `["127.0.0.1"]`"#);
    assert_snapshot!(addresses("[\"10.0.0.1\", \"localhost\", \"127.0.0.2\", \"127.0.0.2\"]"), @"
    61:21 `10.0.0.1` is not a loopback address -> write such as `127.0.0.2`; every 127.x.y.z is this machine
    61:33 `localhost` is not a loopback address -> write such as `127.0.0.2`; every 127.x.y.z is this machine
    61:59 there is another source address `127.0.0.2` -> name each once
    ");
}

#[test]
fn what_stands_beside_a_word_that_is_not_known_is_told_with_it() {
    let said = complaints(&[
        (
            "kind = \"reference\"",
            "kind = \"referense\"\nurl = \"http://127.0.0.1:99999\"\nproxy = \"h\"",
        ),
        ("mint = \"hs256\"", "mint = \"hs255\"\ntoken = { file = 3 }\nkid = 4"),
        ("mode = \"all\"", "mode = \"al\"\nvalue = -1"),
        (
            "share = 0.6",
            "share = 0.6\nbackoff = { fixed = \"1s\", cap = \"2y\", exponent_max = 99 }",
        ),
    ]);
    for wrong in [
        "`referense` is not a value of `kind`",
        "`99999` is no port",
        "`proxy` starts with",
        "`hs255` is not a value of `mint`",
        "`file` must be a string",
        "`kid` must be a string",
        "`al` is not a value of `mode`",
        "`value` is -1",
        "`backoff` is either fixed or exponential",
        "bad duration for `cap`",
        "`exponent_max` is 99",
    ] {
        assert!(said.contains(wrong), "{wrong}: {said}");
    }
}

use super::*;
use crate::testing::{Load, SOUND, edited};

/// Reads what was written, under the profile of the original.
fn again(plan: &Plan) -> Plan {
    let written = to_toml(plan);
    let mut load = Load::of(&written);
    load.profile = plan.profile.as_deref();
    load.plan()
}

fn assert_round_trip(plan: &Plan) {
    assert_eq!(format!("{plan:#?}"), format!("{:#?}", again(plan)));
}

#[test]
fn a_plan_that_is_written_and_read_is_the_same_plan() {
    assert_round_trip(&Load::of(SOUND).plan());
    let mut smoke = Load::of(SOUND);
    smoke.profile = Some("smoke");
    smoke.defects = &["drop,0.1"];
    assert_round_trip(&smoke.plan());
}

#[test]
fn so_is_one_in_which_little_is_a_default() {
    let text = edited(&[
        ("seed = 7", "seed = 7\ndescription = \"\"\"costs $${5}\nand \"quotes\"\"\"\""),
        (
            "kind = \"reference\"",
            "kind = \"url\"\nurl = \"http://h:1/\"\nexclusive = true\napply = \"update_batch\"\n\
             connect_timeout = \"1.5s\"\nbuild_command = [\"cat\", \"a \\\"b\\\"\"]",
        ),
        (
            "[auth]\nmint = \"hs256\"",
            "[target.headers]\nX-Route = \"$${a}\"\nx-token = { env = \"T\" }\n[target.query]\n\"a b\" = \"c\"\n\
             p = { file = \"f\" }\n\n[auth]\nmint = \"static\"\ntoken = { file = \"t\" }",
        ),
        ("share = 0.6", "share = 0.333\nbackoff = { base = \"1s\", cap = \"9s\", jitter = 0.25 }"),
        ("share = 0.4", "share = 0.667\ntopics = [\"runtime.codex_worker_events\"]"),
        ("rate = \"4/s\"\narrival = \"constant\"", "rate = \"100/min\""),
        ("mode = \"all\"", "mode = \"fixed-percent\"\nvalue = 33.3"),
        ("style = \"reset\"", "style = \"close\", close_code = 1001"),
        ("[profile.smoke]", "[oracle]\nsettle_within = \"250ms\"\n\n[profile.smoke]"),
    ]);
    assert_round_trip(&Load::of(&text).plan());
    let bursts = edited(&[(
        "rate = \"4/s\"\narrival = \"constant\"",
        "arrival = \"bursts\"\nburst_size = 20\nburst_gap = \"2s\"",
    )]);
    assert_round_trip(&Load::of(&bursts).plan());
}

#[test]
fn so_is_one_with_every_fault() {
    let shipped = [
        include_str!("../../../../scenarios/stale-cursor.toml"),
        include_str!("../../../../scenarios/slow-consumer.toml"),
    ];
    for text in shipped {
        assert_round_trip(&Load::of(text).plan());
        assert_round_trip(&Load { profile: Some("smoke"), ..Load::of(text) }.plan());
    }
    let rest = edited(&[(
        "attributes = { style = \"reset\" }",
        "attributes = { style = \"half_open\" }\n\n[[phase.fault]]\ntype = \"slow_reader\"\n\
         duration = \"5s\"\nattributes = { rate = \"1500B/s\", rcvbuf = \"4500B\" }\n\n\
         [[phase.fault]]\ntype = \"cursor\"\ncohort = \"ios\"\nat = \"5s\"\nattributes = \
         { garbage = \"text\" }\n\n[[phase.fault]]\ntype = \"cursor\"\ncohort = \"ios\"\nat = \
         \"7s\"\nattributes = { stale_by = 3 }\n\n\
         [[phase.fault]]\ntype = \"hook\"\nattributes = { command = [\"a\", \"a\", \"$${b}\"] }\n\n\
         [[phase.fault]]\ntype = \"hook\"\nduration = \"2s\"\nattributes = { command = [\"a\"], check = \
         [\"b\"], undo = [\"c \\\"\"], causes = [\"absence\", \"rejoins\"], effects_for = \"1.5s\" }\n\n\
         [[phase.fault]]\ntype = \"restart\"\nattributes = { signal = \"kill\" }\n\n\
         [[phase.fault]]\ntype = \"unsubscribe\"\ncohort = \"ios\"\nmode = \"one\"\nattributes = \
         { topics = [\"runtime.codex_worker_events\"], unsubscribed_for = \"1s\" }",
    )]);
    assert_round_trip(&Load::of(&rest).plan());
}

#[test]
fn secrets_are_named_not_shown() {
    let text = edited(&[
        ("kind = \"reference\"", "kind = \"url\"\nurl = \"http://h:1\""),
        ("mint = \"hs256\"", "mint = \"hs256\"\nsecret = { env = \"KEY\" }"),
    ]);
    let mut load = Load::of(&text);
    load.env = &[("KEY", "hunter2")];
    let written = to_toml(&load.plan());
    assert!(written.contains("secret = { env = \"KEY\" }"), "{written}");
    assert!(!written.contains("hunter2"));
}

#[test]
fn it_reads_like_a_scenario() {
    insta::assert_snapshot!(to_toml(&Load::of(SOUND).plan()), @r#"
    version = 1
    name = "sound"
    seed = 7

    [target]
    kind = "reference"
    defects = []
    lane = "ws"
    socket_path = "/sync/socket/websocket"
    connect_timeout = "5s"
    request_timeout = "10s"
    exclusive = true
    apply = "frame"
    snapshot = "http"
    message_max = "16MiB"
    dense_states = false

    [target.slow_consumer]
    queue_limit = 64
    max_strikes = 3

    [auth]
    mint = "hs256"
    kid = "sync-auth-v1"
    issuer = "https://openagents.test"
    audience = "openagents-sync"
    ttl = "15m"

    [fleet]
    clients = 100
    ramp = "2s"
    name_prefix = "khala-harness"
    users = 100
    orgs = 1

    [[fleet.surface]]
    name = "desktop"
    cohort = "desktop"
    share = 0.6 # 60 clients
    topics = ["runtime.codex_worker_events"]
    backoff = { fixed = "2s" }
    heartbeat = "20s"
    replay_batch_size = 200

    [[fleet.surface]]
    name = "ios"
    cohort = "ios"
    share = 0.4 # 40 clients
    topics = ["runtime.codex_worker_events"]
    backoff = { base = "250ms", exponent_offset = 1, exponent_max = 10, cap = "8s", jitter = 0.5 }
    heartbeat = "20s"
    replay_batch_size = 200

    [[load]]
    command = "codex-worker-events"
    rate = "4/s"
    arrival = "constant"
    payload_bytes = 256
    workers = 4

    [[phase]]
    name = "steady"
    duration = "10s"
    measure = true

    [[phase]]
    name = "storm"
    duration = "20s"
    measure = true

    [[phase.fault]]
    type = "disconnect"
    at = "2s"
    mode = "all"
    attributes = { style = "reset" }

    [[gate]]
    name = "reconnect"
    advisory = false

    [[gate.objective]]
    metric = "time_to_recovered"
    where = { surface = "*" }
    during = ["storm"]
    require = "p(90) < 20s"
    warn = "p(90) < 15s"
    min_samples = 29

    [[gate]]
    name = "ux"
    advisory = false

    [[gate.objective]]
    metric = "violations"
    during = ["ramp", "steady", "storm", "drain"]
    require = "count == 0"
    min_samples = 1

    [oracle]
    converge_within = "30s"
    settle_within = "2s"
    drain_within = "10s"
    storm_min_deliveries = 3
    violations_kept = 100

    [generator]
    worker_threads = 2
    source_addresses = ["127.0.0.1"]
    lag_share_max = 0.1

    [stability]
    # absence = "3s" (an assumption)
    # socket_ends: none; an assumption
    # channel_ends: none; an assumption
    # heartbeat_timeouts: 0.05/s; contract, section 7
    # rejoins: 1.5/s; contract, section 7
    # connect_errors: none; an assumption
    # auth_errors: 3% of the connects; contract, section 7
    # mint_errors: 1% of the token requests; contract, section 7
    # join_errors: none; an assumption
    # subscribe_errors: none; an assumption
    # snapshot_errors: none; an assumption
    # publish_errors: none; an assumption
    "#);
}

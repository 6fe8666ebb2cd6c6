//! Target profiles, and how a target by URL is reached.

use std::path::Path;

use insta::assert_snapshot;

use crate::model::{FirstSubscribe, Mint, TargetKind, TlsKeys, Way};
use crate::testing::{Load, SOUND, complaints, edited};

const STAGING: &str = include_str!("../../../../../scenarios/targets/staging.toml");
const LOCAL: &str = include_str!("../../../../../scenarios/targets/local.toml");

fn with(target: &'static str) -> Load<'static> {
    Load { target: Some(target), ..Load::of(SOUND) }
}

#[test]
fn a_target_profile_is_laid_over_the_scenario_and_its_profile() {
    let plan = with(STAGING).plan();
    assert_eq!(
        plan.target.kind,
        TargetKind::Url { base_url: "https://sync.staging.example.com".to_owned() }
    );
    assert!(plan.target.is_over_tls() && !plan.target.exclusive);
    assert!(matches!(plan.auth.mint, Mint::Control { .. }));
    assert_eq!(plan.fleet.first_subscribe, FirstSubscribe::FromNow);
    assert_eq!(plan.fleet.clients, 100, "the rest is the scenario's");
    let tls = TlsKeys { ca: Some(Path::new("staging-ca.pem").to_owned()), ..TlsKeys::default() };
    let control_url = Some("https://control.staging.example.com".to_owned());
    assert_eq!(plan.target.way, Way { control_url, tls, ..Way::default() });
    // A profile of the scenario says what runs, the target's where.
    let smoke = Load { profile: Some("smoke"), ..with(LOCAL) }.plan();
    assert_eq!(smoke.profile.as_deref(), Some("smoke"));
    assert_eq!(smoke.target.kind, TargetKind::Url { base_url: "http://127.0.0.1:4000".to_owned() });
    let set = Load { set: &["target.url=http://127.0.0.1:9"], ..with(LOCAL) }.plan();
    assert_eq!(set.target.kind, TargetKind::Url { base_url: "http://127.0.0.1:9".to_owned() });
    let env = Load { env: &[("KHALA_TARGET_URL", "http://[::1]:4000")], ..with(LOCAL) }.plan();
    assert_eq!(env.target.kind, TargetKind::Url { base_url: "http://[::1]:4000".to_owned() });
}

#[test]
fn a_target_profile_holds_what_a_target_is_and_nothing_else() {
    assert_snapshot!(with("[phase]\n").complaints(), @"targets/t.toml:1:1 `targets/t.toml` is no target profile: it has no `[target]` table -> name a file with `[target]`, such as scenarios/targets/local.toml");
    assert_snapshot!(with("[target]\nurl = \"http://h\"\n[[phase]]\nname = \"x\"\n").complaints(), @r#"
    targets/t.toml:2:7 `[auth]` lacks the `secret` that the target verifies with -> add `secret = { env = "RUNTIME_SYNC_TOKEN_SIGNING_KEY" }` to the `[auth]` of targets/t.toml; a target that `--target URL` names is given the key in that variable without it
    targets/t.toml:3:3 unknown key `phase` in the target profile -> its keys are `target`, `auth` and `fleet`
    "#);
    assert_snapshot!(with("[target]\nurl = \"http://h\"\nurls = 1\n").complaints(), @r#"
    targets/t.toml:2:7 `[auth]` lacks the `secret` that the target verifies with -> add `secret = { env = "RUNTIME_SYNC_TOKEN_SIGNING_KEY" }` to the `[auth]` of targets/t.toml; a target that `--target URL` names is given the key in that variable without it
    targets/t.toml:3:1 unknown key `urls` in `[target]` -> did you mean `url`?
    "#);
}

#[test]
fn what_is_wrong_with_a_target_profile_is_told_at_its_own_lines() {
    // The scenario has an `[auth]` too, in which nothing is wrong.
    let static_tokens = "[target]\nurl = \"http://h\"\n[auth]\nmint = \"static\"\n";
    assert_snapshot!(with(static_tokens).complaints(), @r#"targets/t.toml:3:1 `[auth]` lacks `token` -> add `token = { env = "KHALA_TOKEN" }`"#);
    assert_snapshot!(with("[target]\nkind = \"url\"\n[auth]\nmint = \"control\"\n").complaints(), @r#"targets/t.toml:1:1 `[target]` lacks `url` -> add `url = "http://127.0.0.1:4000"`"#);
    // Of the fleet the scenario says the most.
    let text = edited(&[("clients = 100\n", "")]);
    let fleet = "[target]\nurl = \"http://h\"\n[auth]\nmint = \"control\"\n[fleet]\nuser_ids = \"numeric\"\n";
    let wrong = Load { target: Some(fleet), ..Load::of(&text) }.complaints();
    assert!(wrong.starts_with("12:1 `[fleet]` lacks `clients`"), "{wrong}");
}

#[test]
fn what_a_profile_says_against_a_passive_scenario_is_told_where_it_is_said() {
    let by_url = "kind = \"url\"\nurl = \"http://h\"\ncommands = \"none\"";
    let quiet = edited(&[
        ("kind = \"reference\"", by_url),
        ("ramp = \"2s\"", "ramp = \"20s\""),
        (LOAD, ""),
    ]);
    let wrong = Load { target: Some(LOCAL), ..Load::of(&quiet) }.complaints();
    assert_snapshot!(wrong, @"targets/t.toml:10:13 `exclusive = true` says that nobody else writes, and a passive run does not either -> leave `exclusive` out there, or give `--set target.exclusive=false` to this run");
    let set = &["target.exclusive=false"];
    assert_eq!(Load { target: Some(LOCAL), set, ..Load::of(&quiet) }.complaints(), "");
}

#[test]
fn the_way_to_a_target_is_checked() {
    let way = |keys: &str| {
        let url = format!("kind = \"url\"\nurl = \"https://h\"\n{keys}");
        let mint = ("mint = \"hs256\"", "mint = \"control\"");
        Load::of(&edited(&[("kind = \"reference\"", &url), mint])).complaints()
    };
    assert_snapshot!(way("control_url = \"h\""), @"9:15 `control_url` starts with `http://` or `https://` -> write such as `http://127.0.0.1:4000`");
    assert_snapshot!(way("proxy = \"https://h:3128\""), @"9:9 `proxy` starts with `http://` -> write such as `http://127.0.0.1:4000`");
    assert_snapshot!(way("proxy = \"http://jo:x@h:3128\""), @"9:9 a url must not carry a user or password -> see `[auth]` for how clients sign in");
    assert_snapshot!(way("tls = { client_key = \"k\" }"), @"9:22 `client_key` without `client_certificate` -> a client shows a certificate and signs with its key: name both files");
    assert_snapshot!(way("tls = { client_certificate = \"k\" }"), @"9:30 `client_certificate` without `client_key` -> a client shows a certificate and signs with its key: name both files");
    assert_snapshot!(way("tls = { roots = \"k\" }"), @"9:9 unknown key `roots` in `[target.tls]` -> its keys are `ca`, `client_certificate`, `client_key`, `server_name` and `insecure`");
    let reference = Load::of(&edited(&[(
        "kind = \"reference\"",
        "kind = \"reference\"\nclear_text = true\nproxy = \"http://h\"",
    )]))
    .complaints();
    assert_snapshot!(reference, @r#"
    8:14 `clear_text` has no effect with `kind = "reference"`: it is this machine's own -> remove it
    9:9 `proxy` has no effect with `kind = "reference"`: it is this machine's own -> remove it
    "#);
}

#[test]
fn what_is_said_of_the_way_is_said_again_in_the_resolved_scenario() {
    let text = edited(&[
        (
            "kind = \"reference\"",
            "kind = \"url\"\nurl = \"https://h\"\nproxy = \"http://p:1\"\nclear_text = true\ncontrol_url = \"https://c\"\n\
             [target.tls]\nca = \"ca\"\nclient_certificate = \"c\"\nclient_key = \"k\"\nserver_name = \"n\"\ninsecure = true",
        ),
        ("mint = \"hs256\"", "mint = \"control\""),
    ]);
    let plan = Load::of(&text).plan();
    let again = Load::of(&crate::resolved::to_toml(&plan)).plan();
    assert_eq!((&again.target.way, again.target.way.tls.insecure), (&plan.target.way, true));
}

#[test]
fn a_plan_tells_its_target_as_a_profile() {
    for target in [STAGING, LOCAL] {
        let plan = with(target).plan();
        let profile = crate::resolved::target_profile(&plan).expect("TOML");
        let again = Load { target: Some(&profile), ..Load::of(SOUND) }.plan();
        assert_eq!((&again.target, &again.auth), (&plan.target, &plan.auth), "{profile}");
        assert_eq!(again.fleet.first_subscribe, plan.fleet.first_subscribe);
    }
}

const LOAD: &str =
    "[[load]]\ncommand = \"codex-worker-events\"\nrate = \"4/s\"\narrival = \"constant\"\n";

/// What is said of the sound scenario as a passive one without a load, with some more of it replaced.
fn passive(edits: &[(&str, &str)]) -> String {
    let by_url = "kind = \"url\"\nurl = \"http://127.0.0.1:1\"\ncommands = \"none\"";
    let mut all = vec![
        ("kind = \"reference\"", by_url),
        ("mint = \"hs256\"", "mint = \"hs256\"\nsecret = { env = \"KEY\" }"),
        ("ramp = \"2s\"", "ramp = \"20s\""),
        (LOAD, ""),
    ];
    all.extend_from_slice(edits);
    Load::of(&edited(&all)).complaints()
}

#[test]
fn a_passive_run_has_no_place_for_what_writes() {
    assert_eq!(passive(&[]), "");
    let attributes = "attributes = { style = \"reset\" }";
    let fault = |kind: &'static str, given: &'static str| {
        passive(&[("type = \"disconnect\"", kind), (attributes, given)])
    };
    let revoked = fault("type = \"revoke_sessions\"", "attributes = { revoked_for = \"1s\" }");
    assert!(revoked.contains("it changes something on the target"), "{revoked}");
    let token = fault("type = \"token\"", "attributes = { kind = \"expired\" }");
    assert!(token.contains("it opens sockets beside the clients' own"), "{token}");
    let load = passive(&[(
        "[[gate]]",
        "[[load]]\ncommand = \"codex-worker-events\"\nrate = \"1/s\"\n[[gate]]",
    )]);
    assert!(load.contains("a passive run publishes nothing"), "{load}");
    let exclusive = passive(&[("commands = \"none\"", "commands = \"none\"\nexclusive = true")]);
    assert!(exclusive.contains("`exclusive = true` says that nobody else writes"), "{exclusive}");
    let embedded = complaints(&[("kind = \"reference\"", "commands = \"none\"")]);
    assert!(embedded.contains("nobody writes to the embedded runtime"), "{embedded}");
}

#[test]
fn connects_are_held_under_the_targets_ceilings() {
    let many = passive(&[("clients = 100", "clients = 101")]);
    assert!(many.contains("the fleet has 101 clients; the target's ceiling is 100"), "{many}");
    let fast = passive(&[("ramp = \"20s\"", "ramp = \"19s\"")]);
    assert!(fast.contains("write `ramp = \"20s\"` or more"), "{fast}");
    let stage =
        "[[fleet.stage]]\nduration = \"2s\"\ntarget = 90\nchurn = \"6/s\"\n[[fleet.surface]]";
    let churning = passive(&[("[[fleet.surface]]", stage)]);
    assert!(churning.contains("a stage of 2s brings more than 5 clients a second"), "{churning}");
    let raised = (
        "commands = \"none\"",
        "commands = \"none\"\nclients_max = 500\nconnect_rate_max = \"9/s\"",
    );
    assert_eq!(
        passive(&[raised, ("[[fleet.surface]]", stage), ("clients = 100", "clients = 110")]),
        ""
    );
    let any = complaints(&[("kind = \"reference\"", "clients_max = 99")]);
    assert!(any.contains("the target's ceiling is 99"), "whoever writes: {any}");
}

#[test]
fn keys_of_tls_do_nothing_where_nothing_is_encrypted() {
    let way = |url: &str, keys: &str| {
        let url = format!("kind = \"url\"\nurl = \"{url}\"\n{keys}tls = {{ insecure = true }}");
        let mint = ("mint = \"hs256\"", "mint = \"control\"");
        let text = edited(&[("kind = \"reference\"", &url), mint]);
        let said = Load::of(&text).complaints();
        said.lines().filter(|line| line.contains("`tls`")).map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(
        way("http://h", ""),
        ["9:7 `tls` has no effect with a url of `http`: nothing is encrypted -> remove it"]
    );
    assert!(way("https://h", "").is_empty());
    assert!(way("http://h", "control_url = \"https://c\"\n").is_empty(), "the control service is");
}

#[test]
fn a_url_that_a_flag_lays_over_the_embedded_runtime_is_not_left_untested() {
    let text = edited(&[]);
    let url = "target.url=http://127.0.0.1:4000";
    let said = |set: &[&str]| Load { set, ..Load::of(&text) }.complaints();
    assert_snapshot!(said(&[url]), @"--set target.url=http://127.0.0.1:4000 `url` beside `kind = \"reference\"`: the embedded reference runtime would be tested -> name the target by `--target URL`, or set `target.kind=url` too");
    assert!(!said(&[url, "target.kind=url", "auth.mint=control"]).contains("would be tested"));
    // The other way round the flag says that nothing of the file's target is meant.
    let file = edited(&[("kind = \"reference\"", "kind = \"url\"\nurl = \"http://h\"")]);
    let back = Load { set: &["target.kind=reference"], ..Load::of(&file) }.complaints();
    assert!(!back.contains("`url`"), "{back}");
}

#[test]
fn a_key_that_a_flag_sets_in_vain_is_told_and_one_that_a_flag_makes_vain_is_not() {
    let text = edited(&[]);
    let said = |text: &str, set: &[&str]| Load { set, ..Load::of(text) }.complaints();
    let proxy = said(&text, &["target.proxy=http://127.0.0.1:3128"]);
    assert!(proxy.contains("`proxy` has no effect with `kind = \"reference\"`"), "{proxy}");
    let file = edited(&[(
        "kind = \"reference\"",
        "kind = \"url\"\nurl = \"http://h\"\nproxy = \"http://p\"",
    )]);
    let laid_over = said(&file, &["target.kind=reference"]);
    assert!(!laid_over.contains("`proxy`"), "{laid_over}");
}

#[test]
fn a_defect_that_there_is_not_is_told_where_it_stands() {
    const KIND: &str = "kind = \"reference\"";
    let with = |defects: &str| edited(&[(KIND, &format!("{KIND}\ndefects = {defects}"))]);
    assert_snapshot!(Load::of(&with("[\"gap\", \"no_such,0.1\"]")).complaints(), @"8:19 no defect is called `no_such,0.1` -> `khala-harness list defects` names them");
    let text = edited(&[]);
    let set = Load { set: &["target.defects=[\"no_such\"]"], ..Load::of(&text) }.complaints();
    assert!(set.contains("no defect is called `no_such`"), "{set}");
}

#[test]
fn a_port_is_written_in_digits() {
    for port in ["+4000", "0", "65536", "-1", "4 000", "0x50", "18446744073709551617"] {
        let url = format!("kind = \"url\"\nurl = \"http://127.0.0.1:{port}\"");
        let said = Load::of(&edited(&[("kind = \"reference\"", &url)])).complaints();
        let told = said.contains("is no port") || said.contains("is not a base url");
        assert!(told, "{port}: {said}");
    }
}

#[test]
fn the_embedded_runtime_has_its_socket_where_it_has_it() {
    let with = |path: &str| {
        let kind = format!("kind = \"reference\"\nsocket_path = \"{path}\"");
        Load::of(&edited(&[("kind = \"reference\"", &kind)])).complaints()
    };
    for path in ["/sync/socket/websocket", "/socket/websocket"] {
        assert_eq!(with(path), "");
    }
    assert_snapshot!(with("/socket"), @"8:15 the embedded runtime has no socket at `/socket` -> it has one at `/sync/socket/websocket` or `/socket/websocket`");
}

//! Every fault type, read right and read wrong, and what is warned of.

use std::time::Duration;

use insta::assert_snapshot;
use khala_wire::topic::{TopicId, WORKER_EVENTS, WORKER_SUMMARIES};

use crate::fault::FaultKind;
use crate::fault::command_over_socket::CommandOverSocket;
use crate::fault::cursor::Cursor;
use crate::fault::disconnect::Disconnect;
use crate::fault::hook::Hook;
use crate::fault::offline::Offline;
use crate::fault::publish_burst::PublishBurst;
use crate::fault::restart::Restart;
use crate::fault::retention_trim::RetentionTrim;
use crate::fault::revoke_sessions::RevokeSessions;
use crate::fault::slow_reader::SlowReader;
use crate::fault::token::Token;
use crate::fault::unsubscribe::Unsubscribe;
use crate::model::{
    ActsOn, BadToken, ChosenCursor, DisconnectStyle, Fault, FaultMode, Garbage, RestartSignal,
    Resume,
};
use crate::stability::{Consequence, Incident};
use crate::testing::{Load, complaints, edited};

/// The sound scenario's fault, of another type and with other lines.
fn with(kind: &str, lines: &str) -> String {
    edited(&[
        ("type = \"disconnect\"\nat = \"2s\"\nmode = \"all\"\n", &format!("type = \"{kind}\"\n")),
        ("attributes = { style = \"reset\" }", lines),
        ("[profile.smoke.phase.storm]\nduration = \"8s\"", ""),
    ])
}

fn fault(kind: &str, lines: &str) -> Fault {
    Load::of(&with(kind, lines)).plan().phases[1].faults[0].clone()
}

fn wrong(kind: &str, lines: &str) -> String {
    Load::of(&with(kind, lines)).complaints()
}

fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

#[test]
fn all_types_are_read() {
    let offline = |resume| FaultKind::from(Offline { offline_for: secs(3), resume });
    let kept = fault("offline", "attributes = { offline_for = \"3s\" }");
    assert_eq!((kept.kind, kept.duration), (offline(Resume::Kept), None));
    for (word, resume) in [
        ("kept", Resume::Kept),
        ("below-floor", Resume::BelowFloor),
        ("at-floor", Resume::AtFloor),
        ("beyond-budget", Resume::BeyondBudget),
        ("at-budget", Resume::AtBudget),
    ] {
        let lines = format!("attributes = {{ offline_for = \"3s\", resume = \"{word}\" }}");
        assert_eq!(fault("offline", &lines).kind, offline(resume));
    }
    let paused = fault("slow_reader", "duration = \"9s\"\nattributes = { pause = true }");
    let slow = |rate_bytes_per_s, rcvbuf_bytes| {
        FaultKind::from(SlowReader { rate_bytes_per_s, rcvbuf_bytes })
    };
    assert_eq!((paused.kind, paused.duration), (slow(None, 4_096), Some(secs(9))));
    let lines = "duration = \"20s\"\nattributes = { rate = \"2KiB/s\", rcvbuf = \"8KiB\" }";
    assert_eq!(fault("slow_reader", lines).kind, slow(Some(2_048), 8_192));
    let events = TopicId::of(WORKER_EVENTS).unwrap();
    let lines =
        format!("attributes = {{ topics = [\"{WORKER_EVENTS}\"], unsubscribed_for = \"3s\" }}");
    assert_eq!(
        fault("unsubscribe", &lines).kind,
        FaultKind::from(Unsubscribe { topics: vec![events], unsubscribed_for: secs(3) })
    );
    let trim = fault(
        "retention_trim",
        &format!("attributes = {{ topic = \"{WORKER_SUMMARIES}\", keep = 0 }}"),
    );
    let topic = TopicId::of(WORKER_SUMMARIES).unwrap();
    assert_eq!(trim.kind, FaultKind::from(RetentionTrim { topic, keep: 0 }));
    assert_eq!(
        (trim.kind.acts_on(), trim.mode, trim.cohort),
        (ActsOn::Target, FaultMode::All, None)
    );
    let expired = fault("token", "attributes = { kind = \"expired\" }");
    assert_eq!(expired.kind, FaultKind::from(Token { kind: BadToken::Expired }));
    let revoked = fault("revoke_sessions", "attributes = { revoked_for = \"3s\" }");
    assert_eq!(revoked.kind, FaultKind::from(RevokeSessions { revoked_for: secs(3) }));
    let burst = fault("publish_burst", "attributes = { events = 500 }");
    assert_eq!(burst.kind, FaultKind::from(PublishBurst { events: 500, over: secs(1) }));
    assert_eq!(burst.kind.acts_on(), ActsOn::Target);
    let commands = fault("command_over_socket", "");
    assert_eq!(commands.kind, FaultKind::from(CommandOverSocket));
    for (attributes, cursor) in [
        ("stale_by = 100", ChosenCursor::StaleBy(100)),
        ("future_by = 7", ChosenCursor::FutureBy(7)),
        ("garbage = \"negative\"", ChosenCursor::Garbage(Garbage::Negative)),
        ("garbage = \"text\"", ChosenCursor::Garbage(Garbage::Text)),
        ("garbage = \"number\"", ChosenCursor::Garbage(Garbage::Number)),
    ] {
        let lines = format!("at = \"15s\"\nattributes = {{ {attributes} }}");
        let read = fault("cursor", &lines);
        assert_eq!((read.kind, read.duration), (FaultKind::from(Cursor { cursor }), None));
    }
    for (word, signal) in [("term", RestartSignal::Term), ("kill", RestartSignal::Kill)] {
        let read = fault("restart", &format!("attributes = {{ signal = \"{word}\" }}"));
        assert_eq!((read.kind, read.duration), (FaultKind::from(Restart { signal }), None));
    }
    let hook = |attributes: &str| fault("hook", &format!("attributes = {{ {attributes} }}"));
    let plain = hook("command = [\"true\", \"true\"]").kind;
    let plain = plain.attributes::<Hook>().expect("a hook");
    assert_eq!(plain.command, ["true", "true"]);
    assert_eq!((&plain.undo, &plain.check, plain.timeout), (&None, &None, secs(10)));
    assert_eq!(
        (plain.causes.as_slice(), plain.effects_for),
        (&[][..], None),
        "nothing is put down to it"
    );
    let lines = "duration = \"3s\"\nattributes = { command = [\"a\"], undo = [\"b\"], check = [\"c\"], \
                 timeout = \"2s\", causes = [\"absence\", \"socket_ends\"] }";
    let lasting = fault("hook", lines);
    assert_eq!((lasting.duration, lasting.kind.acts_on()), (Some(secs(3)), ActsOn::Target));
    let parts: Vec<_> = lasting.kind.commands().into_iter().map(|(part, _)| part).collect();
    assert_eq!(parts, ["command", "check", "undo"]);
    let lasting = lasting.kind.attributes::<Hook>().expect("a hook");
    let ends = Consequence::Incident(Incident::SocketEnds);
    assert_eq!(lasting.causes, [Consequence::Absence, ends]);
    assert_eq!(lasting.effects_for, Some(secs(5)));
    let half_open = fault("disconnect", "attributes = { style = \"half_open\" }");
    assert_eq!(half_open.kind, FaultKind::from(Disconnect { style: DisconnectStyle::HalfOpen }));
}

#[test]
fn attributes_are_as_strict_as_everything_else() {
    assert_snapshot!(wrong("offline", "attributes = { resume = \"at-flor\" }"), @r#"
    39:14 `attributes` lacks `offline_for` -> add `offline_for = "10s"`
    39:25 `at-flor` is not a value of `resume` -> did you mean `at-floor`?
    "#);
    assert_snapshot!(wrong("offline", "attributes = { offline_for = \"0s\", resume = 3 }"), @"
    39:30 `offline_for` is 0s; it must be from 1ms to 24h
    39:45 `resume` must be a string, not an integer
    ");
    assert_snapshot!(wrong("unsubscribe", ""), @r#"
    37:1 `attributes` lacks `topics` -> add `topics = ["runtime.codex_worker_events"]`
    37:1 `attributes` lacks `unsubscribed_for` -> add `unsubscribed_for = "5s"`
    "#);
    assert_snapshot!(wrong("unsubscribe", "attributes = { topics = [], unsubscribed_for = \"5\" }"), @"
    39:25 an unsubscribe of no topic does nothing -> name a topic
    39:48 bad duration for `unsubscribed_for`: `5` lacks a unit; `h`, `m`, `s`, `ms` and `us` are known
    ");
    assert_snapshot!(wrong("unsubscribe", "attributes = { topics = [\"runtime.codex_worker_event\"], unsubscribed_for = \"5s\" }"), @"39:26 there is no topic `runtime.codex_worker_event` -> did you mean `runtime.codex_worker_events`?");
    assert_snapshot!(wrong("retention_trim", "attributes = { topic = \"x\", keep = -1, kep = 3 }"), @"
    39:24 there is no topic `x` -> there is `runtime.run_summaries`, `runtime.codex_worker_summaries`, `runtime.codex_worker_events` and `runtime.notifications`
    39:36 `keep` is -1; it must not be negative
    39:40 unknown key `kep` in `attributes` -> did you mean `keep`?
    ");
    assert_snapshot!(wrong("disconnect", "attributes = { style = \"half_open\", close_code = 1001 }"), @r#"
    37:1 the phase is too short for clients to notice a half-open socket -> lengthen the phase
    39:50 `close_code` has no effect with `style = "half_open"`: nobody is told -> remove it
    48:11 no target can keep the bound of `time_to_recovered` for `desktop` and `ios` -> `desktop`: bound it above 22s, by what connect and replay may take; `ios`: bound it above 20.366s, by what connect and replay may take
    "#);
}

#[test]
fn a_slow_reader_has_a_rate_or_pauses() {
    let slow = |attributes: &str| {
        wrong("slow_reader", &format!("duration = \"20s\"\nattributes = {{ {attributes} }}"))
    };
    assert_snapshot!(slow(""), @r#"40:14 the slow reader lacks a `rate` -> add `rate = "2KiB/s"`, or `pause = true`"#);
    assert_snapshot!(slow("rate = \"2KiB/s\", pause = true"), @"40:41 a slow reader either reads at a rate or pauses -> remove `rate` or `pause`");
    assert_snapshot!(slow("pause = false"), @r#"40:24 `pause = false` does not say how fast the targets read -> write `rate = "2KiB/s"`"#);
    assert_snapshot!(slow("pause = \"true\""), @"40:24 `pause` must be a boolean, not a string -> write it without quotes");
    assert_snapshot!(slow("rate = 2048, rcvbuf = 4096"), @r#"
    40:23 `rate` must be a flow such as "2KiB/s", not an integer -> say of what and per what: `"2048B/s"`
    40:38 `rcvbuf` must be a size such as "8KiB", not an integer -> give it a unit: `"4096B"`
    "#);
    assert_snapshot!(slow("rate = \"0B/s\", rcvbuf = \"1KiB\""), @"
    40:23 `rate` is 0B/s; it must be from 1B/s to 1024MiB/s
    40:40 `rcvbuf` is 1KiB; it must be from 2KiB to 4MiB
    ");
    assert_snapshot!(slow("rate = \"5000MiB/s\", rcvbuf = \"4KB\""), @"
    40:23 bad flow for `rate`: `5000MiB/s` is 4 GiB or more
    40:45 bad size for `rcvbuf`: `4KB` has the unit `KB`; `B`, `KiB` and `MiB` are known
    ");
}

#[test]
fn a_cursor_is_chosen_in_one_way() {
    let cursor = |attributes: &str| wrong("cursor", &format!("attributes = {{ {attributes} }}"));
    assert_snapshot!(cursor(""), @r#"39:14 the fault does not say which cursor the targets come back with -> add `stale_by = 100`, `future_by = 100` or `garbage = "negative"`"#);
    assert_snapshot!(cursor("stale_by = 5, garbage = \"text\""), @"39:40 the targets come back with one cursor, not with several -> remove `stale_by` or `garbage`");
    assert_snapshot!(cursor("stale_by = 5, future_by = 5"), @"39:42 the targets come back with one cursor, not with several -> remove `stale_by` or `future_by`");
    assert_snapshot!(cursor("stale_by = 0"), @"39:27 `stale_by` is 0; it must be from 1 to 4294967295");
    assert_snapshot!(cursor("garbage = \"nagative\""), @"39:26 `nagative` is not a value of `garbage` -> did you mean `negative`?");
    assert_snapshot!(cursor("stale_bye = 3"), @r#"
    39:14 the fault does not say which cursor the targets come back with -> add `stale_by = 100`, `future_by = 100` or `garbage = "negative"`
    39:16 unknown key `stale_bye` in `attributes` -> did you mean `stale_by`?
    "#);
    assert_snapshot!(cursor("stale_by = 50000"), @"37:1 no cursor can be 50000 events old: no more than 44 come before it -> lower `stale_by`, publish more, or move the fault");
}

#[test]
fn a_hook_says_what_runs_what_ends_it_and_what_it_may_do() {
    let hook = |attributes: &str| wrong("hook", &format!("attributes = {{ {attributes} }}"));
    assert_snapshot!(wrong("hook", ""), @r#"37:1 `attributes` lacks `command` -> add `command = ["systemctl", "restart", "postgresql"]`"#);
    assert_snapshot!(hook("command = []"), @r#"39:26 `command` is empty -> write program and arguments, such as `["sh", "-c", "…"]`"#);
    assert_snapshot!(hook("command = \"true\""), @r#"39:26 `command` must be an array, not a string -> put it in brackets: `["true"]`"#);
    assert_snapshot!(hook("command = [\"a\\u0000\"]"), @"39:27 `command` has a word with a NUL, which no command can be given");
    assert_snapshot!(hook("command = [\"a\"], undo = [\"\"], timeout = \"1h\""), @r#"
    39:40 `undo` is empty -> write program and arguments, such as `["sh", "-c", "…"]`
    39:56 `timeout` is 1h; it must be from 100ms to 2m
    "#);
    assert_snapshot!(hook("command = [\"a\"], causes = [\"socket_end\", \"harm\"]"), @r#"
    39:43 `socket_end` is nothing that a hook may cause -> did you mean `socket_ends`?
    39:57 `harm` is nothing that a hook may cause -> there is `absence`, `socket_closes`, `socket_ends`, `channel_ends`, `heartbeat_timeouts`, `rejoins`, `connect_errors`, `auth_errors`, `mint_errors`, `join_errors`, `subscribe_errors`, `snapshot_errors` and `publish_errors`
    "#);
    let text = with("hook", "attributes = { command = [\"a\", \"-p${MY_PASSWORD}\"] }");
    let load = Load { env: &[("MY_PASSWORD", "hunter2")], ..Load::of(&text) };
    assert_snapshot!(load.complaints(), @"39:32 the value of `MY_PASSWORD` would be kept with the scenario -> let the command read it, in a shell's word `$MY_PASSWORD`");
    assert_snapshot!(hook("command = [\"a\"], effects_for = \"3s\""), @r#"
    39:47 `effects_for` has no effect where it `causes` nothing -> remove it
    "#);
    let endless = "duration = \"3s\"\nattributes = { command = [\"a\"] }";
    assert_snapshot!(wrong("hook", endless), @"37:1 the hook has a `duration`, and no `undo` ends it -> add `undo` to its attributes, or remove `duration`");
}

#[test]
fn only_a_target_that_the_harness_starts_can_be_restarted() {
    let term = "attributes = { signal = \"term\" }";
    assert_snapshot!(wrong("restart", ""), @r#"37:1 `attributes` lacks `signal` -> add `signal = "term"`"#);
    assert_snapshot!(wrong("restart", "attributes = { signal = \"hup\" }"), @"39:25 `hup` is not a value of `signal` -> there is `term` and `kill`");
    let by_url = with("restart", term)
        .replace("kind = \"reference\"", "kind = \"url\"\nurl = \"http://127.0.0.1:4000\"")
        .replace("mint = \"hs256\"", "mint = \"hs256\"\nsecret = { env = \"KEY\" }");
    assert_snapshot!(Load::of(&by_url).complaints(), @r#"39:1 the harness cannot restart a target that it has not started -> use `kind = "reference"` in `[target]`, or remove the fault; commands that do this to another target can be a fault of type `hook`"#);
    assert_eq!(Load::of(&with("restart", term)).complaints(), "");
}

#[test]
fn a_burst_ends_with_its_phase_and_should_be_within_the_limit() {
    let burst = |lines: &str| wrong("publish_burst", lines);
    let of = |attributes: &str| burst(&format!("attributes = {{ {attributes} }}"));
    assert_snapshot!(of("over = \"1s\""), @"39:14 `attributes` lacks `events` -> add `events = 500`");
    assert_snapshot!(burst("at = \"19500ms\"\nattributes = { events = 20 }"), @"37:1 the burst ends at 20.5s, after its phase, which is 20s long -> shorten `over`, or lengthen the phase");
    assert_snapshot!(of("events = 300"), @"37:1 there are 304 publishes in a second of the burst, the load's included -> lower `events`, or lengthen `over`");
    assert_snapshot!(of("events = 300, over = \"2s\""), @"");
}

#[test]
fn intervals_have_a_duration_within_their_phase_and_instants_have_none() {
    let pause = "attributes = { pause = true }";
    assert_snapshot!(wrong("slow_reader", pause), @r#"37:1 `[[phase.fault]]` lacks `duration` -> add `duration = "20s"`"#);
    assert_snapshot!(wrong("slow_reader", &format!("at = \"5s\"\nduration = \"15001ms\"\n{pause}")), @"40:12 the fault ends at 20.001s, after its phase, which is 20s long -> shorten the fault, or lengthen the phase");
    assert_snapshot!(wrong("slow_reader", &format!("duration = \"0s\"\n{pause}")), @"39:12 `duration` is 0s; it must be from 1ms to 168h");
    assert_snapshot!(wrong("offline", "duration = \"3s\"\nattributes = { offline_for = \"3s\" }"), @"39:12 the fault happens at an instant and has no duration -> remove `duration`");
    assert_eq!(
        Load::of(&with("slow_reader", &format!("at = \"5s\"\nduration = \"15s\"\n{pause}")))
            .load()
            .map(|loaded| loaded.plan.phases[1].faults[0].duration)
            .ok(),
        Some(Some(secs(15)))
    );
}

#[test]
fn faults_aim_at_cohorts_and_count_among_their_clients() {
    let aim = |lines: &str| complaints(&[("mode = \"all\"", lines)]);
    assert_snapshot!(aim("cohort = \"iso\""), @"40:10 the fleet has no cohort `iso` -> did you mean `ios`?");
    assert_snapshot!(aim("cohort = 3\nmode = \"most\""), @"
    40:10 `cohort` must be a string, not an integer
    41:8 `most` is not a value of `mode` -> there is `all`, `one`, `fixed`, `fixed-percent` and `random-max-percent`
    ");
    assert_snapshot!(aim("cohort = \"ios\"\nmode = \"fixed\"\nvalue = 41"), @r#"42:9 the fault hits 41 clients, but the cohort `ios` has 40 -> use `mode = "all"`, or a smaller value"#);
    assert_snapshot!(aim("cohort = \"ios\"\nmode = \"fixed-percent\"\nvalue = 1"), @r#"42:9 so small a share of 40 clients is nobody -> raise `value`, or use `mode = "one"`"#);
    let whole = edited(&[("mode = \"all\"", "cohort = \"ios\"\nmode = \"fixed\"\nvalue = 40")]);
    assert_eq!(Load::of(&whole).plan().phases[1].faults[0].cohort.as_deref(), Some("ios"));
}

#[test]
fn what_acts_on_the_target_chooses_nobody() {
    let attributes = "attributes = { topic = \"runtime.codex_worker_events\", keep = 0 }";
    assert_snapshot!(wrong("retention_trim", &format!("mode = \"fixed\"\nvalue = 3\ncohort = \"x\"\n{attributes}")), @"
    39:8 the fault acts on the target, so `mode` chooses nobody -> remove `mode`
    40:9 the fault acts on the target, so `value` chooses nobody -> remove `value`
    41:10 the fault acts on the target, so `cohort` chooses nobody -> remove `cohort`
    ");
    assert_eq!(fault("retention_trim", attributes).mode, FaultMode::All);
}

#[test]
fn faults_that_act_on_one_client_at_one_time() {
    let other = |lines: &str| {
        let second = format!("[[phase.fault]]\ntype = \"disconnect\"\n{lines}\n\n[[gate]]");
        let text =
            with("offline", "at = \"2s\"\ncohort = \"ios\"\nattributes = { offline_for = \"3s\" }");
        Load::of(&text.replacen("[[gate]]", &second, 1)).complaints()
    };
    assert_snapshot!(other("at = \"4s\""), @"43:1 it hits clients on which another fault acts at that time, the `offline` that begins at 14 s of the run -> move one of them, or aim them at different cohorts");
    assert_eq!(other("at = \"6s\""), "", "later");
    assert_eq!(other("at = \"4s\"\ncohort = \"desktop\""), "", "others");
}

#[test]
fn faults_are_numbered_as_they_come() {
    let late =
        "type = \"disconnect\"\nat = \"2s\"\nmode = \"all\"\nattributes = { style = \"reset\" }\n";
    let two = format!(
        "{late}\n[[phase.fault]]\ntype = \"offline\"\nat = \"1s\"\nattributes = {{ offline_for = \"1s\" }}\n"
    );
    let loaded = Load::of(&edited(&[(late, &two)])).sound();
    let schedule = crate::Schedule::of(&loaded.plan);
    let order: Vec<_> = schedule.faults.iter().map(|it| (it.id, it.kind.name())).collect();
    assert_eq!(order, [(0, "offline"), (1, "disconnect")]);
    let rendered = crate::estimate::Estimate::of(&loaded.plan, &schedule).render(&loaded.plan);
    let (first, second) = (rendered.find("fault 0: offline"), rendered.find("fault 1: disconnect"));
    assert!(first.is_some() && first < second, "{rendered}");
    // What is said of the later one is said where it stands.
    let warned = crate::testing::listed(&loaded.warnings);
    assert!(warned.starts_with("37:1 it hits clients on which another fault acts"), "{warned}");
}

#[test]
fn faults_that_will_not_bite() {
    assert_snapshot!(wrong("disconnect", "attributes = { style = \"half_open\" }"), @"
    37:1 the phase is too short for clients to notice a half-open socket -> lengthen the phase
    48:11 no target can keep the bound of `time_to_recovered` for `desktop` and `ios` -> `desktop`: bound it above 22s, by what connect and replay may take; `ios`: bound it above 20.366s, by what connect and replay may take
    ");
    let long = with("disconnect", "attributes = { style = \"half_open\" }")
        .replace("duration = \"20s\"", "duration = \"60s\"")
        .replace("p(90) < 20s", "p(90) < 50s")
        .replace("p(90) < 15s", "p(90) < 45s");
    assert_eq!(Load::of(&long).complaints(), "");
    assert_snapshot!(wrong("slow_reader", "duration = \"20s\"\nattributes = { pause = true }"), @"37:1 the slow reader will not be evicted -> lengthen the fault, publish more or larger events, or make the buffers smaller");
    assert_snapshot!(wrong("offline", "attributes = { offline_for = \"3s\", resume = \"at-floor\" }"), @"37:1 the clients come back while a load publishes, so their cursor is not exact -> end `offline_for` in a phase in which no load runs (`during`)");
    assert_snapshot!(wrong("offline", "attributes = { offline_for = \"19s\" }"), @"
    37:1 the storm has too few deliveries around it to be judged -> raise the load's rate, or lengthen the phases
    48:11 no target can keep the bound of `time_to_recovered` for `desktop` -> bound it above 21s, by what connect and replay may take
    ");
    let summaries =
        "attributes = { topics = [\"runtime.codex_worker_summaries\"], unsubscribed_for = \"3s\" }";
    assert_snapshot!(wrong("unsubscribe", summaries), @"37:1 none of the clients that it hits subscribes to such a topic -> name a topic of theirs, or aim at another cohort");
}

#[test]
fn cuts_and_unsubscribes_may_be_spread_within_their_phase_and_nothing_else() {
    let attributes = "attributes = { style = \"reset\" }";
    let spread = |by: &str| format!("at = \"1s\"\n{by}\n{attributes}");
    assert_eq!(fault("disconnect", &spread("spread = \"5s\"")).spread, Some(secs(5)));
    assert_eq!(fault("disconnect", &spread("")).spread, None);
    assert!(wrong("disconnect", &spread("spread = \"9h\"")).contains("after its phase"));
    let burst = "spread = \"1s\"\nattributes = { events = 5, over = \"1s\" }";
    assert!(wrong("publish_burst", burst).contains("comes to all at once and has no spread"));
}

#[test]
fn whatever_is_no_load_may_wait_for_a_hand() {
    let by_hand = "by_hand = true\nattributes = { style = \"reset\" }";
    assert!(fault("disconnect", by_hand).by_hand);
    assert!(!fault("disconnect", "attributes = { style = \"reset\" }").by_hand);
    let burst = "by_hand = true\nattributes = { events = 5, over = \"1s\" }";
    assert!(wrong("publish_burst", burst).contains("part of the load, and cannot be switched"));
}

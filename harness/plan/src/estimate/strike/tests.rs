use super::*;
use crate::testing::{Load, edited};

/// 100 clients, of which the 40 of ios read slowly for 16 s; `rate` events a second of 1,000 bytes.
fn scenario(rate: &str, attributes: &str, send_buffer: &str) -> String {
    edited(&[
        ("kind = \"reference\"", &format!("kind = \"reference\"\n{send_buffer}")),
        ("rate = \"4/s\"", &format!("rate = \"{rate}\"\npayload_bytes = 1000")),
        ("type = \"disconnect\"", "type = \"slow_reader\"\nduration = \"16s\"\ncohort = \"ios\""),
        ("style = \"reset\"", attributes),
        ("[profile.smoke.phase.storm]\nduration = \"8s\"", ""),
    ])
}

fn struck(text: &str) -> Option<Strike> {
    let plan = Load::of(text).plan();
    let schedule = Schedule::of(&plan);
    third_strike(&plan, &schedule, &schedule.faults[0])
}

const SMALL: &str = "slow_consumer = { send_buffer = \"8KiB\" }";
const PAUSE: &str = "pause = true, rcvbuf = \"4KiB\"";

#[test]
fn an_update_is_pushed_twice_once_in_base64() {
    let topic = |name| TopicId::of(name).unwrap();
    // 1,420 bytes of JSON, 1,896 of base64, 150 around it.
    assert_eq!(wire_bytes(topic(khala_wire::topic::WORKER_EVENTS), 1_000), 3_466);
    // A state's update does not grow with the event: 720, 960, 150.
    assert_eq!(wire_bytes(topic(khala_wire::topic::WORKER_SUMMARIES), 1_000), 1_830);
}

#[test]
fn buffers_fill_the_queue_grows_and_three_strikes_follow() {
    // 4,096 + 2 * 8,192 = 20,480 bytes hold five events of 3,466. At 10/s from the fault's start, the
    // sixth comes after 0.5 s and is the first to wait, the 65th to wait comes 6.4 s later.
    let strike = struck(&scenario("10/s", PAUSE, SMALL)).expect("traffic enough");
    assert!((strike.fill_s - 0.5).abs() < 1e-6, "{strike:?}");
    assert!((strike.struck_s - (0.5 + 6.4 + 0.75)).abs() < 1e-6, "{strike:?}");
    let short = "slow_consumer = { send_buffer = \"8KiB\", queue_limit = 9, max_strikes = 1 }";
    let strike = struck(&scenario("10/s", PAUSE, short)).expect("traffic enough");
    assert!((strike.struck_s - (0.5 + 0.9 + 0.25)).abs() < 1e-6, "{strike:?}");
}

#[test]
fn a_rate_delays_it_and_a_high_one_prevents_it() {
    let at = |rate: &str| struck(&scenario("10/s", &format!("rate = \"{rate}\""), SMALL));
    let slow = at("4KiB/s").expect("34 KB a second come in");
    // After t seconds 20,480 + 4,096 t bytes are away; 65 events more than that take 7.9 s.
    assert!((slow.struck_s - 8.65).abs() < 0.3, "{slow:?}");
    assert_eq!(at("64KiB/s"), None);
}

#[test]
fn too_little_traffic_strikes_nobody() {
    assert_eq!(struck(&scenario("1/s", PAUSE, SMALL)), None);
    // Without a small send buffer, four megabytes are swallowed first.
    assert_eq!(struck(&scenario("10/s", PAUSE, "")), None);
    let none = scenario("10/s", PAUSE, SMALL)
        .replace("arrival = \"constant\"", "arrival = \"constant\"\nduring = [\"steady\"]");
    assert_eq!(struck(&none), None);
}

#[test]
fn other_faults_strike_nobody() {
    let plan = Load::of(crate::testing::SOUND).plan();
    let schedule = Schedule::of(&plan);
    assert_eq!(third_strike(&plan, &schedule, &schedule.faults[0]), None);
}

#[test]
fn check_prints_it() {
    let text = scenario("10/s", PAUSE, SMALL);
    let plan = Load::of(&text).plan();
    let printed = crate::estimate::Estimate::of(&plan, &Schedule::of(&plan)).render(&plan);
    let line = printed.lines().find(|line| line.contains("slow_reader")).expect("the fault");
    insta::assert_snapshot!(line.trim(), @"14s    fault 0: slow_reader of 40 clients for 16s: third strike expected about 7.7 s after it begins");
    let spared = scenario("1/s", PAUSE, SMALL);
    let plan = Load::of(&spared).plan();
    let printed = crate::estimate::Estimate::of(&plan, &Schedule::of(&plan)).render(&plan);
    assert!(printed.contains("slow_reader of 40 clients for 16s: NO THIRD STRIKE IS EXPECTED"));
}

#[test]
fn an_interval_that_is_only_just_long_enough_is_warned_of() {
    let text = scenario("10/s", PAUSE, SMALL);
    let warned = |text: &str| {
        let complaints = Load::of(text).complaints();
        complaints.contains("the slow reader may not be evicted in time")
    };
    // Twice 7.65 s is 15.3 s.
    assert!(!warned(&text));
    assert!(warned(&text.replace("duration = \"16s\"", "duration = \"15s\"")));
}

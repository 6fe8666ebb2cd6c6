//! When it comes back: per surface, as the contract says.

use khala_evidence::record::{Outcome, Record};
use khala_plan::backoff::Backoff;
use khala_plan::surface::Surface;
use proptest::prelude::*;
use serde_json::json;

use super::rig::{Action, Rig, SECOND, push, settings};
use crate::client::machine::Settings;

/// Delays before the first reconnects of a client that was live, none of which succeeds.
fn delays_after_live(surface: Surface, count: usize) -> Vec<u64> {
    let mut rig = Rig::of(settings(surface));
    rig.go_live(&json!([]));
    rig.broken();
    let mut delays = vec![rig.delay()];
    while delays.len() < count {
        rig.now += rig.delay();
        assert_eq!(rig.tick(), Action::Connect);
        rig.with(|machine, now, world| {
            machine.connect_failed(now, now, Outcome::ConnectionFailed, world)
        });
        delays.push(rig.delay());
    }
    delays
}

#[test]
fn desktop_waits_for_two_seconds_every_time() {
    assert_eq!(delays_after_live(Surface::Desktop, 5), [2 * SECOND; 5]);
}

#[test]
fn the_web_shell_doubles_750_ms_up_to_8_s_without_jitter() {
    let expected = [750, 1_500, 3_000, 6_000, 8_000, 8_000, 8_000, 8_000].map(|ms| ms * 1_000);
    assert_eq!(delays_after_live(Surface::WebShell, 8), expected);
}

#[test]
fn ios_doubles_250_ms_up_to_8_s_and_adds_up_to_half() {
    let delays = delays_after_live(Surface::Ios, 8);
    let bases = [250, 500, 1_000, 2_000, 4_000, 8_000, 8_000, 8_000].map(|ms: u64| ms * 1_000);
    for (delay, base) in delays.iter().zip(bases) {
        assert!((base..=base + base / 2).contains(delay), "{delay} of {base}: {delays:?}");
    }
    assert_eq!(delays, delays_after_live(Surface::Ios, 8), "the same seed, the same jitter");
    assert!(delays.iter().zip(bases).any(|(delay, base)| *delay != base), "there is jitter");
}

#[test]
fn a_first_connect_that_fails_is_followed_by_the_first_reconnect_delay() {
    for (surface, expected) in
        [(Surface::WebShell, [750, 1_500, 3_000]), (Surface::Desktop, [2_000; 3])]
    {
        let mut rig = Rig::of(settings(surface));
        for ms in expected {
            rig.now = rig.machine.deadline();
            assert_eq!(rig.tick(), Action::Connect);
            rig.with(|machine, now, world| {
                machine.connect_failed(now, now, Outcome::Timeout, world)
            });
            assert_eq!(rig.delay(), ms * 1_000, "{surface:?}");
        }
    }
}

#[test]
fn being_live_begins_the_back_off_anew_and_being_connected_does_not() {
    let mut rig = Rig::of(settings(Surface::WebShell));
    rig.go_live(&json!([]));
    rig.broken();
    rig.connect();
    rig.broken();
    assert_eq!(rig.delay(), 1_500_000, "it was connected, but not live");
    rig.go_live(&json!([]));
    rig.broken();
    assert_eq!(rig.delay(), 750_000);
    let attempts: Vec<_> = rig
        .records
        .iter()
        .filter_map(|record| match record {
            Record::ConnectBegun { attempt, .. } => Some(*attempt),
            _ => None,
        })
        .collect();
    assert_eq!(attempts, [1, 1, 2]);
}

proptest! {
    #[test]
    fn a_fixed_back_off_holds_for_every_way_of_losing_a_socket(ms in 1_u64..5_000, way in 0..5) {
        let backoff = Backoff::fixed(std::time::Duration::from_millis(ms));
        let mut rig = Rig::of(Settings { backoff, ..settings(Surface::Desktop) });
        rig.go_live(&json!([]));
        match way {
            0 => rig.broken(),
            1 => rig.with(|machine, now, world| machine.closed(now, Some(1001), world)),
            2 => assert!(rig.cut(0, rig.now)),
            3 => assert_eq!(rig.text(&push("1", "phx_close", &json!({}))), Action::Close),
            _ => {
                rig.now = rig.machine.deadline();
                rig.tick();
                rig.now = rig.machine.deadline();
                assert_eq!(rig.tick(), Action::Close);
            }
        }
        prop_assert_eq!(rig.delay(), ms * 1_000);
    }
}

use super::*;
use crate::series::Second;

fn settings(hold_s: u64) -> Settings {
    Settings {
        hold_s,
        window_s: 600,
        escalate_s: 300,
        close_s: 900,
        burn_long_s: 3_600,
        burn_short_s: 300,
        burn_rate_max: 1.0,
        must_apply: Vec::new(),
    }
}

/// Seconds of which each has what `counts` says of it.
fn seconds(len: u64, counts: impl Fn(u64) -> Vec<(Indicator, u64, u64)>) -> Vec<Second> {
    let second = |at| Second {
        observed_ms: 1_000,
        counts: counts(at).into_iter().map(|(it, bad, all)| (it, Counts { bad, all })).collect(),
    };
    (0..len).map(second).collect()
}

fn verdict(windows: &Windows, indicator: Indicator) -> Verdict {
    let found = windows.indicators.iter().find(|line| line.indicator == indicator);
    found.expect("every indicator has a line").verdict
}

use Indicator::{
    AuthFailures, HeartbeatTimeouts, MintFailures, Reconnects, ReplayLag, UnplannedStale,
};

#[test]
fn a_quiet_hold_passes_and_what_had_no_occasion_is_not_applicable() {
    let windows = judge(&seconds(1_800, |_| vec![(AuthFailures, 0, 1)]), &settings(1_800));
    assert_eq!(verdict(&windows, AuthFailures), Verdict::Pass);
    assert_eq!(verdict(&windows, Reconnects), Verdict::Pass, "time is its occasion");
    assert_eq!(verdict(&windows, MintFailures), Verdict::NotApplicable);
    assert_eq!(verdict(&windows, ReplayLag), Verdict::NotApplicable);
    assert_eq!((windows.window_s, windows.clipped, windows.blocks.len()), (600, false, 3));
    assert!(windows.failed.is_empty() && windows.incidents.is_empty());
    assert_eq!(windows.indicators[0].windows, 1_201, "one ends at each second from the 600th on");
}

#[test]
fn nothing_observed_is_no_pass() {
    let mut nothing = seconds(600, |_| vec![(AuthFailures, 0, 1)]);
    nothing.iter_mut().for_each(|second| second.observed_ms = 0);
    for seconds in [nothing, Vec::new()] {
        let windows = judge(&seconds, &settings(600));
        for indicator in Indicator::ALL {
            assert_eq!(verdict(&windows, indicator), Verdict::NotApplicable, "{indicator:?}");
        }
    }
}

#[test]
fn an_indicator_that_must_apply_and_had_no_occasion_is_open() {
    let settings = Settings { must_apply: vec!["auth_failures".to_owned()], ..settings(600) };
    let windows = judge(&seconds(600, |_| Vec::new()), &settings);
    assert_eq!(verdict(&windows, AuthFailures), Verdict::Inconclusive);
}

#[test]
fn a_window_over_its_limit_fails_where_it_is_proven_and_keeps_every_second() {
    // A minute in which every tenth attempt fails, ten a second: 60 of 6,000 over ten minutes pass, 600 do not.
    let of = |bad: u64| {
        let burst =
            move |at: u64| vec![(AuthFailures, if (900..960).contains(&at) { bad } else { 0 }, 10)];
        judge(&seconds(2_400, burst), &settings(2_400))
    };
    assert_eq!(verdict(&of(1), AuthFailures), Verdict::Pass);
    let failing = of(10);
    assert_eq!(verdict(&failing, AuthFailures), Verdict::Fail);
    let [failed] = &failing.failed[..] else { panic!("one run of windows: {:?}", failing.failed) };
    assert!(
        failed.from_s > 300 && failed.until_s < 1_560,
        "{} to {}",
        failed.from_s,
        failed.until_s
    );
    assert_eq!(failed.seconds.len(), SECONDS_MAX, "no more than that is kept");
    let [incident] = &failing.incidents[..] else { panic!("one incident") };
    assert!((0.09..0.11).contains(&incident.peak), "{incident:?}");
    // Above 2 % until the 1,548th second, then low for fifteen minutes: closed when the hold has ended.
    assert_eq!(incident.closed_s, None);
}

#[test]
fn an_incident_is_closed_after_fifteen_minutes_below_two_percent() {
    let burst = |at: u64| vec![(AuthFailures, if at < 60 { 10 } else { 0 }, 10)];
    let windows = judge(&seconds(3_600, burst), &settings(3_600));
    let [incident] = &windows.incidents[..] else { panic!("one incident") };
    assert_eq!(incident.opened_s, 600);
    let closed = incident.closed_s.expect("closed");
    assert!((1_500..1_600).contains(&closed), "{closed}");
}

#[test]
fn a_quarter_of_the_sessions_over_five_minutes_ends_it_at_once() {
    let of = |bad: u64| {
        let storm = move |at: u64| vec![(AuthFailures, if at >= 300 { bad } else { 0 }, 10)];
        judge(&seconds(600, storm), &settings(3_600))
    };
    assert!(of(3).escalated && !of(2).escalated);
    assert_eq!(verdict(&of(3), AuthFailures), Verdict::Fail);
}

#[test]
fn what_is_over_the_limit_by_too_little_to_prove_it_is_open() {
    // One of twenty attempts failed: 5 %, of which nothing follows.
    let one = |at: u64| vec![(AuthFailures, u64::from(at == 3), u64::from(at < 20))];
    assert_eq!(
        verdict(&judge(&seconds(60, one), &settings(60)), AuthFailures),
        Verdict::Inconclusive
    );
    let timeout = |at: u64| vec![(HeartbeatTimeouts, u64::from(at == 3), 0)];
    let windows = judge(&seconds(5, timeout), &settings(5));
    assert_eq!(verdict(&windows, HeartbeatTimeouts), Verdict::Inconclusive);
    assert!(windows.clipped);
    let windows = judge(&seconds(600, timeout), &settings(600));
    assert_eq!(
        verdict(&windows, HeartbeatTimeouts),
        Verdict::Pass,
        "one in ten minutes is allowed"
    );
}

#[test]
fn each_limit_is_the_contracts() {
    let fails = |indicator, bad, all| {
        let windows = judge(&seconds(600, |_| vec![(indicator, bad, all)]), &settings(600));
        verdict(&windows, indicator)
    };
    assert_eq!(
        (fails(MintFailures, 0, 10), fails(MintFailures, 1, 10)),
        (Verdict::Pass, Verdict::Fail)
    );
    assert_eq!((fails(ReplayLag, 1, 50), fails(ReplayLag, 1, 10)), (Verdict::Pass, Verdict::Fail));
    assert_eq!((fails(Reconnects, 1, 0), fails(Reconnects, 2, 0)), (Verdict::Pass, Verdict::Fail));
    let stale = |count: u64| {
        let one = move |at: u64| vec![(UnplannedStale, u64::from(at < count), 0)];
        verdict(&judge(&seconds(600, one), &settings(600)), UnplannedStale)
    };
    assert_eq!((stale(50), stale(51)), (Verdict::Pass, Verdict::Fail));
}

#[test]
fn a_budget_that_burns_over_both_windows_fails() {
    // Within every limit of its ten minutes until it is asked for half of that.
    let slow = Settings { burn_rate_max: 0.5, ..settings(7_200) };
    let rate = |_: u64| vec![(Reconnects, 1, 0)];
    let windows = judge(&seconds(7_200, rate), &slow);
    assert_eq!(verdict(&windows, Reconnects), Verdict::Fail);
    assert!(windows.failed.is_empty(), "no window of ten minutes fails");
    // A burst that is over does not burn any more: the long window alone is no reason.
    let burst = |at: u64| vec![(Reconnects, if at < 600 { 1 } else { 0 }, 0)];
    let windows =
        judge(&seconds(7_200, burst), &Settings { burn_rate_max: 0.5, ..settings(7_200) });
    assert_eq!(verdict(&windows, Reconnects), Verdict::Pass);
}

#[test]
fn windows_roll_over_observed_time() {
    let mut gapped =
        seconds(1_200, |at| vec![(Reconnects, u64::from((500..700).contains(&at)) * 9, 0)]);
    gapped[500..700].iter_mut().for_each(|second| second.observed_ms = 0);
    let windows = judge(&gapped, &settings(1_200));
    assert_eq!(
        verdict(&windows, Reconnects),
        Verdict::Pass,
        "what was not observed is in no window"
    );
    assert_eq!(windows.blocks.last().map(|block| block.until_s), Some(1_000));
    assert!((observed_s(&gapped) - 1_000.0).abs() < 1e-9);
}

#[test]
fn of_no_second_nothing_was_observed() {
    assert_eq!(format!("{:.0}", observed_s(&[])), "0");
}

//! The reference runtime keeps the whole contract, and every case can be put to it.

mod support;

use std::net::SocketAddr;

use khala_conform::case::{Case, Does, Takes};
use khala_conform::known::Known;
use khala_conform::report::{Decision, Report, Status};
use khala_conform::select;
use khala_reference::Config;
use khala_wire::topic::{TopicId, WORKER_SUMMARIES};
use support::bend;
use support::bent::Bent;
use support::{Asked, Runtime, ask, config, everything};

/// A run of many cases.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Run {
    /// At the reference.
    Plain,
    /// Those in which somebody does not read.
    Abuses,
    /// At a runtime that retains little.
    Little,
    /// Through the proxy, which does nothing.
    Proxied,
    /// Those that send commands, through a proxy that limits these.
    Limited,
}

/// Carries a run out.
fn report(run: Run) -> Report {
    let fits = move |case: &Case| match run {
        Run::Abuses => case.does == Does::Abuses,
        // To the others it is the one that does nothing. No command is a matter of who is idle.
        Run::Limited => {
            ![Does::Abuses, Does::Reads].contains(&case.does) && case.takes != Takes::Idle
        }
        _ => case.does != Does::Abuses,
    };
    let waits = matches!(run, Run::Abuses | Run::Limited);
    let mut config = if waits { patient() } else { config(&[]) };
    if run == Run::Little {
        for topic in [TopicId::WORKER_EVENTS, TopicId::of(WORKER_SUMMARIES).expect("known")] {
            config.limits_mut(topic).retain_events = 20;
        }
    }
    let runtime = Runtime::start(config);
    let proxy = match run {
        Run::Proxied => Some(bend::PLAIN),
        Run::Limited => Some(bend::LIMITS_COMMANDS),
        _ => None,
    };
    let proxy = proxy.map(|name| Bent::start(name, runtime.address));
    let address = proxy.as_ref().map_or(runtime.address, |proxy| proxy.address);
    put(&runtime, address, fits)
}

/// Puts the cases that fit to a runtime, or to what stands before it.
fn put(runtime: &Runtime, address: SocketAddr, fits: impl Fn(&Case) -> bool) -> Report {
    let mut cases = select::select(&[]).expect("all");
    cases.retain(|(_, case)| fits(case));
    ask(Asked {
        address,
        cases,
        allow: everything(),
        known: Known::default(),
        stop: Some(runtime.stop.clone()),
    })
    .expect("the reference speaks Khala")
}

/// The cases in which somebody does not read, or publishes slowly, are put to a runtime that has the contract's own patience with who
/// is idle.
fn patient() -> Config {
    let usual = Config::default();
    let mut config = config(&[]);
    config.channel_idle_timeout = usual.channel_idle_timeout;
    config.socket_idle_timeout = usual.socket_idle_timeout;
    config
}

/// The cases that are not kept.
fn not_kept(reports: &[Report]) -> Vec<(&str, Status, String)> {
    let results = reports.iter().flat_map(|report| &report.results);
    let others = results.filter(|it| !matches!(it.status, Status::Pass | Status::Finding));
    others.map(|result| (result.id, result.status, result.told())).collect()
}

#[test]
fn every_case_is_put_to_the_reference_which_deviates_in_none() {
    let reports = [Run::Plain, Run::Abuses].map(report);
    assert!(not_kept(&reports).is_empty(), "{:#?}", not_kept(&reports));
    // The contract is silent on these: the reference does what the recorded runtime does, where a recording tells, and of
    // commands asks no more than a signature that is fresh and of their user.
    let findings: Vec<_> = reports
        .iter()
        .flat_map(|report| report.of(Status::Finding))
        .map(|result| result.id)
        .collect();
    let silent = [
        "cursor_beyond_head",
        "command_nonce_twice",
        "command_of_another",
        "resubscribe_keeps_the_mark",
        "expiry_on_live_socket",
    ];
    assert_eq!(findings, silent);
    for report in &reports {
        assert_eq!(report.decision, Decision::Go);
        assert_eq!(report.remains, Vec::<String>::new());
    }
}

#[test]
fn a_runtime_that_retains_little_is_blamed_for_nothing_and_leaves_nothing_open() {
    let report = report(Run::Little);
    let open = not_kept(std::slice::from_ref(&report));
    let open: Vec<_> =
        open.iter().filter(|(_, status, _)| *status != Status::NotApplicable).collect();
    assert!(open.is_empty(), "{open:#?}");
    for decided in ["replay_in_pages", "replay_then_tail", "cursors_as_list"] {
        let result = report.results.iter().find(|it| it.id == decided).expect("it is asked");
        assert_eq!(result.status, Status::Pass, "{decided}: {}", result.told());
    }
}

#[test]
fn where_nothing_that_is_published_comes_one_case_says_so_and_the_others_soon_wait_no_more() {
    let runtime = Runtime::start(config(&[]));
    let proxy = Bent::start(bend::LOSES_ALL, runtime.address);
    let names = ["live_all", "resume_*", "replay_*"].map(str::to_owned);
    let report = ask(Asked {
        address: proxy.address,
        cases: select::select(&names).expect("cases"),
        allow: everything(),
        known: Known::default(),
        stop: None,
    })
    .expect("the reference speaks Khala");
    let of = |id: &str| report.results.iter().find(|it| it.id == id).expect("it is asked");
    assert_eq!(of("live_all").status, Status::Deviation, "{}", of("live_all").told());
    let others = report.of(Status::Undecided);
    let given_up = others.filter(|it| it.told().contains("nobody waits any more")).count();
    // Some waited beside the first ones, and that is all they did.
    assert!(given_up >= 6, "{:#?}", not_kept(std::slice::from_ref(&report)));
    let limit = 4.0 * support::times().patience.as_secs_f64();
    let longest = report.results.iter().map(|it| it.took_s).fold(0.0, f64::max);
    assert!(longest < limit, "{longest}");
}

#[test]
fn the_proxy_of_the_tests_does_not_show() {
    // It holds more for who does not read than the runtime knows of: those cases are put to the runtime alone.
    let reports = [report(Run::Proxied)];
    assert!(not_kept(&reports).is_empty(), "{:#?}", not_kept(&reports));
}

#[test]
fn a_command_that_came_too_fast_is_sent_again() {
    let reports = [report(Run::Limited)];
    assert!(not_kept(&reports).is_empty(), "{:#?}", not_kept(&reports));
}

#[test]
fn who_shows_no_windows_and_serves_what_is_pruned_empty_with_nothing_is_told_so() {
    let asked = |defects: &[&str]| {
        let runtime = Runtime::start(config(defects));
        let proxy = Bent::start(bend::HIDES_METRICS, runtime.address);
        let names = ["cursor_on_pruned_topic".to_owned()];
        let report = ask(Asked {
            address: proxy.address,
            cases: select::select(&names).expect("a case"),
            allow: everything(),
            known: Known::default(),
            stop: None,
        });
        let report = report.expect("the reference speaks Khala");
        (report.results[0].status, report.results[0].told())
    };
    let (status, told) = asked(&[]);
    assert_eq!(status, Status::Pass, "{told}");
    let (status, told) = asked(&["pruned_topic_accepted"]);
    assert_eq!(status, Status::Deviation, "{told}");
    assert!(told.contains("served with nothing, and stands at 50"), "{told}");
}

//! The reference runtime keeps the whole contract, and every case can be put to it.

mod support;

use khala_conform::known::Known;
use khala_conform::report::{Decision, Status};
use khala_conform::select;
use support::bent::Bent;
use support::{Asked, Runtime, ask, config, everything};

fn all(runtime: &Runtime, address: std::net::SocketAddr) -> khala_conform::report::Report {
    ask(Asked {
        address,
        cases: select::select(&[]).expect("all"),
        allow: everything(),
        known: Known::default(),
        stop: Some(runtime.stop.clone()),
    })
    .expect("the reference speaks Khala")
}

#[test]
fn every_case_is_put_to_the_reference_which_deviates_in_none() {
    let runtime = Runtime::start(config(&[]));
    let report = all(&runtime, runtime.address);
    let not_kept: Vec<_> = report
        .results
        .iter()
        .filter(|result| !matches!(result.status, Status::Pass | Status::Finding))
        .map(|result| (result.id, result.status, result.told()))
        .collect();
    assert!(not_kept.is_empty(), "{not_kept:#?}");
    // The contract is silent on these, and the reference does what the recorded runtime does.
    let findings: Vec<_> = report.of(Status::Finding).map(|result| result.id).collect();
    assert_eq!(findings, ["cursor_beyond_head", "expiry_on_live_socket"]);
    assert_eq!(report.decision, Decision::Go);
    assert_eq!(report.remains, Vec::<String>::new());
}

#[test]
fn the_proxy_of_the_tests_does_not_show() {
    let runtime = Runtime::start(config(&[]));
    let proxy = Bent::start("plain", runtime.address);
    let report = all(&runtime, proxy.address);
    let not_kept: Vec<_> = report
        .results
        .iter()
        .filter(|result| !matches!(result.status, Status::Pass | Status::Finding))
        .map(|result| (result.id, result.status, result.told()))
        .collect();
    assert!(not_kept.is_empty(), "{not_kept:#?}");
}

//! What right scenarios mean.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::fault::FaultKind;
use crate::fault::disconnect::Disconnect;
use crate::gate::power;
use crate::model::{
    Arrival, Comparison, DisconnectStyle, Estimator, FaultMode, Mint, Push, Secret, TargetKind,
};
use crate::surface::Surface;
use crate::testing::{Load, SOUND, edited};

fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

#[test]
fn defaults_are_those_of_the_design() {
    let plan = Load::of(SOUND).plan();
    let target = &plan.target;
    assert_eq!(target.kind, TargetKind::Reference { defects: Vec::new(), topics: BTreeMap::new() });
    assert_eq!(target.socket_path, "/sync/socket/websocket");
    assert_eq!((target.connect_timeout, target.request_timeout), (secs(5), secs(10)));
    assert_eq!((target.exclusive, target.apply), (true, Push::Frame));
    assert_eq!(plan.auth.ttl, secs(900));
    let Mint::Hs256 { kid, secret, .. } = &plan.auth.mint else { panic!("hs256") };
    assert_eq!((kid.as_str(), secret), ("sync-auth-v1", &Secret::Generated));
    let fleet = &plan.fleet;
    assert_eq!((fleet.name_prefix.as_str(), fleet.users, fleet.orgs), ("khala-harness", 100, 1));
    let oracle = &plan.oracle;
    assert_eq!(
        (oracle.converge_within, oracle.settle_within, oracle.drain_within),
        (secs(30), secs(2), secs(10))
    );
    assert_eq!((oracle.storm_min_deliveries, oracle.violations_kept), (3, 100));
    let generator = &plan.generator;
    assert_eq!((generator.worker_threads, generator.lag_share_max), (2, 0.1));
    assert_eq!(generator.source_addresses, [std::net::Ipv4Addr::LOCALHOST]);
    assert_eq!((plan.loads[0].payload_bytes, plan.loads[0].workers), (256, 4));
    assert!(plan.gates.iter().all(|gate| gate.judged));
}

#[test]
fn surfaces_bring_their_own_and_shares_become_clients() {
    let plan = Load::of(&edited(&[("clients = 100", "clients = 101")])).plan();
    let [desktop, ios] = plan.fleet.cohorts.as_slice() else { panic!("two") };
    assert_eq!((desktop.clients, ios.clients), (61, 40));
    assert_eq!(desktop.topics, Surface::Desktop.default_topics());
    assert_eq!(ios.backoff, Surface::Ios.default_backoff());
    assert_eq!((ios.heartbeat, ios.replay_batch_size), (secs(20), 200));
}

#[test]
fn a_url_is_not_exclusive_unless_it_says_so() {
    let mint = ("mint = \"hs256\"", "mint = \"control\"");
    let url = |more: &str| {
        let target = format!("kind = \"url\"\nurl = \"http://h:4000/\"{more}");
        Load::of(&edited(&[mint, ("kind = \"reference\"", &target)])).plan().target
    };
    let target = url("");
    assert_eq!(target.kind, TargetKind::Url { base_url: "http://h:4000".to_owned() });
    assert!(!target.exclusive);
    assert!(url("\nexclusive = true").exclusive);
}

#[test]
fn faults_and_their_modes() {
    let fault = |mode: &str, style: &str| {
        let text = edited(&[("mode = \"all\"", mode), ("{ style = \"reset\" }", style)]);
        Load::of(&text).plan().phases[1].faults[0].clone()
    };
    let reset = FaultKind::from(Disconnect { style: DisconnectStyle::Reset });
    let found = fault("", "{ style = \"reset\" }");
    assert_eq!((found.kind, found.at, found.mode), (reset, secs(2), FaultMode::All));
    let close = |code| FaultKind::from(Disconnect { style: DisconnectStyle::Close { code } });
    assert_eq!(fault("mode = \"one\"", "{ }").kind, close(1000));
    assert_eq!(fault("mode = \"one\"", "{ close_code = 4000 }").kind, close(4000));
    for (text, mode) in [
        ("mode = \"one\"", FaultMode::One),
        ("mode = \"fixed\"\nvalue = 5", FaultMode::Fixed(5)),
        ("mode = \"fixed-percent\"\nvalue = 5", FaultMode::FixedPercent(5.0)),
        ("mode = \"random-max-percent\"\nvalue = 2.5", FaultMode::RandomMaxPercent(2.5)),
    ] {
        assert_eq!(fault(text, "{ }").mode, mode);
    }
}

#[test]
fn a_fault_without_a_time_is_due_at_once() {
    let plan = Load::of(&edited(&[("at = \"2s\"\n", "")])).plan();
    assert_eq!(plan.phases[1].faults[0].at, Duration::ZERO);
}

#[test]
fn bursts_have_the_rate_that_follows() {
    let bursts = "arrival = \"bursts\"\nburst_size = 40\nburst_gap = \"10s\"";
    for rate in ["rate = \"4/s\"\narrival = \"constant\"", "arrival = \"constant\""] {
        let load = Load::of(&edited(&[(rate, bursts)])).plan().loads[0].clone();
        assert_eq!(load.arrival, Arrival::Bursts { size: 40, gap: secs(10) });
        assert_eq!(load.rate_per_s, 4.0);
    }
}

#[test]
fn objectives_name_their_phases_and_their_smallest_sample() {
    let plan = Load::of(SOUND).plan();
    let recovered = &plan.gates[0].objectives[0];
    assert_eq!(recovered.during, ["storm"]);
    assert_eq!(recovered.require.estimator, Estimator::Percentile(90.0));
    assert_eq!(recovered.require.comparison, Comparison::Less);
    assert_eq!((recovered.require.bound, recovered.require.text.as_str()), (20e6, "p(90) < 20s"));
    assert_eq!(recovered.warn.as_ref().map(|warn| warn.bound), Some(15e6));
    assert_eq!(recovered.min_samples, 29);
    assert_eq!(recovered.min_samples, power::default_min_samples(&recovered.require));
    let violations = &plan.gates[1].objectives[0];
    assert_eq!(violations.during, ["ramp", "steady", "storm", "drain"]);
    assert_eq!(violations.min_samples, 1);
}

#[test]
fn without_during_a_measured_phase_counts_and_another_does_not() {
    let text = edited(&[
        ("name = \"steady\"", "name = \"steady\"\nmeasure = false"),
        ("during = [\"storm\"]\n", ""),
    ]);
    assert_eq!(Load::of(&text).plan().gates[0].objectives[0].during, ["storm"]);
}

#[test]
fn the_command_line_gives_seeds_and_defects() {
    let text = edited(&[("kind = \"reference\"", "kind = \"reference\"\ndefects = [\"drop\"]")]);
    let mut load = Load::of(&text);
    load.defects = &["gap,0.1,after=5"];
    load.seed = Some(u64::MAX);
    let plan = load.plan();
    assert_eq!(plan.seed, u64::MAX);
    let defects = vec!["drop".to_owned(), "gap,0.1,after=5".to_owned()];
    assert_eq!(plan.target.kind, TargetKind::Reference { defects, topics: BTreeMap::new() });
    assert_eq!(Load::of(&edited(&[("seed = 7\n", "")])).plan().seed, 1);
}

use std::collections::BTreeMap;
use std::time::Duration;

use super::*;
use crate::fault::FaultKind;
use crate::fault::disconnect::Disconnect;
use crate::fault::publish_burst::PublishBurst;
use crate::fault::retention_trim::RetentionTrim;
use crate::fault::slow_reader::SlowReader;
use crate::model::{
    Arrival, Auth, Cohort, Command, CommandPath, DisconnectStyle, Fault, FaultMode, FirstSubscribe,
    Fleet, Generator, Lane, Load, Mint, OracleBounds, Phase, Push, Secret, SlowConsumerLimits,
    SnapshotPath, Stability, Target, TargetKind, UserIds, Way,
};
use crate::stability::LimitFrom;
use crate::stages::{self, Stage};
use crate::surface::Surface;

fn cohort(surface: Surface, clients: u32) -> Cohort {
    Cohort {
        name: surface.name().to_owned(),
        surface,
        clients,
        topics: surface.default_topics(),
        backoff: surface.default_backoff(),
        heartbeat: Surface::HEARTBEAT,
        replay_batch_size: Surface::REPLAY_BATCH_SIZE,
    }
}

fn phase(name: &str, seconds: u64, faults: Vec<Fault>) -> Phase {
    Phase { name: name.to_owned(), duration: Duration::from_secs(seconds), measure: true, faults }
}

fn cut(mode: FaultMode) -> Fault {
    let kind = FaultKind::from(Disconnect { style: DisconnectStyle::Reset });
    let (at, duration, spread, cohort) = (Duration::from_secs(2), None, None, None);
    Fault { kind, at, duration, spread, mode, cohort, by_hand: false }
}

fn load(arrival: Arrival, rate_per_s: f64, workers: u32) -> Load {
    let command = Command::CodexWorkerEvents;
    Load { command, rate_per_s, arrival, payload_bytes: 256, workers, during: Vec::new() }
}

fn plan() -> Plan {
    let s = Duration::from_secs;
    Plan {
        name: "test".to_owned(),
        description: None,
        profile: None,
        seed: 42,
        target: Target {
            kind: TargetKind::Reference { defects: Vec::new(), topics: BTreeMap::new() },
            retains: BTreeMap::new(),
            lane: Lane::Ws,
            socket_path: "/sync/socket/websocket".to_owned(),
            client_build_id: None,
            connect_timeout: s(5),
            request_timeout: s(10),
            exclusive: true,
            apply: Push::Frame,
            snapshot: SnapshotPath::Http,
            slow_consumer: SlowConsumerLimits {
                queue_limit: 64,
                max_strikes: 3,
                send_buffer_bytes: None,
                kernel_buffer_bytes: 4 << 20,
            },
            build: None,
            close_codes: Vec::new(),
            message_max: 16 << 20,
            admin_token: None,
            command_secret: None,
            headers: Vec::new(),
            query: Vec::new(),
            dense_states: false,
            way: Way::default(),
            commands: CommandPath::CodexWorkers,
            clients_max: None,
            connect_rate_max: None,
            findings_are_rules: Vec::new(),
            command: Vec::new(),
            allows: None,
        },
        auth: Auth { mint: Mint::Static { token: Secret::Generated }, ttl: s(900) },
        fleet: Fleet {
            clients: 100,
            at_first: 100,
            stages: Vec::new(),
            ramp: s(10),
            name_prefix: "kh".to_owned(),
            users: 7,
            orgs: 3,
            user_ids: UserIds::Named { padded: true },
            first_subscribe: FirstSubscribe::FromStart,
            cohorts: vec![cohort(Surface::Desktop, 60), cohort(Surface::Ios, 40)],
            only_clients: Vec::new(),
        },
        loads: vec![load(Arrival::Poisson, 20.0, 4)],
        phases: vec![
            phase("steady", 20, Vec::new()),
            phase("storm", 40, vec![cut(FaultMode::All), cut(FaultMode::FixedPercent(25.0))]),
        ],
        gates: Vec::new(),
        must_apply: Vec::new(),
        oracle: OracleBounds {
            converge_within: s(30),
            settle_within: s(2),
            drain_within: s(10),
            storm_min_deliveries: 3,
            violations_kept: 100,
            advisory: false,
        },
        stability: Stability {
            absence: s(3),
            absence_from: LimitFrom::Assumed,
            limits: BTreeMap::new(),
            advisory: false,
        },
        generator: Generator {
            worker_threads: 2,
            source_addresses: vec![std::net::Ipv4Addr::LOCALHOST],
            lag_share_max: 0.1,
        },
    }
}

#[test]
fn phases_follow_one_another_from_ramp_to_drain() {
    let schedule = Schedule::of(&plan());
    let spans: Vec<_> = schedule
        .phases
        .iter()
        .map(|p| (p.name.as_str(), p.start_us / 1_000_000, p.end_us / 1_000_000, p.measure))
        .collect();
    assert_eq!(
        spans,
        [
            ("ramp", 0, 10, false),
            ("steady", 10, 30, true),
            ("storm", 30, 70, true),
            ("drain", 70, 80, false)
        ]
    );
    let at = |us| schedule.phase_at(us);
    assert_eq!([at(0), at(9_999_999), at(10_000_000), at(69_999_999)], [0, 0, 1, 2]);
    assert_eq!([at(70_000_000), at(u64::MAX)], [3, 3]);
}

#[test]
fn an_empty_ramp_holds_nothing() {
    let mut plan = plan();
    plan.fleet.ramp = Duration::ZERO;
    let schedule = Schedule::of(&plan);
    assert_eq!(schedule.phase_at(0), 1);
    assert!(schedule.arrivals.iter().map(|a| a.client).eq(0..100), "ties go by id");
}

#[test]
fn every_client_arrives_once_at_equal_gaps_with_its_cohort() {
    let schedule = Schedule::of(&plan());
    assert!(schedule.arrivals.iter().map(|a| a.at_us).eq((0..100).map(|i| i * 100_000)));
    let mut ids: Vec<_> = schedule.arrivals.iter().map(|a| (a.client, a.cohort)).collect();
    ids.sort_unstable();
    assert!(ids.into_iter().eq((0..100).map(|id| (id, u16::from(id >= 60)))));
}

#[test]
fn arrivals_interleave_the_cohorts() {
    let schedule = Schedule::of(&plan());
    let first_half_of_ios = schedule.arrivals[..50].iter().filter(|a| a.cohort == 1).count();
    assert!((10..=30).contains(&first_half_of_ios), "{first_half_of_ios} of 40");
}

#[test]
fn constant_publishes_are_exact() {
    let mut plan = plan();
    plan.loads = vec![load(Arrival::Constant, 4.0, 3)];
    let schedule = Schedule::of(&plan);
    let expected = (0..240_u32).map(|n| (n, 10_000_000 + u64::from(n) * 250_000, n % 3));
    let found = schedule.publishes.iter().map(|p| (p.n, p.at_us, u32::from(p.worker)));
    assert!(found.eq(expected));
}

#[test]
fn bursts_come_together_and_then_not_for_the_gap() {
    let mut plan = plan();
    let gap = Duration::from_secs(25);
    plan.loads = vec![load(Arrival::Bursts { size: 3, gap }, 3.0 / 25.0, 2)];
    let times: Vec<_> = Schedule::of(&plan).publishes.iter().map(|p| p.at_us / 1_000_000).collect();
    assert_eq!(times, [10, 10, 10, 35, 35, 35, 60, 60, 60]);
}

#[test]
fn poisson_keeps_its_rate_and_its_spread() {
    let mut plan = plan();
    plan.loads = vec![load(Arrival::Poisson, 200.0, 4)];
    let publishes = Schedule::of(&plan).publishes;
    // 12,000 expected, standard deviation 110: five of them either way.
    assert!((11_450..=12_550).contains(&publishes.len()), "{}", publishes.len());
    // The coefficient of variation of exponential gaps is 1, of equal gaps 0.
    let gaps: Vec<f64> = publishes.windows(2).map(|w| (w[1].at_us - w[0].at_us) as f64).collect();
    let mean = gaps.iter().sum::<f64>() / gaps.len() as f64;
    let variance = gaps.iter().map(|g| (g - mean).powi(2)).sum::<f64>() / gaps.len() as f64;
    assert!((0.9..1.1).contains(&(variance.sqrt() / mean)), "{}", variance.sqrt() / mean);
}

#[test]
fn loads_are_merged_in_order_of_time_and_stay_inside_the_declared_phases() {
    let mut plan = plan();
    plan.loads.push(load(Arrival::Constant, 10.0, 1));
    let publishes = Schedule::of(&plan).publishes;
    assert!(publishes.windows(2).all(|w| w[0].at_us <= w[1].at_us));
    assert!(publishes.iter().zip(0..).all(|(p, n)| p.n == n));
    assert!(publishes.iter().all(|p| (10_000_000..70_000_000).contains(&p.at_us)));
    assert_eq!(publishes.iter().filter(|p| p.load == 1).count(), 600);
}

#[test]
fn each_mode_hits_as_many_as_it_says() {
    for (mode, expected) in [
        (FaultMode::One, 1),
        (FaultMode::All, 100),
        (FaultMode::Fixed(17), 17),
        (FaultMode::Fixed(1_000), 100),
        (FaultMode::FixedPercent(33.4), 33),
        (FaultMode::FixedPercent(0.0), 0),
        (FaultMode::FixedPercent(100.0), 100),
    ] {
        let mut plan = plan();
        plan.phases[1].faults = vec![cut(mode)];
        let targets = &Schedule::of(&plan).faults[0].targets;
        assert_eq!(targets.len(), expected, "{mode:?}");
        assert!(targets.windows(2).all(|w| w[0] < w[1]), "{mode:?}: sorted, each once");
        assert!(targets.iter().all(|&id| id < 100));
    }
}

#[test]
fn random_max_percent_varies_by_seed_and_stays_below() {
    let counts: Vec<_> = (0..40)
        .map(|seed| {
            let mut plan = plan();
            plan.seed = seed;
            plan.phases[1].faults = vec![cut(FaultMode::RandomMaxPercent(50.0))];
            Schedule::of(&plan).faults[0].targets.len()
        })
        .collect();
    assert!(counts.iter().all(|&count| count <= 50));
    assert!(counts.iter().max().unwrap() - counts.iter().min().unwrap() > 25, "{counts:?}");
}

#[test]
fn faults_are_due_relative_to_their_phase_and_draw_apart() {
    let faults = Schedule::of(&plan()).faults;
    assert_eq!([faults[0].at_us, faults[1].at_us], [32_000_000; 2]);
    assert_eq!(
        [(faults[0].id, faults[0].phase), (faults[1].id, faults[1].phase)],
        [(0, 2), (1, 2)]
    );
    let mut twice = plan();
    twice.phases[1].faults = vec![cut(FaultMode::Fixed(10)), cut(FaultMode::Fixed(10))];
    let faults = Schedule::of(&twice).faults;
    assert_ne!(faults[0].targets, faults[1].targets);
}

#[test]
fn a_fault_chooses_within_its_cohort_and_the_target_is_nobody() {
    let mut plan = plan();
    let of = |cohort: &str, mode| Fault { cohort: Some(cohort.to_owned()), ..cut(mode) };
    let trim = FaultKind::from(RetentionTrim { topic: Surface::Ios.default_topics()[0], keep: 0 });
    plan.phases[1].faults = vec![
        of("ios", FaultMode::All),
        of("desktop", FaultMode::FixedPercent(50.0)),
        Fault { kind: trim, ..cut(FaultMode::All) },
        Fault { duration: Some(Duration::from_secs(3)), ..cut(FaultMode::One) },
    ];
    let faults = Schedule::of(&plan).faults;
    assert!(faults[0].targets.iter().copied().eq(60..100));
    assert_eq!(faults[1].targets.len(), 30);
    assert!(faults[1].targets.iter().all(|client| *client < 60));
    assert!(faults[2].targets.is_empty());
    assert_eq!([faults[2].duration_us, faults[3].duration_us], [None, Some(3_000_000)]);
}

#[test]
fn a_load_runs_in_its_phases_and_phases_without_a_gap_are_one_window() {
    let mut plan = plan();
    plan.phases = ["a", "b", "c", "d"].map(|name| phase(name, 10, Vec::new())).to_vec();
    let during = |names: &[&str], load: Load| Load {
        during: names.iter().map(|name| (*name).to_owned()).collect(),
        ..load
    };
    let slow = || load(Arrival::Constant, 1.0 / 8.0, 2);
    plan.loads = vec![during(&["a", "b", "d"], slow())];
    let schedule = Schedule::of(&plan);
    let times: Vec<_> = schedule.publishes.iter().map(|p| p.at_us / 1_000_000).collect();
    assert_eq!(times, [10, 18, 26, 40, 48], "8 s apart from a to b, and anew in d");
    assert!(schedule.publishes.iter().map(|p| p.worker).eq([0, 1, 0, 1, 0]), "workers in turn");
    let poisson = |names: &[&str]| {
        let mut plan = plan.clone();
        plan.loads = vec![during(names, load(Arrival::Poisson, 20.0, 4))];
        Schedule::of(&plan).publishes.iter().map(|p| p.at_us).collect::<Vec<_>>()
    };
    let (first, both) = (poisson(&["a"]), poisson(&["a", "c"]));
    assert_eq!(first, both[..first.len()], "what comes later moves nothing");
    assert!(both[first.len()..].iter().all(|at| (30_000_000..40_000_000).contains(at)));
    let gaps = |times: &[u64]| times.windows(2).map(|w| w[1] - w[0]).collect::<Vec<_>>();
    assert_ne!(gaps(&both[..20]), gaps(&both[first.len()..first.len() + 20]), "gaps of its own");
}

#[test]
fn identities_are_dealt_in_turn() {
    let plan = plan();
    let identity = Schedule::identity(&plan, 99);
    assert_eq!(
        [identity.user, identity.org, identity.session, identity.device],
        ["kh-user-0000000000000000000000000001", "kh-org-1", "kh-session-99", "kh-device-99"]
    );
}

#[test]
fn users_differ_at_the_end_alone_and_none_is_longer_than_a_uuid_without_need() {
    let mut plan = plan();
    for prefix in ["k", "khala-harness", "a-prefix-that-is-itself-longer-than-any-uuid"] {
        plan.fleet.name_prefix = prefix.to_owned();
        let ids = [0, 7, 10, 99_999].map(|user| plan.fleet.user_id(user));
        let distinct: std::collections::BTreeSet<_> = ids.iter().collect();
        assert_eq!(distinct.len(), ids.len(), "{ids:?}");
        if prefix.len() < 20 {
            assert!(ids.iter().all(|id| id.len() == 36 && id[..31] == ids[0][..31]), "{ids:?}");
        }
    }
}

#[test]
fn equal_seeds_give_equal_bytes_and_other_seeds_other_schedules() {
    let plan = plan();
    let text = Schedule::of(&plan).to_ndjson(&plan);
    assert_eq!(text, Schedule::of(&plan).to_ndjson(&plan));
    let mut other = plan.clone();
    other.seed = 43;
    let (a, b) = (Schedule::of(&plan), Schedule::of(&other));
    assert_ne!(a.arrivals, b.arrivals);
    assert_ne!(a.publishes, b.publishes);
    assert_ne!(a.faults[1].targets, b.faults[1].targets);
}

#[test]
fn the_file_has_a_header_and_a_line_for_everything() {
    let mut plan = plan();
    plan.loads = vec![load(Arrival::Constant, 0.05, 1)];
    plan.fleet.cohorts = vec![cohort(Surface::Ios, 2)];
    let kind = FaultKind::from(SlowReader { rate_bytes_per_s: None, rcvbuf_bytes: 4_096 });
    let slow = Fault { kind, duration: Some(Duration::from_secs(9)), ..cut(FaultMode::One) };
    plan.phases[1].faults.push(slow);
    insta::assert_snapshot!(Schedule::of(&plan).to_ndjson(&plan), @r#"
    {"kind":"schedule","version":1,"scenario":"test","seed":42,"profile":null}
    {"kind":"phase","index":0,"name":"ramp","start_us":0,"end_us":10000000,"measure":false}
    {"kind":"phase","index":1,"name":"steady","start_us":10000000,"end_us":30000000,"measure":true}
    {"kind":"phase","index":2,"name":"storm","start_us":30000000,"end_us":70000000,"measure":true}
    {"kind":"phase","index":3,"name":"drain","start_us":70000000,"end_us":80000000,"measure":false}
    {"kind":"cohort","index":0,"name":"ios","surface":"ios","clients":2}
    {"kind":"arrival","client":0,"at_us":0,"cohort":0,"surface":"ios","user":"kh-user-0000000000000000000000000000","org":"kh-org-0","session":"kh-session-0","device":"kh-device-0"}
    {"kind":"arrival","client":1,"at_us":5000000,"cohort":0,"surface":"ios","user":"kh-user-0000000000000000000000000001","org":"kh-org-1","session":"kh-session-1","device":"kh-device-1"}
    {"kind":"publish","n":0,"at_us":10000000,"load":0,"worker":0,"payload_bytes":256}
    {"kind":"publish","n":1,"at_us":30000000,"load":0,"worker":0,"payload_bytes":256}
    {"kind":"publish","n":2,"at_us":50000000,"load":0,"worker":0,"payload_bytes":256}
    {"kind":"fault","id":0,"at_us":32000000,"phase":"storm","type":"disconnect","attributes":{"style":"reset"},"targets":[0,1]}
    {"kind":"fault","id":1,"at_us":32000000,"phase":"storm","type":"disconnect","attributes":{"style":"reset"},"targets":[1]}
    {"kind":"fault","id":2,"at_us":32000000,"duration_us":9000000,"phase":"storm","type":"slow_reader","attributes":{"pause":true,"rcvbuf":"4KiB"},"targets":[1]}
    "#);
}

#[test]
fn a_large_plan_is_no_trouble() {
    let mut plan = plan();
    plan.fleet.cohorts = vec![cohort(Surface::Desktop, 20_000)];
    plan.loads = vec![load(Arrival::Poisson, 1_000_000.0 / 60.0, 8)];
    let schedule = Schedule::of(&plan);
    assert_eq!(schedule.arrivals.len(), 20_000);
    assert!((990_000..1_010_000).contains(&schedule.publishes.len()));
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(64))]

    #[test]
    fn whatever_the_plan_everyone_arrives_all_is_in_order_and_a_seed_replays(
        seed: u64,
        clients in 1_u32..400,
        rate_per_s in 0.1_f64..50.0,
        percent in 0.0_f64..=100.0,
    ) {
        let mut plan = plan();
        plan.seed = seed;
        plan.fleet.cohorts = vec![cohort(Surface::Ios, clients), cohort(Surface::Desktop, 1)];
        plan.loads = vec![load(Arrival::Poisson, rate_per_s, 3), load(Arrival::Constant, 1.0, 2)];
        plan.phases[1].faults = vec![cut(FaultMode::FixedPercent(percent))];
        let schedule = Schedule::of(&plan);
        proptest::prop_assert_eq!(&schedule, &Schedule::of(&plan));
        proptest::prop_assert_eq!(schedule.arrivals.len(), clients as usize + 1);
        proptest::prop_assert!(schedule.arrivals.is_sorted_by_key(|a| (a.at_us, a.client)));
        proptest::prop_assert!(schedule.arrivals.iter().all(|a| a.at_us < 10_000_000));
        proptest::prop_assert!(schedule.publishes.is_sorted_by_key(|p| (p.at_us, p.n)));
        let hit = f64::from(clients + 1) * percent / 100.0;
        let targets = &schedule.faults[0].targets;
        proptest::prop_assert!((targets.len() as f64 - hit).abs() <= 0.5, "{} of {hit}", targets.len());
        plan.seed = seed.wrapping_add(1);
        proptest::prop_assert_ne!(schedule.publishes, Schedule::of(&plan).publishes);
    }
}

#[test]
fn who_takes_part_changes_nothing_for_those_who_do() {
    let (whole, mut few) = (plan(), plan());
    few.fleet.only_clients = vec![3, 70];
    let (whole, few) = (Schedule::of(&whole), Schedule::of(&few));
    let those = |client: &u32| [3, 70].contains(client);
    let kept = whole.arrivals.iter().filter(|arrival| those(&arrival.client));
    assert_eq!(few.arrivals, kept.copied().collect::<Vec<_>>());
    assert_eq!(few.arrivals.len(), 2);
    assert_eq!((&few.publishes, &few.phases), (&whole.publishes, &whole.phases));
    assert_eq!(few.faults.len(), whole.faults.len());
    for (few, whole) in few.faults.iter().zip(&whole.faults) {
        let still: Vec<u32> = whole.targets.iter().copied().filter(those).collect();
        assert_eq!((&few.targets, few.at_us, &few.kind), (&still, whole.at_us, &whole.kind));
    }
}

#[test]
fn a_burst_is_added_to_the_first_load_and_leaves_the_rest_alone() {
    let (quiet, mut loud) = (plan(), plan());
    let kind = FaultKind::from(PublishBurst { events: 4, over: Duration::from_secs(2) });
    let (at, mode) = (Duration::from_secs(1), FaultMode::All);
    loud.phases[0].faults.push(Fault {
        kind,
        at,
        duration: None,
        spread: None,
        mode,
        by_hand: false,
        cohort: None,
    });
    let (quiet, loud) = (Schedule::of(&quiet), Schedule::of(&loud));
    let fault = loud.faults[0].id;
    let (burst, rest): (Vec<PlannedPublish>, Vec<_>) =
        loud.publishes.iter().partition(|publish| publish.fault.is_some());
    // The phase begins when the ramp is over, after ten seconds.
    let times: Vec<_> = burst.iter().map(|publish| publish.at_us).collect();
    assert_eq!(times, [11_000_000, 11_500_000, 12_000_000, 12_500_000]);
    assert!(burst.iter().all(|publish| publish.fault == Some(fault) && publish.load == 0));
    let without_number = |publish: &PlannedPublish| PlannedPublish { n: 0, ..*publish };
    assert_eq!(
        rest.iter().map(without_number).collect::<Vec<_>>(),
        quiet.publishes.iter().map(without_number).collect::<Vec<_>>()
    );
    let numbers: Vec<_> = loud.publishes.iter().map(|publish| publish.n).collect();
    assert!(numbers.iter().copied().eq(0..u32::try_from(numbers.len()).expect("few")));
    let text = loud.to_ndjson(&plan());
    assert_eq!(text.matches(&format!("\"fault\":{fault}}}")).count(), 4, "{text}");
}

#[test]
fn numeric_users_are_numbered_from_the_first_and_the_first_publishes() {
    let mut plan = plan();
    assert_eq!(plan.fleet.publisher_id(), "kh-publisher");
    plan.fleet.user_ids = UserIds::Numeric { first: 40 };
    // Seven users: client 8 is the second one's.
    assert_eq!(Schedule::identity(&plan, 8).user, "41");
    assert_eq!(plan.fleet.publisher_id(), "40");
}

#[test]
fn a_spread_fault_comes_to_its_targets_one_after_the_other_from_its_instant_on() {
    let mut plan = plan();
    plan.phases[0].faults = vec![
        Fault { spread: Some(Duration::from_secs(5)), ..cut(FaultMode::All) },
        cut(FaultMode::All),
    ];
    let [spread, at_once, ..] = &Schedule::of(&plan).faults[..] else { panic!("two faults") };
    let own = |fault: &PlannedFault, client| {
        let own = fault.of(client);
        assert_eq!((own.id, &own.targets[..]), (fault.id, &[client][..]));
        own.at_us - fault.at_us
    };
    assert_eq!([own(spread, 0), own(spread, 1), own(spread, 99)], [0, 50_000, 4_950_000]);
    assert_eq!([own(at_once, 0), own(at_once, 99)], [0, 0]);
}

/// The plan with stages: 100 at first, and as many clients in all as they bring.
fn staged(stages: &[Stage]) -> Plan {
    let mut plan = plan();
    let came = stages::changes(100, stages).iter().filter(|change| change.comes).count();
    let all = 100 + u32::try_from(came).expect("few");
    plan.fleet.stages = stages.to_vec();
    plan.fleet.clients = all;
    let shares: Vec<_> =
        plan.fleet.cohorts.iter().map(|cohort| f64::from(cohort.clients) / 100.0).collect();
    let counts = crate::apportion::largest_remainder(all, &shares);
    for (cohort, clients) in plan.fleet.cohorts.iter_mut().zip(counts) {
        cohort.clients = clients;
    }
    plan
}

fn there(schedule: &Schedule, at_us: u64) -> usize {
    schedule.arrivals.iter().filter(|arrival| arrival.is_there(at_us)).count()
}

const UP_AND_DOWN: [Stage; 3] = [
    Stage { duration: Duration::from_secs(4), target: 180, churn_per_s: 0.0 },
    Stage { duration: Duration::from_secs(2), target: 180, churn_per_s: 5.0 },
    Stage { duration: Duration::from_secs(4), target: 40, churn_per_s: 2.0 },
];

#[test]
fn stages_go_up_and_down_and_who_came_first_leaves_first() {
    let plan = staged(&UP_AND_DOWN);
    let schedule = Schedule::of(&plan);
    let ramp = micros(plan.fleet.ramp);
    let level = |secs: u64| there(&schedule, ramp + secs * 1_000_000);
    assert_eq!([0, 2, 4, 5, 6, 8, 10, 99].map(level), [100, 140, 180, 180, 180, 110, 40, 40]);
    assert_eq!((schedule.clients_peak(), schedule.staying()), (180, 40));
    let mut last = 0;
    for leaves_us in schedule.arrivals.iter().map(|arrival| arrival.leaves_us) {
        let leaves_us = leaves_us.unwrap_or(u64::MAX);
        assert!(leaves_us >= last, "who came earlier leaves later");
        last = leaves_us;
    }
    assert_eq!(Schedule::of(&plan), schedule);
    let other = Plan { seed: 43, ..plan };
    assert_ne!(Schedule::of(&other).arrivals, schedule.arrivals);
    assert_eq!(there(&Schedule::of(&other), ramp + 8_000_000), 110, "the numbers are the plan's");
}

#[test]
fn whoever_is_there_is_of_the_cohorts_in_their_shares() {
    let plan = staged(&UP_AND_DOWN);
    let schedule = Schedule::of(&plan);
    let ramp = micros(plan.fleet.ramp);
    for secs in 0..=10 {
        let at_us = ramp + secs * 1_000_000;
        let all = there(&schedule, at_us) as f64;
        for (index, cohort) in (0_u16..).zip(&plan.fleet.cohorts) {
            let of = |it: &&ClientArrival| it.cohort == index && it.is_there(at_us);
            let of_cohort = schedule.arrivals.iter().filter(of).count() as f64;
            let share = f64::from(cohort.clients) / f64::from(plan.fleet.clients);
            assert!((of_cohort - share * all).abs() <= 2.0, "{of_cohort} of {all} at {secs} s");
        }
    }
}

#[test]
fn a_fault_counts_who_is_there_at_its_instant() {
    let mut plan = staged(&UP_AND_DOWN);
    let half = |ms: u64| {
        let at = Duration::from_millis(ms);
        Fault { at, ..cut(FaultMode::FixedPercent(50.0)) }
    };
    plan.phases[0].faults = vec![half(2_000), half(8_000)];
    plan.phases[0].duration = Duration::from_secs(20);
    let schedule = Schedule::of(&plan);
    assert_eq!((schedule.faults[0].targets.len(), schedule.faults[1].targets.len()), (70, 55));
    for fault in &schedule.faults {
        for client in &fault.targets {
            let arrival = schedule.arrivals.iter().find(|arrival| arrival.client == *client);
            assert!(arrival.is_some_and(|arrival| arrival.is_there(fault.at_us)));
        }
    }
}

//! A run that writes nothing, beside somebody who does: GO on a correct runtime, NO-GO by the fitting rule on one
//! with a defect, a HOLD where nothing comes; and nothing of it in what the target was asked to do.

#![expect(
    clippy::disallowed_methods,
    reason = "a test's own proxy measures by the clock of its machine"
)]

use std::ffi::OsStr;
use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use crate::support::by_hand::{ADMIN, ByHand, KEY, reference_by_hand, reference_with};
use crate::support::{
    Ended, Harness, Running, exit, number, objectives, reasons, scenario, violated,
};
use serde_json::Value;

/// A run that publishes for longer than any passive one listens: the real traffic.
fn traffic(url: &str) -> Running {
    traffic_at(url, "15/s")
}

fn traffic_at(url: &str, rate: &str) -> Running {
    let mut run = Harness::run(scenario("elsewhere.toml"))
        .env("KHALA_TEST_URL", url)
        .env("KHALA_TEST_KEY", KEY)
        .set("phase.steady.duration=120s")
        .set("phase.storm.fault=[]")
        .set(&format!("load.0.rate={rate}"))
        .set("load.0.arrival=constant")
        .set("gate=[]")
        .start();
    run.wait_for_phase("steady");
    run
}

fn passive(url: &str) -> Harness {
    Harness::run(scenario("passive.toml"))
        .env("KHALA_TEST_URL", url)
        .env("KHALA_TEST_KEY", KEY)
        .env("RUNTIME_ADMIN_TOKEN", ADMIN)
}

fn beside_traffic(target: &ByHand) -> Ended {
    let traffic = traffic(&target.url);
    let run = passive(&target.url).arg("--record").ended();
    drop(traffic);
    run
}

/// Passes everything on to a server, and keeps the first line of each request that opens a connection. What
/// comes back over every third connection it passes on so much later.
struct Between {
    url: String,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Between {
    fn with_lag(target: &ByHand, lag: Duration) -> Self {
        let to = target.url.trim_start_matches("http://").to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").expect("listens");
        let url = format!("http://{}", listener.local_addr().expect("has an address"));
        let asked = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&asked);
        std::thread::spawn(move || {
            for (number, near) in listener.incoming().flatten().enumerate() {
                let far = TcpStream::connect(&to).expect("the target is there");
                let (near_too, far_too) = (near.try_clone(), far.try_clone());
                let (near_too, far_too) = (near_too.expect("a handle"), far_too.expect("a handle"));
                let kept = Arc::clone(&kept);
                let lag = if number % 3 == 0 { lag } else { Duration::ZERO };
                std::thread::spawn(move || pass(near, far, Duration::ZERO, |it| keep(&kept, it)));
                std::thread::spawn(move || pass(far_too, near_too, lag, |_| {}));
            }
        });
        Self { url, asked }
    }

    /// Methods and paths of all requests.
    fn asked(&self) -> Vec<String> {
        self.asked.lock().expect("nobody panics while it is held").clone()
    }
}

/// Passes on what it hears, each part `lag` after it came.
fn pass(mut from: TcpStream, mut to: TcpStream, lag: Duration, heard: impl Fn(&[u8])) {
    let (parts, due) = channel::<(Instant, Vec<u8>)>();
    let writer = std::thread::spawn(move || {
        for (at, part) in due {
            std::thread::sleep(at.saturating_duration_since(Instant::now()));
            if to.write_all(&part).is_err() {
                break;
            }
        }
        let _ = to.shutdown(Shutdown::Write);
    });
    let mut part = [0; 64 << 10];
    while let Ok(count @ 1..) = from.read(&mut part) {
        heard(&part[..count]);
        if parts.send((Instant::now() + lag, part[..count].to_vec())).is_err() {
            break;
        }
    }
    drop(parts);
    let _ = writer.join();
}

/// What of a part begins a request, its query left out. Frames of a client are masked, and begin none.
fn keep(asked: &Mutex<Vec<String>>, part: &[u8]) {
    let text = String::from_utf8_lossy(&part[..part.len().min(200)]);
    let mut words = text.split(' ');
    let (method, path) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    if ["GET", "POST", "PUT", "DELETE", "PATCH"].contains(&method) {
        let path = path.split('?').next().unwrap_or_default();
        asked.lock().expect("nobody panics while it is held").push(format!("{method} {path}"));
    }
}

#[test]
fn beside_real_traffic_it_is_a_go_and_nothing_of_it_is_a_write() {
    let target = reference_by_hand();
    let between = Between::with_lag(&target, Duration::ZERO);
    let traffic = traffic(&target.url);
    let run = passive(&between.url).ended().exits(exit::GO);
    drop(traffic);
    let report = run.report();
    assert_eq!(report["target"]["passive"], Value::Bool(true));
    assert_eq!((number(&report, "/load/planned"), number(&report, "/load/acknowledged")), (0, 0));
    let deliveries = number(&report, "/oracle/deliveries");
    assert!(deliveries > 50, "{deliveries}");
    assert_eq!(number(&report, "/oracle/foreign"), deliveries, "all of it is others'");
    let judged = &report["oracle"]["judged"];
    let rules = ["gap", "nonmonotonic", "divergent_value", "lost_publish", "state_regress"];
    // Eight arrive, two return, and each is told every other second where its topics stand.
    let least = rules.into_iter().map(|rule| (rule, 1)).chain([("no_convergence", 20)]);
    let few: Vec<_> = least.filter(|(rule, n)| judged[*rule].as_u64() < Some(*n)).collect();
    assert!(few.is_empty(), "too few cases of {few:?}: {judged}");
    let spread = objectives(&report, "ux").iter().find(|it| it["metric"] == "delivery_spread");
    assert!(spread.is_some_and(|it| it["n"].as_u64() > Some(10)), "{spread:?}");
    let asked = between.asked();
    let upgrades = asked.iter().filter(|line| line.contains("/websocket")).count();
    assert!(upgrades >= 10, "eight arrive and two return: {asked:?}");
    let writes: Vec<_> = asked.iter().filter(|line| !line.starts_with("GET ")).collect();
    assert!(writes.is_empty(), "{writes:?}");
    let first: String = run.stdout.lines().take(6).collect::<Vec<_>>().join(" ");
    assert!(first.contains("Passive: nothing was written"), "{}", run.stdout);
    assert!(first.contains("late_publish"), "what is not applicable is said: {}", run.stdout);
}

/// Insists on a NO-GO by a rule, and by nothing but what the defect may entail.
fn condemned(defect: &str, primary: &str, beside: &[&str]) -> Value {
    let target = reference_with(&["--defect", defect].map(OsStr::new));
    let run = beside_traffic(&target).exits(exit::NO_GO);
    let report = run.report();
    let rules = violated(&report);
    assert!(rules.iter().any(|rule| rule == primary), "{defect}: {rules:?}");
    let unexplained: Vec<_> =
        rules.iter().filter(|it| *it != primary && !beside.contains(&it.as_str())).collect();
    assert!(unexplained.is_empty(), "{defect}: {unexplained:?}\n{}", reasons(&report));
    report
}

const OF_A_LOSS: [&str; 3] = ["lost_publish", "no_convergence", "false_replay_complete"];

#[test]
fn a_lossy_target_is_found_by_its_gaps() {
    condemned("drop_nth,0.1", "gap", &OF_A_LOSS);
}

#[test]
fn a_duplicate_with_another_content_is_found() {
    condemned("bad_duplicate,0.3", "bad_duplicate", &["divergent_value", "nonmonotonic"]);
}

#[test]
fn an_event_of_others_that_comes_out_under_two_seqs_is_found() {
    condemned("duplicate_new_seq,0.3", "bad_duplicate", &["divergent_value"]);
}

#[test]
fn clients_that_are_told_different_things_are_found() {
    condemned("corrupt_payload,0.5", "divergent_value", &["bad_duplicate", "state_regress"]);
}

#[test]
fn events_that_change_places_are_found() {
    condemned("swap_two,0.5", "nonmonotonic", &OF_A_LOSS);
}

#[test]
fn a_document_of_others_that_goes_back_is_found() {
    condemned("state_regress,0.5", "state_regress", &["divergent_value"]);
}

#[test]
fn a_reply_before_what_others_had_is_found() {
    let also = ["no_convergence", "lost_publish", "gap"];
    condemned("early_replay_complete", "false_replay_complete", &also);
}

#[test]
fn clients_that_get_events_later_than_others_show_in_the_spread() {
    let target = reference_by_hand();
    let between = Between::with_lag(&target, Duration::from_secs(1));
    let traffic = traffic_at(&target.url, "4/s");
    let run = passive(&between.url)
        .set("gate.ux.objective.delivery_spread.require=max < 500ms")
        .set("oracle.settle_within=10s")
        .set("oracle.drain_within=20s")
        .ended()
        .exits(exit::NO_GO);
    drop(traffic);
    let report = run.report();
    assert_eq!(violated(&report), Vec::<String>::new());
    let spread = objectives(&report, "ux").iter().find(|it| it["metric"] == "delivery_spread");
    assert!(spread.is_some_and(|it| it["verdict"] == "FAIL"), "{spread:?}");
}

#[test]
fn where_nobody_writes_nothing_is_judged() {
    let target = reference_by_hand();
    let run = passive(&target.url).ended().exits(exit::HOLD);
    let report = run.report();
    assert_eq!(number(&report, "/oracle/deliveries"), 0);
    assert!(reasons(&report).contains("nothing was delivered"), "{}", reasons(&report));
}

#[test]
fn a_return_after_which_nobody_writes_shows_nothing() {
    let target = reference_by_hand();
    let traffic = traffic(&target.url);
    // Nobody writes summaries of runs, and one client in three listens there.
    let topics =
        "fleet.surface.ios.topics=[\"runtime.codex_worker_events\", \"runtime.run_summaries\"]";
    let mut run =
        passive(&target.url).set(topics).set("phase.return.fault.disconnect.at=2s").start();
    run.wait_for_phase("return");
    drop(traffic);
    let run = run.ended().exits(exit::HOLD);
    let report = run.report();
    let why = "to any client that was back from fault 0 (disconnect)";
    assert!(reasons(&report).contains(why), "{}", reasons(&report));
    assert_eq!(violated(&report), Vec::<String>::new());
    let silent =
        "Nothing at all came on runtime.run_summaries: nothing is said of what is published there.";
    let summary = String::from_utf8_lossy(run.file("summary.md")).into_owned();
    for told in [run.said(), summary] {
        assert!(told.contains(silent), "{told}");
    }
    assert!(!reasons(&report).contains("run_summaries"), "{}", reasons(&report));
}

#[test]
fn connects_are_held_down_returns_among_them() {
    let target = reference_by_hand();
    let traffic = traffic(&target.url);
    let run = passive(&target.url)
        .set("target.connect_rate_max=2/s")
        .set("fleet.ramp=4s")
        .set("phase.return.duration=12s")
        .set("phase.return.fault.disconnect.value=8")
        .ended()
        .exits(exit::GO);
    drop(traffic);
    let report = run.report();
    assert_eq!(number(&report, "/fleet/connects"), 16);
    // Half a second apart: three of them touch a second of the clock at the most.
    let most = number(&report, "/fleet/connects_peak_per_s");
    assert!(most <= 3, "{most} in a second, although all eight were cut off at once");
}

#[test]
fn what_writes_is_refused_with_both_places() {
    let load = r#"load=[{ command = "codex-worker-events", rate = "1/s" }]"#;
    let run = Harness::check(scenario("passive.toml"))
        .env("KHALA_TEST_URL", "http://127.0.0.1:4000")
        .set(load)
        .ended_plain()
        .exits(exit::INVALID_SCENARIO);
    let said = run.stderr.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(said.contains("a passive run publishes nothing, and here is a `[[load]]`"), "{said}");
    assert!(said.contains("`commands = none` in `[target]`"), "{said}");
    assert!(said.contains("passive.toml:9:"), "where the key stands: {said}");
    let run = Harness::check(scenario("passive.toml"))
        .env("KHALA_TEST_URL", "http://127.0.0.1:4000")
        .env("KHALA_TEST_KEY", "key")
        .ended_plain()
        .exits(exit::GO);
    assert!(run.stdout.contains("passive   no command is sent"), "{}", run.stdout);
    assert!(run.stdout.contains("100 clients (clients_max)"), "{}", run.stdout);
    assert!(run.stdout.contains("40 connects/s"), "{}", run.stdout);
}

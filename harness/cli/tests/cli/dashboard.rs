//! The live view of a run: who may see it, what it shows, what its button does, and that nobody waits for who
//! watches.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::thread::JoinHandle;

use crate::support::{Harness, PATIENCE, Running, eventually, exit, reasons};
use serde_json::Value;
use tempfile::NamedTempFile;

/// A run that is watched.
struct Watched {
    run: Running,
    address: String,
    token: String,
}

/// Starts a run, and reads where its dashboard is as a user does.
fn watched(harness: Harness) -> Watched {
    let said = NamedTempFile::new().expect("a file");
    let stderr = File::options().append(true).open(said.path()).expect("opens");
    let run = harness.arg("--dashboard").stderr(stderr).start();
    let url = eventually("the dashboard's address", || {
        let text = std::fs::read_to_string(said.path()).expect("text");
        let line = text.lines().find_map(|line| line.strip_prefix("dashboard: http://"));
        line.filter(|_| text.contains('\n')).map(str::to_owned)
    });
    let (address, token) = url.split_once("/#token=").expect("a token in the fragment");
    Watched { run, address: address.to_owned(), token: token.to_owned() }
}

impl Watched {
    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(&self.address).expect("it listens");
        stream.set_read_timeout(Some(PATIENCE)).expect("a time-out");
        stream
    }

    fn send(&self, line: &str, headers: &[&str]) -> TcpStream {
        let mut stream = self.connect();
        let mut request = format!("{line} HTTP/1.0\r\n");
        if !headers.iter().any(|header| header.starts_with("Host:")) {
            request += &format!("Host: {}\r\n", self.address);
        }
        headers.iter().for_each(|header| request += &format!("{header}\r\n"));
        stream.write_all(format!("{request}\r\n").as_bytes()).expect("sent");
        stream
    }

    /// Asks, and gives the status and the whole answer.
    fn ask(&self, line: &str, headers: &[&str]) -> (u16, String) {
        let mut answer = String::new();
        self.send(line, headers).read_to_string(&mut answer).expect("an answer");
        let status = answer.split(' ').nth(1).and_then(|status| status.parse().ok());
        (status.expect("a status"), answer)
    }

    fn bearer(&self) -> String {
        format!("Authorization: Bearer {}", self.token)
    }

    /// Reads all events to the end, on a thread.
    fn viewer(&self) -> JoinHandle<Vec<(String, String)>> {
        let mut stream = self.send(&format!("GET /events?token={}", self.token), &[]);
        std::thread::spawn(move || {
            let mut text = String::new();
            stream.read_to_string(&mut text).expect("read to the end");
            let (_, body) = text.split_once("\r\n\r\n").expect("a head");
            body.split_terminator("\n\n").map(event).collect()
        })
    }
}

/// Name and data of an event, put together as the standard says.
fn event(text: &str) -> (String, String) {
    let name = text.lines().find_map(|line| line.strip_prefix("event: ")).expect("a name");
    let data: Vec<_> = text.split('\n').filter_map(|line| line.strip_prefix("data: ")).collect();
    (name.to_owned(), data.join("\n"))
}

fn of_kind<'a>(events: &'a [(String, String)], kind: &str) -> Vec<&'a str> {
    events.iter().filter(|(name, _)| name == kind).map(|(_, data)| data.as_str()).collect()
}

/// Every name of a metric in a text.
fn names(text: &str) -> BTreeSet<&str> {
    let words = text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'));
    words.filter(|word| word.starts_with("khala_harness_")).collect()
}

#[test]
fn a_run_is_seen_by_who_knows_its_token_and_ends_whoever_reads() {
    let mut watched = watched(Harness::tiny());
    assert!(watched.address.starts_with("127.0.0.1:"), "{}", watched.address);
    // One who asks and never reads a byte.
    let silent = watched.send(&format!("GET /events?token={}", watched.token), &[]);
    let viewer = watched.viewer();

    let bearer = watched.bearer();
    let token = watched.token.clone();
    for (line, headers, status) in [
        ("GET /metrics".to_owned(), vec![], 401),
        ("GET /events?token=00000000000000000000000000000000".to_owned(), vec![], 401),
        ("GET /metrics".to_owned(), vec!["Authorization: Bearer no"], 401),
        (format!("GET /metrics?token={token}"), vec!["Host: rebound.example:80"], 403),
        (format!("GET /metrics?token={token}"), vec!["Origin: http://other.example"], 403),
        ("GET /".to_owned(), vec!["Host: rebound.example:80"], 403),
        ("GET /abort".to_owned(), vec![bearer.as_str()], 405),
        ("POST /abort".to_owned(), vec![], 401),
        (format!("POST /abort?token={token}"), vec![], 401),
        ("POST /abort".to_owned(), vec![bearer.as_str(), "Origin: http://other.example"], 403),
    ] {
        let (got, answer) = watched.ask(&line, &headers);
        assert_eq!(got, status, "{line} {headers:?}: {answer}");
    }
    let (status, page) = watched.ask("GET /", &[]);
    assert_eq!(status, 200);
    assert!(!page.contains(&token), "the page knows no token");
    assert!(page.contains("<noscript>") && page.contains("report.html"), "{page}");
    for (file, has) in [
        ("report.js", "khalaCharts"),
        ("report.css", "--pass"),
        ("live.js", "khalaCharts"),
        ("live.css", ".phases"),
    ] {
        assert!(page.contains(&format!("\"{file}\"")), "{page}");
        let (status, answer) = watched.ask(&format!("GET /{file}"), &[]);
        assert!(status == 200 && answer.contains(has), "{file}");
    }
    let head = page.split("\r\n\r\n").next().expect("a head").to_lowercase();
    assert!(
        head.contains("content-security-policy: default-src 'none'; script-src 'self'"),
        "{head}"
    );

    watched.run.wait_for("the fault is proven", |event| event["event"] == "fault_proven");
    watched.run.wait_for_seconds(2);
    let (status, scrape) = watched.ask("GET /metrics", &[&bearer]);
    assert_eq!(status, 200, "{scrape}");
    scrape_has_what_others_ask(&scrape);

    let Watched { run, .. } = watched;
    let ended = run.ended().exits(exit::GO);
    let events = viewer.join().expect("a viewer who reads");
    let history: Value = serde_json::from_str(of_kind(&events, "history")[0]).expect("JSON");
    assert!(history["charts"]["chart-delivery"]["log"] == true, "{history}");
    let frames: Vec<Value> = of_kind(&events, "frame")
        .iter()
        .map(|frame| serde_json::from_str(frame).expect("JSON"))
        .collect();
    let last = frames.last().expect("frames");
    assert_eq!((&last["scenario"], &last["clients"]["planned"]), (&"tiny".into(), &24.into()));
    assert!(last["deliveries"].as_u64() > Some(0), "{last}");
    assert_eq!(last["violations"], 0);
    let fault = &last["faults"][0];
    assert_eq!(
        (&fault["kind"], &fault["state"]),
        (&"disconnect".into(), &"proven".into()),
        "{fault}"
    );
    let gates: BTreeSet<_> = last["gates"]
        .as_array()
        .expect("gates")
        .iter()
        .map(|gate| gate["name"].as_str().expect("a name"))
        .collect();
    assert_eq!(gates, ["error-budget", "oracle", "reconnect", "replay", "stability"].into());
    assert!(frames.iter().any(|frame| frame["phase"] == "storm"));
    has_curves(last);
    ends_as_its_report(&events, ended.file("report.html"));
    is_a_part_of(last, &serde_json::from_str(&events.last().expect("events").1).expect("JSON"));
    assert!(
        ended.files.values().all(|file| !contains(file, token.as_bytes())),
        "no token in a file"
    );
    drop(silent);
}

/// How those who were cut off came back, and latencies: charts with places on the page.
fn has_curves(frame: &Value) {
    let curves = &frame["curves"];
    let charts = curves["charts"].as_object().expect("charts");
    for part in ["recovery", "latency"] {
        let html = curves[part].as_str().expect("a part");
        let of_it: Vec<_> =
            charts.keys().filter(|id| id.starts_with(&format!("chart-{part}-"))).collect();
        assert!(!of_it.is_empty(), "{curves}");
        for id in of_it {
            assert!(html.contains(&format!("data-chart=\"{id}\"")), "{html}");
        }
    }
    let (_, recovery) =
        charts.iter().find(|(id, _)| id.starts_with("chart-recovery-")).expect("a cut");
    let shares = recovery["lines"][0]["y"].as_array().expect("a line");
    assert_eq!(shares.last().and_then(Value::as_f64), Some(1.0), "everybody is back: {recovery}");
}

/// What is shown at the end is `report.html`, and the last frame is the data in it, both byte for byte.
fn ends_as_its_report(events: &[(String, String)], page: &[u8]) {
    let page = str::from_utf8(page).expect("text");
    assert!(of_kind(events, "page") == [page], "the page is not report.html");
    let (_, rest) =
        page.split_once("<script type=\"application/json\" id=\"report-data\">").expect("data");
    let (data, _) = rest.split_once("</script>").expect("an end");
    let (name, last) = events.last().expect("events");
    assert_eq!((name.as_str(), last.as_str()), ("report", data));
}

/// A frame's data have the shape of the report's, and its gates have rows that say no verdict.
fn is_a_part_of(frame: &Value, report: &Value) {
    let keys = |value: &Value| {
        let keys: BTreeSet<String> =
            value.as_object().expect("an object").keys().cloned().collect();
        keys
    };
    let part = &frame["data"];
    assert_eq!(keys(part), keys(report));
    assert_eq!(part["started"], report["started"]);
    let seconds = part["seconds"].as_array().expect("seconds");
    assert!(!seconds.is_empty(), "{part}");
    for (id, chart) in part["charts"].as_object().expect("charts") {
        let told = &report["charts"][id];
        // What never was has no chart in the report.
        if told.is_null() {
            continue;
        }
        assert_eq!(keys(chart), keys(told), "{id}");
        assert_eq!(chart["unit"], told["unit"], "{id}");
        let lines = chart["lines"].as_array().expect("lines");
        for line in told["lines"].as_array().expect("lines") {
            let same = lines.iter().find(|it| it["name"] == line["name"]).expect("a line so far");
            assert_eq!((keys(same), &same["pen"]), (keys(line), &line["pen"]), "{id}");
            assert_eq!(same["y"].as_array().map(Vec::len), Some(seconds.len()), "{id}");
        }
    }
    let most = |it: &Value| {
        it["charts"]["chart-clients"]["lines"][0]["y"]
            .as_array()
            .and_then(|y| y.iter().filter_map(Value::as_u64).max())
    };
    assert_eq!((most(part), most(report)), (Some(24), Some(24)));
    let rows = frame["gate_rows"].as_str().expect("rows");
    for gate in frame["gates"].as_array().expect("gates") {
        assert!(rows.contains(gate["name"].as_str().expect("a name")), "{rows}");
    }
    assert!(rows.contains("<svg") && rows.contains(" holds"), "{rows}");
    assert!(!rows.contains("PASS") && !rows.contains("FAIL"), "{rows}");
}

fn contains(file: &[u8], what: &[u8]) -> bool {
    file.windows(what.len()).any(|window| window == what)
}

/// A scrape is well formed, and has every metric that the dashboard for Grafana and the alerts ask for.
fn scrape_has_what_others_ask(scrape: &str) {
    let (_, body) = scrape.split_once("\r\n\r\n").expect("a body");
    let there = names(body);
    for line in body.lines().filter(|line| !line.starts_with('#')) {
        let (series, value) = line.rsplit_once(' ').expect("a value");
        assert!(series.starts_with("khala_harness_"), "{line}");
        value.parse::<f64>().unwrap_or_else(|_| panic!("{line}"));
    }
    for wanted in [
        "khala_harness_clients{state=\"planned\"} 24",
        "khala_harness_faults{type=\"disconnect\",state=\"proven\"} 1",
        "khala_harness_violations_total{rule=\"gap\"} 0",
        "khala_harness_run_info{scenario=\"tiny\"",
        "khala_harness_latency_seconds_bucket{",
    ] {
        assert!(body.contains(wanted), "no {wanted} in:\n{body}");
    }
    let integrations = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../scripts/integrations");
    for file in ["grafana/khala-harness.json", "prometheus/khala-harness-alerts.yml"] {
        let text = std::fs::read_to_string(integrations.join(file)).expect("is there");
        let asked = names(&text);
        assert!(asked.len() > 4, "{file}: {asked:?}");
        let missing: Vec<_> = asked.difference(&there).collect();
        assert!(missing.is_empty(), "{file} asks for what is not there: {missing:?}\n{body}");
    }
    let board = std::fs::read(integrations.join("grafana/khala-harness.json")).expect("is there");
    let board: Value = serde_json::from_slice(&board).expect("JSON");
    for panel in board["panels"].as_array().expect("panels") {
        let targets = panel["targets"].as_array().expect("targets");
        assert!(targets.iter().all(|target| target["expr"].is_string()), "{panel}");
    }
}

#[test]
fn the_button_ends_a_run_with_its_evidence() {
    let mut watched = watched(Harness::tiny().set("phase.storm.duration=60s"));
    let viewer = watched.viewer();
    watched.run.wait_for_phase("storm");
    let (status, answer) = watched.ask("POST /abort", &[&watched.bearer()]);
    assert_eq!(status, 202, "{answer}");
    let ended = watched.run.ended().exits(exit::INTERRUPTED);
    let events = ended.lines("events.ndjson");
    let interrupted = events.iter().find(|event| event["event"] == "interrupted");
    assert_eq!(interrupted.expect("it is evidence")["by"], "a viewer of the dashboard");
    assert_eq!(ended.report()["decision"], "HOLD");
    let shown = viewer.join().expect("read to the end");
    ends_as_its_report(&shown, ended.file("report.html"));
}

#[test]
fn a_fault_that_waits_for_a_hand_happens_only_if_somebody_switches_it_on() {
    let by_hand = |at: &str| {
        Harness::tiny()
            .set("phase.storm.fault.disconnect.by_hand=true")
            .set(&format!("phase.storm.fault.disconnect.at={at}"))
    };
    let mut watched = watched(by_hand("2900ms"));
    let bearer = watched.bearer();
    watched.run.wait_for_phase("ramp");
    for (line, status) in [
        ("POST /faults/7/on", 409),
        ("POST /faults/0/maybe", 404),
        ("GET /faults/0/on", 405),
        ("POST /faults/0/on", 200),
    ] {
        let (got, answer) = watched.ask(line, &[&bearer]);
        assert_eq!(got, status, "{line}: {answer}");
    }
    assert_eq!(watched.ask("POST /faults/0/off", &[]).0, 401);
    watched.run.wait_for_fault();
    assert_eq!(watched.ask("POST /faults/0/off", &[&bearer]).0, 409, "it is too late");
    let ended = watched.run.ended();
    let report = ended.report();
    let events = ended.lines("events.ndjson");
    let switched: Vec<_> = events.iter().filter(|it| it["event"] == "fault_switched").collect();
    assert_eq!(switched.len(), 1, "{switched:?}");
    assert_eq!((&switched[0]["on"], &switched[0]["id"]), (&true.into(), &0.into()));
    assert_eq!(report["faults"][0]["effective"], 24, "{}", report["faults"]);

    // Nobody is at the switch: none is hit, and nothing that hangs on it is claimed.
    let ended = by_hand("1s").ended().exits(exit::HOLD);
    let report = ended.report();
    let fault = &report["faults"][0];
    assert_eq!(
        (&fault["effective"], &fault["proof"]),
        (&0.into(), &"nobody switched it on".into())
    );
    let told = "hit 0 of 24 clients planned: nobody switched it on";
    assert!(reasons(&report).contains(told), "{}", reasons(&report));
    // What to do is told before and after, and the page draws no disturbance that there was not.
    let warned =
        "warning: the fault disconnect in `storm` waits for a hand, and without --dashboard";
    assert!(ended.stderr.contains(warned), "{}", ended.stderr);
    let next: Vec<_> = ended.stdout.split_whitespace().collect();
    let next = next.join(" ");
    assert!(next.contains("Run it with `--dashboard` and switch it on"), "{next}");
    let page = str::from_utf8(ended.file("report.html")).expect("text");
    assert!(!page.contains("class=\"fault-line\""), "a fault is drawn that did not happen");
}

#[test]
fn it_is_not_shown_to_other_machines_unasked() {
    let refused = Harness::tiny().arg("--dashboard=0.0.0.0:0").ended().exits(exit::USAGE);
    assert!(refused.stderr.contains("--dashboard-allow-remote"), "{}", refused.stderr);
    assert!(refused.out_dir_is_empty);
    let short = Harness::tiny().arg("--dashboard").env("KHALA_HARNESS_DASHBOARD_TOKEN", "guess");
    let short = short.ended().exits(exit::SETUP);
    assert!(short.stderr.contains("16 or more"), "{}", short.stderr);
    assert!(short.out_dir_is_empty);
}

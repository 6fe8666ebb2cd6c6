//! A viewer who never reads, beside one who does, over real sockets.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;

use khala_evidence::standing::Standing;
use khala_plan::{Options, Plan, Schedule, Sources, load};

use super::*;

const TOKEN: &str = "0123456789abcdef";

fn plan() -> Plan {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../cli/tests/scenarios/tiny.toml");
    let text = std::fs::read_to_string(path).expect("is there");
    let loader = |_: &str| Err("includes nothing".to_owned());
    let sources = Sources { path: "tiny.toml", text: &text, loader: &loader };
    let options = Options {
        profile: None,
        set: Vec::new(),
        defects: Vec::new(),
        seed: None,
        target: None,
        defect: &|_| Ok(()),
        env: &|_| None,
    };
    load(&sources, &options).expect("sound").plan
}

fn viewer(address: SocketAddr) -> TcpStream {
    let mut stream = TcpStream::connect(address).expect("it listens");
    stream.set_read_timeout(Some(Duration::from_secs(60))).expect("a time-out");
    let ask = format!("GET /events?token={TOKEN} HTTP/1.0\r\nHost: {address}\r\n\r\n");
    stream.write_all(ask.as_bytes()).expect("sent");
    stream
}

#[test]
fn who_never_reads_holds_up_neither_the_run_nor_who_reads() {
    let plan = Arc::new(plan());
    let schedule = Arc::new(Schedule::of(&plan));
    let standing = Arc::<Mutex<Standing>>::default();
    let watch = Watch::new(plan, schedule, standing, crate::Run::default());
    let settings = Settings {
        listen: SocketAddr::from(([127, 0, 0, 1], 0)),
        token: Some(TOKEN.to_owned()),
        version: "0".to_owned(),
    };
    let (interrupt, switches) = (CancellationToken::new(), Arc::default());
    let dashboard = Dashboard::begin(settings, watch, interrupt, switches).expect("begins");
    assert!(!dashboard.url().contains(TOKEN), "one that was chosen is not printed");
    let address = dashboard.address;
    let silent = viewer(address);
    let mut reads = viewer(address);
    let reading = std::thread::spawn(move || {
        let mut text = String::new();
        reads.read_to_string(&mut text).expect("read to the end");
        text
    });
    // More than kernels keep for a socket: who does not read is stuck by then.
    let lines = "x".repeat(300);
    for second in 0..4_000_u64 {
        let url = format!("{second} {lines}");
        let kind = khala_engine::observe::EventKind::TargetReady { url };
        dashboard.event(&Event { at_us: second, kind });
        dashboard.progress(&Progress { elapsed_s: second, ..Progress::default() });
        if second % 50 == 0 {
            std::thread::sleep(STEP);
        }
    }
    let page = "<p>\n<script id=\"report-data\">{\"charts\":{}}</script>\n";
    dashboard.finish(page.as_bytes().to_vec());
    let text = reading.join().expect("it read");
    assert!(
        text.ends_with(
            "event: page\ndata: <p>\ndata: <script id=\"report-data\">{\"charts\":{}}</script>\ndata: \n\n\
             event: report\ndata: {\"charts\":{}}\n\n"
        ),
        "{}",
        &text[text.len().saturating_sub(200)..]
    );
    assert!(text.matches("event: frame\n").count() > 1);
    drop(silent);
}

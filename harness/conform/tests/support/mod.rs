//! A reference runtime in this process, what may stand before it, and one call of the cases.

pub mod again;
pub mod bend;
pub mod bent;
pub mod vouch;

use std::net::SocketAddr;
use std::sync::LazyLock;
use std::time::Duration;

use khala_conform::case::{Case, Does, Times};
use khala_conform::known::Known;
use khala_conform::report::Report;
use khala_conform::world::{Named, Options};
use khala_engine::reach::guard::Guard;
use khala_reference::config::{Compatibility, DEVELOPMENT_SESSION_KEY, DEVELOPMENT_SYNC_KEY};
use khala_reference::{Config, Server};
use khala_wire::payload::Update;
use khala_wire::topic::{NOTIFICATIONS, RUN_SUMMARIES, TopicId, WORKER_EVENTS, WORKER_SUMMARIES};
use tempfile::TempDir;
use tokio::runtime::Runtime as Tokio;
use tokio_util::sync::{CancellationToken, DropGuard};

/// Where all servers of a test program run.
static SERVERS: LazyLock<Tokio> = LazyLock::new(|| {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime")
});

/// Bearer of operators.
pub const ADMIN: &str = "operators-of-this-test";
/// Secret of commands.
pub const COMMANDS: &str = "commands-of-this-test";

/// What the target waits for, and cases with it: none waits for a minute. Most sockets of cases do not beat, so
/// that idle is longer than any of them lives.
pub fn times() -> Times {
    Times {
        beat: Duration::from_secs(1),
        channel_idle: Duration::from_secs(10),
        socket_idle: Duration::from_secs(10),
        client_beat: Duration::from_secs(3),
        patience: Duration::from_secs(8),
        settle: Duration::from_millis(1_500),
        steady: Duration::from_secs(4),
        quiet: Duration::from_millis(500),
        revoked_still: Duration::from_millis(2_500),
        revoked_long: Duration::from_secs(6),
    }
}

/// The configuration in which every case applies, with these defects.
pub fn config(defects: &[&str]) -> Config {
    let times = times();
    let mut config = Config {
        signature_secret: Some(COMMANDS.into()),
        admin_token: Some(ADMIN.to_owned()),
        heartbeat_push_every: times.beat,
        channel_idle_timeout: times.channel_idle,
        socket_idle_timeout: times.socket_idle,
        compatibility: Some(Compatibility {
            min_client_build_id: Some("20260101T000000Z".to_owned()),
            max_client_build_id: Some("20291231T000000Z".to_owned()),
            min_schema_version: 1,
            max_schema_version: 1,
        }),
        defects: defects.iter().map(|spec| spec.parse().expect("a defect")).collect(),
        ..Config::default()
    };
    config.defect_times.revocation_memory = Duration::from_secs(1);
    config.buffers.kernel_send = Some(16 << 10);
    config.slow_consumer.strike_every = Duration::from_millis(600);
    let notifications = TopicId::of(NOTIFICATIONS).expect("known");
    config.limits_mut(notifications).replay_budget_events = 10;
    config
}

/// A runtime that runs until it is dropped, or told to stop.
pub struct Runtime {
    pub address: SocketAddr,
    pub stop: CancellationToken,
    _ends: DropGuard,
}

impl Runtime {
    /// Starts it with a past: two topics that were pruned, one with more than its budget, one pruned empty.
    pub fn start(config: Config) -> Self {
        let stop = CancellationToken::new();
        let address = SERVERS.block_on(async {
            let listen = ([127, 0, 0, 1], 0).into();
            let server = Server::bind(listen, config).await.expect("listens");
            let handle = server.handle();
            for topic in [WORKER_EVENTS, NOTIFICATIONS] {
                handle
                    .seed(topic, (1..=60).map(|seq| update(topic, seq)).collect())
                    .expect("seeds");
            }
            let old = (1..=30).map(|seq| update(WORKER_SUMMARIES, seq)).collect();
            handle.seed(WORKER_SUMMARIES, old).expect("seeds");
            for topic in [WORKER_EVENTS, WORKER_SUMMARIES] {
                handle.trim(topic, 20).expect("trims");
            }
            handle.start_at(RUN_SUMMARIES, 50).expect("starts");
            let address = server.local_addr();
            let stopped = stop.clone();
            tokio::spawn(async move { server.run(stopped).await });
            address
        });
        let ends = stop.clone().drop_guard();
        Self { address, stop, _ends: ends }
    }
}

fn update(topic: &str, seq: u64) -> Update {
    let payload = serde_json::value::RawValue::from_string(format!("{{\"n\":{seq}}}"));
    let payload = payload.expect("JSON");
    Update {
        doc_key: format!("runtime/codex_worker_summary:past-{seq}"),
        doc_version: seq,
        hydration_required: false,
        payload_hash: Some(khala_wire::canonical::payload_hash_of_canonical(payload.get())),
        payload: Some(payload),
        topic: topic.to_owned(),
        watermark: seq,
    }
}

/// How the cases are asked.
pub struct Asked {
    pub address: SocketAddr,
    pub cases: Vec<(usize, &'static Case)>,
    pub allow: Vec<Does>,
    pub known: Known,
    pub stop: Option<CancellationToken>,
}

/// Asks, with what opens the runtime of [`config`].
pub fn ask(asked: Asked) -> Result<Report, String> {
    let secrets = TempDir::new().expect("a folder");
    let file = |name: &str, secret: &str| {
        let path = secrets.path().join(name);
        std::fs::write(&path, secret).expect("written");
        format!("{{ file = \"{}\" }}", path.display())
    };
    let set = vec![
        format!("auth.secret={}", file("sync", DEVELOPMENT_SYNC_KEY)),
        format!("target.command_secret={}", file("commands", COMMANDS)),
        format!("target.admin_token={}", file("admin", ADMIN)),
        "target.client_build_id=20260301T000000Z".to_owned(),
        "target.snapshot=http".to_owned(),
        "target.slow_consumer.kernel_buffer=64KiB".to_owned(),
        // A busy machine is no defect.
        "target.connect_timeout=30s".to_owned(),
    ];
    let Asked { address, cases, allow, known, stop } = asked;
    let options = Options {
        named: Named::Url(format!("http://{address}")),
        guard: Guard::default(),
        set,
        allow: Some(allow),
        times: times(),
        wait_max: Duration::from_secs(60),
        stop: stop.map(|token| -> khala_conform::world::Stopper {
            Box::new(move || {
                token.cancel();
                Ok(())
            })
        }),
        run_id: format!("{:04x}", address.port()),
        version: "test".to_owned(),
        commands: false,
        session_key: Some(DEVELOPMENT_SESSION_KEY.to_owned()),
    };
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let never = CancellationToken::new();
    let run = khala_conform::run(options, &cases, &known, "then".to_owned(), &never, &|_| {});
    runtime.block_on(run).map_err(|error| error.to_string())
}

/// All that may be done.
pub fn everything() -> Vec<Does> {
    Does::NAMED.to_vec()
}

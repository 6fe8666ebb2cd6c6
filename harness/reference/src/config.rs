//! Every tunable of the runtime, with the contract's values as defaults.

use std::path::PathBuf;
use std::time::Duration;

use khala_wire::token::{DEFAULT_AUDIENCE, DEFAULT_ISSUER, DEFAULT_KID, Key, KeyRing};
use khala_wire::topic::{KNOWN, TopicId};
use khala_wire::{PUBLIC_SOCKET_PATH, RUNTIME_SOCKET_PATH};

use crate::defect::DefectSpec;

/// Number of known topics, and so of logs.
pub const TOPICS: usize = KNOWN.len();

/// Signing key that [`Config::default`] uses for sync tokens. For tests and local runs only.
pub const DEVELOPMENT_SYNC_KEY: &str = "khala-reference-development-sync-key";
/// Key that [`Config::default`] uses for session access tokens. For tests and local runs only.
pub const DEVELOPMENT_SESSION_KEY: &str = "khala-reference-development-session-key";

/// What one topic retains and how far behind head a cursor may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TopicLimits {
    /// Events retained at most; older ones are pruned as new ones come.
    pub retain_events: usize,
    /// Age at which an event is pruned.
    pub retain_for: Duration,
    /// Replay budget: head minus cursor may be this much and no more.
    pub replay_budget_events: u64,
}

/// Limits on publishing to one class of topics (contract, section 4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PublishLimits {
    /// Publishes per second; `None` is unlimited.
    pub per_second: Option<u32>,
    /// Largest payload of a command, in bytes of canonical JSON.
    pub payload_bytes_max: usize,
}

/// The compatibility gate: which clients may join.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Compatibility {
    /// Oldest build served, compared as text (builds are timestamps).
    pub min_client_build_id: Option<String>,
    /// Newest build served.
    pub max_client_build_id: Option<String>,
    /// Oldest schema served.
    pub min_schema_version: u32,
    /// Newest schema served.
    pub max_schema_version: u32,
}

/// When a socket that does not keep up is struck and evicted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SlowConsumer {
    /// Live events that may wait for a socket on a topic.
    pub queue_limit: u64,
    /// Strikes at which it is disconnected.
    pub max_strikes: u32,
    /// Time that the socket must have refused bytes, with the queue over its limit, for one
    /// strike. Time in which the server itself was late does not count.
    pub strike_every: Duration,
    /// How long the last strike's errors may take to be written before the socket is dropped.
    pub evict_grace: Duration,
}

/// How long the defects that delay, remember or lose something do so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DefectTimes {
    /// `slow_recovery`: how late a subscribe with a cursor is served.
    pub slow_recovery: Duration,
    /// `early_replay_complete`: how long after the reply the replay follows.
    pub early_reply_lead: Duration,
    /// `swap_two`: how long a single update waits for a second one.
    pub swap_hold: Duration,
    /// `tail_lost`: for how long after the reply what comes is lost.
    pub tail_lost: Duration,
    /// `delivery_delay`, `state_delay`: how late an event goes out.
    pub delivery_delay: Duration,
    /// `pause_every_10s`: time from one pause to the next.
    pub pause_every: Duration,
    /// `pause_every_10s`: how long a pause is.
    pub pause_for: Duration,
    /// `slow_accepts`: time between two upgrades.
    pub accept_every: Duration,
    /// `starved_topic`: how long the other topics must have been quiet.
    pub starve_quiet: Duration,
    /// `revocation_forgotten`: for how long it is remembered.
    pub revocation_memory: Duration,
}

/// Sizes of a socket's buffers, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Buffers {
    /// Read buffer of a WebSocket.
    pub read: usize,
    /// Bytes gathered before a write; 0 writes each frame at once.
    pub write: usize,
    /// Bytes that may wait in a WebSocket for its peer.
    pub write_max: usize,
    /// Largest message a client may send.
    pub message_max: usize,
    /// `SO_SNDBUF` of accepted sockets; the kernel's default (megabytes) when `None`. Slow readers
    /// only show with a small one.
    pub kernel_send: Option<usize>,
}

/// The whole configuration.
#[derive(Clone, Debug)]
pub struct Config {
    /// Keys, issuer and audience of sync tokens.
    pub sync_keys: KeyRing,
    /// Secret of `x-oa-runtime-signature`; commands need no signature when `None`.
    pub signature_secret: Option<Vec<u8>>,
    /// Key of session access tokens; `POST /api/sync/token` answers 503 when `None`.
    pub session_key: Option<Vec<u8>>,
    /// Bearer token of the operator's endpoints; open when `None`.
    pub admin_token: Option<String>,
    /// Paths that serve the socket.
    pub socket_paths: Vec<String>,
    /// Whether the public edge's path is served as well.
    pub public_path: bool,
    /// Largest `ttl_seconds` that minting accepts.
    pub token_ttl_s_max: u64,
    /// `ttl_seconds` when the request names none.
    pub token_ttl_s_default: u64,
    /// Time between a server's `sync:heartbeat` pushes.
    pub heartbeat_push_every: Duration,
    /// A channel without client heartbeat for longer is closed at the next push.
    pub channel_idle_timeout: Duration,
    /// A socket without traffic in either direction for this long is closed with 1002.
    pub socket_idle_timeout: Duration,
    /// Per topic, in the order of [`KNOWN`].
    pub topics: [TopicLimits; TOPICS],
    /// Publish limits per topic, in the order of [`KNOWN`].
    pub publish: [PublishLimits; TOPICS],
    /// Bytes of JSON after which a batch is cut (a single larger update still goes out).
    pub batch_bytes_max: usize,
    /// Slow consumers.
    pub slow_consumer: SlowConsumer,
    /// Buffers.
    pub buffers: Buffers,
    /// A write that makes no end for this long drops its socket.
    pub write_timeout: Duration,
    /// How long a peer may take to answer a close.
    pub close_timeout: Duration,
    /// How long a graceful stop may take in all.
    pub shutdown_timeout: Duration,
    /// How long a connection may take to send a request's headers.
    pub header_timeout: Duration,
    /// Connections accepted at a time; more are closed at once.
    pub connections_max: usize,
    /// Workers and runs kept at most; more are refused.
    pub documents_max: usize,
    /// Directory whose journal is taken up at the start and written while the server runs, so that
    /// state survives a restart, a kill included; nothing survives when `None`. Revocations and
    /// counters do not survive either way.
    pub data_dir: Option<PathBuf>,
    /// How long a request may take, its body included.
    pub request_timeout: Duration,
    /// Time between projections of summaries.
    pub projection_every: Duration,
    /// How long a revoked session's joins are refused.
    pub revocation_hold: Duration,
    /// Whether a revoked socket is told why before its close; a real runtime may not.
    pub revocation_notice: bool,
    /// Whether a socket ends when its token expires. The contract is silent on it; the recorded runtime
    /// looks at a token at the upgrade only.
    pub ends_expired: bool,
    /// Compatibility gate; off when `None`.
    pub compatibility: Option<Compatibility>,
    /// Defects to inject.
    pub defects: Vec<DefectSpec>,
    /// Delays of the defects.
    pub defect_times: DefectTimes,
    /// Seed of the defects' choices.
    pub seed: u64,
}

impl Config {
    /// Limits of one topic.
    #[must_use]
    pub fn limits(&self, topic: TopicId) -> &TopicLimits {
        &self.topics[topic.index()]
    }

    /// Limits of one topic, to change them.
    pub fn limits_mut(&mut self, topic: TopicId) -> &mut TopicLimits {
        &mut self.topics[topic.index()]
    }

    /// Every path at which the socket is served.
    #[must_use]
    pub fn all_socket_paths(&self) -> Vec<String> {
        let mut paths = self.socket_paths.clone();
        if self.public_path && !paths.iter().any(|path| path == PUBLIC_SOCKET_PATH) {
            paths.push(PUBLIC_SOCKET_PATH.to_owned());
        }
        paths
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            sync_keys: KeyRing::new(
                vec![Key::new(DEFAULT_KID, DEVELOPMENT_SYNC_KEY)],
                DEFAULT_ISSUER,
                DEFAULT_AUDIENCE,
            ),
            signature_secret: None,
            session_key: Some(DEVELOPMENT_SESSION_KEY.into()),
            admin_token: None,
            socket_paths: vec![RUNTIME_SOCKET_PATH.to_owned()],
            public_path: true,
            token_ttl_s_max: 3_600,
            token_ttl_s_default: 900,
            heartbeat_push_every: Duration::from_secs(15),
            channel_idle_timeout: Duration::from_secs(60),
            socket_idle_timeout: Duration::from_secs(60),
            topics: KNOWN.map(|topic| TopicLimits {
                retain_events: 50_000,
                retain_for: Duration::from_secs(topic.retention_s),
                replay_budget_events: topic.replay_budget_events,
            }),
            publish: KNOWN.map(|topic| match topic.name {
                khala_wire::topic::WORKER_EVENTS => {
                    PublishLimits { per_second: Some(240), payload_bytes_max: 128 << 10 }
                }
                khala_wire::topic::RUN_SUMMARIES => {
                    PublishLimits { per_second: Some(240), payload_bytes_max: 256 << 10 }
                }
                _ => PublishLimits { per_second: Some(90), payload_bytes_max: 64 << 10 },
            }),
            batch_bytes_max: 256 << 10,
            slow_consumer: SlowConsumer {
                queue_limit: 64,
                max_strikes: 3,
                strike_every: Duration::from_millis(250),
                // A reader at 1 KiB/s has then read 30 KiB, which is what small buffers hold.
                evict_grace: Duration::from_secs(30),
            },
            buffers: Buffers {
                read: 4 << 10,
                write: 16 << 10,
                write_max: 4 << 20,
                message_max: 64 << 10,
                kernel_send: None,
            },
            write_timeout: Duration::from_secs(30),
            close_timeout: Duration::from_secs(2),
            shutdown_timeout: Duration::from_secs(10),
            header_timeout: Duration::from_secs(60),
            connections_max: 19_000,
            documents_max: 100_000,
            data_dir: None,
            request_timeout: Duration::from_secs(30),
            projection_every: Duration::from_millis(50),
            revocation_hold: Duration::from_secs(900),
            revocation_notice: true,
            ends_expired: false,
            compatibility: None,
            defects: Vec::new(),
            defect_times: DefectTimes {
                slow_recovery: Duration::from_secs(8),
                early_reply_lead: Duration::from_millis(500),
                swap_hold: Duration::from_secs(2),
                tail_lost: Duration::from_secs(1),
                delivery_delay: Duration::from_secs(3),
                pause_every: Duration::from_secs(10),
                pause_for: Duration::from_secs(5),
                accept_every: Duration::from_millis(250),
                starve_quiet: Duration::from_secs(5),
                revocation_memory: Duration::from_secs(5),
            },
            seed: 0,
        }
    }
}

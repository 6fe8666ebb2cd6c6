//! The resolved plan: every default filled in, every reference checked, nothing left to interpret.
//!
//! Values are in the units their names say; durations are `Duration`. A [`Plan`] holds no secret in
//! clear text outside [`Secret`], and a `Secret` never shows itself.

mod act;
mod fault;
mod gate;
mod token;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use khala_wire::topic::TopicId;
use serde::{Deserialize, Serialize};

use crate::backoff::Backoff;
use crate::stability::{Incident, Limit, LimitFrom};
use crate::stages::{self, Stage};
use crate::surface::Surface;

pub use act::{ChosenCursor, DisconnectStyle, Garbage, RestartSignal, Resume};
pub use fault::{ActsOn, Fault, FaultMode};
pub use gate::{Claim, Comparison, Estimator, Gate, ORACLE_GATE, Objective, STABILITY_GATE};
pub use token::{BadToken, Step};

/// A value that never reaches a file, a log or a panic message.
#[derive(Clone, PartialEq, Eq)]
pub enum Secret {
    /// Read from this environment variable when it is needed.
    Env(String),
    /// Read from this file when it is needed.
    File(String),
    /// What this command, program and arguments, writes to standard output when it is needed.
    Command(Vec<String>),
    /// Made for this run, for a target that the harness starts itself.
    Generated,
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Env(name) => write!(f, "Secret(env {name})"),
            Self::File(path) => write!(f, "Secret(file {path})"),
            Self::Command(words) => {
                write!(f, "Secret(command {})", words.first().map_or("", String::as_str))
            }
            Self::Generated => f.write_str("Secret(generated)"),
        }
    }
}

/// One run, resolved.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The scenario's name.
    pub name: String,
    /// What the scenario is for, in a sentence or two.
    pub description: Option<String>,
    /// The profile that was applied, if any.
    pub profile: Option<String>,
    /// Root of all randomness.
    pub seed: u64,
    /// What is tested.
    pub target: Target,
    /// How clients come by tokens.
    pub auth: Auth,
    /// The clients.
    pub fleet: Fleet,
    /// The publishers.
    pub loads: Vec<Load>,
    /// The phases in order, between the implicit [`RAMP`] and [`DRAIN`].
    pub phases: Vec<Phase>,
    /// The gates, judged or not.
    pub gates: Vec<Gate>,
    /// Gates, metrics and rules whose objectives this run must be able to exercise, and topics on which something
    /// must come.
    pub must_apply: Vec<String>,
    /// Bounds that the oracle judges with.
    pub oracle: OracleBounds,
    /// How much of what nobody planned is too much.
    pub stability: Stability,
    /// The generator itself.
    pub generator: Generator,
}

impl Plan {
    /// Whether it writes to a target to which others write.
    #[must_use]
    pub fn writes_beside_others(&self) -> bool {
        let of_others = matches!(self.target.kind, TargetKind::Url { .. });
        of_others && !self.loads.is_empty() && !self.target.exclusive
    }

    /// Commands of the target's keys that a run starts, with what each is for: those that tell a secret, and the one that
    /// writes.
    #[must_use]
    pub fn target_commands(&self) -> Vec<(&'static str, &'static str, &[String])> {
        let secrets = self.secret_commands().into_iter();
        let secrets = secrets.map(|(key, words)| (key, "is told by", words));
        let writes = (!self.target.command.is_empty()).then_some((
            "target.command",
            "runs",
            self.target.command.as_slice(),
        ));
        secrets.chain(writes).collect()
    }

    /// Secrets that commands tell: the key, program and arguments.
    #[must_use]
    pub fn secret_commands(&self) -> Vec<(&'static str, &[String])> {
        let opening = match &self.auth.mint {
            Mint::Hs256 { secret, .. } => Some(("auth.secret", secret)),
            Mint::Control { session_token } => {
                session_token.as_ref().map(|it| ("auth.session_token", it))
            }
            Mint::Static { token } => Some(("auth.token", token)),
        };
        let admin = self.target.admin_token.iter().map(|it| ("target.admin_token", it));
        let command = self.target.command_secret.iter().map(|it| ("target.command_secret", it));
        let all = opening.into_iter().chain(admin).chain(command);
        let commands = all.filter_map(|(key, secret)| match secret {
            Secret::Command(words) => Some((key, words.as_slice())),
            Secret::Env(_) | Secret::File(_) | Secret::Generated => None,
        });
        commands.collect()
    }

    /// That a key of the target starts a command, where one does and nobody allowed it, and what to do.
    #[must_use]
    pub fn secret_told_by_command(&self, advice: &str) -> Option<String> {
        let (key, does, words) = self.target_commands().into_iter().next()?;
        Some(format!("{key} {does} {words:?}; nothing was started: {advice}"))
    }

    /// Whether an objective of a gate must be one that the plan can exercise.
    #[must_use]
    pub fn must_apply(&self, gate: &Gate, objective: &Objective) -> bool {
        self.must_apply.iter().any(|name| {
            *name == gate.name
                || name == objective.metric.name()
                || objective.selector.get("rule") == Some(name)
        })
    }
}

/// Name of the implicit phase in which clients arrive.
pub const RAMP: &str = "ramp";
/// Name of the implicit phase after the last one, in which the topics run dry.
pub const DRAIN: &str = "drain";

impl Plan {
    /// Whether the harness sends no command at all, and judges what others send.
    #[must_use]
    pub fn is_passive(&self) -> bool {
        self.target.commands == CommandPath::None
    }
}

/// On which way commands go to the target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CommandPath {
    /// The contract's HTTP path of workers, signed.
    CodexWorkers,
    /// A command of one's own, `target.command`, once for each.
    Command,
    /// None: nothing is written, and the traffic is that of others.
    None,
}

/// What may be done to a target, mildest first.
pub const ALLOWS: [&str; 4] = ["reads", "writes", "revokes", "abuses"];

/// What is tested.
#[derive(Clone, Debug, PartialEq)]
pub struct Target {
    /// Where it comes from.
    pub kind: TargetKind,
    /// What one by URL is said to retain and to replay, where it does not show that itself.
    pub retains: BTreeMap<TopicId, TopicSettings>,
    /// The lane that the clients use.
    pub lane: Lane,
    /// Path of the socket.
    pub socket_path: String,
    /// Build that the clients say they are; `None` is the harness's version.
    pub client_build_id: Option<String>,
    /// How long a connect, upgrade included, may take.
    pub connect_timeout: Duration,
    /// How long any one HTTP request, join or subscribe may take.
    pub request_timeout: Duration,
    /// Whether nobody else writes to it, so that every event must be ours.
    pub exclusive: bool,
    /// Which of the two pushes of a batch the clients apply.
    pub apply: Push,
    /// How a client bootstraps a stale topic that has a snapshot.
    pub snapshot: SnapshotPath,
    /// What the target does with clients that cannot keep up, as far as the plan must know.
    pub slow_consumer: SlowConsumerLimits,
    /// Where its build is learnt from; `None` of the embedded runtime is its own version, of another
    /// nobody says.
    pub build: Option<BuildSource>,
    /// Close codes that it may send beside the contract's; 1005 stands for a close frame without a code.
    pub close_codes: Vec<u16>,
    /// Longest message that its clients take, in bytes.
    pub message_max: u64,
    /// Bearer of the operators' view of a target by URL; `None` leaves it to the environment.
    pub admin_token: Option<Secret>,
    /// Headers that every upgrade and HTTP request has beside its own.
    pub headers: Vec<Extra>,
    /// Parameters that every upgrade and HTTP request has beside its own.
    pub query: Vec<Extra>,
    /// Secret with which commands to a target by URL are signed; `None` leaves it to the environment.
    pub command_secret: Option<Secret>,
    /// Whether the seqs of its state topics are dense, as those of streams are.
    pub dense_states: bool,
    /// Findings that break a rule on it, of [`metric::FINDINGS`](crate::metric::FINDINGS).
    pub findings_are_rules: Vec<&'static str>,
    /// What `conform` and `doctor` may do to it, of [`ALLOWS`]; `None` leaves it to who asks.
    pub allows: Option<Vec<&'static str>>,
    /// How a target by URL is reached.
    pub way: Way,
    /// On which way commands go to it.
    pub commands: CommandPath,
    /// Program and arguments that carry a command out, with [`CommandPath::Command`]; else empty.
    pub command: Vec<String>,
    /// Most clients that a run may have; `None` is as many as the scenario wants.
    pub clients_max: Option<u32>,
    /// Most connects begun in a second, over all clients, returns among them; `None` is no bound.
    pub connect_rate_max: Option<f64>,
}

impl Target {
    /// Whether it is spoken to over TLS.
    #[must_use]
    pub fn is_over_tls(&self) -> bool {
        matches!(&self.kind, TargetKind::Url { base_url } if base_url.starts_with("https://"))
    }
}

/// How a target by URL is reached.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Way {
    /// Base URL of its control service; `None` is the runtime's own.
    pub control_url: Option<String>,
    /// Base URL of the HTTP proxy on the way; `None` leaves it to the environment.
    pub proxy: Option<String>,
    /// Whether secrets may go to another host without TLS.
    pub clear_text: bool,
    /// TLS, where its URL says `https`.
    pub tls: TlsKeys,
}

/// Whom TLS trusts, and what it shows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TlsKeys {
    /// PEM file of those who are trusted; `None` is the system's.
    pub ca: Option<PathBuf>,
    /// PEM files of the clients' certificate and its key.
    pub client: Option<(PathBuf, PathBuf)>,
    /// Name that is asked for; `None` is the URL's host.
    pub server_name: Option<String>,
    /// Whether any certificate is taken.
    pub insecure: bool,
}

/// A header, or a parameter of the query, that a target wants beside the contract's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Extra {
    /// Its name.
    pub name: String,
    /// Its value.
    pub value: ExtraValue,
}

/// The value of an [`Extra`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ExtraValue {
    /// As the scenario has it.
    Text(String),
    /// Where it is read from when the run begins.
    Secret(Secret),
}

/// Where the build of a target is learnt from, for the evidence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BuildSource {
    /// A header of its answer to `GET /healthz`.
    Header(String),
    /// The first line that a command prints.
    Command(Vec<String>),
}

/// How a client bootstraps a stale topic that has a snapshot; one without is always reset.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SnapshotPath {
    /// `GET /internal/v1/khala/topics/{topic}/snapshot`, then resume after it.
    Http,
    /// A subscribe without a cursor.
    Reset,
}

/// What the target does with clients that cannot keep up (contract, section 3, "Slow consumer").
/// The embedded runtime is started with these; of another target they are what is expected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SlowConsumerLimits {
    /// Events that may wait for a socket.
    pub queue_limit: u64,
    /// Strikes at which it is disconnected.
    pub max_strikes: u32,
    /// `SO_SNDBUF` of the target's sockets in bytes; `None` leaves the kernel's default, which
    /// swallows minutes of traffic before slowness shows.
    pub send_buffer_bytes: Option<u32>,
    /// Bytes that the kernel may hold for one socket of the target, where nobody sets that.
    pub kernel_buffer_bytes: u32,
}

impl SlowConsumerLimits {
    /// Bytes that may wait in the kernel on the target's side: Linux doubles what SO_SNDBUF is set to
    /// (socket(7)).
    #[must_use]
    pub fn kernel_bytes(&self) -> u64 {
        let set = self.send_buffer_bytes.map(|bytes| 2 * u64::from(bytes));
        set.unwrap_or_else(|| self.kernel_buffer_bytes.into())
    }
}

/// What is retained of a topic.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TopicSettings {
    /// Events retained at most.
    pub retain_events: Option<u64>,
    /// Replay budget, in events behind head.
    pub replay_budget_events: Option<u64>,
}

impl TopicSettings {
    /// Events of a topic that a runtime can be asked to hold, or be said to.
    pub const EVENTS_MAX: u64 = 10_000_000;
}

/// Where the target comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TargetKind {
    /// The embedded reference runtime, as a child process.
    Reference {
        /// Defects, as `--defect` takes them.
        defects: Vec<String>,
        /// What it retains, where it is not the contract's default.
        topics: BTreeMap<TopicId, TopicSettings>,
    },
    /// Something that is there already.
    Url {
        /// Base URL, such as `http://127.0.0.1:4000`.
        base_url: String,
    },
}

/// The lane that the clients use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lane {
    /// Phoenix Channels over WebSocket.
    Ws,
}

/// One of the two pushes of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Push {
    /// `sync:frame`, the canonical one.
    Frame,
    /// `sync:update_batch`, the legacy one.
    UpdateBatch,
}

/// How clients come by tokens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Auth {
    /// Who mints.
    pub mint: Mint,
    /// Time to live of a token.
    pub ttl: Duration,
}

/// Who mints.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mint {
    /// The harness signs with a shared key.
    Hs256 {
        /// Id of the key.
        kid: String,
        /// The key.
        secret: Secret,
        /// `iss`.
        issuer: String,
        /// `aud`.
        audience: String,
    },
    /// The control service, `POST /api/sync/token`, before every connect.
    Control {
        /// The session access token that all clients show it; `None`, each has one of its own session, signed
        /// with the key of the environment.
        session_token: Option<Secret>,
    },
    /// Made elsewhere.
    Static {
        /// The token, or several, one a line, which clients take in turn.
        token: Secret,
    },
}

impl Mint {
    /// Whether tokens are of the users, sessions and devices that the plan gives its clients.
    #[must_use]
    pub fn is_of_planned_identities(&self) -> bool {
        matches!(self, Self::Hs256 { .. } | Self::Control { session_token: None })
    }
}

/// The clients.
#[derive(Clone, Debug, PartialEq)]
pub struct Fleet {
    /// How many there are in the whole run, over all surfaces: those that stages bring among them.
    pub clients: u32,
    /// How many arrive in the ramp.
    pub at_first: u32,
    /// Over how long they arrive.
    pub ramp: Duration,
    /// How their number goes up and down after that.
    pub stages: Vec<Stage>,
    /// Prefix of every synthetic name.
    pub name_prefix: String,
    /// How many users the clients are; a client has a session and a device of its own.
    pub users: u32,
    /// How many organisations the users belong to.
    pub orgs: u32,
    /// What the users' ids look like.
    pub user_ids: UserIds,
    /// Where the first subscribe of a client begins.
    pub first_subscribe: FirstSubscribe,
    /// The cohorts, in order; client ids are dealt out cohort by cohort.
    pub cohorts: Vec<Cohort>,
    /// The only clients that take part, in order; empty: all of them. Each does what it does in the
    /// whole fleet: same identity, arrival, faults and jitter.
    pub only_clients: Vec<u32>,
}

/// Where the first subscribe of a client begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FirstSubscribe {
    /// Without a cursor: all that the target retains is replayed.
    FromStart,
    /// Where the topics stood when the run was set up, which one client learns.
    FromNow,
}

/// What the ids of users look like: some targets want a positive integer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UserIds {
    /// `{prefix}-user-{n}`, with zeros before the number so that it is as long as a UUID, and `{prefix}-publisher` for
    /// who publishes: users differ at the end alone, as who keeps only the beginning of an id must be seen to mix them up.
    Named {
        /// Whether there are zeros; there were none in bundles that earlier builds wrote.
        padded: bool,
    },
    /// Numbers from this one on; the first publishes too.
    Numeric {
        /// The first user's.
        first: u64,
    },
}

/// As long as a UUID in its usual form (RFC 9562, section 4), which any store of user ids takes.
const USER_ID_CHARS: usize = 36;

impl Fleet {
    /// The most clients that there are at once.
    #[must_use]
    pub fn clients_peak(&self) -> u32 {
        stages::peak(self.at_first, &self.stages)
    }

    /// Id of a user by its number, from 0.
    #[must_use]
    pub fn user_id(&self, user: u32) -> String {
        match self.user_ids {
            UserIds::Named { padded } => {
                let before = format!("{}-user-", self.name_prefix);
                let digits = if padded { USER_ID_CHARS.saturating_sub(before.len()) } else { 0 };
                format!("{before}{user:0>digits$}")
            }
            UserIds::Numeric { first } => (first + u64::from(user)).to_string(),
        }
    }

    /// Id of the user on whose behalf commands are sent.
    #[must_use]
    pub fn publisher_id(&self) -> String {
        match self.user_ids {
            UserIds::Named { .. } => format!("{}-publisher", self.name_prefix),
            UserIds::Numeric { first } => first.to_string(),
        }
    }

    /// Whether a client takes part.
    #[must_use]
    pub fn takes_part(&self, client: u32) -> bool {
        self.only_clients.is_empty() || self.only_clients.binary_search(&client).is_ok()
    }

    /// Its surfaces, each once, in the order of the cohorts.
    #[must_use]
    pub fn surfaces(&self) -> Vec<Surface> {
        let mut surfaces = Vec::new();
        for cohort in &self.cohorts {
            if !surfaces.contains(&cohort.surface) {
                surfaces.push(cohort.surface);
            }
        }
        surfaces
    }
}

/// Clients of one surface that behave alike.
#[derive(Clone, Debug, PartialEq)]
pub struct Cohort {
    /// Its name, unique in the fleet; the surface's unless another is given. Faults aim by it.
    pub name: String,
    /// Which real client it behaves like.
    pub surface: Surface,
    /// How many.
    pub clients: u32,
    /// What they subscribe to.
    pub topics: Vec<TopicId>,
    /// When they reconnect.
    pub backoff: Backoff,
    /// How often they heartbeat.
    pub heartbeat: Duration,
    /// `replay_batch_size` of their subscribes.
    pub replay_batch_size: u32,
}

/// One stream of commands.
#[derive(Clone, Debug, PartialEq)]
pub struct Load {
    /// What is published.
    pub command: Command,
    /// Mean rate over all workers, per second.
    pub rate_per_s: f64,
    /// How arrivals are spaced.
    pub arrival: Arrival,
    /// Size of the command's payload, in bytes of JSON, the marker included.
    pub payload_bytes: u32,
    /// Over how many workers the stream is spread, in turn.
    pub workers: u32,
    /// Declared phases in which it publishes, by name; empty is all of them.
    pub during: Vec<String>,
}

impl Load {
    /// Whether it publishes during the declared phase of this name.
    #[must_use]
    pub fn runs_in(&self, phase: &str) -> bool {
        self.during.is_empty() || self.during.iter().any(|name| name == phase)
    }
}

/// What is published.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Command {
    /// Feeds `runtime.codex_worker_events` and, as state, `runtime.codex_worker_summaries`.
    CodexWorkerEvents,
}

impl Command {
    /// The topics that the command's events appear on.
    #[must_use]
    pub fn topics(self) -> Vec<TopicId> {
        let names = match self {
            Self::CodexWorkerEvents => {
                [khala_wire::topic::WORKER_EVENTS, khala_wire::topic::WORKER_SUMMARIES]
            }
        };
        names.into_iter().filter_map(TopicId::of).collect()
    }
}

/// How arrivals are spaced. All are open-loop: an arrival waits for nothing.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Arrival {
    /// Exponential gaps.
    Poisson,
    /// Equal gaps.
    Constant,
    /// `size` at once, then nothing for `gap`; the rate follows from the two.
    Bursts {
        /// Publishes in a burst.
        size: u32,
        /// From burst to burst.
        gap: Duration,
    },
}

/// One phase.
#[derive(Clone, Debug, PartialEq)]
pub struct Phase {
    /// Its name, unique in the scenario.
    pub name: String,
    /// How long it is.
    pub duration: Duration,
    /// Whether its samples may be judged.
    pub measure: bool,
    /// What is done to clients, path or target in it.
    pub faults: Vec<Fault>,
}

/// Bounds that the oracle judges with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OracleBounds {
    /// From a connect to replay complete and at head.
    pub converge_within: Duration,
    /// How long a state may lag behind its event.
    pub settle_within: Duration,
    /// How long the topics may take to run dry at the end.
    pub drain_within: Duration,
    /// Deliveries that a client needs on each topic before and after a storm.
    pub storm_min_deliveries: u32,
    /// Violations kept with their story, per rule.
    pub violations_kept: u32,
    /// Whether its gate decides nothing: it is judged and shown.
    pub advisory: bool,
}

/// How much of what nobody planned is too much.
#[derive(Clone, Debug, PartialEq)]
pub struct Stability {
    /// For how long the target may answer nobody although it is asked.
    pub absence: Duration,
    /// Whose word that is.
    pub absence_from: LimitFrom,
    /// The limit of each kind of incident.
    pub limits: BTreeMap<Incident, Limit>,
    /// Whether its gate decides nothing: it is judged and shown.
    pub advisory: bool,
}

/// The generator itself.
#[derive(Clone, Debug, PartialEq)]
pub struct Generator {
    /// Worker threads; clients are sharded over them and never move.
    pub worker_threads: u32,
    /// Source addresses, loopback, over which clients are dealt out.
    pub source_addresses: Vec<std::net::Ipv4Addr>,
    /// Scheduler lag, as a share of an objective's own threshold, above which the generator is
    /// unfit to judge it.
    pub lag_share_max: f64,
}

/// How the generator's threads are numbered: those of the clients from 0, then the publishers', then the
/// conductor's.
impl Generator {
    /// Threads that carry clients.
    #[must_use]
    pub fn client_threads(&self) -> u32 {
        self.worker_threads.max(1)
    }

    /// The thread of a client: clients are dealt out by number and never move.
    #[must_use]
    pub fn thread_of(&self, client: u32) -> u16 {
        thread(client % self.client_threads())
    }

    /// The publishers' thread.
    #[must_use]
    pub fn publisher_thread(&self) -> u16 {
        thread(self.client_threads())
    }

    /// The conductor's thread.
    #[must_use]
    pub fn conductor_thread(&self) -> u16 {
        thread(self.client_threads() + 1)
    }
}

/// A plan that was read has few threads.
fn thread(number: u32) -> u16 {
    u16::try_from(number).unwrap_or(u16::MAX)
}

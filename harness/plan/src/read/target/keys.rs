//! The keys of `[target]`.

use std::time::Duration;

use khala_wire::topic::KNOWN;
use khala_wire::{PUBLIC_SOCKET_PATH, RUNTIME_SOCKET_PATH};

use crate::metric::FINDINGS;
use crate::model::{ALLOWS, CommandPath, Lane, Push, SnapshotPath};
use crate::read::auth::opening_shape;
use crate::read::key::{Bool, Case, Key, KeyOr, Raw, Table, Text, Within, Words};
use crate::read::scalar::{Bytes, Rate};
use crate::read::schema::{Shape, pattern};

use super::SocketPath;
use super::way::{CLEAR_TEXT, CONTROL_URL, PROXY, TLS};

/// Whether it is the embedded runtime.
pub(in crate::read) const KIND: KeyOr<Words<bool>> = Key::new(
    "kind",
    Words(&[("reference", true), ("url", false)]),
    "kind = \"url\"",
    "`reference`: the embedded runtime, started for the run as a child process. `url`: \
     something that is there already.",
)
.or(true);
pub(super) const URL: Key<Raw> = Key::new(
    "url",
    Raw(|| Shape::Matching(pattern::whole(r"https?://[^\s/?#@]+/*"))),
    "url = \"http://127.0.0.1:4000\"",
    "Base url of a target of kind `url`: scheme, host and port, such as \
     `http://127.0.0.1:4000`. Another host than this machine needs an entry in an allow file.",
);
pub(crate) const DEFECTS: Key<Raw> = Key::new(
    "defects",
    Raw(|| Shape::Texts),
    "defects = [\"drop_nth,0.1\"]",
    "Defects of the embedded runtime, each `NAME[,probability][,after=N]`; a wrong name \
     with `--defect` lists them.",
);
pub(super) const TOPICS: Key<Raw> = Key::new(
    "topics",
    Raw(|| Shape::Named(KNOWN.iter().map(|topic| topic.name).collect(), "topic")),
    "[target.topics.\"runtime.codex_worker_events\"]",
    "What the embedded runtime retains, by topic: `[target.topics.\"runtime.…\"]`. Of a target by URL see `retains`.",
);
pub(super) const RETAINS: Key<Raw> = Key::new(
    "retains",
    Raw(|| Shape::Named(KNOWN.iter().map(|topic| topic.name).collect(), "topic")),
    "[target.retains.\"runtime.codex_worker_events\"]",
    "What a target by URL retains and replays, by topic: `[target.retains.\"runtime.…\"]`. It is what counts where the \
     target itself shows neither: no metrics, and cursor 0 is served. Default: nothing is known of it.",
);
pub(super) const LANE: KeyOr<Words<Lane>> =
    Key::new("lane", Words(&[("ws", Lane::Ws)]), "lane = \"ws\"", "Lane that the clients use.")
        .or(Lane::Ws);
pub(super) const SOCKET_PATH: KeyOr<SocketPath> = Key::new(
    "socket_path",
    SocketPath,
    "socket_path = \"/socket/websocket\"",
    "Path of the socket, without a query.",
)
// At the public edge (contract, section 3).
.or("/sync/socket/websocket");
/// Where the embedded runtime has its socket: at the public edge, and where a runtime itself has it.
pub(super) const EMBEDDED_SOCKET_PATHS: [&str; 2] = [PUBLIC_SOCKET_PATH, RUNTIME_SOCKET_PATH];
pub(super) const CLIENT_BUILD_ID: Key<Text> = Key::new(
    "client_build_id",
    Text,
    "client_build_id = \"20260301T000000Z\"",
    "Build that the clients say they are, for a target that serves some builds alone (contract, \
     section 3, \"Compatibility\"). Default: the harness's version.",
);
const TIMEOUTS: Within<Duration> = Within(Duration::from_millis(10), Duration::from_secs(600));
pub(super) const CONNECT_TIMEOUT: KeyOr<Within<Duration>> = Key::new(
    "connect_timeout",
    TIMEOUTS,
    "connect_timeout = \"2s\"",
    "How long a connect may take, upgrade included.",
)
.or(Duration::from_secs(5));
pub(super) const REQUEST_TIMEOUT: KeyOr<Within<Duration>> = Key::new(
    "request_timeout",
    TIMEOUTS,
    "request_timeout = \"5s\"",
    "How long an HTTP request, a join or a subscribe may take.",
)
.or(Duration::from_secs(10));
pub(in crate::read) const EXCLUSIVE: Key<Bool> = Key::new(
    "exclusive",
    Bool,
    "exclusive = true",
    "Whether nobody else writes to it, so that every event must be ours. Default: `true` \
     for the embedded runtime, else `false`, which needs `--allow-shared-writes`.",
);
pub(super) const APPLY: KeyOr<Words<Push>> = Key::new(
    "apply",
    Words(&[("frame", Push::Frame), ("update_batch", Push::UpdateBatch)]),
    "apply = \"update_batch\"",
    "Which of the two pushes of a batch the clients apply: `sync:frame` or the legacy \
     `sync:update_batch`.",
)
.or(Push::Frame);
pub(super) const SNAPSHOT: Key<Words<SnapshotPath>> = Key::new(
    "snapshot",
    Words(&[("http", SnapshotPath::Http), ("reset", SnapshotPath::Reset)]),
    "snapshot = \"reset\"",
    "How a client bootstraps a stale topic that has a snapshot. `http`: fetch it, resume \
     after it. `reset`: subscribe without a cursor. Default: `http` for the embedded \
     runtime, else `reset`.",
);
pub(super) const SLOW_CONSUMER: Key<Raw> = Key::new(
    "slow_consumer",
    Raw(|| Shape::Table("slow_consumer")),
    "[target.slow_consumer]",
    "What the target does with clients that cannot keep up: the embedded runtime is \
     started with it, of another it is expected.",
);
pub(super) const BUILD_HEADER: Key<Raw> = Key::new(
    "build_header",
    Raw(|| Shape::Matching(pattern::whole("[A-Za-z0-9_-]+"))),
    "build_header = \"x-build\"",
    "Header that says the target's build, of the answer to `GET /healthz` and of those to upgrades: sockets of \
     another build, or of none, are told with their share, and make a stage a HOLD.",
);
pub(super) const BUILD_COMMAND: Key<Raw> = Key::new(
    "build_command",
    Raw(|| Shape::Command),
    "build_command = [\"cat\", \"BUILD\"]",
    "Program and arguments whose first line says the target's build, for the evidence; no \
     shell is asked.",
);
/// Close codes that a target may be allowed beside the contract's.
pub(super) const CLOSE_CODE: Within<u64> = Within(1000, 4999);
pub(super) const CLOSE_CODES: Key<Raw> = Key::new(
    "close_codes",
    Raw(|| Shape::List(Box::new(Shape::Integer(CLOSE_CODE.0, CLOSE_CODE.1)), 0)),
    "close_codes = [4001, 1005]",
    "Close codes that the target may send beside the contract's (1000, 1002, 1011, 1012); \
     1005 stands for a close frame without a code.",
);
pub(super) const ADMIN_TOKEN: Key<Raw> = Key::new(
    "admin_token",
    Raw(opening_shape),
    "admin_token = { env = \"RUNTIME_ADMIN_TOKEN\" }",
    "Where the bearer of the operators' view of a target by URL is, never the token itself. \
     Default: the environment variables KHALA_TARGET_ADMIN_TOKEN, RUNTIME_ADMIN_TOKEN.",
);
pub(super) const COMMAND_SECRET: Key<Raw> = Key::new(
    "command_secret",
    Raw(opening_shape),
    "command_secret = { file = \"command.key\" }",
    "Where the secret is with which commands to a target by URL are signed, never the secret \
     itself. Default: the environment variables KHALA_TARGET_COMMAND_SECRET, \
     RUNTIME_SIGNATURE_SECRET, KHALA_REFERENCE_SIGNATURE_SECRET.",
);
pub(super) const HEADERS: Key<Raw> = Key::new(
    "headers",
    Raw(|| Shape::Extras),
    "headers = { x-route = \"canary\" }",
    "Headers that every upgrade and HTTP request has beside its own, by name: a text, or where a \
     secret is. What a request sets itself goes before them.",
);
pub(super) const QUERY: Key<Raw> = Key::new(
    "query",
    Raw(|| Shape::Extras),
    "query = { region = \"eu\" }",
    "Parameters that every upgrade and HTTP request has in its query beside its own, by name: a \
     text, or where a secret is.",
);
pub(super) const MESSAGE_MAX: KeyOr<Within<Bytes>> = Key::new(
    "message_max",
    Within(Bytes(64 << 10), Bytes(256 << 20)),
    "message_max = \"4MiB\"",
    "Longest message that the clients take; a longer one breaks `ws_protocol`. An assumption \
     where the real client states none.",
)
// More than the documented 2 MiB a batch. An assumption.
.or(Bytes(16 << 20));
pub(super) const DENSE_STATES: KeyOr<Bool> = Key::new(
    "dense_states",
    Bool,
    "dense_states = true",
    "Whether the seqs of state topics are dense, as those of streams are: a missing one then \
     breaks `gap` there too.",
)
.or(false);
pub(super) const FINDINGS_ARE_RULES: Key<Raw> = Key::new(
    "findings_are_rules",
    Raw(|| {
        let names = FINDINGS.iter().map(|finding| finding.name).collect();
        Shape::List(Box::new(Shape::Words(names)), 0)
    }),
    "findings_are_rules = [\"holes\"]",
    "Findings that break a rule on this target; the contract is silent on them.",
);
pub(super) const COMMAND: Key<Raw> = Key::new(
    "command",
    Raw(|| Shape::Command),
    "command = [\"./publish\"]",
    "Program and arguments that carry a command out, with `commands = \"command\"`, once for each: on standard input \
     its body, in KHALA_COMMAND_PATH the contract's path, in KHALA_COMMAND_USER the user, in KHALA_TARGET_URL the \
     target; on standard output the contract's answer, and exit code 0 where it was taken.",
);
pub(super) const MAY_BE_DONE: Key<Raw> = Key::new(
    "allows",
    Raw(|| Shape::List(Box::new(Shape::Words(ALLOWS.to_vec())), 1)),
    "allows = [\"reads\", \"writes\"]",
    "What `conform` and `doctor` may do to it, whoever asks: open sockets and subscribe, create workers and publish, \
     revoke sessions that they made up, publish much and not read. Default: what `--allow` and `--allow-writes` say.",
);
/// Also read where the rest of the scenario is held against it.
pub(in crate::read) const COMMANDS: KeyOr<Words<CommandPath>> = Key::new(
    "commands",
    Words(&[
        ("codex-workers", CommandPath::CodexWorkers),
        ("command", CommandPath::Command),
        ("none", CommandPath::None),
    ]),
    "commands = \"none\"",
    "On which way commands go to it. `codex-workers`: the contract's HTTP path of workers, signed. `command`: \
     a program of yours, `target.command`, with `--allow-hooks` alone. `none`: \
     the run is passive. It sends no command, makes no worker, and judges the traffic of others; what writes \
     is refused.",
)
.or(CommandPath::CodexWorkers);
/// As many clients as one may have beside real ones without asking anybody. An assumption.
pub(super) const PASSIVE_CLIENTS_MAX: u32 = 100;
/// As many connects a second as hardly show beside those of real clients. An assumption.
pub(super) const PASSIVE_CONNECT_RATE_MAX: f64 = 5.0;
pub(in crate::read) const CLIENTS_MAX: Key<Within<u32>> = Key::new(
    "clients_max",
    Within(1, 1_000_000),
    "clients_max = 500",
    "Most clients that a run against it may have. Default: 100 with `commands = \"none\"`, else as many as \
     the scenario wants.",
)
.unit("clients");
pub(in crate::read) const CONNECT_RATE_MAX: Key<Within<Rate>> = Key::new(
    "connect_rate_max",
    Within(Rate(0.01), Rate(100_000.0)),
    "connect_rate_max = \"20/s\"",
    "Most connects that are begun in a second, over all clients: arrivals must keep it, and returns wait \
     their turn. Default: `5/s` with `commands = \"none\"`, else no bound.",
);
pub(super) const STABILITY: Key<Raw> = Key::new(
    "stability",
    Raw(|| Shape::Table("stability")),
    "[target.stability]",
    "What unplanned incidents the target is known for; the scenario's `[stability]` goes \
     before it.",
);

/// `[target]`
pub(crate) const TABLE: Table = Table::new(
    "target",
    "`[target]`",
    "What is tested.",
    &[
        &KIND,
        &URL,
        &DEFECTS,
        &TOPICS,
        &RETAINS,
        &LANE,
        &SOCKET_PATH,
        &CLIENT_BUILD_ID,
        &CONNECT_TIMEOUT,
        &REQUEST_TIMEOUT,
        &EXCLUSIVE,
        &APPLY,
        &SNAPSHOT,
        &SLOW_CONSUMER,
        &BUILD_HEADER,
        &BUILD_COMMAND,
        &CLOSE_CODES,
        &ADMIN_TOKEN,
        &COMMANDS,
        &COMMAND,
        &COMMAND_SECRET,
        &CLIENTS_MAX,
        &CONNECT_RATE_MAX,
        &HEADERS,
        &QUERY,
        &MESSAGE_MAX,
        &DENSE_STATES,
        &FINDINGS_ARE_RULES,
        &MAY_BE_DONE,
        &CONTROL_URL,
        &PROXY,
        &CLEAR_TEXT,
        &TLS,
        &STABILITY,
    ],
)
.cases(|| vec![Case::when(&KIND, ["url"]).needs(&URL)]);

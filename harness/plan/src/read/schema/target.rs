//! `[target]` and its tables.

use khala_wire::topic::KNOWN;

use super::pattern;
use super::shape::Shape;
use super::table::{Case, Key, Table};
use crate::metric::FINDINGS;
use crate::read::target::{
    CLOSE_CODES, CONNECT_TIMEOUT, KINDS, LANES, MESSAGE_MAX, MESSAGE_MAXES, PUSHES,
    REQUEST_TIMEOUT, SNAPSHOTS, SOCKET_PATH, TIMEOUTS,
};
use crate::read::{retention, slowness};
use crate::units::{format_bytes, format_duration};

/// Every table of the section.
pub(super) fn tables() -> Vec<Table> {
    vec![target(), slow_consumer(), topic()]
}

fn target() -> Table {
    let topics = KNOWN.iter().map(|topic| topic.name).collect();
    let keys = vec![
        Key::new(
            "kind",
            Shape::words(&KINDS),
            "`reference`: the embedded runtime, started for the run as a child process. `url`: \
             something that is there already.",
        )
        .or("reference"),
        Key::new(
            "url",
            Shape::Matching(pattern::whole(r"http://[^\s/?#@]+/*")),
            "Base url of a target of kind `url`: scheme, host and port, such as \
             `http://127.0.0.1:4000`. Load goes to this machine only.",
        ),
        Key::new(
            "defects",
            Shape::Texts,
            "Defects of the embedded runtime, each `NAME[,probability][,after=N]`; a wrong name \
             with `--defect` lists them.",
        ),
        Key::new(
            "topics",
            Shape::Named(topics, "topic"),
            "What the embedded runtime retains, by topic: `[target.topics.\"runtime.…\"]`.",
        ),
        Key::new("lane", Shape::words(&LANES), "Lane that the clients use.").or("ws"),
        Key::new(
            "socket_path",
            Shape::Matching(pattern::whole(r"/[^\s?#]*")),
            "Path of the socket, without a query.",
        )
        .or(SOCKET_PATH),
        Key::new(
            "connect_timeout",
            Shape::Duration(TIMEOUTS),
            "How long a connect may take, upgrade included.",
        )
        .or(format_duration(CONNECT_TIMEOUT)),
        Key::new(
            "request_timeout",
            Shape::Duration(TIMEOUTS),
            "How long an HTTP request, a join or a subscribe may take.",
        )
        .or(format_duration(REQUEST_TIMEOUT)),
        Key::new(
            "exclusive",
            Shape::Bool,
            "Whether nobody else writes to it, so that every event must be ours. Default: `true` \
             for the embedded runtime, else `false`, which needs `--allow-shared-writes`.",
        ),
        Key::new(
            "apply",
            Shape::words(&PUSHES),
            "Which of the two pushes of a batch the clients apply: `sync:frame` or the legacy \
             `sync:update_batch`.",
        )
        .or("frame"),
        Key::new(
            "snapshot",
            Shape::words(&SNAPSHOTS),
            "How a client bootstraps a stale topic that has a snapshot. `http`: fetch it, resume \
             after it. `reset`: subscribe without a cursor. Default: `http` for the embedded \
             runtime, else `reset`.",
        ),
        Key::new(
            "slow_consumer",
            Shape::Table("slow_consumer"),
            "What the target does with clients that cannot keep up: the embedded runtime is \
             started with it, of another it is expected.",
        ),
        Key::new(
            "stability",
            Shape::Table("stability"),
            "What unplanned incidents the target is known for; the scenario's `[stability]` goes \
             before it.",
        ),
        Key::new(
            "build_header",
            Shape::Matching(pattern::whole("[A-Za-z0-9_-]+")),
            "Header of the answer to `GET /healthz` that says the target's build, for the evidence.",
        ),
        Key::new(
            "build_command",
            Shape::Command,
            "Program and arguments whose first line says the target's build, for the evidence; no \
             shell is asked.",
        ),
        Key::new(
            "close_codes",
            Shape::List(Box::new(Shape::integer(CLOSE_CODES)), 0),
            "Close codes that the target may send beside the contract's (1000, 1002, 1011, 1012); \
             1005 stands for a close frame without a code.",
        ),
        Key::new(
            "message_max",
            Shape::Size(MESSAGE_MAXES),
            "Longest message that the clients take; a longer one breaks `ws_protocol`. An assumption \
             where the real client states none.",
        )
        .or(format_bytes(MESSAGE_MAX.0.into())),
        Key::new(
            "admin_token",
            Shape::Whole("secret".to_owned()),
            "Where the bearer of the operators' view of a target by URL is, never the token itself. \
             Default: the environment variables KHALA_TARGET_ADMIN_TOKEN, RUNTIME_ADMIN_TOKEN.",
        ),
        Key::new(
            "command_secret",
            Shape::Whole("secret".to_owned()),
            "Where the secret is with which commands to a target by URL are signed, never the secret \
             itself. Default: the environment variables KHALA_TARGET_COMMAND_SECRET, \
             RUNTIME_SIGNATURE_SECRET, KHALA_REFERENCE_SIGNATURE_SECRET.",
        ),
        Key::new(
            "headers",
            Shape::Extras,
            "Headers that every upgrade and HTTP request has beside its own, by name: a text, or where a \
             secret is. What a request sets itself goes before them.",
        ),
        Key::new(
            "query",
            Shape::Extras,
            "Parameters that every upgrade and HTTP request has in its query beside its own, by name: a \
             text, or where a secret is.",
        ),
        Key::new(
            "dense_states",
            Shape::Bool,
            "Whether the seqs of state topics are dense, as those of streams are: a missing one then \
             breaks `gap` there too.",
        )
        .or(false),
        Key::new(
            "findings_are_rules",
            Shape::List(
                Box::new(Shape::Words(FINDINGS.iter().map(|finding| finding.name).collect())),
                0,
            ),
            "Findings that break a rule on this target; the contract is silent on them.",
        ),
    ];
    Table::new("target", "What is tested.", keys).case(Case::when("kind", ["url"]).needs("url"))
}

fn slow_consumer() -> Table {
    let keys = vec![
        Key::new(
            "queue_limit",
            Shape::integer(slowness::QUEUE_LIMITS),
            "Events that may wait for a socket.",
        )
        .or(slowness::QUEUE_LIMIT),
        Key::new(
            "max_strikes",
            Shape::integer(slowness::STRIKES),
            "Strikes at which a client is disconnected.",
        )
        .or(slowness::MAX_STRIKES),
        Key::new(
            "send_buffer",
            Shape::Size(slowness::SEND_BUFFERS),
            "`SO_SNDBUF` of the embedded runtime's sockets. Default: the kernel's, which swallows \
             minutes of traffic before slowness shows.",
        ),
        Key::new(
            "kernel_buffer",
            Shape::Size(slowness::SEND_BUFFERS),
            "What the kernel may hold for one socket of a target by URL, whose send buffer the harness \
             cannot set: when an eviction is due is computed from it.",
        )
        .or(format_bytes(slowness::KERNEL_BUFFER.0.into())),
    ];
    let doc = "Limits for slow consumers (contract, section 3).";
    Table::new("slow_consumer", doc, keys)
}

fn topic() -> Table {
    let keys = vec![
        Key::new(
            "retain_events",
            Shape::integer(retention::EVENTS),
            "Events retained at most. Default: no limit of this kind.",
        ),
        Key::new(
            "replay_budget_events",
            Shape::integer(retention::EVENTS),
            "Replay budget, in events behind head. Default: the contract's for the topic.",
        ),
    ];
    let doc = "What the embedded runtime retains of a topic.";
    Table::new("topic", doc, keys)
}

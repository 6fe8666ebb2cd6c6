//! Faults as the engine reads them: what is done, when, and to whom.

use std::time::Duration;

use khala_wire::topic::TopicId;
use serde::{Deserialize, Serialize};

use crate::fault::hook::Hook;

/// One planned fault.
#[derive(Clone, Debug, PartialEq)]
pub struct Fault {
    /// What is done.
    pub kind: FaultKind,
    /// From the start of its phase.
    pub at: Duration,
    /// How long an interval lasts; `None` for instants.
    pub duration: Option<Duration>,
    /// Over how long it comes to its clients, one after the other; `None` is all at once.
    pub spread: Option<Duration>,
    /// To whom, among the cohort it is aimed at.
    pub mode: FaultMode,
    /// Cohort it is aimed at, by name; `None` is the whole fleet.
    pub cohort: Option<String>,
}

/// What a fault acts on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ActsOn {
    /// Clients, one by one.
    Clients,
    /// The target, as a whole.
    Target,
}

/// What a fault does. One variant a type; attributes are the variant's fields, and serialise as the
/// scenario writes them.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub enum FaultKind {
    /// Cuts sockets, at an instant.
    Disconnect {
        /// How the cut looks to the target.
        #[serde(flatten)]
        style: DisconnectStyle,
    },
    /// Resets sockets at an instant; the clients stay away and come back with an old cursor.
    Offline {
        /// How long they stay away; the surface's back-off counts only from then on.
        #[serde(serialize_with = "crate::units::serialize_duration")]
        offline_for: Duration,
        /// The cursor that they come back with.
        resume: Resume,
    },
    /// An interval in which clients read slowly or not at all. Their sockets are made with a small
    /// receive buffer from the first connect on, or the kernel would read for them.
    SlowReader {
        /// Bytes read per second; `None` reads nothing (`pause`).
        #[serde(flatten, serialize_with = "crate::fault::slow_reader::serialize_reading")]
        rate_bytes_per_s: Option<u32>,
        /// `SO_RCVBUF` in bytes, set before connect.
        #[serde(rename = "rcvbuf", serialize_with = "crate::units::serialize_bytes")]
        rcvbuf_bytes: u32,
    },
    /// Unsubscribes at an instant, and subscribes again after a while with the cursor kept.
    Unsubscribe {
        /// The topics.
        #[serde(serialize_with = "crate::fault::unsubscribe::serialize_topics")]
        topics: Vec<TopicId>,
        /// How long they stay unsubscribed.
        #[serde(serialize_with = "crate::units::serialize_duration")]
        unsubscribed_for: Duration,
    },
    /// Closes sockets at an instant; the clients come back with a cursor that is not theirs.
    Cursor {
        /// Which one.
        #[serde(flatten)]
        cursor: ChosenCursor,
    },
    /// Tries a bad token at an instant, on a socket beside the client's own.
    Token {
        /// What is wrong with it.
        kind: BadToken,
    },
    /// Revokes sessions at an instant: the sockets must end, and joins be refused. The clients come
    /// back with a new session after a while.
    RevokeSessions {
        /// How long they stay away; the revoked session is tried meanwhile.
        #[serde(serialize_with = "crate::units::serialize_duration")]
        revoked_for: Duration,
    },
    /// Sends a command at an instant, over a socket beside the client's own.
    CommandOverSocket,
    /// Publishes on top of the first load for a moment.
    PublishBurst {
        /// How many events.
        events: u32,
        /// Over how long, at equal gaps.
        #[serde(serialize_with = "crate::units::serialize_duration")]
        over: Duration,
    },
    /// Ends the target's process at an instant and starts it again, with its state. Only of a target
    /// that the harness starts itself.
    Restart {
        /// How it ends.
        signal: RestartSignal,
    },
    /// Prunes a topic of the target at an instant; the reference runtime has a hook for it.
    RetentionTrim {
        /// The topic.
        #[serde(serialize_with = "crate::fault::retention_trim::serialize_topic")]
        topic: TopicId,
        /// Events kept; 0 prunes it empty.
        keep: u64,
    },
    /// Runs a command of the user's.
    Hook(Hook),
}

/// The cursor with which an offline client comes back, of each of its topics. All but `kept` are
/// computed from the target's own window (oldest, head, budget) as read just before the return, so
/// they mean what they say only while nothing is published.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Resume {
    /// What it had applied.
    Kept,
    /// One below the retention floor: stale.
    BelowFloor,
    /// Exactly at the floor: fresh.
    AtFloor,
    /// One further behind head than the replay budget: stale.
    BeyondBudget,
    /// Exactly the budget behind head: fresh.
    AtBudget,
}

/// The cursor with which the clients of a `cursor` fault come back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ChosenCursor {
    /// So many events behind what the client had applied.
    StaleBy(u64),
    /// So many events beyond the highest that any client has seen.
    FutureBy(u64),
    /// None of the contract.
    Garbage(Garbage),
}

/// How a process is ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum RestartSignal {
    /// It is asked to end.
    Term,
    /// It is given no time.
    Kill,
}

/// What is written where a cursor belongs. The contract has `bad_subscription` for each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Garbage {
    /// A negative number.
    Negative,
    /// A number as text.
    Text,
    /// One number for all topics, in place of the list.
    Number,
}

impl FaultKind {
    /// The type's name in a scenario.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Disconnect { .. } => "disconnect",
            Self::Offline { .. } => "offline",
            Self::SlowReader { .. } => "slow_reader",
            Self::Unsubscribe { .. } => "unsubscribe",
            Self::Cursor { .. } => "cursor",
            Self::Token { .. } => "token",
            Self::RevokeSessions { .. } => "revoke_sessions",
            Self::CommandOverSocket => "command_over_socket",
            Self::Restart { .. } => "restart",
            Self::RetentionTrim { .. } => "retention_trim",
            Self::PublishBurst { .. } => "publish_burst",
            Self::Hook(_) => "hook",
        }
    }

    /// Whether it opens sockets beside the clients' own.
    #[must_use]
    pub fn opens_asides(&self) -> bool {
        matches!(self, Self::Token { .. } | Self::RevokeSessions { .. } | Self::CommandOverSocket)
    }

    /// The commands of the user's that it runs: what each is for, and its words.
    #[must_use]
    pub fn commands(&self) -> Vec<(&'static str, &[String])> {
        match self {
            Self::Hook(hook) => hook.commands().collect(),
            _ => Vec::new(),
        }
    }

    /// What it acts on.
    #[must_use]
    pub fn acts_on(&self) -> ActsOn {
        match self {
            Self::Restart { .. }
            | Self::RetentionTrim { .. }
            | Self::PublishBurst { .. }
            | Self::Hook(_) => ActsOn::Target,
            _ => ActsOn::Clients,
        }
    }
}

/// What is wrong with a token (contract, section 2). Each must be refused, but for those that were good
/// once and on which the contract is silent: see [`BadToken::finding`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BadToken {
    /// Its time is over.
    Expired,
    /// Its time begins later than any skew explains.
    NotYetValid,
    /// Signed with another key under the right id.
    BadSignature,
    /// Not signed at all: `alg` is `none`.
    AlgNone,
    /// Signed with the right key under an id that nobody knows.
    UnknownKid,
    /// Of a session that was revoked.
    Revoked,
    /// Good, but it opens none, or not all, of the topics that are subscribed to.
    WrongScope,
    /// Good, and expires while the socket that it opened lives on. The contract is silent on it.
    Expires,
    /// Good, and its device is revoked while the socket that it opened lives on. The contract is silent
    /// on it.
    RevokedDevice,
}

impl BadToken {
    /// Its name in a scenario.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Expired => "expired",
            Self::NotYetValid => "not_yet_valid",
            Self::BadSignature => "bad_signature",
            Self::AlgNone => "alg_none",
            Self::UnknownKid => "unknown_kid",
            Self::Revoked => "revoked",
            Self::WrongScope => "wrong_scope",
            Self::Expires => "expires",
            Self::RevokedDevice => "revoked_device",
        }
    }

    /// The finding that its acceptance is, of [`FINDINGS`](crate::metric::FINDINGS), where the contract is
    /// silent on it; `None` where it must be refused.
    #[must_use]
    pub fn finding(self) -> Option<&'static str> {
        match self {
            Self::Expires => Some("expired_token_lives"),
            Self::RevokedDevice => Some("revoked_device_lives"),
            _ => None,
        }
    }

    /// The step at which it must be refused at the latest; where the contract is silent, a step that would
    /// show it enforced.
    #[must_use]
    pub fn refused_at(self) -> Step {
        match self {
            Self::Expired
            | Self::NotYetValid
            | Self::BadSignature
            | Self::AlgNone
            | Self::UnknownKid => Step::Upgrade,
            Self::Revoked | Self::RevokedDevice => Step::Join,
            Self::WrongScope => Step::Subscribe,
            Self::Expires => Step::Heartbeat,
        }
    }
}

/// The steps of a client on its way to a topic, in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Step {
    /// The WebSocket upgrade.
    Upgrade,
    /// `phx_join`.
    Join,
    /// `sync:subscribe`.
    Subscribe,
    /// `sync:heartbeat`, over the socket that the steps before it led to.
    Heartbeat,
}

/// How a disconnect looks to the target.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "style", rename_all = "snake_case")]
pub enum DisconnectStyle {
    /// A close frame with this code, then FIN.
    Close {
        /// Close code, 1000 to 4999.
        #[serde(rename = "close_code")]
        code: u16,
    },
    /// RST, as when a load balancer dies.
    Reset,
    /// Nothing at all: neither side is told, and the client notices at a heartbeat.
    HalfOpen,
}

/// To whom a fault happens (names as Chaos Mesh has them).
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum FaultMode {
    /// One client, drawn by seed.
    One,
    /// Every client.
    All,
    /// This many clients, drawn by seed.
    Fixed(u32),
    /// This share of the clients, 0 to 100, drawn by seed.
    FixedPercent(f64),
    /// A share of the clients drawn by seed between 0 and this, then clients drawn by seed.
    RandomMaxPercent(f64),
}

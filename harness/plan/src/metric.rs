//! The metric catalogue: every name a gate may use, with unit and kind.
//!
//! A new metric is one variant and one row here; the estimator of a gate follows from the kind.

use serde::{Deserialize, Serialize};

use crate::fault::Exercise;

/// What kind of figure a metric is; decides which estimators it has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MetricKind {
    /// Microseconds, in histograms; `p(q)` and `max`.
    Latency,
    /// Events in histograms (no time); `p(q)` and `max`.
    Magnitude,
    /// Bad over all; `proportion`, and `count` of the bad.
    Proportion,
    /// Occurrences over time; `rate`, and `count`.
    Rate,
    /// Occurrences; `count`.
    Count,
    /// One p99 over another; `ratio`.
    Ratio,
}

impl MetricKind {
    /// Every kind.
    pub const ALL: [Self; 6] =
        [Self::Latency, Self::Magnitude, Self::Proportion, Self::Rate, Self::Count, Self::Ratio];

    /// The name that reports use.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Latency => "latency",
            Self::Magnitude => "magnitude",
            Self::Proportion => "proportion",
            Self::Rate => "rate",
            Self::Count => "count",
            Self::Ratio => "ratio",
        }
    }
}

/// What is resampled for the interval of a percentile, and what hangs together for a design effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Clustering {
    /// The metric flows all the time: samples of one second hang together, and so do neighbouring seconds.
    Seconds,
    /// The metric comes of occasions, some of each client: samples of one client hang together; clients are
    /// hashed into groups.
    Clients,
}

macro_rules! catalogue {
    ($($variant:ident $name:literal $kind:ident $clustering:ident $doc:literal;)*) => {
        /// A metric of the catalogue.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[derive(schemars::JsonSchema)]
        pub enum MetricId {
            $(#[doc = $doc] #[serde(rename = $name)] $variant,)*
        }

        impl MetricId {
            /// Every metric, in the order of the catalogue.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The name that scenarios and reports use.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            /// Its kind.
            #[must_use]
            pub fn kind(self) -> MetricKind {
                match self { $(Self::$variant => MetricKind::$kind,)* }
            }

            /// How its samples hang together.
            #[must_use]
            pub fn clustering(self) -> Clustering {
                match self { $(Self::$variant => Clustering::$clustering,)* }
            }

            /// What it measures, in a sentence.
            #[must_use]
            pub fn definition(self) -> &'static str {
                match self { $(Self::$variant => $doc,)* }
            }
        }
    };
}

catalogue! {
    TokenMint "token_mint" Latency Clients
        "From the intended start of a token request to its answer.";
    Connect "connect" Latency Clients
        "From the intended start of a connect to the WebSocket upgrade's answer.";
    TlsHandshake "tls_handshake" Latency Clients
        "From the TCP connection of a client to the end of its TLS handshake.";
    Join "join" Latency Clients
        "From the join that was sent to its reply.";
    Subscribe "subscribe" Latency Clients
        "From the subscribe that was sent to its reply, replay included.";
    ReplayBootstrap "replay_bootstrap" Latency Clients
        "From the intended start of a client's first try to connect to replay complete and at head on every topic.";
    ResumeToLive "resume_to_live" Latency Clients
        "From the subscribe with a cursor to replay complete.";
    TimeToRecovered "time_to_recovered" Latency Clients
        "From the fault that cut a client off to replay complete and at head on every topic; how long the fault keeps it away, and its back-off, are part of it.";
    Delivery "delivery" Latency Seconds
        "From a publish's intended time to its arrival at a live client that no fault ever makes slow.";
    DeliverySpread "delivery_spread" Latency Seconds
        "From the first arrival of an event of a stream at any client to its last arrival at a client that was live by then and that no fault ever makes slow; one sample for each event and surface that two clients got, whoever published it.";
    BystanderRatio "bystander_ratio" Ratio Seconds
        "p99 of `delivery` during the objective's phases over that of the phases it is held `against`.";
    Snapshot "snapshot" Latency Clients
        "From a snapshot's request to its whole answer.";
    ReplayLag "replay_lag" Magnitude Clients
        "Events between the cursor of a resume and the highest seq that any client had seen, for each topic; resumes of clients that a fault made slow are left out.";
    UnplannedStale "unplanned_stale_cursors" Count Clients
        "Topics of resumes that were refused with stale_cursor although no fault planned it; clients that a fault made slow are left out.";
    HeartbeatRtt "heartbeat_rtt" Latency Seconds
        "From a heartbeat's intended time to its reply.";
    Publish "publish" Latency Seconds
        "From a publish's intended time to the command's answer.";
    ReconnectAttempts "reconnect_attempts" Magnitude Clients
        "Connect attempts that a client needed from a cut to recovered.";
    AuthErrors "auth_errors" Proportion Clients
        "Connects and mints refused for the token, over all attempts.";
    MintErrors "mint_errors" Proportion Clients
        "Token requests that failed, over all token requests.";
    ConnectErrors "connect_errors" Proportion Clients
        "Connects that were refused, broke or were not answered, over all connects; what the harness ended or had no means for is left out.";
    TopicErrors "topic_errors" Proportion Clients
        "Joins and subscribes that were refused or not answered, over all of them.";
    PublishErrors "publish_errors" Proportion Seconds
        "Commands that were refused or not answered, over all commands.";
    HeartbeatTimeouts "heartbeat_timeouts" Rate Clients
        "Heartbeats without an answer by the next one, per second over the fleet; clients that are kept from reading are left out.";
    Reconnects "reconnects" Rate Clients
        "Connects after the first of a client that no fault planned, per second over the fleet.";
    Unrecovered "unrecovered_clients" Count Clients
        "Clients that a fault cut off and that had not recovered by the end of the phase.";
    PeakConnects "peak_connects_per_s" Count Seconds
        "Connect attempts begun in the busiest second.";
    Violations "violations" Count Seconds
        "Violations of oracle rules; `where.rule` selects one.";
}

impl MetricId {
    /// The metric of this name.
    #[must_use]
    pub fn of(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|metric| metric.name() == name)
    }

    /// Labels that an objective's `where` may name.
    #[must_use]
    pub fn labels(self) -> &'static [&'static str] {
        match self {
            Self::Publish | Self::PublishErrors => &[],
            Self::Violations => &["rule"],
            _ => &["surface"],
        }
    }
}

/// What judges how soon a state comes, of which versions may be skipped.
pub const FOR_STATES: &str = "`violations` with `where = { rule = \"state_stale\" }`";

impl MetricId {
    /// Whether its samples are events of streams, so that a client without a stream has none.
    #[must_use]
    pub fn is_of_streams(self) -> bool {
        matches!(self, Self::Delivery | Self::DeliverySpread | Self::BystanderRatio)
    }
}

impl MetricId {
    /// Whether it is settled when all threads' records have come together, so that it is of no second.
    #[must_use]
    pub fn is_settled_at_end(self) -> bool {
        matches!(self, Self::DeliverySpread)
    }
}

impl MetricId {
    /// Whether one occurrence is wrong whenever it happens: where an objective names no phase, the
    /// ramp and the drain count too.
    #[must_use]
    pub fn is_wrong_at_any_time(self) -> bool {
        matches!(
            self,
            Self::Violations
                | Self::AuthErrors
                | Self::MintErrors
                | Self::ConnectErrors
                | Self::TopicErrors
                | Self::UnplannedStale
        )
    }
}

impl MetricId {
    /// The unit of its figures, as people say it.
    #[must_use]
    pub fn unit(self) -> &'static str {
        match self {
            Self::ReplayLag => "events",
            Self::ReconnectAttempts => "attempts",
            Self::UnplannedStale => "topics of resumes",
            Self::Unrecovered => "clients",
            Self::PeakConnects => "connects in a second",
            Self::Violations => "violations",
            _ => match self.kind() {
                MetricKind::Latency => "microseconds",
                MetricKind::Magnitude | MetricKind::Count => "occurrences",
                MetricKind::Proportion => "share, 0 to 1",
                MetricKind::Rate => "per second",
                MetricKind::Ratio => "none",
            },
        }
    }
}

/// A finding that a target's key can turn into a rule: the contract is silent on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FindingRule {
    /// The finding's name.
    pub name: &'static str,
    /// The rule that it breaks, of [`RULES`], where `target.findings_are_rules` names it.
    pub rule: &'static str,
    /// What was seen, in a sentence.
    pub what: &'static str,
}

macro_rules! findings {
    ($($name:literal breaks $rule:literal: $what:literal;)*) => {
        /// Findings that a target's key can turn into a rule (`target.findings_are_rules`).
        pub const FINDINGS: &[FindingRule] =
            &[$(FindingRule { name: $name, rule: $rule, what: $what },)*];
    };
}

findings! {
    "holes" breaks "gap":
        "A seq that nobody saw, and that no acknowledged publish can claim.";
    "expired_token_lives" breaks "authz_leak":
        "A heartbeat was answered ok that was sent longer than the settle bound after the socket's token had expired.";
    "revoked_device_lives" breaks "authz_leak":
        "A heartbeat was answered ok that was sent longer than the settle bound after the socket's device had been revoked, or a new join of that device was accepted.";
    "future_cursor_accepted" breaks "false_replay_complete":
        "A subscribe with a cursor beyond head was answered ok: replay complete up to what does not exist.";
    "future_cursor_silence" breaks "gap":
        "Acknowledged events, begun after a cursor beyond head had been accepted, did not come within the settle bound to the client that had given it.";
    "update_over_limit" breaks "malformed_message":
        "An update of more than 256 KiB came.";
    "batch_over_limit" breaks "malformed_message":
        "A batch of more than 200 updates, or of more than 2 MiB, came.";
    "publish_over_limit" breaks "malformed_message":
        "A command whose payload is over the limit of its topic's class was acknowledged and not refused with 413.";
    "replay_head_behind" breaks "malformed_message":
        "A batch of a replay said that its topic stands below what clients had been sent before the replay was asked for.";
}

/// The finding of this name that can break a rule.
#[must_use]
pub fn finding(name: &str) -> Option<&'static FindingRule> {
    FINDINGS.iter().find(|finding| finding.name == name)
}

/// What a plan needs so that a rule of the oracle has a case.
#[derive(Clone, Copy, Debug)]
struct RuleLine {
    name: &'static str,
    /// It holds what came against what the run itself has published.
    of_published: bool,
    /// Something that a fault of the plan does.
    needs: Option<Exercise>,
    /// Slow clients for whom so much is published that they are evicted.
    by_eviction: bool,
}

impl RuleLine {
    /// A rule that every run gives a case.
    const fn of(name: &'static str) -> Self {
        Self { name, of_published: false, needs: None, by_eviction: false }
    }
}

macro_rules! rules {
    ($($name:literal $({ $($key:ident: $value:expr),* })?;)*) => {
        /// Rules of the oracle that `where.rule` of `violations` may name: those that are judged now, so
        /// that no gate passes on a rule that nobody looks at.
        pub const RULES: &[&str] = &[$($name,)*];

        const LINES: &[RuleLine] =
            &[$(RuleLine { $($($key: $value,)*)? ..RuleLine::of($name) },)*];
    };
}

rules! {
    "divergent_value";
    "nonmonotonic";
    "gap";
    "lost_publish";
    "late_publish" { of_published: true };
    "starved_topic" { of_published: true };
    "bad_duplicate";
    "phantom" { of_published: true };
    "state_regress";
    "state_stale" { of_published: true };
    "false_replay_complete";
    "stale_not_signalled";
    "false_stale";
    "wrong_reason" { needs: Some(Exercise::StaleCursor) };
    "tail_before_snapshot" { needs: Some(Exercise::StaleCursor) };
    "bad_snapshot" { needs: Some(Exercise::StaleCursor) };
    "no_convergence";
    "stuck_channel";
    "no_eviction" { of_published: true, needs: Some(Exercise::SlowReading), by_eviction: true };
    "unbounded_buffer" { of_published: true, needs: Some(Exercise::SlowReading), by_eviction: true };
    "wrongful_eviction" { needs: Some(Exercise::SlowReading) };
    "after_unsubscribe" { needs: Some(Exercise::Unsubscribing) };
    "frame_mismatch";
    "authz_leak";
    "command_accepted" { of_published: true, needs: Some(Exercise::Commands) };
    "wrong_close_or_error";
    "ws_protocol";
    "malformed_message";
    "misaddressed";
}

fn line(rule: &str) -> Option<&'static RuleLine> {
    LINES.iter().find(|line| line.name == rule)
}

/// Whether the rule of this name holds what came against what the run itself has published, and so says
/// nothing of events of others.
#[must_use]
pub fn is_of_published(rule: &str) -> bool {
    line(rule).is_some_and(|line| line.of_published)
}

/// What the rule of this name has no case without.
pub(crate) fn needs(rule: &str) -> Option<Exercise> {
    line(rule)?.needs
}

/// Whether the rule of this name has no case unless so much is published for slow clients that they are evicted.
pub(crate) fn is_by_eviction(rule: &str) -> bool {
    line(rule).is_some_and(|line| line.by_eviction)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_resolve() {
        for &metric in MetricId::ALL {
            assert_eq!(MetricId::of(metric.name()), Some(metric));
        }
    }
}

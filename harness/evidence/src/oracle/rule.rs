//! The registry of rules: names, kinds, and the order in which consequences are attributed.
//!
//! A new rule is one file beside this one and one row here.

use serde::{Deserialize, Serialize};

/// Whether a breach is proof against the target, or only lateness.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RuleKind {
    /// FAIL whatever the generator's health: no slowness of ours can produce it.
    Proof,
    /// FAIL when the generator was fit; undecided when it was not.
    Lateness,
}

macro_rules! rules {
    ($($variant:ident $name:literal $kind:ident $what:literal;)*) => {
        /// A rule of the oracle. The order is the order of attribution: of two rules that one fault
        /// of the target breaks, the earlier is the primary one.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        pub enum Rule {
            $(#[doc = $what] #[serde(rename = $name)] $variant,)*
        }

        impl Rule {
            /// Every rule, in order of attribution.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The name that reports and scenarios use.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            /// Proof or lateness.
            #[must_use]
            pub fn kind(self) -> RuleKind {
                match self { $(Self::$variant => RuleKind::$kind,)* }
            }

            /// What must hold, in a sentence.
            #[must_use]
            pub fn what_must_hold(self) -> &'static str {
                match self { $(Self::$variant => $what,)* }
            }
        }
    };
}

rules! {
    AuthzLeak "authz_leak" Proof
        "Nothing comes from a topic that was not granted, no bad token is accepted, and nothing comes after a revocation.";
    WsProtocol "ws_protocol" Proof
        "The target keeps RFC 6455, in the upgrade's answer and in every frame after it.";
    MalformedMessage "malformed_message" Proof
        "Every message is one of the contract's: its shape, and of a known event the fields that the contract gives it.";
    Misaddressed "misaddressed" Proof
        "Every message is addressed to a channel and a join of the client: real clients drop any other.";
    CommandAccepted "command_accepted" Proof
        "A command over the socket is refused and changes nothing.";
    WrongCloseOrError "wrong_close_or_error" Proof
        "Close codes and error codes are those of the contract, and fit what they answer.";
    FrameMismatch "frame_mismatch" Proof
        "The two pushes of a batch, `sync:frame` and `sync:update_batch`, agree.";
    StateRegress "state_regress" Proof
        "A document's version never goes back as the topic's seq goes on.";
    DivergentValue "divergent_value" Proof
        "All clients agree on the content of (topic, seq), it fits its hash, and it is what was published.";
    BadDuplicate "bad_duplicate" Proof
        "What is delivered again has the content that it had, and no publish comes out under two seqs.";
    Phantom "phantom" Proof
        "On a target that nobody else writes to, every event that is delivered was published.";
    AfterUnsubscribe "after_unsubscribe" Proof
        "Nothing of a topic comes to a client that is not subscribed to it: before its subscribe, or after its unsubscribe was acknowledged.";
    StaleNotSignalled "stale_not_signalled" Proof
        "A cursor below the retention floor or beyond the replay budget is refused with stale_cursor.";
    FalseStale "false_stale" Proof
        "A cursor at or above the retention floor and within the replay budget is not refused as stale.";
    WrongReason "wrong_reason" Proof
        "A stale cursor is refused with the reason that applies, and with figures that agree.";
    BadSnapshot "bad_snapshot" Proof
        "A snapshot is of its topic, lies between floor and head, and can be resumed from.";
    TailBeforeSnapshot "tail_before_snapshot" Proof
        "After stale_cursor nothing of the stale topics comes before the next subscribe.";
    StuckChannel "stuck_channel" Proof
        "While its socket answers heartbeats, the channel of a live client answers them too.";
    WrongfulEviction "wrongful_eviction" Lateness
        "No client that reads what it is sent is called a slow consumer.";
    NoEviction "no_eviction" Lateness
        "A client that does not read while enough is published is disconnected.";
    UnboundedBuffer "unbounded_buffer" Lateness
        "What waits for a client that does not read stays within the contract's queue.";
    Nonmonotonic "nonmonotonic" Proof
        "Within one subscription and topic, seq increases from the resume cursor; only identical repeats may come again.";
    Gap "gap" Proof
        "No seq of a stream is missing between the resume cursor and what was delivered later.";
    StarvedTopic "starved_topic" Lateness
        "Of the topics of one connection none waits beyond the settle bound while others go on.";
    LatePublish "late_publish" Lateness
        "An event does not wait for its successor: none comes beyond the settle bound and together with the next one.";
    LostPublish "lost_publish" Proof
        "When the run has drained, every acknowledged publish has reached every client subscribed throughout.";
    FalseReplayComplete "false_replay_complete" Proof
        "The ok reply to a subscribe does not come before all that was acknowledged before the subscribe was sent.";
    StateStale "state_stale" Lateness
        "Each acknowledged version of a document, or a later one, reaches every live client within the settle bound.";
    NoConvergence "no_convergence" Lateness
        "From each connect, a live client has its replay complete and reaches head within the bound.";
}

impl Rule {
    /// The rule of this name.
    #[must_use]
    pub fn of(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|rule| rule.name() == name)
    }
}

impl std::fmt::Display for Rule {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn scenarios_may_name_exactly_the_rules_that_are_judged() {
        let judged: BTreeSet<_> = Rule::ALL.iter().map(|rule| rule.name()).collect();
        let named: BTreeSet<_> = khala_plan::metric::RULES.iter().copied().collect();
        assert_eq!(judged, named);
        assert_eq!(judged.len(), Rule::ALL.len());
    }
}

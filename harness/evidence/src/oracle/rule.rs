//! The registry of rules: names, kinds, and the order in which consequences are attributed.
//!
//! A new rule is one file beside this one and one row here.

use serde::{Deserialize, Serialize};

use super::{divergent_value, malformed_message, ws_protocol};

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
    ($($variant:ident $name:literal $kind:ident $what:literal $users:literal;)*) => {
        /// A rule of the oracle. The order is the order of attribution: of two rules that one fault
        /// of the target breaks, the earlier is the primary one.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[derive(schemars::JsonSchema)]
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

            /// What a breach means for those who use the product, in a sentence without a word of the trade.
            #[must_use]
            pub fn what_users_see(self) -> &'static str {
                match self { $(Self::$variant => $users,)* }
            }
        }
    };
}

rules! {
    AuthzLeak "authz_leak" Proof
        "Nothing comes from a topic that was not granted, no bad token is accepted, and nothing comes after a revocation."
        "Somebody gets data that they have no right to see.";
    WsProtocol "ws_protocol" Proof
        "The target keeps RFC 6455, in the upgrade's answer and in every frame after it."
        "Browsers drop the connection, because what comes over it is no valid WebSocket traffic.";
    MalformedMessage "malformed_message" Proof
        "Every message is one of the contract's: its shape, and of a known event the fields that the contract gives it."
        "Apps cannot read what they are sent, and drop it or fail.";
    Misaddressed "misaddressed" Proof
        "Every message is addressed to a channel and a join of the client: real clients drop any other."
        "Apps drop updates without a word, because these are addressed to nobody they know.";
    CommandAccepted "command_accepted" Proof
        "A command over the socket is refused and changes nothing."
        "Somebody can change data where only reading is allowed.";
    WrongCloseOrError "wrong_close_or_error" Proof
        "Close codes and error codes are those of the contract, and fit what they answer."
        "Apps react wrongly to an error, because it does not say what really happened.";
    FrameMismatch "frame_mismatch" Proof
        "The two pushes of a batch, `sync:frame` and `sync:update_batch`, agree."
        "Two apps show different things, because the same update says one thing to old apps and another to new ones.";
    StateRegress "state_regress" Proof
        "A document's version never goes back as the topic's seq goes on."
        "What users see jumps back to an older state.";
    DivergentValue "divergent_value" Proof
        "All clients agree on the content of (topic, seq), it fits its hash, and it is what was published."
        "Two users see different content for the same update.";
    BadDuplicate "bad_duplicate" Proof
        "What is delivered again has the content that it had, and no publish comes out under two seqs."
        "The same event shows twice, or with content that changed.";
    Phantom "phantom" Proof
        "On a target that nobody else writes to, every event that is delivered was published."
        "Users see events that never happened.";
    AfterUnsubscribe "after_unsubscribe" Proof
        "Nothing of a topic comes to a client that is not subscribed to it: before its subscribe, or after its unsubscribe was acknowledged."
        "Apps get updates that they did not ask for, or have just given up.";
    StaleNotSignalled "stale_not_signalled" Proof
        "A cursor below the retention floor or beyond the replay budget is refused with stale_cursor."
        "Users who come back after a long time miss what happened meanwhile, and are not told to reload.";
    FalseStale "false_stale" Proof
        "A cursor at or above the retention floor and within the replay budget is not refused as stale."
        "Users who come back after a short time are made to load everything again for nothing.";
    WrongReason "wrong_reason" Proof
        "A stale cursor is refused with the reason that applies, and with figures that agree."
        "Apps that come back too late are told the wrong reason, and may load the wrong thing.";
    BadSnapshot "bad_snapshot" Proof
        "A snapshot is of its topic, holds the state at its watermark, lies between floor and head, and can be resumed from."
        "Users who load everything again get something that is incomplete, or cannot go on from it.";
    TailBeforeSnapshot "tail_before_snapshot" Proof
        "After stale_cursor nothing of the stale topics comes before the next subscribe."
        "Apps that have to load everything again get new events first, and show them on top of old data.";
    StuckChannel "stuck_channel" Proof
        "While its socket answers heartbeats, the channel of a live client answers them too."
        "The app looks connected and gets nothing any more.";
    WrongfulEviction "wrongful_eviction" Lateness
        "No client that reads what it is sent is called a slow consumer."
        "Users with a good connection are thrown out as too slow.";
    NoEviction "no_eviction" Lateness
        "A client that does not read while enough is published is disconnected."
        "Clients that do not keep up are never thrown out, and take the others' room.";
    UnboundedBuffer "unbounded_buffer" Lateness
        "What waits for a client that does not read stays within the contract's queue."
        "One slow client makes the service hoard data until its memory is full.";
    Nonmonotonic "nonmonotonic" Proof
        "Within one subscription and topic, seq increases from the resume cursor; only identical repeats may come again."
        "Updates come out of order, so that users see things go back and forth.";
    Gap "gap" Proof
        "No seq of a stream is missing between the resume cursor and what was delivered later."
        "Users miss events and are not told: what they see stays incomplete until they reload.";
    StarvedTopic "starved_topic" Lateness
        "Of the topics of one connection none waits beyond the settle bound while others go on."
        "One part of the screen stands still while the others go on.";
    LatePublish "late_publish" Lateness
        "An event does not wait for its successor: none comes beyond the settle bound and together with the next one."
        "An event is shown only when the next one happens, however long that takes.";
    LostPublish "lost_publish" Proof
        "When the run has drained, every acknowledged publish has reached every client subscribed throughout."
        "An event that was accepted never reaches users who should see it.";
    FalseReplayComplete "false_replay_complete" Proof
        "The ok reply to a subscribe does not come before all that was acknowledged before the subscribe was sent."
        "The app says that it is up to date, and is not yet.";
    StateStale "state_stale" Lateness
        "Each acknowledged version of a document, or a later one, reaches every live client within the settle bound."
        "What users see is out of date for longer than it may be.";
    NoConvergence "no_convergence" Lateness
        "From each connect, a live client has its replay complete and reaches head within the bound."
        "Users who connect, or come back, do not get up to date in time.";
}

impl Rule {
    /// The rules of which each text frame that comes is a case.
    pub const OF_FRAMES: [Self; 3] = [Self::WsProtocol, Self::MalformedMessage, Self::Misaddressed];

    /// What a breach of this kind means for those who use the product, where it is another thing.
    #[must_use]
    pub fn what_users_see_of(self, kind: &str) -> Option<&'static str> {
        match (self, kind) {
            (Self::DivergentValue, divergent_value::HASH) => Some(
                "Updates carry a hash that is not their content's, so that apps that check it drop them.",
            ),
            (Self::MalformedMessage, malformed_message::NOT_SO) => {
                Some("Apps show something else than what was done, or show it in the wrong place.")
            }
            (Self::WsProtocol, _) => ws_protocol::what_users_see_of(kind),
            (Self::DivergentValue, divergent_value::ACKNOWLEDGEMENT) => Some(
                "Whoever changes something is told of another change, or a number that is not its own.",
            ),
            _ => None,
        }
    }

    /// The rules whose violations are breaches of this one's sentence as well and are told by them alone: where
    /// one of them is broken, it is not said of this one that it was kept.
    #[must_use]
    pub fn told_by(self) -> &'static [Self] {
        match self {
            Self::AfterUnsubscribe => &[Self::AuthzLeak],
            Self::DivergentValue => &[Self::FrameMismatch, Self::BadDuplicate],
            Self::Phantom => &[Self::DivergentValue, Self::BadDuplicate],
            Self::Gap => &[Self::StaleNotSignalled, Self::LostPublish],
            Self::StateStale => &[Self::StateRegress, Self::StarvedTopic],
            Self::LatePublish => &[Self::StarvedTopic],
            Self::LostPublish => &[Self::Gap, Self::StaleNotSignalled],
            Self::FalseReplayComplete => &[Self::Gap, Self::StaleNotSignalled],
            Self::NoConvergence => &[Self::StuckChannel],
            _ => &[],
        }
    }

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
    use crate::record::Breach;

    #[test]
    fn scenarios_may_name_exactly_the_rules_that_are_judged() {
        let judged: BTreeSet<_> = Rule::ALL.iter().map(|rule| rule.name()).collect();
        let named: BTreeSet<_> = khala_plan::metric::RULES.iter().copied().collect();
        assert_eq!(judged, named);
        assert_eq!(judged.len(), Rule::ALL.len());
    }

    #[test]
    fn what_users_see_is_a_sentence_of_its_own_without_words_of_the_trade() {
        let mut all: BTreeSet<_> = Rule::ALL.iter().map(|rule| rule.what_users_see()).collect();
        assert_eq!(all.len(), Rule::ALL.len(), "each rule means something else");
        for kind in [divergent_value::HASH, divergent_value::ACKNOWLEDGEMENT] {
            all.extend(Rule::DivergentValue.what_users_see_of(kind));
        }
        all.extend(Rule::MalformedMessage.what_users_see_of(malformed_message::NOT_SO));
        assert_eq!(all.len(), Rule::ALL.len() + 3);
        let breaches = Breach::ALL.iter().map(ToString::to_string);
        all.extend(breaches.filter_map(|kind| Rule::WsProtocol.what_users_see_of(&kind)));
        assert_eq!(all.len(), Rule::ALL.len() + 6);
        for sentence in all {
            let words = ["seq", "cursor", "epoch", "topic", "replay", "`", "_", "frame", "channel"];
            assert!(!words.iter().any(|word| sentence.contains(word)), "{sentence}");
            assert!(sentence.ends_with('.') && sentence.len() < 120, "{sentence}");
        }
    }
}

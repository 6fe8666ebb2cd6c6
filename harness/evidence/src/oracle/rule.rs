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
    DivergentValue "divergent_value" Proof
        "All clients agree on the content of (topic, seq), it fits its hash, and it is what was published.";
    Nonmonotonic "nonmonotonic" Proof
        "Within one subscription and topic, seq increases from the resume cursor; only identical repeats may come again.";
    Gap "gap" Proof
        "No seq of a stream is missing between the resume cursor and what was delivered later.";
    LostPublish "lost_publish" Proof
        "When the run has drained, every acknowledged publish has reached every client subscribed throughout.";
    FalseReplayComplete "false_replay_complete" Proof
        "The ok reply to a subscribe does not come before all that was acknowledged before the subscribe was sent.";
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

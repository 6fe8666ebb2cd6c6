//! Defects: the closed list of ways in which this runtime can be told to break the contract.
//!
//! A defect must be visible only on the wire and only while it is armed: nothing here changes what
//! the authority stores unless the defect says so. Its choices are a function of (seed, defect,
//! connection, counter) and never of a stream that connections share, so that one connection's
//! luck does not depend on another's timing.
//!
//! Three things are told apart. An *opportunity* is what `probability` and `after` count; a
//! *choice* falls on some of them; and a defect has *acted* when it did what a correct runtime
//! would not have done just then (`Defects::note`). A choice may come to nothing, such as a floor
//! to be ignored under a cursor that is above it, so the three must not be confused: a judge that
//! misses a defect which never acted has missed nothing.
//!
//! To add one: a variant at the end of `Kind`; an entry in its group's file of `catalogue/`, which
//! names the rule that must catch it; the act itself, where the contract is kept
//! (`socket/bend.rs` for what is on its way out, `socket/hold.rs` for what waits, `socket/serve.rs`
//! for subscribes), with its `note`; a test in `tests/defects/` that sees it from a socket and
//! fails without it; and `DEFECTS.md` anew, as `tests/defects/page.rs` says.

mod catalogue;
mod spec;
pub(crate) mod tamper;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};

pub use catalogue::{CATALOGUE, Defect, Group, Per};
pub use spec::{DefectSpec, ParseDefectError};

/// Which defect. The discriminant seeds its choices, so a new one goes to the end: a seed must pick
/// what it picked before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Kind {
    DropOnReconnect,
    NeverReplayComplete,
    SwapTwo,
    DropAcknowledged,
    CorruptPayload,
    EarlyReplayComplete,
    SlowRecovery,
    IgnoreFloor,
    AlwaysStale,
    WrongReason,
    NoSlowEviction,
    EvictHealthy,
    SnapshotOld,
    TailDuringReplay,
    AfterUnsubscribe,
    LatePublish,
    FrameMismatch,
    StateRegress,
    BadDuplicate,
    DropNth,
    DropLastOfBatch,
    DuplicateNewSeq,
    ReplaySkipsOne,
    TailLost,
    WrongPayload,
    WatermarkRegress,
    FloorTooStrict,
    FloorTooLax,
    BudgetTooStrict,
    BudgetTooLax,
    PrunedTopicAccepted,
    SeqResetOnRestart,
    SnapshotAhead,
    SnapshotWrongTopic,
    CrossTopicLeak,
    ExpiredAccepted,
    AlgNoneAccepted,
    RevocationIgnored,
    RevocationForgotten,
    ScopeIgnored,
    CommandObeyed,
    UnboundedQueue,
    SlowStallsNeighbours,
    StarvedTopic,
    HeartbeatsUnanswered,
    StuckChannel,
    WrongCloseCode,
    DeliveryDelay,
    PauseEvery10s,
    SlowAccepts,
    InventedEvent,
    StateDelay,
    ClaimsUnchecked,
    FreshOfStaleList,
    SnapshotLags,
}

/// How many defects there are.
const KINDS: usize = Kind::SnapshotLags as usize + 1;

struct Armed {
    probability: f64,
    after: u64,
    opportunities: AtomicU64,
    acted: AtomicU64,
}

/// The defects of one server.
pub(crate) struct Defects {
    seed: u64,
    armed: Vec<Option<Armed>>,
}

impl Defects {
    pub(crate) fn new(seed: u64, specs: &[DefectSpec]) -> Self {
        let mut armed: Vec<Option<Armed>> = (0..KINDS).map(|_| None).collect();
        for spec in specs {
            armed[spec.defect.kind as usize] = Some(Armed {
                probability: spec.probability,
                after: spec.after,
                opportunities: AtomicU64::new(0),
                acted: AtomicU64::new(0),
            });
        }
        Self { seed, armed }
    }

    fn get(&self, kind: Kind) -> Option<&Armed> {
        self.armed.get(kind as usize)?.as_ref()
    }

    /// Whether the defect was configured at all: what the hot path asks.
    pub(crate) fn armed(&self, kind: Kind) -> bool {
        self.get(kind).is_some()
    }

    /// An opportunity to act: counts it, and says whether the defect takes it.
    ///
    /// `after` counts the server's opportunities; the choice among those that follow depends on the
    /// connection and its own `counter` alone.
    pub(crate) fn acts(&self, kind: Kind, connection: u64, counter: u64) -> bool {
        self.get(kind).is_some_and(|armed| {
            let nth = armed.opportunities.fetch_add(1, Ordering::Relaxed) + 1;
            nth >= armed.after && unit(self.seed, kind, connection, counter) < armed.probability
        })
    }

    /// Like [`Defects::acts`], but evenly: every n-th opportunity, n being 1 / probability.
    pub(crate) fn acts_every(&self, kind: Kind) -> bool {
        self.get(kind).is_some_and(|armed| {
            let nth = armed.opportunities.fetch_add(1, Ordering::Relaxed) + 1;
            nth >= armed.after && nth % period(armed.probability) == 0
        })
    }

    /// Like [`Defects::acts`], for opportunities that the caller numbers, from 1: asking twice is
    /// one opportunity.
    pub(crate) fn acts_nth(&self, kind: Kind, nth: u64) -> bool {
        self.get(kind).is_some_and(|armed| {
            nth >= armed.after && unit(self.seed, kind, 0, nth) < armed.probability
        })
    }

    /// Counts that the defect has acted.
    pub(crate) fn note(&self, kind: Kind) {
        if let Some(armed) = self.get(kind) {
            armed.acted.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// How often each configured defect has acted, by name; `None` when none is configured.
    pub(crate) fn acted(&self) -> Option<BTreeMap<String, u64>> {
        let acted: BTreeMap<_, _> = CATALOGUE
            .iter()
            .filter_map(|defect| {
                let acted = self.get(defect.kind)?.acted.load(Ordering::Relaxed);
                Some((defect.name.to_owned(), acted))
            })
            .collect();
        (!acted.is_empty()).then_some(acted)
    }

    /// A fair coin of its own for each connection and counter.
    pub(crate) fn coin(&self, kind: Kind, connection: u64, counter: u64) -> bool {
        unit(self.seed.wrapping_add(1), kind, connection, counter) < 0.5
    }

    /// Whether the defect has chosen this connection, for all of its life, whatever its `after`.
    pub(crate) fn chose(&self, kind: Kind, connection: u64) -> bool {
        self.get(kind).is_some_and(|armed| unit(self.seed, kind, connection, 0) < armed.probability)
    }
}

/// 1 / probability, at least 1.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a probability in (0, 1] has a positive inverse, and the cast saturates"
)]
fn period(probability: f64) -> u64 {
    ((1.0 / probability).round() as u64).max(1)
}

/// A number in [0, 1) that depends on nothing but its arguments.
#[expect(clippy::cast_precision_loss, reason = "53 bits fit")]
fn unit(seed: u64, kind: Kind, connection: u64, counter: u64) -> f64 {
    let mut state = seed;
    for part in [kind as u64, connection, counter] {
        state = mix(state ^ part);
    }
    (state >> 11) as f64 / (1_u64 << 53) as f64
}

/// SplitMix64's step and finaliser.
fn mix(value: u64) -> u64 {
    let mut z = value.wrapping_add(0x9E37_79B9_7F4A_7C15);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn defects(spec: &str) -> Defects {
        Defects::new(7, &[spec.parse().expect("a spec")])
    }

    #[test]
    fn choices_depend_on_seed_connection_and_counter_alone() {
        let (one, two) = (defects("swap_two,0.5"), defects("swap_two,0.5"));
        let pick = |d: &Defects, c, n| d.acts(Kind::SwapTwo, c, n);
        let forward: Vec<_> = (0..64).map(|n| pick(&one, n / 8, n % 8)).collect();
        let mut backward: Vec<_> = (0..64).rev().map(|n| pick(&two, n / 8, n % 8)).collect();
        backward.reverse();
        assert_eq!(forward, backward);
        assert!(forward.contains(&true) && forward.contains(&false));
    }

    #[test]
    fn after_lets_the_first_opportunities_pass() {
        let armed = defects("drop_on_reconnect,after=3");
        let taken: Vec<_> = (0..4).map(|n| armed.acts(Kind::DropOnReconnect, 1, n)).collect();
        assert_eq!(taken, [false, false, true, true]);
        assert!(!armed.acts(Kind::SwapTwo, 1, 0), "what is not armed never acts");
    }

    #[test]
    fn a_probability_of_a_tenth_takes_every_tenth() {
        let armed = defects("drop_acknowledged");
        let taken: Vec<_> = (1..=20).filter(|_| armed.acts_every(Kind::DropAcknowledged)).collect();
        assert_eq!(taken, [10, 20]);
    }

    #[test]
    fn a_numbered_opportunity_is_the_same_whenever_it_is_asked_for() {
        let armed = defects("pause_every_10s,0.5,after=3");
        let taken: Vec<_> = (1..=64).map(|n| armed.acts_nth(Kind::PauseEvery10s, n)).collect();
        assert_eq!(taken[..2], [false, false]);
        assert!(taken[2..].contains(&true) && taken[2..].contains(&false));
        let again: Vec<_> = (1..=64).map(|n| armed.acts_nth(Kind::PauseEvery10s, n)).collect();
        assert_eq!(taken, again);
    }

    #[test]
    fn what_acted_is_counted_for_configured_defects_and_for_no_other() {
        assert_eq!(Defects::new(7, &[]).acted(), None);
        let armed = defects("swap_two");
        assert_eq!(armed.acted(), Some(BTreeMap::from([("swap_two".to_owned(), 0)])));
        armed.acts_every(Kind::SwapTwo);
        armed.note(Kind::SwapTwo);
        armed.note(Kind::DropNth);
        assert_eq!(armed.acted(), Some(BTreeMap::from([("swap_two".to_owned(), 1)])));
    }

    #[test]
    fn a_share_of_connections_is_chosen() {
        let armed = defects("corrupt_payload");
        let chosen = (0..8_000).filter(|n| armed.chose(Kind::CorruptPayload, *n)).count();
        assert!((800..1_200).contains(&chosen), "{chosen} of 8000 is not about an eighth");
    }
}

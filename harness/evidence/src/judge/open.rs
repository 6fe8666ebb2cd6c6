//! What leaves cases of a rule open, in words, and what to do about it.

use std::time::Duration;

use super::Case;
use crate::oracle::{Rule, RuleTally};
use crate::shard::Settled;

/// Rules named in a reason.
const RULES_MAX: usize = 2;
/// Metrics that were read this long before a run's end were read to its end.
const TO_THE_END_US: u64 = 5_000_000;

/// What cases of a rule are open for want of, where one thing is known to leave them so.
fn want(rule: Rule) -> Option<&'static str> {
    match rule {
        Rule::StaleNotSignalled | Rule::FalseStale | Rule::WrongReason => Some(
            "whether a cursor was stale is told by floor and head in the target's metrics, and they do not \
             say it",
        ),
        Rule::FalseReplayComplete | Rule::StateStale => Some(
            "what a client had of a document at the time is not known: no snapshot and no delivery says it",
        ),
        Rule::BadSnapshot => {
            Some("nobody else was sent the documents that the snapshot must hold, to compare")
        }
        Rule::LostPublish | Rule::Phantom => Some("the run did not drain"),
        Rule::NoEviction | Rule::UnboundedBuffer => {
            Some("the clients concerned were slow on purpose, and too little came to their end")
        }
        Rule::NoConvergence => Some(
            "the clients concerned were slow on purpose, or left by plan or with the run before \
             `oracle.converge_within` was over",
        ),
        Rule::AuthzLeak => Some("the tokens were not tried far enough to say"),
        Rule::CommandAccepted => Some("commands over the socket had no answer"),
        Rule::Nonmonotonic | Rule::StateRegress => {
            Some("it was older, or of more documents, than is remembered of each client")
        }
        _ => None,
    }
}

/// What to do about cases of a rule that are open.
#[must_use]
pub fn remedy(rule: Rule) -> &'static str {
    match rule {
        Rule::StaleNotSignalled | Rule::FalseStale | Rule::WrongReason => {
            "See that the harness can read the target's metrics to the end of the run (its admin token, its \
             path), and that their heads and floors do not go back; then run it again."
        }
        Rule::FalseReplayComplete | Rule::StateStale | Rule::BadSnapshot => {
            "See below whether snapshots were refused or failed, and run it again, with more clients that stay \
             connected."
        }
        Rule::LostPublish | Rule::Phantom => {
            "See below what the topics did not run dry of, and run it again with a longer `drain_within`."
        }
        Rule::NoConvergence => {
            "See that clients stay for longer than `oracle.converge_within` after each connect (phases, stages, \
             the end of the run), and run it again."
        }
        Rule::AuthzLeak => {
            "See under Faults what became of the bad tokens, and run it again when they can be tried."
        }
        Rule::CommandAccepted => {
            "Have the service answer commands over the socket (a refusal, or the end of the channel or the \
             socket), and run it again."
        }
        Rule::NoEviction | Rule::UnboundedBuffer => {
            "Let the clients be slow for longer (the `duration` of the fault that makes them so), with more \
             published meanwhile, and run it again."
        }
        Rule::Nonmonotonic | Rule::StateRegress => {
            "Run it again for a shorter time, or against a target with fewer documents: what came was older, or \
             of more documents, than is remembered of each client."
        }
        _ => {
            "See in `summary.md` under Rules which cases were left open, and run it again with more clients."
        }
    }
}

/// The rule with the most cases open.
#[must_use]
pub fn foremost(undecided: impl Iterator<Item = (Rule, u64)>) -> Option<Rule> {
    undecided
        .filter(|(_, open)| *open > 0)
        .max_by_key(|&(rule, open)| (open, std::cmp::Reverse(rule)))
        .map(|(rule, _)| rule)
}

/// What the metrics were not there for, as a clause.
fn unseen(settled: &Settled, duration_us: u64) -> Option<String> {
    let at = |us| format!("{:.1} s", Duration::from_micros(us).as_secs_f64());
    let sight = &settled.sight;
    match (sight.went_back, sight.last_answered) {
        (Some(back), _) => Some(format!("what they showed went back at {}", at(back))),
        (None, None) => Some("they were never read".to_owned()),
        (None, Some(last)) if last + TO_THE_END_US < duration_us => {
            Some(format!("they were last read at {}", at(last)))
        }
        _ => None,
    }
}

/// The rules that left the most open, each with how many and why.
pub fn told(case: &Case<'_>) -> String {
    let tally = &case.settled.tally;
    let mut open: Vec<(Rule, u64)> = Rule::ALL
        .iter()
        .map(|&rule| (rule, tally.rule(rule)))
        .map(|(rule, RuleTally { undecided, .. })| (rule, undecided))
        .filter(|(_, undecided)| *undecided > 0)
        .collect();
    open.sort_by_key(|&(rule, undecided)| (std::cmp::Reverse(undecided), rule));
    let more = open.len().saturating_sub(RULES_MAX);
    let named = open.iter().take(RULES_MAX).map(|&(rule, undecided)| {
        let of_metrics =
            matches!(rule, Rule::StaleNotSignalled | Rule::FalseStale | Rule::WrongReason);
        let why = match (want(rule), unseen(case.settled, case.facts.duration_us)) {
            (Some(why), Some(unseen)) if of_metrics => format!(": {why}; {unseen}"),
            (Some(why), _) => format!(": {why}"),
            (None, _) => String::new(),
        };
        format!("{undecided} of {rule}{why}")
    });
    let named: Vec<_> = named.collect();
    let more = if more > 0 { format!("; and of {more} more rules") } else { String::new() };
    format!("{}{more}", named.join("; "))
}

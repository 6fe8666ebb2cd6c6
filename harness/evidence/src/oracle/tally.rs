//! Violations: exact counts, and the earliest of each rule with their story.
//!
//! Which violations are kept depends only on the violations, never on how clients were sharded.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};

use khala_wire::topic::TopicId;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::rule::{Rule, RuleKind};
use crate::pairs;
use crate::record::{Micros, second_of};

/// One breach of a rule. Ordered by time first, so that the earliest are kept.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub struct Violation {
    /// When it was noticed.
    pub at_us: Micros,
    /// The rule.
    pub rule: Rule,
    /// The client, where one is concerned.
    pub client: Option<u32>,
    /// The topic, where one is concerned.
    pub topic: Option<TopicId>,
    /// First and last sequence concerned.
    pub seqs: Option<(u64, u64)>,
    /// Number of the subscribe in the client's life.
    pub epoch: Option<u32>,
    /// What happened, in a sentence.
    pub message: String,
}

/// What one rule found.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct RuleTally {
    /// Cases judged: what the rule was put to the test with. Each rule says what its cases are.
    pub judged: u64,
    /// Breaches.
    pub violations: u64,
    /// Breaches that follow from one of an earlier rule.
    pub consequences: u64,
    /// Cases that the bounds leave open.
    pub undecided: u64,
    /// The earliest breaches.
    pub kept: BTreeSet<Violation>,
    /// Clients that it was broken for.
    #[serde(default)]
    pub clients: BTreeSet<u32>,
    /// Breaches by what was broken, of a rule that tells such kinds apart.
    #[serde(default)]
    pub kinds: BTreeMap<Box<str>, KindTally>,
    /// Breaches by what they have in common.
    #[serde(default, with = "pairs")]
    pub causes: BTreeMap<Cause, CauseTally>,
    /// Of the breaches kept, those that stand for several clients: which.
    #[serde(default, with = "pairs")]
    pub shared: BTreeMap<Violation, Clients>,
    /// Of a rule on lateness, its breaches by the second of the run that they are of.
    #[serde(default, with = "pairs", skip_serializing_if = "BTreeMap::is_empty")]
    pub seconds: BTreeMap<u32, u64>,
}

/// What breaches of a rule have in common, so that one thing may have caused them: the topic, where one is
/// concerned, and the kind, of a rule that tells kinds apart.
pub type Cause = (Option<TopicId>, Box<str>);

/// Causes told apart of a rule; the breaches of further ones are in its own count alone.
pub const CAUSES_MAX: usize = 64;

/// What one cause came to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CauseTally {
    /// Breaches.
    pub violations: u64,
    /// Clients that it befell.
    pub clients: BTreeSet<u32>,
    /// The earliest.
    pub first: Violation,
    /// When the last was noticed, if later than the earliest.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub last_us: Micros,
    /// Of breaches by which something is missing, updates that never came, over all clients.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub updates: u64,
    /// Of these, different events; 0 where that is not counted.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub events: u64,
}

fn is_zero(count: &u64) -> bool {
    *count == 0
}

impl CauseTally {
    fn merge(&mut self, other: Self) {
        self.last_us = self.last_us.max(other.last_us);
        self.updates += other.updates;
        self.events += other.events;
        self.violations += other.violations;
        self.clients.extend(other.clients);
        if other.first < self.first {
            self.first = other.first;
        }
    }
}

/// Clients as ranges of their numbers, both ends included, in order.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Clients(Vec<(u32, u32)>);

impl Clients {
    /// The ranges.
    #[must_use]
    pub fn ranges(&self) -> &[(u32, u32)] {
        &self.0
    }

    /// Whether a client is among them.
    #[must_use]
    pub fn contains(&self, client: u32) -> bool {
        self.0.iter().any(|&(first, last)| (first..=last).contains(&client))
    }
}

impl FromIterator<u32> for Clients {
    fn from_iter<I: IntoIterator<Item = u32>>(clients: I) -> Self {
        let mut ranges: Vec<(u32, u32)> = Vec::new();
        for client in clients.into_iter().collect::<BTreeSet<_>>() {
            match ranges.last_mut().filter(|(_, last)| last.checked_add(1) == Some(client)) {
                Some((_, last)) => *last = client,
                None => ranges.push((client, client)),
            }
        }
        Self(ranges)
    }
}

/// Kinds told apart of a rule; the breaches of further ones are in its own count alone.
pub const KINDS_MAX: usize = 24;

/// What one kind of breach came to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KindTally {
    /// Breaches.
    pub violations: u64,
    /// When the first was noticed.
    pub first_us: Micros,
    /// Clients that it was broken for.
    pub clients: BTreeSet<u32>,
}

impl KindTally {
    fn merge(&mut self, other: Self) {
        self.violations += other.violations;
        self.first_us = self.first_us.min(other.first_us);
        self.clients.extend(other.clients);
    }
}

impl RuleTally {
    /// Keeps a breach if it is early enough.
    fn keep(&mut self, violation: Violation, kept_max: usize) {
        self.kept.insert(violation);
        while self.kept.len() > kept_max {
            let gone = self.kept.pop_last();
            gone.map(|gone| self.shared.remove(&gone));
        }
    }

    /// Adds to a cause. With too many the last in order goes, so that who came first does not matter.
    fn of_cause(&mut self, cause: Cause, more: CauseTally) {
        match self.causes.entry(cause) {
            Entry::Occupied(mut known) => known.get_mut().merge(more),
            Entry::Vacant(place) => {
                place.insert(more);
            }
        }
        while self.causes.len() > CAUSES_MAX {
            self.causes.pop_last();
        }
    }

    /// Adds to a kind. With too many the last in alphabetical order goes, so that who came first does not
    /// matter.
    fn of_kind(&mut self, kind: Box<str>, more: KindTally) {
        match self.kinds.entry(kind) {
            Entry::Occupied(mut known) => known.get_mut().merge(more),
            Entry::Vacant(place) => {
                place.insert(more);
            }
        }
        while self.kinds.len() > KINDS_MAX {
            self.kinds.pop_last();
        }
    }
}

/// What all rules found.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Tally {
    kept_max: usize,
    rules: BTreeMap<Rule, RuleTally>,
    /// Breaches of all rules, by the second of the run that they are of.
    #[serde(default, with = "pairs")]
    seconds: BTreeMap<u32, u64>,
    /// Calls of [`Tally::violate`] so far, to notice one.
    #[serde(skip)]
    calls: Calls,
}

/// A count that is no part of what a tally holds: two tallies with the same violations are equal.
#[derive(Clone, Copy, Debug, Default)]
struct Calls(u64);

impl PartialEq for Calls {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Tally {
    /// An empty tally that keeps up to `kept_max` violations of each rule.
    #[must_use]
    pub fn new(kept_max: u32) -> Self {
        Self {
            kept_max: kept_max as usize,
            rules: Rule::ALL.iter().map(|&rule| (rule, RuleTally::default())).collect(),
            seconds: BTreeMap::new(),
            calls: Calls::default(),
        }
    }

    fn entry(&mut self, rule: Rule) -> &mut RuleTally {
        self.rules.entry(rule).or_default()
    }

    /// Counts cases that were judged, whatever came of them.
    pub fn judged(&mut self, rule: Rule, cases: u64) {
        self.entry(rule).judged += cases;
    }

    /// Counts a violation, and `extra` more that it stands for; keeps it if it is early enough.
    pub fn violate(&mut self, violation: Violation, extra: u64) {
        let clients = violation.client.into_iter().collect();
        let last_us = violation.at_us;
        self.enter("", violation, extra, clients, last_us, &BTreeMap::new());
    }

    fn enter(
        &mut self,
        kind: &str,
        violation: Violation,
        extra: u64,
        clients: BTreeSet<u32>,
        last_us: Micros,
        seconds: &BTreeMap<u32, u64>,
    ) {
        let missing = match (violation.rule, violation.seqs) {
            (Rule::Gap | Rule::LostPublish, Some((first, last))) => last.saturating_sub(first) + 1,
            _ => 0,
        };
        let updates = missing.saturating_mul(1 + extra);
        let kept_max = self.kept_max;
        self.calls.0 += 1;
        let mut untold = 1 + extra;
        let mut by_second = BTreeMap::new();
        for (&second, &times) in seconds {
            let told = times.min(untold);
            untold -= told;
            by_second.insert(second, told);
        }
        if untold > 0 {
            *by_second.entry(second_of(violation.at_us)).or_default() += untold;
        }
        let late = violation.rule.kind() == RuleKind::Lateness;
        for (&second, &told) in &by_second {
            *self.seconds.entry(second).or_default() += told;
            if late {
                *self.entry(violation.rule).seconds.entry(second).or_default() += told;
            }
        }
        let tally = self.entry(violation.rule);
        tally.violations += 1 + extra;
        tally.clients.extend(&clients);
        let (cause, first) = ((violation.topic, kind.into()), violation.clone());
        let violations = 1 + extra;
        let one = CauseTally { violations, clients, first, last_us, updates, events: 0 };
        tally.of_cause(cause, one);
        tally.keep(violation, kept_max);
    }

    /// Says how many different events are missing of a topic by the breaches of a rule, where some are.
    pub fn missing(&mut self, rule: Rule, topic: TopicId, events: u64) {
        let cause = (Some(topic), Box::default());
        if let Some(cause) = self.entry(rule).causes.get_mut(&cause) {
            cause.events = events;
        }
    }

    /// Counts a violation, and `extra` more that it stands for, of these clients, the last at `last_us`, as many in
    /// each second as `seconds` tells and the rest in the violation's own.
    pub fn violate_for(
        &mut self,
        violation: Violation,
        extra: u64,
        clients: impl Iterator<Item = u32>,
        last_us: Micros,
        seconds: &BTreeMap<u32, u64>,
    ) {
        let clients: BTreeSet<u32> = clients.chain(violation.client).collect();
        if clients.len() > 1 {
            let shared = clients.iter().copied().collect();
            self.entry(violation.rule).shared.insert(violation.clone(), shared);
        }
        let last_us = last_us.max(violation.at_us);
        self.enter("", violation, extra, clients, last_us, seconds);
    }

    /// Counts a violation of a kind.
    pub fn violate_as(&mut self, kind: &str, violation: Violation) {
        self.violate_as_many(kind, violation, 0);
    }

    /// Counts a violation of a kind, and `extra` more that it stands for; one without a kind is of none.
    pub fn violate_as_many(&mut self, kind: &str, violation: Violation, extra: u64) {
        if kind.is_empty() {
            return self.violate(violation, extra);
        }
        let clients: BTreeSet<u32> = violation.client.into_iter().collect();
        let one = KindTally {
            violations: 1 + extra,
            first_us: violation.at_us,
            clients: clients.clone(),
        };
        self.entry(violation.rule).of_kind(kind.into(), one);
        let last_us = violation.at_us;
        self.enter(kind, violation, extra, clients, last_us, &BTreeMap::new());
    }

    /// How often a rule was broken so far, to notice that it just was.
    #[must_use]
    pub fn calls(&self) -> u64 {
        self.calls.0
    }

    /// Counts what follows from a violation of an earlier rule.
    pub fn consequence(&mut self, rule: Rule) {
        self.entry(rule).consequences += 1;
    }

    /// Counts a case that the bounds leave open.
    pub fn undecided(&mut self, rule: Rule) {
        self.undecided_cases(rule, 1);
    }

    /// Counts cases that the bounds leave open.
    pub fn undecided_cases(&mut self, rule: Rule, cases: u64) {
        self.entry(rule).undecided += cases;
    }

    /// Adds another tally.
    pub fn merge(&mut self, other: Self) {
        for (second, breaches) in other.seconds {
            *self.seconds.entry(second).or_default() += breaches;
        }
        for (rule, theirs) in other.rules {
            let kept_max = self.kept_max;
            let ours = self.entry(rule);
            ours.judged += theirs.judged;
            ours.violations += theirs.violations;
            ours.consequences += theirs.consequences;
            ours.undecided += theirs.undecided;
            ours.clients.extend(theirs.clients);
            theirs.kinds.into_iter().for_each(|(kind, more)| ours.of_kind(kind, more));
            theirs.causes.into_iter().for_each(|(cause, more)| ours.of_cause(cause, more));
            ours.shared.extend(theirs.shared);
            for (second, breaches) in theirs.seconds {
                *ours.seconds.entry(second).or_default() += breaches;
            }
            theirs.kept.into_iter().for_each(|violation| ours.keep(violation, kept_max));
        }
    }

    /// Whether a rule was put to the test: a case was judged, broken or left open.
    #[must_use]
    pub fn exercised(&self, rule: Rule) -> bool {
        self.rules
            .get(&rule)
            .is_some_and(|tally| tally.judged > 0 || tally.violations > 0 || tally.undecided > 0)
    }

    /// Names of the rules that were not put to the test.
    #[must_use]
    pub fn not_exercised(&self) -> Vec<String> {
        let rules = Rule::ALL.iter().filter(|&&rule| !self.exercised(rule));
        rules.map(|rule| rule.name().to_owned()).collect()
    }

    /// What one rule found.
    #[must_use]
    pub fn rule(&self, rule: Rule) -> RuleTally {
        self.rules.get(&rule).cloned().unwrap_or_default()
    }

    /// Violations of one rule.
    #[must_use]
    pub fn count(&self, rule: Rule) -> u64 {
        self.rules.get(&rule).map_or(0, |tally| tally.violations)
    }

    /// Violations of all rules in some seconds of the run.
    #[must_use]
    pub fn within(&self, seconds: std::ops::RangeInclusive<u32>) -> u64 {
        self.seconds.range(seconds).map(|(_, breaches)| breaches).sum()
    }

    /// Violations of all rules, by the second of the run that they are of.
    pub(crate) fn seconds(&self) -> impl Iterator<Item = (u32, u64)> + '_ {
        self.seconds.iter().map(|(&second, &breaches)| (second, breaches))
    }

    /// Violations of all rules.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.rules.values().map(|tally| tally.violations).sum()
    }

    /// Undecided cases of all rules.
    #[must_use]
    pub fn undecided_total(&self) -> u64 {
        self.rules.values().map(|tally| tally.undecided).sum()
    }

    /// The clients of a kept violation that stands for several.
    #[must_use]
    pub fn shared(&self, violation: &Violation) -> Option<&Clients> {
        self.rules.get(&violation.rule)?.shared.get(violation)
    }

    /// Every kept violation, earliest first.
    #[must_use]
    pub fn kept(&self) -> Vec<Violation> {
        let all: BTreeSet<_> = self.rules.values().flat_map(|tally| tally.kept.iter()).collect();
        all.into_iter().cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn violation(at_us: Micros) -> Violation {
        Violation {
            at_us,
            rule: Rule::Gap,
            client: Some(1),
            topic: None,
            seqs: None,
            epoch: None,
            message: String::new(),
        }
    }

    #[test]
    fn the_earliest_are_kept_and_all_are_counted_however_they_come() {
        let mut late_first = Tally::new(2);
        for at in [5, 1, 4, 2, 3] {
            late_first.violate(violation(at), 0);
        }
        let (mut left, mut right) = (Tally::new(2), Tally::new(2));
        [5, 1].into_iter().for_each(|at| left.violate(violation(at), 0));
        [4, 2, 3].into_iter().for_each(|at| right.violate(violation(at), 0));
        left.merge(right);
        assert_eq!(left, late_first);
        assert_eq!(left.count(Rule::Gap), 5);
        assert_eq!(left.kept().iter().map(|v| v.at_us).collect::<Vec<_>>(), [1, 2]);
    }

    #[test]
    fn kinds_are_told_apart_with_their_clients_and_first_times_however_they_come() {
        let breach = |client, at_us| Violation { client: Some(client), ..violation(at_us) };
        let mut whole = Tally::new(2);
        let (mut left, mut right) = (Tally::new(2), Tally::new(2));
        for (kind, client, at) in [("b", 1, 5), ("a", 2, 9), ("b", 1, 3), ("b", 4, 8)] {
            whole.violate_as(kind, breach(client, at));
            let part = if client == 1 { &mut left } else { &mut right };
            part.violate_as(kind, breach(client, at));
        }
        right.merge(left);
        assert_eq!(right, whole);
        let gap = whole.rule(Rule::Gap);
        let b = &gap.kinds["b"];
        assert_eq!((b.violations, b.first_us, b.clients.len()), (3, 3, 2));
        assert_eq!((gap.violations, gap.clients.len(), gap.kinds.len()), (4, 3, 2));
        let many = |order: &mut dyn Iterator<Item = u32>| {
            let mut tally = Tally::new(1);
            order.for_each(|n| tally.violate_as(&format!("{n:04}"), breach(n, 1)));
            tally.rule(Rule::Gap).kinds
        };
        let kinds = many(&mut (0..100));
        assert_eq!((kinds.len(), &kinds), (KINDS_MAX, &many(&mut (0..100).rev())));
    }

    #[test]
    fn causes_are_told_apart_by_topic_and_kind_however_they_come() {
        let stream = Some(TopicId::WORKER_EVENTS);
        let breach =
            |client, at_us, topic| Violation { client: Some(client), topic, ..violation(at_us) };
        let mut whole = Tally::new(1);
        let (mut left, mut right) = (Tally::new(1), Tally::new(1));
        for (client, at, topic) in [(1, 5, stream), (2, 4, None), (2, 3, stream), (1, 9, stream)] {
            whole.violate(breach(client, at, topic), 1);
            let part = if client == 1 { &mut left } else { &mut right };
            part.violate(breach(client, at, topic), 1);
        }
        right.merge(left);
        assert_eq!(right, whole);
        let causes = whole.rule(Rule::Gap).causes;
        let cause = &causes[&(stream, "".into())];
        assert_eq!((causes.len(), cause.violations, cause.clients.len()), (2, 6, 2));
        assert_eq!((cause.first.at_us, cause.first.client), (3, Some(2)), "kept or not");
        assert_eq!(cause.last_us, 9);
        let many = |order: &mut dyn Iterator<Item = u32>| {
            let mut tally = Tally::new(1);
            order.for_each(|n| tally.violate_as(&format!("{n:04}"), breach(n, 1, None)));
            tally.rule(Rule::Gap).causes
        };
        let causes = many(&mut (0..100));
        assert_eq!((causes.len(), &causes), (CAUSES_MAX, &many(&mut (0..100).rev())));
    }

    #[test]
    fn who_shares_a_breach_is_kept_as_long_as_the_breach() {
        let mut tally = Tally::new(1);
        tally.violate_for(violation(5), 3, [7, 3, 2].into_iter(), 8, &BTreeMap::new());
        assert_eq!(tally.rule(Rule::Gap).causes[&(None, "".into())].last_us, 8);
        let shared = tally.shared(&violation(5)).cloned().expect("several share it");
        assert_eq!(shared.ranges(), [(1, 3), (7, 7)]);
        assert!(shared.contains(2) && !shared.contains(4));
        tally.violate(violation(4), 0);
        assert_eq!(tally.shared(&violation(4)), None, "one client alone");
        tally.violate_for(violation(3), 3, [1].into_iter(), 3, &BTreeMap::new());
        assert_eq!(tally.shared(&violation(3)), None, "one client alone, however often");
        assert_eq!(tally.rule(Rule::Gap).shared.len(), 0, "the later one is not kept");
        assert_eq!(tally.rule(Rule::Gap).clients.len(), 4);
    }

    #[test]
    fn breaches_that_one_stands_for_count_in_their_own_seconds() {
        let mut tally = Tally::new(1);
        let seconds = BTreeMap::from([(0, 1), (2, 2)]);
        tally.violate_for(violation(5), 3, [7, 3, 2].into_iter(), 2_000_000, &seconds);
        let counted: Vec<_> = tally.seconds().collect();
        assert_eq!(counted, [(0, 2), (2, 2)], "what no second is told of counts with the first");
    }

    #[test]
    fn every_breach_is_noticed_and_another_tallys_counts_are_added() {
        let tally = |n: u64| {
            let mut tally = Tally::new(2);
            for calls in 0..n {
                assert_eq!(tally.calls(), calls);
                tally.violate(violation(calls), calls);
                tally.consequence(Rule::Gap);
            }
            tally.judged(Rule::Gap, 10 * n);
            tally.undecided_cases(Rule::Gap, 100 * n);
            tally
        };
        let mut sum = tally(2);
        sum.merge(tally(3));
        let gap = sum.rule(Rule::Gap);
        assert_eq!((gap.judged, gap.undecided), (50, 500));
        assert_eq!((gap.consequences, gap.violations), (5, (1 + 2) + (1 + 2 + 3)));
        assert_eq!((sum.total(), sum.undecided_total()), (gap.violations, gap.undecided));
        assert_eq!((sum.within(0..=0), sum.within(1..=u32::MAX)), (gap.violations, 0));
    }

    #[test]
    fn a_case_however_it_ended_puts_a_rule_to_the_test() {
        let exercised = |put: fn(&mut Tally)| {
            let mut tally = Tally::new(2);
            put(&mut tally);
            (tally.exercised(Rule::Gap), tally.not_exercised().len())
        };
        let rules = Rule::ALL.len();
        assert_eq!(exercised(|tally| tally.judged(Rule::Gap, 1)), (true, rules - 1));
        assert_eq!(exercised(|tally| tally.undecided(Rule::Gap)), (true, rules - 1));
        assert_eq!(exercised(|tally| tally.violate(violation(1), 0)), (true, rules - 1));
        assert_eq!(exercised(|tally| tally.consequence(Rule::Gap)), (false, rules));
    }
}

//! Findings: what was seen that the contract does not say, by name: how often, when first and last, and
//! one example with its client.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::facts::Finding;
use crate::record::Micros;

/// Names kept apart; of more the last in alphabetical order are counted together.
const NAMES_MAX: usize = 64;
const OTHERS: &str = "others";

/// Something that was seen, or several of a kind at once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// The finding's name.
    pub name: String,
    /// How often; at least once.
    pub count: u64,
    /// When first and last; `None` of what is found when the run is over.
    pub times: Option<(Micros, Micros)>,
    /// The client that saw the first of them, where one did.
    pub client: Option<u32>,
    /// The first of them, in a sentence.
    pub message: String,
}

/// The example of a finding. The least is kept: with a time before without, the earliest, then by client
/// and message, so that it does not depend on who came first.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
struct Example {
    at: Micros,
    client: Option<u32>,
    message: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Found {
    count: u64,
    /// When the last was; `None` where none has a time.
    last: Option<Micros>,
    example: Example,
}

/// Findings by name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Findings {
    found: BTreeMap<String, Found>,
    /// Those beyond the names kept apart.
    others: Option<Found>,
}

/// The time of what has none: it comes after all that has one.
const NEVER: Micros = Micros::MAX;

impl Found {
    fn of(seen: Seen) -> (String, Self) {
        let Seen { name, count, times, client, message } = seen;
        let (at, last) = times.map_or((NEVER, None), |(first, last)| (first, Some(last)));
        (name, Self { count, last, example: Example { at, client, message } })
    }

    fn merge(&mut self, other: Self) {
        self.count += other.count;
        self.last = self.last.max(other.last);
        if other.example < self.example {
            self.example = other.example;
        }
    }

    fn told(self, name: String) -> Finding {
        let Example { at, client, message } = self.example;
        let first_us = Some(at).filter(|at| *at != NEVER);
        Finding { name, message, count: self.count, first_us, last_us: self.last, client }
    }
}

fn merge_into(found: &mut Option<Found>, other: Found) {
    match found {
        Some(found) => found.merge(other),
        None => *found = Some(other),
    }
}

impl Findings {
    /// Enters what was seen.
    pub fn add(&mut self, seen: Seen) {
        let (name, found) = Found::of(seen);
        self.enter(name, found);
        self.trim();
    }

    fn enter(&mut self, name: String, found: Found) {
        match self.found.get_mut(&name) {
            Some(known) => known.merge(found),
            None => drop(self.found.insert(name, found)),
        }
    }

    /// A name that is beyond the bound here is so in any sum that this is a part of.
    fn trim(&mut self) {
        while self.found.len() > NAMES_MAX {
            let Some((_, found)) = self.found.pop_last() else { return };
            merge_into(&mut self.others, found);
        }
    }

    /// Adds another shard's.
    pub fn merge(&mut self, other: Self) {
        other.found.into_iter().for_each(|(name, found)| self.enter(name, found));
        other.others.into_iter().for_each(|found| merge_into(&mut self.others, found));
        self.trim();
    }

    /// As a list, by name.
    #[must_use]
    pub fn into_list(self) -> Vec<Finding> {
        let others = self.others.into_iter().map(|found| (OTHERS.to_owned(), found));
        self.found.into_iter().chain(others).map(|(name, found)| found.told(name)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(name: &str, at: Option<Micros>, client: Option<u32>, message: &str) -> Seen {
        let (name, message) = (name.to_owned(), message.to_owned());
        Seen { name, count: 1, times: at.map(|at| (at, at)), client, message }
    }

    #[test]
    fn it_tells_how_often_when_and_of_whom_in_whatever_order_they_come() {
        let all = [
            seen("a", Some(30), Some(2), "b"),
            seen("a", Some(10), Some(9), "z"),
            seen("a", None, None, "a"),
            seen("a", Some(10), Some(4), "z"),
            Seen { count: 5, times: Some((20, 40)), ..seen("a", None, Some(1), "y") },
        ];
        for turn in 0..all.len() {
            let (mut one, mut two) = (Findings::default(), Findings::default());
            for (n, seen) in all.iter().cycle().skip(turn).take(all.len()).enumerate() {
                let part = if n % 2 == 0 { &mut one } else { &mut two };
                part.add(seen.clone());
            }
            one.merge(two);
            let [found] = &one.into_list()[..] else { panic!("one name") };
            assert_eq!((found.count, found.first_us, found.last_us), (9, Some(10), Some(40)));
            assert_eq!((found.client, &*found.message), (Some(4), "z"));
        }
    }

    #[test]
    fn what_is_found_at_the_end_has_no_time() {
        let mut findings = Findings::default();
        findings.add(seen("a", None, None, "b"));
        findings.add(seen("a", None, None, "a"));
        let [found] = &findings.into_list()[..] else { panic!("one name") };
        assert_eq!((found.first_us, found.last_us, &*found.message), (None, None, "a"));
    }

    #[test]
    fn names_beyond_the_bound_are_counted_together_however_the_findings_are_split() {
        let names: Vec<_> = (0..NAMES_MAX + 9).map(|n| format!("n{n:03}")).collect();
        let mut all = Findings::default();
        let mut parts = [Findings::default(), Findings::default(), Findings::default()];
        for (n, name) in names.iter().rev().enumerate() {
            all.add(seen(name, Some(n as Micros), None, ""));
            parts[n % 3].add(seen(name, Some(n as Micros), None, ""));
        }
        let [mut one, two, three] = parts;
        one.merge(three);
        one.merge(two);
        assert_eq!(one, all);
        let list = all.into_list();
        let last = list.last().expect("some");
        assert_eq!((list.len(), &*last.name, last.count), (NAMES_MAX + 1, OTHERS, 9));
    }
}

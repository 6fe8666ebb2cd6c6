//! What the proofs share: plans, records, a model of a correct runtime, edits, and shards.

pub mod authority;
pub mod by_hand;
pub mod edit;
pub mod epochs;
pub mod garbage;
pub mod history;
pub mod incidents;
pub mod plans;
pub mod reading;
pub mod records;
pub mod shards;
pub mod trial;
pub mod world;

use khala_evidence::Settled;
use khala_evidence::oracle::{Rule, RuleKind};
use proptest::test_runner::Config;

/// So many cases, or `PROPTEST_CASES`; and no file beside the tests: a failing case can be read.
pub fn cases(cases: u32) -> Config {
    let default = Config::default();
    let cases = if std::env::var_os("PROPTEST_CASES").is_some() { default.cases } else { cases };
    Config { cases, failure_persistence: None, ..default }
}

/// The rules that a correct runtime cannot break however it is used, those that are added later
/// included; and of lateness, convergence. (Other lateness brings its own tests: what is late depends
/// on a load that these histories do not have.)
fn judged() -> impl Iterator<Item = Rule> {
    let all = Rule::ALL.iter().copied();
    all.filter(|rule| rule.kind() == RuleKind::Proof || *rule == Rule::NoConvergence)
}

/// The rules that were broken, and how often.
pub fn broken(settled: &Settled) -> Vec<(Rule, u64)> {
    let counted = judged().map(|rule| (rule, settled.violations(rule)));
    counted.filter(|(_, count)| *count > 0).collect()
}

/// Of all rules, those of lateness too: for histories whose load was made for them.
pub fn all_broken(settled: &Settled) -> Vec<(Rule, u64)> {
    let counted = Rule::ALL.iter().map(|&rule| (rule, settled.violations(rule)));
    counted.filter(|(_, count)| *count > 0).collect()
}

/// The rules that left something open, and how much.
pub fn undecided(settled: &Settled) -> Vec<(Rule, u64)> {
    let counted = judged().map(|rule| (rule, settled.tally.rule(rule).undecided));
    counted.filter(|(_, count)| *count > 0).collect()
}

//! What the contract is silent on, as it is seen: a finding, and a violation where the target's keys make
//! it a rule.

use khala_wire::topic::TopicId;

use super::Shard;
use super::findings::{Findings, Seen};
use crate::context::Context;
use crate::oracle::{Rule, Tally, Violation};
use crate::record::Micros;

/// One occurrence of a finding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Found<'a> {
    /// The finding's name.
    pub name: &'a str,
    /// The client that saw it, where one did.
    pub client: Option<u32>,
    /// When.
    pub at: Micros,
    /// The topic, where one is concerned.
    pub topic: Option<TopicId>,
    /// First and last seq concerned.
    pub seqs: Option<(u64, u64)>,
    /// What was seen, in a sentence.
    pub message: String,
}

impl Found<'_> {
    /// Enters it, as `count` that were seen from then until `last`.
    pub fn enter_as(
        self,
        (count, last): (u64, Micros),
        context: &Context,
        findings: &mut Findings,
        tally: &mut Tally,
    ) {
        let Self { name, client, at, topic, seqs, message } = self;
        if let Some(rule) = context.rule_of(name) {
            let message = format!("{message} (finding `{name}`, a rule on this target)");
            let of = Violation { at_us: at, rule, client, topic, seqs, epoch: None, message };
            tally.judged(rule, 1);
            match rule {
                Rule::MalformedMessage => tally.violate_as(name, of),
                _ => tally.violate(of, 0),
            }
        }
        let (name, times) = (name.to_owned(), Some((at, last)));
        findings.add(Seen { name, count, times, client, message });
    }
}

impl Shard {
    /// Something was seen once.
    pub(super) fn found(&mut self, found: Found<'_>) {
        let once = (1, found.at);
        let (findings, tally) = (&mut self.flow.findings, &mut self.flow.tally);
        found.enter_as(once, &self.context, findings, tally);
    }
}

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

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::sync::Arc;

    use khala_plan::Schedule;

    use super::*;
    use crate::oracle::End;
    use crate::record::{
        BadToken, Delivery, Limit, Outcome, PublishId, Published, Record, Sink, Source, Step,
        TokenAnswer,
    };
    use crate::shard::Settled;
    use crate::testing;

    const TEXT: &str = r#"
version = 1
name = "silent"
seed = 7
[target]
kind = "reference"
findings_are_rules = []
[auth]
mint = "hs256"
[fleet]
clients = 4
ramp = "1s"
[[fleet.surface]]
name = "desktop"
share = 1.0
[[load]]
command = "codex-worker-events"
rate = "1/s"
payload_bytes = 200000
[[phase]]
name = "steady"
duration = "60s"
[[gate]]
name = "ux"
[[gate.objective]]
metric = "violations"
require = "count == 0"
[oracle]
settle_within = "1s"
"#;

    const STREAM: TopicId = TopicId::WORKER_EVENTS;
    const S: Micros = 1_000_000;

    /// What comes of records on a target with these findings as rules.
    fn settled(rules: &str, records: Vec<Record>) -> Settled {
        let text = TEXT.replace("rules = []", &format!("rules = [{rules}]"));
        let plan = testing::plan(&text);
        let mut shard = Shard::new(Arc::new(Context::of(&plan, &Schedule::of(&plan))));
        records.into_iter().for_each(|record| shard.record(record));
        shard.settle(&BTreeSet::new(), End { at: 60 * S, drained: true })
    }

    /// A finding that is told, and breaks a rule only where the target's keys name it.
    fn breaks(name: &str, rule: Rule, records: &[Record]) -> Violation {
        let plain = settled("", records.to_vec());
        let [found] = &plain.findings[..] else { panic!("{:?}", plain.findings) };
        assert_eq!(found.name, name);
        assert!(found.first_us.is_some() && found.last_us.is_some(), "{found:?}");
        assert_eq!(plain.tally.kept(), vec![]);
        let ruled = settled(&format!("\"{name}\""), records.to_vec());
        assert_eq!(ruled.findings, plain.findings);
        let [violation] = &ruled.tally.kept()[..] else { panic!("{:?}", ruled.tally.kept()) };
        assert_eq!(violation.rule, rule);
        assert_eq!((Some(violation.at_us), violation.client), (found.first_us, found.client));
        assert!(violation.message.contains(name), "{violation:?}");
        (*violation).clone()
    }

    fn tried(kind: BadToken, at: Micros, answer: TokenAnswer) -> Record {
        Record::TokenTried { client: 3, start: at - S, at, kind, answer }
    }

    #[test]
    fn a_token_that_outlives_its_end_is_a_finding_and_by_the_key_a_leak() {
        let (expires, device) = (BadToken::Expires, BadToken::RevokedDevice);
        for (kind, answer) in [
            (expires, TokenAnswer::Lives),
            (device, TokenAnswer::Lives),
            (device, TokenAnswer::Accepted),
            (device, TokenAnswer::Refused { step: Step::Subscribe }),
        ] {
            let name = kind.finding().expect("has one");
            let found = breaks(name, Rule::AuthzLeak, &[tried(kind, 7 * S, answer)]);
            assert_eq!((found.client, found.at_us), (Some(3), 7 * S));
        }
    }

    #[test]
    fn one_that_does_not_is_none_and_one_that_was_not_tried_so_far_is_open() {
        let (expires, device) = (BadToken::Expires, BadToken::RevokedDevice);
        for (kind, answer, expected) in [
            (expires, TokenAnswer::Refused { step: Step::Heartbeat }, (1, 0)),
            (expires, TokenAnswer::Refused { step: Step::Join }, (0, 1)),
            (expires, TokenAnswer::None { step: Step::Heartbeat }, (0, 1)),
            (device, TokenAnswer::Refused { step: Step::Heartbeat }, (1, 0)),
            (device, TokenAnswer::Refused { step: Step::Join }, (1, 0)),
            (device, TokenAnswer::None { step: Step::Join }, (0, 1)),
        ] {
            let name = kind.finding().expect("has one");
            for (rules, expected) in [("", (0, 0)), (name, expected)] {
                let rules = if rules.is_empty() { String::new() } else { format!("\"{rules}\"") };
                let settled = settled(&rules, vec![tried(kind, 7 * S, answer)]);
                let tally = settled.tally.rule(Rule::AuthzLeak);
                assert_eq!((tally.judged, tally.undecided), expected, "{kind:?} {answer:?}");
                assert_eq!((tally.violations, settled.findings.len()), (0, 0));
            }
        }
    }

    #[test]
    fn what_is_over_a_limit_names_its_topic_and_seqs() {
        for limit in [Limit::UpdateBytes, Limit::BatchUpdates, Limit::BatchBytes] {
            let size = limit.most() + 1;
            let (topic, seqs) = (Some(STREAM), Some((4, 9)));
            let over = Record::OverLimit { client: 2, at: 5 * S, limit, size, topic, seqs };
            let found = breaks(limit.finding(), Rule::MalformedMessage, &[over]);
            assert_eq!((found.client, found.topic, found.seqs), (Some(2), topic, seqs));
        }
    }

    fn published(n: u32, at: Micros, outcome: Outcome) -> Record {
        Record::Published(Published {
            id: PublishId::Planned(n),
            worker: 0,
            intended: at,
            start: at,
            done: at + 1_000,
            outcome,
            status: Some(202),
            worker_seq: (outcome == Outcome::Ok).then_some(n.into()),
            payload: 1,
        })
    }

    #[test]
    fn a_payload_over_the_classes_limit_that_is_acknowledged_is_a_finding() {
        let found = breaks(
            "publish_over_limit",
            Rule::MalformedMessage,
            &[published(1, 2 * S, Outcome::Ok)],
        );
        assert_eq!((found.client, found.at_us), (None, 2 * S + 1_000));
        let refused = vec![published(1, 2 * S, Outcome::RefusedTopic)];
        assert_eq!(settled("", refused).findings, vec![]);
    }

    #[test]
    fn silence_after_a_cursor_beyond_head_counts_what_did_not_come() {
        let event = |n: u32, begun| {
            let publish = PublishId::Planned(n);
            Record::Delivered(Delivery {
                client: 1,
                epoch: 1,
                topic: STREAM,
                seq: n.into(),
                at: begun + 2_000,
                content: 1,
                hash_fits: true,
                source: Source::Event {
                    publish,
                    intended: Some(begun),
                    begun: Some(begun),
                    payload: 1,
                    worker_seq: None,
                },
            })
        };
        let mut records = vec![Record::Finding {
            name: "future_cursor_accepted".to_owned(),
            client: Some(2),
            at: 3 * S,
            message: "it was".to_owned(),
        }];
        let accepted = breaks("future_cursor_accepted", Rule::FalseReplayComplete, &records);
        assert_eq!(accepted.client, Some(2));
        for n in 4..8 {
            records.push(event(n, u64::from(n) * S));
            records.push(published(n, u64::from(n) * S, Outcome::Ok));
        }
        let (from, asked, at) = (3 * S, 7 * S, 7 * S + 1_000);
        let (client, topic, cursor, first) = (2, STREAM, 99, None);
        records.push(Record::BeyondHead { client, topic, cursor, from, asked, first, at });
        let silence = |settled: &Settled| {
            let found = settled.findings.iter().find(|it| it.name == "future_cursor_silence");
            found.cloned().expect("is told")
        };
        let plain = settled("", records.clone());
        let found = silence(&plain);
        assert_eq!((found.count, found.client), (2, Some(2)), "{found:?}");
        assert_eq!((found.first_us, found.last_us), (Some(4 * S + 1_000), Some(5 * S + 1_000)));
        assert_eq!(plain.tally.count(Rule::Gap), 0);
        let ruled = settled("\"future_cursor_silence\"", records);
        let gaps: Vec<_> =
            ruled.tally.kept().into_iter().filter(|it| it.rule == Rule::Gap).collect();
        assert_eq!((gaps.len(), gaps[0].topic, gaps[0].seqs), (1, Some(STREAM), Some((4, 5))));
    }
}

//! Rule `authz_leak`: nothing comes from a topic that was not granted, and none is named; no bad token is
//! accepted, and nothing comes over the socket of a revoked session; and a client is answered as itself.
//!
//! A bad token must be refused at the step that the contract names for it, or before
//! ([`BadToken::refused_at`]). After a revocation was acknowledged, what is already under way may still
//! come, however late it is read; an event that was *published* more than a grace (the settle bound)
//! after it, or the answer to a heartbeat that was *sent* more than a grace after it, cannot have been.
//! So no slowness of ours, and no buffer between, makes a violation.
//!
//! Cases: bad tokens that were answered; revoked sockets that ended, or were caught; topics that a
//! client was not granted and on which something was published. Undecided: bad tokens without an
//! answer; revoked sockets that neither ended nor were heard of again. Memory: [`Revoked`] a client.

use std::time::Duration;

use khala_wire::topic::{KNOWN, TopicId};
use serde::{Deserialize, Serialize};

use super::ledger::Ledger;
use super::rule::Rule;
use super::tally::{Tally, Violation};
use crate::record::{BadToken, Delivery, Micros, Source, Step, Telling, TokenAnswer};

/// A revocation of the session whose socket a client still has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Revoked {
    /// When it was acknowledged.
    at: Micros,
    /// Whether something came after it: one violation a revocation.
    broken: bool,
}

/// A bad token that was tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tried {
    /// The client.
    pub client: u32,
    /// When that had ended.
    pub at: Micros,
    /// What was wrong with the token.
    pub kind: BadToken,
    /// How far it got.
    pub answer: TokenAnswer,
}

fn violation(client: u32, at_us: Micros, message: String) -> Violation {
    let rule = Rule::AuthzLeak;
    Violation { at_us, rule, client: Some(client), topic: None, seqs: None, epoch: None, message }
}

/// A delivery from a topic that the client was not granted.
pub fn on_ungranted(delivery: &Delivery, tally: &mut Tally) {
    let Delivery { client, topic, seq, at, epoch, .. } = *delivery;
    let message = format!("seq {seq} came from a topic that the client's token does not open");
    let violation = Violation {
        topic: Some(topic),
        seqs: Some((seq, seq)),
        epoch: Some(epoch),
        ..violation(client, at, message)
    };
    tally.violate(violation, 0);
}

/// A batch of a topic that the client was not granted, known to the contract or not; its content was not
/// read.
pub fn on_ungranted_batch(
    client: u32,
    at: Micros,
    topic: &str,
    seq: Option<u64>,
    tally: &mut Tally,
) {
    let what = seq.map_or_else(|| "a batch".to_owned(), |seq| format!("seq {seq}"));
    let message =
        format!("{what} came from topic `{topic}`, which the client's token does not open");
    let (topic, seqs) = (TopicId::of(topic), seq.map(|seq| (seq, seq)));
    tally.violate(Violation { topic, seqs, ..violation(client, at, message) }, 0);
}

/// A request was answered for a session that is not the client's: whoever gave it the token, or the answer,
/// took it for somebody else (contract, section 3, join: `sub_sync_session:{session}`).
pub fn on_joined_as(client: u32, at: Micros, session: &str, by: Telling, tally: &mut Tally) {
    let message = format!("{by} is for session `{session}`, which is another client's");
    tally.violate(violation(client, at, message), 0);
}

/// A topic that the client's token does not open was named to it: that there is such a topic, and where it
/// stands, is nobody else's business.
pub fn on_named(client: u32, at: Micros, topic: &str, by: Telling, tally: &mut Tally) {
    let message = format!("{by} names topic `{topic}`, which the client's token does not open");
    let topic = TopicId::of(topic);
    tally.violate(Violation { topic, ..violation(client, at, message) }, 0);
}

/// Whether a token that was good once still opens something after its end: the contract is silent on it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outlives {
    /// It does: what was seen.
    Yes(String),
    /// It does not.
    No,
    /// It was not tried so far, or there was no answer.
    Open,
}

/// What a token came to that was good once: see [`BadToken::finding`].
pub fn outlives(tried: Tried) -> Outlives {
    let (what, over) = match tried.kind {
        BadToken::RevokedDevice => ("of a device that is revoked", "its device had been revoked"),
        _ => ("that has expired", "its token had expired"),
    };
    match tried.answer {
        TokenAnswer::Lives => Outlives::Yes(format!(
            "a heartbeat was answered over a socket longer than the settle bound after {over}"
        )),
        TokenAnswer::Refused { step: Step::Heartbeat } => Outlives::No,
        // Of a socket that lives the steps before are no try: its token was good.
        _ if tried.kind == BadToken::Expires => Outlives::Open,
        TokenAnswer::Accepted
        | TokenAnswer::Refused { step: Step::Subscribe }
        | TokenAnswer::None { step: Step::Subscribe } => {
            Outlives::Yes(format!("a new join was accepted with a token {what}"))
        }
        TokenAnswer::Refused { .. } => Outlives::No,
        TokenAnswer::None { .. } => Outlives::Open,
    }
}

/// A bad token was tried.
pub fn on_tried(tried: Tried, tally: &mut Tally) {
    let Tried { client, at, kind, answer } = tried;
    let (name, limit) = (kind.name(), kind.refused_at());
    let got = match answer {
        TokenAnswer::Refused { step } | TokenAnswer::None { step } if step > limit => {
            format!("got past the {}", past(limit))
        }
        TokenAnswer::Accepted | TokenAnswer::Lives => "was accepted: it could subscribe".to_owned(),
        TokenAnswer::Refused { .. } => return tally.judged(Rule::AuthzLeak, 1),
        TokenAnswer::None { .. } => return tally.undecided(Rule::AuthzLeak),
    };
    tally.judged(Rule::AuthzLeak, 1);
    tally.violate(violation(client, at, format!("a bad token ({name}) {got}")), 0);
}

fn past(step: Step) -> &'static str {
    match step {
        Step::Connect => "upgrade",
        Step::Join => "join",
        Step::Subscribe => "subscribe",
        Step::Heartbeat => "heartbeat",
    }
}

/// The target acknowledged a revocation; `connected`: the client still had the socket.
pub fn on_revoked(at: Micros, connected: bool, tally: &mut Tally) -> Option<Revoked> {
    if connected {
        return Some(Revoked { at, broken: false });
    }
    // The socket had ended before the acknowledgement came.
    tally.judged(Rule::AuthzLeak, 1);
    None
}

/// Something came over the socket of a revoked session that was begun at `begun`.
fn came(revoked: &mut Revoked, begun: Micros, grace: Duration, of: Violation, tally: &mut Tally) {
    let grace_us = u64::try_from(grace.as_micros()).unwrap_or(u64::MAX);
    if revoked.broken || begun <= revoked.at.saturating_add(grace_us) {
        return;
    }
    revoked.broken = true;
    tally.judged(Rule::AuthzLeak, 1);
    tally.violate(of, 0);
}

/// A delivery over the socket of a revoked session.
pub fn on_delivery(revoked: &mut Revoked, delivery: &Delivery, grace: Duration, tally: &mut Tally) {
    let Source::Event { begun: Some(begun), .. } = delivery.source else { return };
    let Delivery { client, topic, seq, at, epoch, .. } = *delivery;
    let after = Duration::from_micros(begun.saturating_sub(revoked.at));
    let message = format!(
        "seq {seq} came over the socket of a revoked session, and was published {after:.1?} after the \
         revocation was acknowledged"
    );
    let violation = Violation {
        topic: Some(topic),
        seqs: Some((seq, seq)),
        epoch: Some(epoch),
        ..violation(client, at, message)
    };
    came(revoked, begun, grace, violation, tally);
}

/// A heartbeat over the socket of a revoked session was answered with ok.
pub fn on_heartbeat(
    revoked: &mut Revoked,
    client: u32,
    (sent, done): (Micros, Micros),
    grace: Duration,
    tally: &mut Tally,
) {
    let after = Duration::from_micros(sent.saturating_sub(revoked.at));
    let message = format!(
        "a heartbeat was answered over the socket of a revoked session, sent {after:.1?} after the \
         revocation was acknowledged"
    );
    came(revoked, sent, grace, violation(client, done, message), tally);
}

/// The socket of a revoked session ended.
pub fn on_ended(revoked: Revoked, tally: &mut Tally) {
    tally.judged(Rule::AuthzLeak, u64::from(!revoked.broken));
}

/// The run ends, for a client that was granted these topics.
pub fn settle(granted: &[TopicId], revoked: Option<Revoked>, ledger: &Ledger, tally: &mut Tally) {
    let closed = KNOWN.iter().filter_map(|known| TopicId::of(known.name));
    let closed = closed.filter(|topic| !granted.contains(topic));
    let busy =
        |topic: &TopicId| ledger.seen().range((*topic, 0)..=(*topic, u64::MAX)).next().is_some();
    tally.judged(Rule::AuthzLeak, closed.filter(busy).count() as u64);
    if revoked.is_some_and(|revoked| !revoked.broken) {
        tally.undecided(Rule::AuthzLeak);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::PublishId;

    const RULE: Rule = Rule::AuthzLeak;
    const GRACE: Duration = Duration::from_secs(2);

    fn event(begun: Micros) -> Delivery {
        let source = Source::Event {
            publish: PublishId::Planned(1),
            intended: Some(begun),
            begun: Some(begun),
            payload: 1,
            worker_seq: None,
        };
        Delivery {
            client: 3,
            epoch: 1,
            topic: TopicId::WORKER_EVENTS,
            seq: 9,
            at: 9_000_000,
            content: 1,
            hash_fits: true,
            source,
        }
    }

    fn counts(tally: &Tally) -> (u64, u64, u64) {
        let of = tally.rule(RULE);
        (tally.count(RULE), of.judged, of.undecided)
    }

    #[test]
    fn a_join_for_another_session_is_a_leak_that_names_it() {
        let mut tally = Tally::new(9);
        on_joined_as(3, 5, "s-9", Telling::Heartbeat, &mut tally);
        assert_eq!(tally.count(RULE), 1);
        assert!(
            tally
                .kept()
                .iter()
                .any(|kept| kept.client == Some(3) && kept.message.contains("`s-9`"))
        );
    }

    #[test]
    fn a_topic_that_is_named_is_told_as_far_as_it_is_known() {
        for (name, topic) in [
            ("runtime.codex_worker_events", Some(TopicId::WORKER_EVENTS)),
            ("runtime.somebody_elses", None),
        ] {
            let mut tally = Tally::new(9);
            on_named(3, 5, name, Telling::Heartbeat, &mut tally);
            let kept = &tally.kept()[0];
            assert_eq!((kept.client, kept.topic, kept.seqs), (Some(3), topic, None));
            assert!(kept.message.contains(&format!("names topic `{name}`")), "{}", kept.message);
        }
    }

    #[test]
    fn a_bad_token_may_get_as_far_as_the_contract_says_and_no_further() {
        use TokenAnswer::{Accepted, None, Refused};
        let cases = [
            (BadToken::Expired, Refused { step: Step::Connect }, (0, 1, 0)),
            (BadToken::Expired, Refused { step: Step::Join }, (1, 1, 0)),
            (BadToken::AlgNone, None { step: Step::Join }, (1, 1, 0)),
            (BadToken::AlgNone, None { step: Step::Connect }, (0, 0, 1)),
            (BadToken::Revoked, Refused { step: Step::Join }, (0, 1, 0)),
            (BadToken::Revoked, None { step: Step::Join }, (0, 0, 1)),
            (BadToken::Revoked, Refused { step: Step::Subscribe }, (1, 1, 0)),
            (BadToken::WrongScope, Refused { step: Step::Join }, (0, 1, 0)),
            (BadToken::WrongScope, Refused { step: Step::Subscribe }, (0, 1, 0)),
            (BadToken::WrongScope, Accepted, (1, 1, 0)),
        ];
        for (kind, answer, expected) in cases {
            let mut tally = Tally::new(5);
            on_tried(Tried { client: 0, at: 5, kind, answer }, &mut tally);
            assert_eq!(counts(&tally), expected, "{kind:?} {answer:?}");
        }
    }

    #[test]
    fn a_token_that_outlives_its_good_time_says_whose_it_was() {
        let said = |kind, answer| match outlives(Tried { client: 0, at: 5, kind, answer }) {
            Outlives::Yes(said) => said,
            Outlives::No | Outlives::Open => String::new(),
        };
        let lives = |kind| said(kind, TokenAnswer::Lives);
        assert!(lives(BadToken::RevokedDevice).ends_with("after its device had been revoked"));
        assert!(lives(BadToken::Expires).ends_with("after its token had expired"));
        let joined = said(BadToken::RevokedDevice, TokenAnswer::Accepted);
        assert!(joined.ends_with("a token of a device that is revoked"), "{joined}");
    }

    #[test]
    fn what_a_token_that_was_good_once_comes_to_is_told_by_how_far_it_got() {
        use TokenAnswer::{Accepted, Lives, None, Refused};
        let (socket, device) = (BadToken::Expires, BadToken::RevokedDevice);
        for (kind, answer, expected) in [
            (socket, Lives, "yes"),
            (socket, Refused { step: Step::Heartbeat }, "no"),
            // It was good at the steps before.
            (socket, Accepted, "open"),
            (socket, Refused { step: Step::Subscribe }, "open"),
            (socket, None { step: Step::Heartbeat }, "open"),
            (device, Lives, "yes"),
            (device, Refused { step: Step::Heartbeat }, "no"),
            (device, Accepted, "yes"),
            (device, Refused { step: Step::Subscribe }, "yes"),
            (device, None { step: Step::Subscribe }, "yes"),
            (device, Refused { step: Step::Join }, "no"),
            (device, None { step: Step::Join }, "open"),
            (device, None { step: Step::Connect }, "open"),
        ] {
            let came_to = match outlives(Tried { client: 0, at: 5, kind, answer }) {
                Outlives::Yes(_) => "yes",
                Outlives::No => "no",
                Outlives::Open => "open",
            };
            assert_eq!(came_to, expected, "{kind:?} {answer:?}");
        }
    }

    #[test]
    fn only_what_was_begun_after_the_grace_is_proof_against_a_revocation() {
        for (begun, expected) in [(3_000_000, (0, 0, 0)), (3_000_001, (1, 1, 0))] {
            let mut tally = Tally::new(5);
            let mut revoked = on_revoked(1_000_000, true, &mut tally).expect("still connected");
            on_delivery(&mut revoked, &event(begun), GRACE, &mut tally);
            assert_eq!(counts(&tally), expected, "published at {begun}");
            let mut tally = Tally::new(5);
            let mut revoked = on_revoked(1_000_000, true, &mut tally).expect("still connected");
            on_heartbeat(&mut revoked, 3, (begun, 9_000_000), GRACE, &mut tally);
            assert_eq!(counts(&tally), expected, "sent at {begun}");
        }
    }

    #[test]
    fn a_revocation_is_condemned_once_and_is_a_case_once() {
        let mut tally = Tally::new(5);
        let mut revoked = on_revoked(1_000_000, true, &mut tally).expect("still connected");
        on_delivery(&mut revoked, &event(4_000_000), GRACE, &mut tally);
        on_delivery(&mut revoked, &event(5_000_000), GRACE, &mut tally);
        on_ended(revoked, &mut tally);
        assert_eq!(counts(&tally), (1, 1, 0));
        let mut tally = Tally::new(5);
        on_ended(on_revoked(1, true, &mut tally).expect("connected"), &mut tally);
        assert_eq!(on_revoked(1, false, &mut tally), None);
        assert_eq!(counts(&tally), (0, 2, 0));
    }

    #[test]
    fn a_revoked_socket_that_was_never_heard_of_again_is_undecided() {
        let mut tally = Tally::new(5);
        let revoked = on_revoked(1, true, &mut tally);
        settle(&[], revoked, &Ledger::default(), &mut tally);
        assert_eq!(counts(&tally), (0, 0, 1));
    }

    #[test]
    fn a_batch_of_a_topic_that_nobody_granted_is_a_leak_whether_the_topic_is_known_or_not() {
        for (topic, id) in
            [("org:77:billing", None), ("runtime.notifications", Some(TopicId::NOTIFICATIONS))]
        {
            let mut tally = Tally::new(5);
            on_ungranted_batch(3, 7, topic, Some(5), &mut tally);
            on_ungranted_batch(3, 8, topic, None, &mut tally);
            let kept = tally.kept();
            assert_eq!((kept[0].topic, kept[0].seqs, kept[1].seqs), (id, Some((5, 5)), None));
            assert!(kept.iter().all(|it| it.message.contains(topic)), "{kept:?}");
        }
    }

    #[test]
    fn a_closed_topic_is_a_case_only_where_something_was_to_be_leaked() {
        let mut ledger = Ledger::default();
        ledger.deliver(&event(1));
        for (granted, judged) in
            [(vec![TopicId::WORKER_EVENTS], 0), (vec![TopicId::WORKER_SUMMARIES], 1)]
        {
            let mut tally = Tally::new(5);
            settle(&granted, None, &ledger, &mut tally);
            assert_eq!(counts(&tally), (0, judged, 0));
        }
        let mut tally = Tally::new(5);
        on_ungranted(&event(1), &mut tally);
        assert_eq!(tally.count(RULE), 1);
    }

    #[test]
    fn a_leak_names_its_topic_seq_and_epoch_and_a_bad_token_the_step_it_got_past() {
        let mut tally = Tally::new(9);
        on_ungranted(&event(5), &mut tally);
        let mut revoked = Revoked { at: 1_000_000, broken: false };
        on_delivery(&mut revoked, &event(3_000_001), GRACE, &mut tally);
        assert_eq!(tally.kept().len(), 2);
        for leak in tally.kept() {
            let place = (leak.client, leak.topic, leak.seqs, leak.epoch);
            assert_eq!(
                place,
                (Some(3), Some(TopicId::WORKER_EVENTS), Some((9, 9)), Some(1)),
                "{leak:?}"
            );
        }
        let refused_late = [
            (BadToken::Expired, Step::Join, "a bad token (expired) got past the upgrade"),
            (BadToken::Revoked, Step::Subscribe, "a bad token (revoked) got past the join"),
        ];
        for (kind, step, message) in refused_late {
            let mut tally = Tally::new(1);
            let answer = TokenAnswer::Refused { step };
            on_tried(Tried { client: 3, at: 5, kind, answer }, &mut tally);
            assert_eq!(tally.kept()[0].message, message);
        }
    }
}

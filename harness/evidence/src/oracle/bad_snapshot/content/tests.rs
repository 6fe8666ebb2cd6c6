use super::*;
use crate::record::{Delivery, Source};
use crate::testing;

const TOPIC: TopicId = TopicId::WORKER_SUMMARIES;
const RULE: Rule = Rule::BadSnapshot;
const SETTLE: Duration = Duration::from_micros(50);

/// Two workers: worker 0's version 3 was sent on seq 10 and 5 on seq 20, worker 1's version 2 on seq 15.
/// Of worker 2, acknowledged at 301, nobody was sent anything. Worker 7's document was sent, and is of
/// no acknowledged command.
fn ledger() -> Ledger {
    let mut ledger = Ledger::default();
    for (n, worker, worker_seq) in [(0, 0, 5), (1, 1, 2), (2, 2, 3)] {
        ledger.publish(&testing::published(
            PublishId::Planned(n),
            worker,
            [worker_seq * 100, worker_seq * 100 + 1],
            Some(worker_seq),
        ));
    }
    for (seq, worker, version) in [(10, 0, 3), (20, 0, 5), (15, 1, 2), (4, 7, 9)] {
        let source = Source::State { worker, version };
        let (client, epoch, at, content, hash_fits) = (9, 1, seq, seq, true);
        ledger.deliver(&Delivery {
            client,
            epoch,
            topic: TOPIC,
            seq,
            at,
            content,
            hash_fits,
            source,
        });
    }
    ledger
}

fn held(versions: &[(u16, u64)]) -> Vec<Held> {
    let of = |&(worker, version)| Held { worker, version, hash_fits: true, content: 0 };
    versions.iter().map(of).collect()
}

fn taken(client: u32, start: Micros, head: u64) -> Taken {
    Taken { client, at: start + 5, start, topic: TOPIC, head }
}

fn judged(contents: &Contents) -> Tally {
    let (ledger, mut tally) = (ledger(), Tally::new(5));
    contents.settle(&ledger, &Versions::of(&ledger), SETTLE, &mut tally);
    tally
}

/// What is judged of one that was asked for before any document was due.
fn one(head: u64, documents: Vec<Held>) -> Tally {
    let mut contents = Contents::default();
    contents.add(taken(3, 240, head), documents);
    judged(&contents)
}

#[test]
fn the_state_at_the_watermark_is_accepted_and_so_is_a_newer_one() {
    for (head, versions) in [
        (9, vec![]),
        (10, vec![(0, 3)]),
        (19, vec![(0, 4), (1, 2)]),
        (20, vec![(1, 2), (0, 5)]),
        (20, vec![(1, 3), (0, 9), (2, 1), (6, 1)]),
    ] {
        let tally = one(head, held(&versions));
        let counted = tally.rule(RULE);
        assert_eq!((tally.total(), counted.judged, counted.undecided), (0, 1, 0), "{versions:?}");
    }
}

#[test]
fn one_that_lacks_a_document_or_has_an_old_one_or_a_wrong_hash_is_a_violation() {
    let wrong_hash = vec![Held { worker: 6, version: 4, hash_fits: false, content: 0 }];
    for (head, documents, why) in [
        (10, held(&[]), "lacks worker 0's document; others had been sent version 3"),
        (20, held(&[(0, 5)]), "lacks worker 1's document; others had been sent version 2"),
        (
            20,
            held(&[(0, 4), (1, 2)]),
            "has version 4 of worker 0's document; others had been sent 5",
        ),
        (9, wrong_hash, "has worker 6's document with a hash that is not its payload's"),
    ] {
        let tally = one(head, documents);
        assert_eq!((tally.count(RULE), tally.total(), tally.rule(RULE).judged), (1, 1, 1));
        let violation = &tally.kept()[0];
        assert!(violation.message.contains(why), "{violation:?}");
        assert_eq!(
            (violation.client, violation.topic, violation.at_us),
            (Some(3), Some(TOPIC), 245)
        );
    }
}

#[test]
fn another_content_of_a_version_that_others_were_sent_is_a_violation() {
    // As they were sent: seq 20 and seq 15.
    let documents = |five, two| {
        let of = |worker, version, content| Held { worker, version, hash_fits: true, content };
        vec![of(0, 5, five), of(1, 2, two)]
    };
    for right in [documents(20, 15), documents(NO_CONTENT, 15)] {
        assert_eq!(one(20, right).total(), 0);
    }
    let mut newer = documents(20, 15);
    newer[0] = Held { worker: 0, version: 6, hash_fits: true, content: 77 };
    assert_eq!(one(20, newer).total(), 0, "nobody was sent it");
    let tally = one(20, documents(20, 77));
    assert_eq!((tally.count(RULE), tally.total()), (1, 1));
    let why = "has version 2 of worker 1's document with another content than others had been sent";
    assert!(tally.kept()[0].message.contains(why), "{:?}", tally.kept());
}

#[test]
fn what_nobody_was_sent_below_the_watermark_is_open_once_it_was_due() {
    for (start, open) in [(350, 0), (351, 1)] {
        let mut contents = Contents::default();
        contents.add(taken(3, start, 9), held(&[(0, 1), (1, 1)]));
        let tally = judged(&contents);
        assert_eq!((tally.total(), tally.rule(RULE).undecided), (0, open), "asked for at {start}");
        assert_eq!(tally.rule(RULE).judged, 1 - open);
    }
}

#[test]
fn each_client_that_took_it_counts_however_they_are_split() {
    let (mut one, mut two, mut all) =
        (Contents::default(), Contents::default(), Contents::default());
    for (client, start) in [(3, 340), (5, 320), (3, 330)] {
        let part = if client == 3 { &mut one } else { &mut two };
        part.add(taken(client, start, 20), held(&[(1, 2), (0, 1)]));
        all.add(taken(client, start, 20), held(&[(0, 1), (1, 2)]));
    }
    two.merge(one);
    assert_eq!(two, all);
    let tally = judged(&all);
    assert_eq!((tally.count(RULE), tally.rule(RULE).judged), (3, 3));
    assert_eq!(tally.kept()[0].client, Some(5), "the first");
    assert_eq!(tally.rule(RULE).clients, BTreeSet::from([3, 5]));
}

#[test]
fn of_too_many_that_differ_the_others_are_open() {
    let mut contents = Contents::default();
    let most = CONTENTS_MAX as u64;
    for head in (0..most + 2).rev() {
        contents.add(taken(1, 0, head), held(&[(0, 5), (1, 2), (2, 3)]));
    }
    let tally = judged(&contents);
    assert_eq!((tally.rule(RULE).judged, tally.rule(RULE).undecided), (most, 2));
}

#[test]
fn those_beyond_the_bound_are_added_up() {
    let full = |times: u64| {
        let mut contents = Contents::default();
        for head in 0..CONTENTS_MAX as u64 {
            contents.add(taken(1, 0, head), held(&[(0, 5), (1, 2), (2, 3)]));
        }
        for _ in 0..times {
            contents.add(taken(1, 0, u64::MAX), held(&[(0, 5), (1, 2), (2, 3)]));
        }
        contents
    };
    let mut all = full(3);
    all.merge(full(2));
    assert_eq!(judged(&all).rule(RULE).undecided, 5);
}

#[test]
fn three_documents_are_named_and_the_others_counted() {
    let wrong = |workers: u16| {
        let of = |worker| Held { worker, version: 4, hash_fits: false, content: 0 };
        let tally = one(9, (20..20 + workers).map(of).collect());
        tally.kept()[0].message.clone()
    };
    assert!(!wrong(3).contains(" more"), "{}", wrong(3));
    assert!(wrong(4).ends_with(", and 1 more"), "{}", wrong(4));
    assert!(wrong(5).ends_with(", and 2 more"), "{}", wrong(5));
}

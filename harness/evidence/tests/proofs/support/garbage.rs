//! Records that no run would make: any of them, in any order, about a few clients and seqs.
//!
//! One thing holds: a publish ends once, as the engine records it.

use khala_evidence::Record;
use khala_evidence::record::{
    Answered, BadToken, CommandAnswer, Cut, Heard, Limit, OfflineCause, OpKind, Outcome, Place,
    PublishId, RenewalSign, Request, Source, Step, TokenAnswer,
};
use khala_wire::TopicKind;
use khala_wire::topic::TopicId;
use proptest::prelude::*;

use super::records::{self, Entry, state, stream};

const END_US: u64 = 12_000_000;

fn client() -> impl Strategy<Value = u32> {
    0_u32..10
}

fn at() -> impl Strategy<Value = u64> {
    0..END_US
}

fn topic() -> impl Strategy<Value = TopicId> {
    any::<bool>().prop_map(|on_stream| if on_stream { stream() } else { state() })
}

/// What stands in an update follows from its content, as the one is a digest of the other.
fn source(topic: TopicId, content: u64) -> Source {
    let small = u16::try_from(content).unwrap_or(0);
    match (topic.kind(), content) {
        (_, 0) => Source::Foreign,
        (TopicKind::State, _) => Source::State { worker: small % 2, version: content },
        (TopicKind::Stream, 1) => {
            let publish = PublishId::Lifecycle { worker: 0, seq: 1 };
            Source::Event { publish, intended: None, begun: None, payload: 0, worker_seq: None }
        }
        (TopicKind::Stream, _) => Source::Event {
            publish: PublishId::Planned(u32::from(small)),
            intended: Some(content * 500_000),
            begun: Some(content * 500_001),
            payload: content % 3,
            worker_seq: None,
        },
    }
}

/// Few contents, so that clients agree and disagree about them.
fn entry(contents: u64) -> impl Strategy<Value = Entry> {
    (topic(), 1_u64..20, 0..contents).prop_map(|(topic, seq, content)| {
        let source = source(topic, content);
        Entry { topic, seq, content, hash_fits: content != 3, source }
    })
}

fn op() -> impl Strategy<Value = Record> {
    use OpKind::{Connect, Heartbeat, Join, Mint, Subscribe};
    use Outcome::{ConnectionFailed, Interrupted, RefusedAuth, StaleCursor, Timeout};
    let kind = prop::sample::select(vec![Mint, Connect, Join, Subscribe, Heartbeat]);
    let outcome = prop::sample::select(vec![
        Outcome::Ok,
        Timeout,
        RefusedAuth,
        StaleCursor,
        ConnectionFailed,
        Interrupted,
    ]);
    (client(), kind, at(), 0_u64..700_000_000, outcome).prop_map(
        |(client, kind, at, took, outcome)| records::op(client, kind, at, at + took, outcome),
    )
}

fn subscription() -> impl Strategy<Value = Record> {
    let epoch = || 0_u32..4;
    let cursor = prop::option::of(0_u64..20);
    let topics = prop::collection::vec((topic(), cursor, 0_u64..20), 0..3);
    let marks = prop::collection::vec((topic(), 0_u64..20), 0..3);
    let stale = (topic(), prop::array::uniform3(0_u64..20));
    prop_oneof![
        3 => (client(), epoch(), at(), topics)
            .prop_map(|(client, epoch, at, list)| records::subscribe_sent(client, epoch, at, &list)),
        3 => (client(), epoch(), at(), marks)
            .prop_map(|(client, epoch, at, list)| records::subscribe_ok(client, epoch, at, &list)),
        1 => (client(), epoch(), at(), stale).prop_map(|(client, epoch, at, (topic, figures))| {
            records::subscribe_stale(client, epoch, at, topic, figures)
        }),
        1 => (client(), topic(), at(), prop::option::of(0_u64..20))
            .prop_map(|(client, topic, at, head)| records::snapshot_taken(client, topic, at, head)),
        1 => (client(), at(), topic())
            .prop_map(|(client, at, topic)| records::unsubscribed(client, at, topic)),
    ]
}

fn life() -> impl Strategy<Value = Record> {
    let cause = prop_oneof![
        Just(OfflineCause::Broken { how: Cut::Eof }),
        Just(OfflineCause::HeartbeatTimeout),
        at().prop_map(|asked| OfflineCause::ChannelSilent { asked }),
        (0_u16..4, at()).prop_map(|(id, intended)| OfflineCause::Fault { id, intended }),
    ];
    prop_oneof![
        2 => (client(), at(), cause)
            .prop_map(|(client, at, cause)| records::offline(client, at, cause)),
        2 => (client(), at()).prop_map(|(client, at)| records::connected(client, at)),
        2 => (client(), at()).prop_map(|(client, at)| records::connect_begun(client, at, 1)),
        1 => (client(), at(), any::<bool>())
            .prop_map(|(client, at, connected)| records::retired(client, at, connected)),
        1 => (client(), at(), any::<bool>())
            .prop_map(|(client, at, last)| records::slow_consumer(client, at, last)),
        1 => (client(), at()).prop_map(|(client, at)| records::slow_began(client, at)),
        1 => (client(), at(), any::<bool>())
            .prop_map(|(client, at, same)| records::slow_ended(client, at, same)),
    ]
}

/// Where the contract is silent.
fn silent() -> impl Strategy<Value = Record> {
    let limit = prop::sample::select(vec![Limit::UpdateBytes, Limit::BatchBytes]);
    let first = prop::option::of(0_u64..20);
    prop_oneof![
        (client(), at(), limit, topic()).prop_map(|(client, at, limit, topic)| {
            let (size, topic, seqs) = (limit.most() + 1, Some(topic), Some((1, 9)));
            Record::OverLimit { client, at, limit, size, topic, seqs }
        }),
        (client(), topic(), at(), 0_u64..9_000_000, first).prop_map(
            |(client, topic, from, took, first)| {
                let (cursor, asked) = (99, from + took);
                Record::BeyondHead { client, topic, cursor, from, asked, first, at: asked }
            }
        ),
    ]
}

fn authority() -> impl Strategy<Value = Record> {
    let answer = prop::sample::select(vec![
        TokenAnswer::Accepted,
        TokenAnswer::Refused { step: Step::Connect },
        TokenAnswer::Refused { step: Step::Subscribe },
        TokenAnswer::None { step: Step::Join },
        TokenAnswer::Lives,
        TokenAnswer::Refused { step: Step::Heartbeat },
    ]);
    let kind =
        prop::sample::select(vec![BadToken::Revoked, BadToken::Expires, BadToken::RevokedDevice]);
    let commanded = prop::sample::select(vec![
        CommandAnswer::Obeyed,
        CommandAnswer::Refused,
        CommandAnswer::None,
    ]);
    let word = prop::sample::select(vec!["1000", "1008", "403", "reauth_required", ""]);
    let place = prop::sample::select(vec![
        Place::Close,
        Place::Connect,
        Place::Join,
        Place::Unsubscribe,
        Place::Heartbeat,
        Place::Unprovoked,
    ]);
    prop_oneof![
        (client(), at(), kind, answer).prop_map(|(client, at, kind, answer)| {
            Record::TokenTried { client, start: at, at, kind, answer }
        }),
        (client(), at(), any::<bool>()).prop_map(|(client, at, connected)| Record::Revoked {
            client,
            at,
            connected
        }),
        (client(), at(), commanded).prop_map(|(client, at, answer)| Record::CommandSent {
            client,
            at,
            answer
        }),
        (client(), at(), place, word).prop_map(|(client, at, place, word)| Record::Word {
            client,
            at,
            place,
            word: word.into()
        }),
    ]
}

/// Requests that ended, and what shows that the target was away.
fn contact() -> impl Strategy<Value = Record> {
    let request = prop::sample::select(vec![
        Request::Mint,
        Request::Connect,
        Request::Join,
        Request::Subscribe,
        Request::Snapshot,
        Request::Publish,
        Request::Metrics,
    ]);
    let outcome = prop::sample::select(vec![
        Outcome::Ok,
        Outcome::Timeout,
        Outcome::RefusedAuth,
        Outcome::StaleCursor,
        Outcome::ConnectionFailed,
        Outcome::Interrupted,
    ]);
    let text = || prop::option::of("[a-z]{0,3}");
    let boxed = |text: Option<String>| text.map(String::into_boxed_str);
    prop_oneof![
        8 => (client(), request, at(), 0_u64..9_000_000, outcome, 0_u8..40, text(), text()).prop_map(
            move |(client, request, start, took, outcome, status, example, retry_after)| {
                let client = (!matches!(request, Request::Publish | Request::Metrics)).then_some(client);
                let (at, status) = (start + took, status.to_string().into());
                let (example, retry_after) = (boxed(example), boxed(retry_after));
                Record::Answered(Answered {
                    client,
                    request,
                    start,
                    at,
                    outcome,
                    status,
                    example,
                    retry_after,
                })
            }
        ),
        1 => (at(), 0_u64..9_000_000, any::<(bool, bool)>(), 0_u64..9, 0_u64..9).prop_map(
            |(from, took, (over, all), asked, clients)| {
                let heard = if all { Heard::Nothing } else { Heard::NoSession };
                Record::Silence { heard, from, to: from + took, over, asked, clients }
            }
        ),
        1 => (at(), 0_u64..9_000_000).prop_map(|(before, took)| {
            Record::Renewed { before, at: before + took, sign: RenewalSign::Process }
        }),
    ]
}

fn record() -> impl Strategy<Value = Record> {
    prop_oneof![
        4 => contact(),
        2 => authority(),
        8 => (client(), 0_u32..4, at(), entry(6))
            .prop_map(|(client, epoch, at, entry)| records::delivered(client, epoch, at, &entry)),
        1 => (client(), at(), topic(), 0_u64..20, any::<bool>()).prop_map(
            |(client, at, topic, seq, agree)| {
                records::pushes_compared(client, at, topic, seq, agree)
            },
        ),
        6 => subscription(),
        5 => life(),
        2 => op(),
        1 => (at(), topic(), prop::option::of(0_u64..20), 0_u64..30)
            .prop_map(|(at, topic, oldest, head)| records::window(at, topic, oldest, head)),
        1 => (at(), 0_u64..700_000_000).prop_map(|(at, lag_us)| records::lag(at, lag_us)),
        1 => (0_u16..4, at(), 100_000_u64..3_000_000)
            .prop_map(|(thread, from, took)| records::stall(thread, from, from + took)),
        1 => (0_u16..4, at(), 0_u64..3_000_000)
            .prop_map(|(thread, at, waited)| records::own_queue(thread, at, waited)),
        1 => (0_u32..30, at(), 0_u64..3_000_000)
            .prop_map(|(n, at, waited)| records::withheld(n, at, at + waited)),
        1 => (0_u64..3).prop_map(records::dropped),
        1 => ("[a-c]", prop::option::of(client()), at(), "[a-z]{0,3}").prop_map(
            |(name, client, at, message)| records::finding_of(&name, client, at, &message)
        ),
        1 => silent(),
    ]
}

/// A few hundred records; some of the publishes that they speak of were acknowledged.
pub fn garbage() -> impl Strategy<Value = Vec<Record>> {
    let published = prop::collection::vec(
        (0_u16..2, at(), 0_u64..1_000_000, prop::option::of(0_u64..9), 0_u64..3),
        0..30,
    );
    (prop::collection::vec(record(), 0..300), published, any::<prop::sample::Index>()).prop_map(
        |(mut list, published, place)| {
            let published =
                (0_u32..).zip(published).map(|(n, (worker, at, took, seq, payload))| {
                    records::published(PublishId::Planned(n), worker, at, at + took, seq, payload)
                });
            let place = place.index(list.len() + 1);
            list.splice(place..place, published);
            list
        },
    )
}

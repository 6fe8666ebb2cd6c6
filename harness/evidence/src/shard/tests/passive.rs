//! A run that writes nothing: clients are held against where the target said that their topics stand, and against
//! what others were sent.

use khala_plan::surface::Surface;

use super::*;
use crate::oracle::{Violation, state_regress};

/// Somebody is slow on purpose.
const SLOW: &str = "[[phase.fault]]\ntype = \"slow_reader\"\nat = \"1s\"\nduration = \"50s\"\n\
                    mode = \"one\"\nattributes = { pause = true, rcvbuf = \"4KiB\" }\n";

/// The plan of these tests as one that writes nothing; `fault` stands in its phase.
fn context_of(fault: &str) -> Arc<Context> {
    context_with(("[[gate]]", &format!("{fault}[[gate]]")))
}

/// The same, with one thing replaced by another.
fn context_with((this, that): (&str, &str)) -> Arc<Context> {
    let (load, phase) = (TEXT.find("[[load]]"), TEXT.find("[[phase]]"));
    let (load, phase) = (load.expect("the load"), phase.expect("the phase"));
    let text = format!("{}{}", &TEXT[..load], &TEXT[phase..])
        .replacen(
            "kind = \"reference\"",
            "kind = \"url\"\nurl = \"http://127.0.0.1:4000\"\ncommands = \"none\"",
            1,
        )
        .replacen("mint = \"hs256\"", "mint = \"hs256\"\nsecret = { env = \"KEY\" }", 1)
        .replacen(this, that, 1);
    let plan = testing::plan(&text);
    Arc::new(Context::of(&plan, &Schedule::of(&plan)))
}

/// What a run of these records comes to in which nobody published but others.
fn settled(context: Arc<Context>, drained: bool, records: &[Record]) -> Settled {
    let mut shard = Shard::new(context);
    records.iter().for_each(|record| shard.record(record.clone()));
    shard.settle(&BTreeSet::new(), End { at: 70 * S, drained })
}

fn passive(records: &[Record]) -> Settled {
    settled(context_of(""), true, records)
}

/// An event of others.
fn foreign(client: u32, at: Micros, seq: u64) -> Record {
    delivered(client, at, stream(), seq, Source::Foreign)
}

/// A client that is live since 1 s and has seqs 1 to 3.
fn live(client: u32) -> Vec<Record> {
    let topics = vec![subscribed(stream(), Some(0), false)];
    let watermarks = vec![(stream(), 0)];
    let mut records = vec![
        Record::Connected { client, at: S },
        Record::SubscribeSent { client, epoch: 1, at: S, topics },
        Record::SubscribeOk { client, epoch: 1, at: S, watermarks },
    ];
    records.extend((1..=3).map(|seq| foreign(client, S + seq, seq)));
    records
}

/// At 10 s a heartbeat is answered: the stream stands there.
fn stands_at(client: u32, head: u64) -> Record {
    Record::HeadsTold { client, at: 10 * S, heads: vec![(stream(), head)] }
}

/// Of `no_convergence`: how often it was broken, and judged.
fn convergence(settled: &Settled) -> (u64, u64) {
    let tally = settled.tally.rule(Rule::NoConvergence);
    (tally.violations, tally.judged)
}

/// Client 0 is live, was told that the stream stands at seq 4, and then this happened.
fn told(then: &[Record]) -> Settled {
    passive(&[live(0), vec![stands_at(0, 4)], then.to_vec()].concat())
}

#[test]
fn where_the_target_says_that_a_topic_stands_a_live_client_is_in_time() {
    // Being live is the first case.
    assert_eq!(convergence(&passive(&live(0))), (0, 1));
    let bound = 200_000;
    assert_eq!(convergence(&told(&[foreign(0, 10 * S + bound, 4)])), (0, 2));
    assert_eq!(convergence(&told(&[foreign(0, 10 * S + bound + 1, 4)])), (1, 2));
    let never = told(&[]);
    assert_eq!((convergence(&never), broken(&never)), ((1, 2), vec![Rule::NoConvergence]));
    assert_eq!(never.tally.kept()[0].seqs, Some((4, 4)));
    let at_it = passive(&[live(0), vec![stands_at(0, 3)]].concat());
    assert_eq!(convergence(&at_it), (0, 2), "it had it");
}

#[test]
fn the_time_in_which_its_own_thread_stood_still_is_not_the_targets() {
    let thread = context_of("").thread_of(0);
    let stall = |to| Record::Stall { thread, from: 10 * S + 100, to };
    let late = foreign(0, 11 * S, 4);
    assert_eq!(convergence(&told(&[stall(10 * S + 900_000), late.clone()])), (0, 2));
    assert_eq!(convergence(&told(&[stall(10 * S + 700_000), late])), (1, 2));
}

#[test]
fn a_watermark_says_nothing_to_who_is_not_live_nor_subscribed_nor_quick() {
    let told = [stands_at(0, 9)];
    let unanswered = [&live(0)[..2], &told].concat();
    assert_eq!(convergence(&passive(&unanswered)), (1, 1), "it is never live, and that is all");
    let left = Record::Unsubscribed { client: 0, at: 9 * S, topics: vec![stream()] };
    assert_eq!(convergence(&passive(&[live(0), vec![left], told.to_vec()].concat())), (0, 1));
    let heads = vec![(state(), 9)];
    let of_another = Record::HeadsTold { client: 0, at: 10 * S, heads };
    assert_eq!(convergence(&passive(&[live(0), vec![of_another]].concat())), (0, 1));

    let context = context_of(SLOW);
    let (slow, quick): (Vec<u32>, Vec<u32>) = (0..4).partition(|id| context.is_slow_by_plan(*id));
    assert_eq!((slow.len(), quick.len()), (1, 3));
    for (client, found) in [(slow[0], (0, 1)), (quick[0], (1, 2))] {
        let records = [live(client), vec![stands_at(client, 9)]].concat();
        assert_eq!(convergence(&settled(context.clone(), true, &records)), found, "{client}");
    }
}

#[test]
fn a_run_that_publishes_holds_nobody_against_a_watermark() {
    let records = [live(0), vec![stands_at(0, 9)]].concat();
    assert_eq!(convergence(&settle(&records)), (0, 1));
}

#[test]
fn who_begins_anew_is_owed_by_its_next_subscribe() {
    let at = 10 * S + 10;
    let cause = OfflineCause::Broken { how: Cut::Eof };
    let again = [sent(2, at, stream(), Some(3)), ok(2, at, stream(), 3)];
    let said = StaleTopic {
        topic: stream(),
        reason: StaleReason::Unsaid,
        cursor: 3,
        floor: None,
        head: None,
        budget: None,
        lag: None,
        tier: None,
    };
    for (why, then, judged) in [
        ("it subscribes again", &again[..], 1),
        ("it left", &[Record::Unsubscribed { client: 0, at, topics: vec![stream()] }], 1),
        ("it is offline", &[Record::Offline { client: 0, at, cause }], 1),
    ] {
        assert_eq!(convergence(&told(then)), (0, judged), "{why}");
    }
    // One that was ended as stale and does not come back has not converged: that, and nothing more.
    let ended = Record::SubscribeStale { client: 0, epoch: 1, at, topics: vec![said] };
    assert_eq!(convergence(&told(&[ended])), (1, 2));
}

#[test]
fn what_others_had_before_the_drain_every_live_client_has_when_it_is_over() {
    let drain = context_of("").drain_from();
    assert_eq!(drain, 61 * S);
    let two =
        |at, then: &[Record]| [live(0), live(1), vec![foreign(1, at, 4)], then.to_vec()].concat();
    let found = |settled: &Settled| {
        let tally = settled.tally.rule(Rule::LostPublish);
        (tally.violations, tally.judged, tally.undecided)
    };
    let behind = passive(&two(5 * S, &[]));
    assert_eq!((found(&behind), broken(&behind)), ((1, 8, 0), vec![Rule::LostPublish]));
    assert_eq!(behind.tally.kept()[0].client, Some(0));
    assert_eq!(found(&passive(&two(5 * S, &[foreign(0, 69 * S, 4)]))), (0, 8, 0), "it came");
    assert_eq!(found(&passive(&two(drain - 1, &[]))), (1, 8, 0));
    assert_eq!(found(&passive(&two(drain, &[]))), (0, 6, 0), "in the drain");
    assert_eq!(found(&settled(context_of(""), false, &two(5 * S, &[]))), (0, 4, 1));
    let cause = OfflineCause::Broken { how: Cut::Eof };
    let away = Record::Offline { client: 0, at: 6 * S, cause };
    assert_eq!(found(&passive(&two(5 * S, &[away]))), (0, 4, 0), "no witness");
    assert_eq!(found(&settle(&two(5 * S, &[]))), (0, 0, 0), "a run that publishes");
}

#[test]
fn events_that_some_lack_are_counted_once_and_by_who_lacks_the_most() {
    let more = [foreign(1, 5 * S, 4), foreign(1, 6 * S, 5), foreign(2, 5 * S, 4)];
    let settled = passive(&[&live(0)[..], &live(1), &live(2), &more].concat());
    let tally = settled.tally.rule(Rule::LostPublish);
    let causes = tally.causes.values().map(|it| (it.violations, it.updates, it.events));
    let causes: Vec<_> = causes.collect();
    assert_eq!(causes, [(2, 3, 2)]);
    assert_eq!(tally.judged, 15);
}

#[test]
fn an_ok_comes_after_what_others_had_been_sent_before_the_subscribe() {
    let again = |at| {
        let others = [foreign(1, 5 * S, 4)];
        let back = [sent(2, at, stream(), Some(3)), ok(2, at + 10, stream(), 3)];
        let late = [foreign(0, at + 20, 4)];
        [&live(0)[..], &live(1), &others, &back, &late].concat()
    };
    let early = passive(&again(6 * S));
    assert_eq!(broken(&early), [Rule::FalseReplayComplete]);
    let message = &early.tally.kept()[0].message;
    assert!(message.contains("had seq 3, but seq 4 had been sent to others"), "{message}");
    assert_eq!(broken(&passive(&again(5 * S))), [], "sent when the others had it");
    let publishing = settle(&again(6 * S));
    assert_eq!(publishing.violations(Rule::FalseReplayComplete), 0, "a run that publishes");
}

#[test]
fn clients_that_got_nothing_of_a_topic_are_named() {
    let topics = vec![subscribed(stream(), Some(0), false), subscribed(state(), Some(0), false)];
    let records = [
        live(0),
        vec![
            Record::Connected { client: 1, at: S },
            Record::SubscribeSent { client: 1, epoch: 1, at: S, topics },
            Record::SubscribeOk { client: 1, epoch: 1, at: S, watermarks: vec![(stream(), 0)] },
            foreign(1, S + 5, 1),
        ],
    ]
    .concat();
    let unreached = |settled: &Settled| {
        let list = settled.unreached.iter();
        list.map(|(topic, who)| (*topic, who.ranges().to_vec())).collect::<Vec<_>>()
    };
    assert_eq!(unreached(&passive(&records)), [(state(), vec![(1, 1)])]);
    assert_eq!(unreached(&settle(&records)), [], "a run that publishes");
}

/// How far apart two clients and more got what came after the first three events, which came to all at once: the
/// samples, the widest, and those that our own threads may have made.
fn spread(context: Arc<Context>, clients: &[u32], then: &[Record]) -> (u64, u64, u64) {
    let mut records: Vec<_> = clients.iter().flat_map(|&client| live(client)).collect();
    records.extend_from_slice(then);
    let metrics = settled(context, true, &records).metrics;
    let found = metrics.distribution(MetricId::DeliverySpread, &[0, 1, 2], None);
    (found.len(), found.response.max(), found.apart)
}

#[test]
fn an_event_that_two_clients_get_live_is_a_sample_of_how_far_apart_they_got_it() {
    let two = |then: &[Record]| spread(context_of(""), &[0, 1], then);
    assert_eq!(two(&[]), (3, 0, 0));
    assert_eq!(spread(context_of(""), &[0], &[foreign(0, 5 * S, 4)]), (0, 0, 0), "nobody else");
    assert_eq!(two(&[foreign(0, 5 * S, 4)]), (3, 0, 0), "one alone");
    assert_eq!(two(&[foreign(0, 5 * S, 4), foreign(0, 5 * S + 100, 4)]), (3, 0, 0), "twice to one");
    let apart = [foreign(0, 5 * S, 4), foreign(1, 5 * S + 100, 4)];
    assert_eq!(two(&apart), (4, 100, 0));
    let last = [&apart[..], &[foreign(2, 5 * S + 900, 4)]].concat();
    assert_eq!(spread(context_of(""), &[0, 1, 2], &last), (4, 900, 0), "by whoever was last");
    let thread = context_of("").thread_of(0);
    let stood = |from, to| [&apart[..], &[Record::Stall { thread, from, to }]].concat();
    assert_eq!(two(&stood(5 * S + 10, 5 * S + 90)), (4, 100, 1), "a thread of ours stood still");
    assert_eq!(two(&stood(5 * S + 100, 5 * S + 300)), (4, 100, 0), "after it");
}

#[test]
fn who_is_slow_on_purpose_is_no_measure_of_how_far_apart_clients_get_an_event() {
    let context = context_of(SLOW);
    let (slow, quick): (Vec<u32>, Vec<u32>) = (0..4).partition(|id| context.is_slow_by_plan(*id));
    let late = [foreign(quick[0], 5 * S, 4), foreign(slow[0], 5 * S + 100, 4)];
    assert_eq!(spread(context, &[quick[0], slow[0]], &late), (4, 0, 0));
}

#[test]
fn each_surface_has_its_own_spread_from_the_first_of_all() {
    let both = "share = 0.5\n[[fleet.surface]]\nname = \"ios\"\nshare = 0.5";
    let context = context_with(("share = 1.0", both));
    let (ios, desktop): (Vec<u32>, Vec<u32>) =
        (0..4).partition(|id| context.surface(*id) == Some(Surface::Ios));
    let (first, last) = (desktop[0], ios[0]);
    let mut records = [live(first), live(last)].concat();
    records.extend([foreign(first, 5 * S, 4), foreign(last, 5 * S + 100, 4)]);
    let metrics = settled(context, true, &records).metrics;
    let of = |surface| {
        let found = metrics.distribution(MetricId::DeliverySpread, &[1], Some(surface));
        (found.len(), found.response.max())
    };
    assert_eq!((of(Surface::Desktop), of(Surface::Ios)), ((4, 0), (4, 100)));
    assert_eq!(of(Surface::WebShell), (0, 0), "nobody there");
}

/// A client that is sent these documents of others, as (seq, key, version): how often `state_regress` was broken,
/// judged and left open.
fn documents(list: &[(u64, u64, u64)]) -> (u64, u64, u64) {
    let mut records = vec![connected(S), sent(1, S, state(), Some(9)), ok(1, S, state(), 9)];
    records.extend(list.iter().map(|&(seq, key, version)| {
        delivered(0, 2 * S + seq, state(), seq, Source::Document { key, version })
    }));
    let settled = passive(&records);
    let tally = settled.tally.rule(Rule::StateRegress);
    let of_others = |one: &Violation| one.message.contains("of somebody else's document");
    assert!(tally.kept.iter().all(of_others), "{:?}", tally.kept);
    (tally.violations, tally.judged, tally.undecided)
}

#[test]
fn a_document_of_others_does_not_go_back_to_an_earlier_version() {
    assert_eq!(documents(&[(10, 1, 2), (11, 1, 3), (12, 1, 3)]), (0, 2, 0));
    assert_eq!(documents(&[(10, 1, 2), (11, 2, 1)]), (0, 0, 0), "another document");
    assert_eq!(documents(&[(10, 1, 3), (11, 1, 1)]), (1, 1, 0));
    assert_eq!(
        documents(&[(10, 1, 3), (11, 1, 1), (12, 1, 2)]),
        (2, 2, 0),
        "it had 3 all the same"
    );
    assert_eq!(documents(&[(10, 1, 2), (11, 1, 3), (10, 1, 2)]), (0, 1, 0), "brought again");
}

#[test]
fn of_too_many_documents_of_others_those_beyond_are_open_and_the_known_ones_judged() {
    let most = state_regress::DOCUMENTS_MAX as u64;
    let mut list: Vec<_> = (0..most).map(|key| (10 + key, key, 5)).collect();
    assert_eq!(documents(&list), (0, 0, 0));
    list.push((10 + most, most, 5));
    assert_eq!(documents(&list), (0, 0, 1));
    list.extend([(11 + most, most, 4), (12 + most, 0, 4)]);
    assert_eq!(documents(&list), (1, 1, 2));
}

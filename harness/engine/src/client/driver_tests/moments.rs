//! What comes at the worst moment: a cut of a client that dials, a retirement in the middle of a bootstrap.

use super::*;
use crate::transport::DialError;

/// Answers the join and the subscribe: the client is live.
async fn comes_live(peer: &mut Peer) {
    let join = heard(peer).await;
    let joined = json!({"allowed_topics": [WORKER_SUMMARIES], "current_watermarks": [],
        "subscription_id": "sub_sync_session:s"});
    say(peer, &reply(&join, "ok", &joined)).await;
    let subscribe = heard(peer).await;
    let subscribed = json!({"current_watermarks": [], "subscription_id": "sub_sync_session:s",
        "topics": [WORKER_SUMMARIES]});
    say(peer, &reply(&subscribe, "ok", &subscribed)).await;
    pass(10).await;
}

fn offline(record: &Record) -> bool {
    matches!(record, Record::Offline { .. })
}

#[tokio::test(start_paused = true)]
async fn a_cut_misses_a_client_that_dials_and_nothing_shows_it_as_one_that_bit() {
    for order in [
        cut(Parting::Reset),
        cut(Parting::Goodbye(Goodbye::Code(1001))),
        Order::Sever { fault: 0, intended: 0 },
    ] {
        driven(async |client: Rc<Driven>| {
            let answered = || client.around.heads.shared().answered(0);
            pass(500).await;
            client.give(&[order]);
            pass(2_000).await;
            assert_eq!((client.dialled.begun(), client.connects()), (1, vec![]), "{order:?}");
            let mut peer = client.answer();
            comes_live(&mut peer).await;
            assert!(client.control.view.borrow().live, "{order:?}");
            assert_eq!((client.dialled.begun(), client.connects()), (1, vec![Outcome::Ok]));
            assert_eq!((answered(), peer.ended.get()), (0, None), "{order:?}");
            assert!(!client.has(offline), "{order:?}");
            // The next one finds it.
            client.give(&[order]);
            pass(10).await;
            assert!(client.has(offline), "{order:?}");
        })
        .await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_dial_that_the_network_cuts_is_a_connect_that_failed_and_another_comes_after_the_back_off()
 {
    driven(async |client: Rc<Driven>| {
        pass(500).await;
        let reset = std::io::Error::from(std::io::ErrorKind::ConnectionReset);
        let address = client.around.target.reach.place().authority();
        client.dialled.answer(Err(DialError::Connection(address, reset)));
        pass(10).await;
        assert_eq!(client.connects(), [Outcome::ConnectionFailed]);
        assert!(!client.control.view.borrow().online);
        // The desktop's delay is 2 s (contract, section 6).
        pass(1_900).await;
        assert_eq!(client.dialled.begun(), 1);
        pass(200).await;
        assert_eq!(client.dialled.begun(), 2);
        let mut peer = client.answer();
        comes_live(&mut peer).await;
        assert!(client.control.view.borrow().live);
        assert!(!client.has(offline), "there was no session to lose");
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn who_is_retired_in_the_middle_of_a_bootstrap_leaves_at_once_whatever_is_answered() {
    driven(async |client: Rc<Driven>| {
        pass(10).await;
        let mut peer = client.answer();
        bootstrapping(&mut peer).await;
        pass(1_000).await;
        assert!(client.control.view.borrow().online);
        // Neither the snapshot nor the goodbye has an answer.
        peer.deaf.set(true);
        let told = client.now();
        client.give(&[Order::Retire]);
        pass(10).await;
        assert_eq!(peer.ended.get(), Some(Ended::Closed(Goodbye::InOrder)));
        let retired = |record: &&Record| match record {
            Record::Retired { connected: true, at, .. } => (told..told + 5_000).contains(at),
            _ => false,
        };
        assert_eq!(client.records().iter().filter(retired).count(), 1);
        pass(2_000).await;
        assert!(client.control.view.borrow().retired, "two seconds are enough for a goodbye");
        let of_the_client = |records: Vec<Record>| -> Vec<Record> {
            records.into_iter().filter(|record| record.client() == Some(CLIENT)).collect()
        };
        let left = of_the_client(client.records());
        pass(60_000).await;
        assert_eq!(of_the_client(client.records()), left, "nothing comes after it");
        assert!(peer.heard.try_recv().is_err(), "and nothing is said");
        assert_eq!(client.dialled.begun(), 1);
        let subscribes = |record: &&Record| {
            matches!(record, Record::SubscribeSent { .. } | Record::SnapshotTaken { .. })
        };
        assert_eq!(left.iter().filter(subscribes).count(), 1, "the one that was stale");
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_connect_is_shown_where_the_client_will_resume() {
    driven(async |client: Rc<Driven>| {
        pass(500).await;
        assert_eq!(client.dialled.shown(), [(summaries(), None)], "it has nothing yet");
        let mut peer = client.answer();
        let join = heard(&mut peer).await;
        let joined = json!({"allowed_topics": [WORKER_SUMMARIES], "current_watermarks": [],
            "subscription_id": "sub_sync_session:s"});
        say(&peer, &reply(&join, "ok", &joined)).await;
        let subscribe = heard(&mut peer).await;
        let marks = json!([{"topic": WORKER_SUMMARIES, "watermark": 12}]);
        let subscribed = json!({"current_watermarks": marks, "topics": [WORKER_SUMMARIES],
            "subscription_id": "sub_sync_session:s"});
        say(&peer, &reply(&subscribe, "ok", &subscribed)).await;
        pass(10).await;
        drop(peer);
        pass(2_500).await;
        assert_eq!(client.dialled.begun(), 2);
        assert_eq!(client.dialled.shown(), [(summaries(), Some(12))]);
    })
    .await;
}

//! The two pushes of a batch, compared; and what the server says of slowness.

use khala_evidence::record::Record;
use khala_wire::topic::{NOTIFICATIONS, WORKER_EVENTS};
use serde_json::json;

use super::rig::{Rig, frame, push, update_batch};

/// Whether the pushes compared so far agreed, in order.
fn agreements(rig: &Rig) -> Vec<bool> {
    let agree = |record: &Record| match record {
        Record::PushesCompared { agree, .. } => Some(*agree),
        _ => None,
    };
    rig.records.iter().filter_map(agree).collect()
}

#[test]
fn twins_agree_and_are_compared_once() {
    let mut rig = Rig::live();
    for seqs in [&[1, 2][..], &[3], &[4, 5, 6]] {
        rig.text(&update_batch(WORKER_EVENTS, seqs));
        rig.text(&frame(WORKER_EVENTS, seqs));
    }
    assert_eq!(agreements(&rig), [true; 3]);
}

#[test]
fn a_frame_that_says_something_else_than_its_batch_is_seen() {
    let mut rig = Rig::live();
    rig.text(&update_batch(WORKER_EVENTS, &[1, 2]));
    rig.text(&frame(WORKER_EVENTS, &[1, 3]));
    assert_eq!(agreements(&rig), [false]);
    rig.text(&update_batch(WORKER_EVENTS, &[4]));
    rig.text(&frame(WORKER_EVENTS, &[4]));
    assert_eq!(agreements(&rig), [false, true], "the next pair is judged for itself");
}

#[test]
fn a_push_without_its_twin_is_seen() {
    let mut rig = Rig::live();
    rig.text(&frame(WORKER_EVENTS, &[1]));
    rig.text(&update_batch(WORKER_EVENTS, &[2]));
    assert_eq!(agreements(&rig), [false], "the batch is missing");
    for seq in 3..=5 {
        rig.text(&update_batch(WORKER_EVENTS, &[seq]));
    }
    assert_eq!(agreements(&rig), [false], "four may wait for their frames");
    rig.text(&update_batch(WORKER_EVENTS, &[6]));
    assert_eq!(agreements(&rig), [false, false], "the first one's frame is missing");
    rig.text(&frame(WORKER_EVENTS, &[5]));
    assert_eq!(agreements(&rig), [false, false, false, false, true], "those of 3 and 4 as well");
    let mut rig = Rig::live();
    rig.text(&frame(WORKER_EVENTS, &[1]));
    rig.text(&frame(WORKER_EVENTS, &[2]));
    rig.text(&update_batch(WORKER_EVENTS, &[2]));
    assert_eq!(agreements(&rig), [false, true], "the batch of 1 is missing");
}

#[test]
fn several_batches_may_come_before_their_frames_each_held_against_its_own() {
    let mut rig = Rig::live();
    for seq in 1..=3 {
        rig.text(&update_batch(WORKER_EVENTS, &[seq]));
    }
    rig.text(&frame(WORKER_EVENTS, &[1]));
    rig.text(&frame(WORKER_EVENTS, &[9]));
    rig.text(&frame(WORKER_EVENTS, &[3]));
    assert_eq!(agreements(&rig), [true, false, true]);
}

#[test]
fn a_frame_that_comes_before_its_batch_agrees_with_it_and_is_a_finding() {
    let mut rig = Rig::live();
    for seqs in [&[1, 2][..], &[3]] {
        rig.text(&frame(WORKER_EVENTS, seqs));
        rig.text(&update_batch(WORKER_EVENTS, seqs));
    }
    assert_eq!(agreements(&rig), [true; 2]);
    let found = |record: &&Record| matches!(record, Record::Finding { name, .. } if name == "frame_before_batch");
    assert_eq!(rig.records.iter().filter(found).count(), 2);
    rig.text(&update_batch(WORKER_EVENTS, &[4]));
    rig.text(&frame(WORKER_EVENTS, &[4]));
    assert_eq!(rig.records.iter().filter(found).count(), 2, "the usual order");
}

#[test]
fn between_the_pushes_of_a_batch_may_come_those_of_another_topic() {
    let mut rig = Rig::live();
    rig.text(&update_batch(WORKER_EVENTS, &[1]));
    rig.text(&update_batch(NOTIFICATIONS, &[1]));
    rig.text(&frame(WORKER_EVENTS, &[1]));
    rig.text(&frame(NOTIFICATIONS, &[1]));
    assert_eq!(agreements(&rig), [true, true]);
    rig.text(&update_batch(WORKER_EVENTS, &[2]));
    rig.text(&update_batch(NOTIFICATIONS, &[2]));
    rig.text(&frame(NOTIFICATIONS, &[3]));
    rig.text(&frame(WORKER_EVENTS, &[2]));
    assert_eq!(agreements(&rig), [true, true, false, true], "each is held against its own");
}

#[test]
fn a_pair_that_a_lost_socket_tore_apart_is_not_judged() {
    let mut rig = Rig::live();
    rig.text(&update_batch(WORKER_EVENTS, &[1]));
    rig.broken();
    rig.go_live(&json!([]));
    rig.text(&update_batch(WORKER_EVENTS, &[1]));
    rig.text(&frame(WORKER_EVENTS, &[1]));
    assert_eq!(agreements(&rig), [true]);
}

#[test]
fn a_warning_of_slowness_and_the_last_strike_are_told_apart() {
    let mut rig = Rig::live();
    for (action, last) in [("throttle", false), ("disconnect", true)] {
        let error = json!({"code": "slow_consumer", "message": "slow", "action": action,
            "topic": WORKER_EVENTS, "queue_depth": 70, "queue_limit": 64,
            "reconnect_after_ms": 2000, "full_resync_required": last});
        rig.text(&push("1", "sync:error", &error));
        let Some(Record::SlowConsumer { disconnect, queue_depth, queue_limit, .. }) =
            rig.records.last()
        else {
            panic!("{:?}", rig.records.last())
        };
        assert_eq!((*disconnect, *queue_depth, *queue_limit), (last, 70, 64));
    }
    assert!(rig.machine.is_live(), "the target ends the socket, not the client");
}

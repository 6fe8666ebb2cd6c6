//! What `explain` tells of a client: each violation with its number, those of one cause once, the frames around the first
//! with what was decoded from them, and what is left out.

use khala_evidence::oracle::tally::Tally;
use khala_evidence::oracle::{Rule, Violation};
use khala_evidence::record::Record;
use khala_evidence::render::story::{self, ClientStory};
use khala_evidence::shard::client::Client;
use khala_wire::message::event;
use khala_wire::topic::{TopicId, WORKER_EVENTS};

use crate::support::plans::Planned;
use crate::support::reading::file;
use crate::support::records;
use crate::support::trial::Trial;

const S: u64 = 1_000_000;

#[test]
fn each_violation_of_a_group_can_be_asked_for_by_its_number() {
    let trial = Trial::with_gaps();
    let report = trial.report();
    let Planned { plan, schedule, .. } = &trial.planned;
    let told = |client| {
        ClientStory::of(plan, schedule, &report, None, (client, ".")).expect("such a client")
    };
    let all = told(5).render();
    for line in [
        "began at 2026-01-02T03:04:05Z",
        "  #1 gap client 3 runtime.codex_worker_events seq 7 at 2.500 s: seq 7 was never delivered, although \
         seq 8 was (03:04:07 UTC)",
        "    and 1 other like it, the last at 3.500 s (03:04:08 UTC): #2\n",
        "`--violation N` shows",
    ] {
        assert!(all.contains(line), "no {line} in:\n{all}");
    }
    let second = told(5).with_only(2).expect("it is this client's").render();
    assert!(second.contains("#2 gap client 5") && !second.contains("#1 "), "{second}");
    assert!(told(3).with_only(2).is_none(), "another client's");
    let numbers = (story::client_of(&report, 2), story::client_of(&report, 0));
    assert_eq!(numbers, (Some(5), None));
    assert!(story::numbered(&report, 3).is_none());
    let alone = story::alone(&report, 1).expect("it is kept");
    assert!(alone.starts_with("#1 gap client 3"), "{alone}");
    // Line by line, the file has the numbers.
    for (number, line) in (1..).zip(file("violations.ndjson", &report).lines()) {
        assert!(line.starts_with(&format!("{{\"number\":{number},")), "{line}");
    }
}

#[test]
fn whose_own_violations_were_not_kept_is_told_what_is_and_where_to_look() {
    let trial = Trial::small();
    let report = trial.report();
    let Planned { plan, schedule, .. } = &trial.planned;
    let topic = TopicId::of(WORKER_EVENTS);
    let gap = |client: u32| Violation {
        at_us: u64::from(client) * S,
        rule: Rule::Gap,
        client: Some(client),
        topic,
        seqs: Some((7, 7)),
        epoch: Some(1),
        message: "seq 7 was never delivered, although seq 8 was".to_owned(),
    };
    // One of each rule is kept.
    let mut tally = Tally::new(1);
    (1..=3).for_each(|client| tally.violate(gap(client), 0));
    let story = |client| {
        let story = ClientStory::of(plan, schedule, &report, None, (client, "runs/one"));
        story.expect("a client").with_not_kept(&tally)
    };
    let told = story(3).render();
    for line in [
        "  gap on runtime.codex_worker_events: broken for it as for 3 clients in all; of this rule the earliest 1 \
         violation is kept, with seqs and moment, and none is its own\n",
        "    the first is told by: khala-harness explain runs/one 1\n",
        "\nIts frames of when a rule was first broken for it were not kept",
    ] {
        assert!(told.contains(line), "no {line} in:\n{told}");
    }
    assert!(!told.contains("Violations, each with its number\n  none"), "{told}");
    assert!(story(4).render().contains("Violations, each with its number\n  none\n"));
}

#[test]
fn what_a_story_leaves_out_is_counted() {
    let trial = Trial::small();
    let report = trial.report();
    let Planned { plan, schedule, .. } = &trial.planned;
    let mut life = Client::default();
    let story = |life: &Client| {
        let story = ClientStory::of(plan, schedule, &report, Some(life), (2, "."));
        story.expect("a client").render()
    };
    let delivered = trial.records.iter().filter(|record| matches!(record, Record::Delivered(_)));
    let all: Vec<_> = delivered.take(19).cloned().collect();
    all.iter().take(16).for_each(|record| life.flight.happened(record));
    assert!(!story(&life).contains("left out"), "{}", story(&life));
    all.iter().skip(16).for_each(|record| life.flight.happened(record));
    let told = story(&life);
    assert!(
        told.contains("    (3 updates came before and are left out: the last 16 ones are kept)\n"),
        "{told}"
    );
}

#[test]
fn times_in_the_story_of_a_client_are_those_that_people_read() {
    let trial = Trial::small();
    let report = trial.report();
    let Planned { plan, schedule, .. } = &trial.planned;
    let mut life = Client::default();
    life.flight.happened(&records::cut(2, 4 * S + 10, 0, 4 * S));
    let story = ClientStory::of(plan, schedule, &report, Some(&life), (2, ".")).expect("a client");
    let told = story.render();
    let line = "     4.000 s  03:04:09  away: cut by fault 0, planned for 4.000 s\n";
    assert!(told.contains(line), "{told}");
}

/// The run with gaps, each update of which came in a frame of its own, in both pushes of a batch.
fn with_frames() -> Trial {
    let mut trial = Trial::with_gaps();
    let framed = |record: Record| {
        let Record::Delivered(delivery) = record else { return vec![record] };
        let frame = |event: &str, bytes| {
            let excerpt = format!("[\"1\",null,\"sync:v1\",\"{event}\",{{").into();
            let (client, at, sent) = (delivery.client, delivery.at, false);
            Record::Frame { client, at, sent, bytes, excerpt }
        };
        let first = frame(event::UPDATE_BATCH, 600 + delivery.seq);
        vec![first, Record::Delivered(delivery), frame(event::FRAME, 800)]
    };
    trial.records = trial.records.into_iter().flat_map(framed).collect();
    trial
}

#[test]
fn what_was_decoded_around_a_violation_is_told_once_for_all_of_one_cause() {
    let trial = with_frames();
    let report = trial.report();
    let Planned { plan, schedule, .. } = &trial.planned;
    let story = ClientStory::of(plan, schedule, &report, None, (5, ".")).expect("a client");
    assert_eq!(story.violations.len(), 2, "{:?}", story.violations);
    let told = story.render();
    let (causes, frames) = told
        .split_once("\nWhen a rule was first broken for it, at 2.500 s (03:04:07 UTC)\n")
        .expect(&told);
    assert_eq!(causes.matches("was never delivered, although").count(), 1, "{told}");
    assert!(
        causes.contains("    and 1 other like it, the last at 3.500 s (03:04:08 UTC): #2\n"),
        "{told}"
    );
    // Each update stands once, behind the first of the two frames that it came in.
    let updates: Vec<_> = frames.lines().filter(|line| line.contains(": seq ")).collect();
    for seq in [6, 8] {
        let of: Vec<_> =
            updates.iter().filter(|line| line.contains(&format!(": seq {seq}, "))).collect();
        assert_eq!(of.len(), 1, "{seq}: {told}");
        assert!(
            of[0].contains("runtime.codex_worker_events: seq ") && of[0].contains(", publish "),
            "{told}"
        );
        assert!(of[0].contains(", content ") && of[0].ends_with(", in subscribe 1"), "{told}");
        let at = frames.lines().position(|line| line == *of[0]).expect("it is there");
        let before = frames.lines().nth(at - 1).expect("a frame");
        assert!(
            before.contains(&format!("{} B", 600 + seq)) && before.contains("sync:update_batch"),
            "{told}"
        );
        let after = frames.lines().nth(at + 1);
        assert!(
            seq == 8 || after.is_some_and(|line| line.contains("the second push of a batch")),
            "{told}"
        );
    }
    assert!(!updates.iter().any(|line| line.contains(": seq 7, ")), "it never came: {told}");
    assert_eq!(told.matches("with the updates in them").count(), 1, "{told}");
}

//! Rule `gap`: streams are dense; no seq is missing between the resume cursor and what came later.
//!
//! A hole is judged when its epoch ends (a new subscribe, or the end of the run): a seq that comes
//! late but in the same epoch is out of order instead, and belongs to `nonmonotonic`. One violation
//! a hole, whatever its length. Constant memory: the [`Track`](super::track::Track)'s bounded lists.
//! Cases: deliveries on streams. Nothing is undecided.

use khala_wire::topic::TopicId;

use super::rule::Rule;
use super::tally::{Tally, Violation};
use super::track::Missing;

/// Judges the holes that an epoch left.
pub fn on_lost(client: u32, topic: TopicId, epoch: u32, lost: &[Missing], tally: &mut Tally) {
    for hole in lost {
        let Missing { first, last, noticed_at } = *hole;
        let what = if first == last {
            format!("seq {first} was never delivered")
        } else {
            format!("seqs {first} to {last} were never delivered")
        };
        let violation = Violation {
            at_us: noticed_at,
            rule: Rule::Gap,
            client: Some(client),
            topic: Some(topic),
            seqs: Some((first, last)),
            epoch: Some(epoch),
            message: format!("{what}, although seq {} was", last + 1),
        };
        tally.violate(violation, 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_hole_is_told_with_what_came_after_it() {
        let mut tally = Tally::new(5);
        let holes = [(4, 4, 90), (6, 8, 95)].map(|(first, last, noticed_at)| Missing {
            first,
            last,
            noticed_at,
        });
        on_lost(3, TopicId::WORKER_EVENTS, 7, &holes, &mut tally);
        let kept = tally.kept();
        let told: Vec<_> = kept.iter().map(|hole| (hole.at_us, &*hole.message)).collect();
        let one = (90, "seq 4 was never delivered, although seq 5 was");
        let more = (95, "seqs 6 to 8 were never delivered, although seq 9 was");
        assert_eq!((told, tally.count(Rule::Gap)), (vec![one, more], 2));
        let whose = (kept[1].client, kept[1].topic, kept[1].epoch, kept[1].seqs);
        assert_eq!(whose, (Some(3), Some(TopicId::WORKER_EVENTS), Some(7), Some((6, 8))));
    }
}

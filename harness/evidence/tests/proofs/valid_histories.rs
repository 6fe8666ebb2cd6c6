//! What a correct runtime does is never condemned, whatever happens to its clients.

use khala_evidence::oracle::{End, Rule};
use proptest::prelude::*;

use crate::support::history::{alone, valid};
use crate::support::{broken, cases, plans, shards, undecided};

proptest! {
    #![proptest_config(cases(256))]

    #[test]
    fn a_valid_history_that_has_run_dry_is_accepted_and_leaves_nothing_open(history in valid()) {
        let settled = shards::settle(plans::history(), &history.records, history.end);
        prop_assert_eq!(broken(&settled), []);
        prop_assert_eq!(undecided(&settled), []);
    }

    #[test]
    fn so_is_one_on_a_target_that_nobody_else_writes_to(history in alone()) {
        let settled = shards::settle(plans::alone(), &history.records, history.end);
        prop_assert_eq!(broken(&settled), []);
        prop_assert_eq!(undecided(&settled), []);
        prop_assert!(settled.tally.exercised(Rule::Phantom));
    }

    #[test]
    fn a_valid_history_that_breaks_off_anywhere_is_not_condemned(
        history in valid(),
        place in any::<prop::sample::Index>(),
    ) {
        let broken_off = &history.records[..place.index(history.records.len() + 1)];
        let end = End { drained: false, ..history.end };
        let settled = shards::settle(plans::history(), broken_off, end);
        prop_assert_eq!(broken(&settled), []);
    }
}

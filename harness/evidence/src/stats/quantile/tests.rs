//! What the interval is made of, and when there is none.

use super::*;

/// Units of these values, one count each.
fn units(of: impl IntoIterator<Item = Vec<u64>>) -> Vec<BTreeMap<u64, u64>> {
    let unit = |values: Vec<u64>| {
        let mut unit = BTreeMap::new();
        values.into_iter().for_each(|value| *unit.entry(value).or_default() += 1);
        unit
    };
    of.into_iter().map(unit).collect()
}

/// `units` seconds of `per` values each, spread evenly over 1,000 to 1,999.
fn even(seconds: u64, per: u64) -> Vec<BTreeMap<u64, u64>> {
    units(
        (0..seconds)
            .map(|second| (0..per).map(|n| 1_000 + (second * per + n) * 619 % 1_000).collect()),
    )
}

#[test]
fn the_estimate_is_the_smallest_value_that_so_many_do_not_exceed() {
    let hundred = units([(1..=100).collect::<Vec<u64>>()]);
    for (q, value) in [(0.5, 50), (0.9, 90), (0.99, 99), (0.999, 100)] {
        assert_eq!(estimate(&hundred, q), Some(value), "{q}");
    }
    assert_eq!((estimate(&[], 0.5), estimate(&[BTreeMap::new()], 0.5)), (None, None));
    assert_eq!((allowed(1_000, 0.999), allowed(1, 0.5), allowed(0, 0.5)), (1, 0, 0));
}

#[test]
fn the_seed_decides_the_interval_and_the_ends_lie_around_the_estimate() {
    let sample = even(60, 40);
    let with = |seed| interval(&sample, Units::Series, 0.9, seed).expect("an interval");
    assert_eq!(with(7), with(7));
    assert_ne!(with(7), with(8));
    let found = with(7);
    let upper = found.upper.expect("enough samples");
    assert!(found.lower < found.estimate && found.estimate < upper, "{found:?}");
    // By the ranks of 2,400 independent samples: the 90th percentile is between 1,890 and 1,911.
    assert!((1_870..=1_890).contains(&found.lower), "{found:?}");
    assert!((1_911..=1_930).contains(&upper), "{found:?}");
}

#[test]
fn as_many_independent_samples_as_bound_the_quantile_are_needed_and_enough() {
    let upper = |n: u64| {
        let singles = units((0..n).map(|_| vec![5_000]));
        interval(&singles, Units::Groups, 0.99, 1).expect("an interval").upper
    };
    assert_eq!((upper(298), upper(299)), (None, Some(5_000)));
}

#[test]
fn few_units_widen_and_one_that_holds_nearly_all_leaves_none() {
    let width = |count: u64| {
        let groups =
            units((0..count).map(|unit| {
                (0..1_200 / count).map(|n| 1_000 + unit * 600 / count + n % 7).collect()
            }));
        let found = interval(&groups, Units::Groups, 0.5, 1).expect("an interval");
        found.upper.expect("enough samples") - found.lower
    };
    assert!(width(4) > 2 * width(20), "{} {}", width(4), width(20));
    let lopsided = units([vec![1; 10_000], vec![2; 10], vec![3; 10]]);
    assert_eq!(interval(&lopsided, Units::Groups, 0.5, 1), None);
    assert_eq!(interval(&units([vec![1; 100]]), Units::Groups, 0.5, 1), None);
}

#[test]
fn seconds_that_are_worlds_of_their_own_count_as_one_each_and_the_tail_goes_on() {
    // 60 seconds of 40 samples that are alike: 2,400 samples that say as much as some 60.
    let alike = units((0..60_u64).map(|second| vec![1_000 + second * 617 % 600; 40]));
    let found = interval(&alike, Units::Series, 0.99, 3).expect("an interval");
    assert!(found.deff > 25.0, "{found:?}");
    // Nobody saw anything above 1,600 µs, but 60 observations cannot tell of one in a hundred.
    let upper = found.upper.expect("an upper end");
    assert!((1_650..3_000).contains(&upper), "{found:?}");
}

#[test]
fn a_long_series_is_added_up_to_a_bounded_number_of_units() {
    let sample = Sample::of(&even(5_000, 1)).expect("a sample");
    assert_eq!((sample.n, sample.units.len()), (5_000, 1_667));
    assert_eq!(sample.beyond_all(0), 5_000);
}

#[test]
fn a_slow_spell_makes_blocks_that_hold_it() {
    let spell = units((0..120_u64).map(|second| {
        let slow = if (40..60).contains(&second) { 500 } else { 0 };
        (0..20).map(|n| 1_000 + slow + n * 13 + second % 5).collect()
    }));
    let found = interval(&spell, Units::Series, 0.9, 3).expect("an interval");
    assert!(found.block_len >= 5, "{found:?}");
}

#[test]
fn student_is_the_textbooks() {
    for (freedom, quantile) in [(1.0, 12.706_2), (4.0, 2.776_45), (30.0, 2.042_27)] {
        super::super::assert_close(student(freedom), quantile, 1e-5);
    }
    super::super::assert_close(student(1e6), NORMAL, 1e-5);
}

#[test]
fn check_knows_from_how_many_samples_on_there_is_a_lower_end() {
    for percent in [25.0, 50.0, 60.0] {
        let lower = |n: u64| {
            let sample = units((0..n).map(|client| vec![1_000 + 7 * client]));
            interval(&sample, Units::Groups, percent / 100.0, 7).map(|found| found.lower)
        };
        let needed = khala_plan::gate::power::samples_to_fail(percent);
        assert_eq!(lower(needed - 1), Some(0), "p({percent})");
        assert!(lower(needed + 3) > Some(0), "p({percent})");
    }
}

//! Thinning: of all that falls on one pixel the smallest and the largest are drawn, so that one spike in a day is
//! seen.

/// A value by second; `None` where there is none.
pub type Values = Vec<Option<u64>>;

/// Where a second's figures stand in every chart and table over the seconds of a run: at its end, when all that they count
/// had happened. At its beginning an effect would stand before its cause.
#[expect(clippy::cast_precision_loss, reason = "seconds of a run are far below 2^52")]
pub fn place(second: usize) -> f64 {
    (second + 1) as f64
}

/// The seconds of one bucket where `seconds` are drawn on at most so many columns.
pub fn step(seconds: usize, columns: usize) -> usize {
    seconds.div_ceil(columns.max(1)).max(1)
}

/// Of each bucket of `step` values the smallest and the largest with their seconds, in the order in which they came;
/// one where both are the same value, and `None` for a bucket that holds none.
pub fn extremes(values: &[Option<u64>], step: usize) -> Vec<Option<(usize, u64)>> {
    let mut out = Vec::new();
    for (bucket, chunk) in values.chunks(step.max(1)).enumerate() {
        match ends(chunk) {
            None => out.push(None),
            Some((one, other)) => {
                let at = |(within, value): (usize, u64)| Some((bucket * step + within, value));
                out.push(at(one));
                if other.0 != one.0 {
                    out.push(at(other));
                }
            }
        }
    }
    out
}

/// The same with two values for each bucket, so that several lines share their places ([`places`]).
pub fn aligned(values: &[Option<u64>], step: usize) -> Values {
    if step <= 1 {
        return values.to_vec();
    }
    values.chunks(step).flat_map(pair).collect()
}

/// The smallest and the largest of some values in a row, the earlier first.
pub fn pair(values: &[Option<u64>]) -> [Option<u64>; 2] {
    match ends(values) {
        None => [None, None],
        Some(((_, one), (_, other))) => [Some(one), Some(other)],
    }
}

/// The places of values that were [`aligned`]: each of several seconds at the end of all of them, the earlier just before
/// the later.
pub fn places(len: usize, step: usize) -> Vec<f64> {
    match step {
        0 | 1 => (0..len).map(place).collect(),
        step => {
            let lasts = (0..len).step_by(step).map(|first| (first + step).min(len) - 1);
            lasts.flat_map(|last| [place(last) - 0.5, place(last)]).collect()
        }
    }
}

/// The smallest and the largest of a bucket, each with its place, the earlier first.
fn ends(chunk: &[Option<u64>]) -> Option<((usize, u64), (usize, u64))> {
    let some = || chunk.iter().enumerate().filter_map(|(at, value)| Some((at, (*value)?)));
    let least = some().min_by_key(|(_, value)| *value)?;
    let most = some().max_by_key(|(at, value)| (*value, std::cmp::Reverse(*at)))?;
    Some(if least.0 <= most.0 { (least, most) } else { (most, least) })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn one_spike_in_a_day_is_seen() {
        let mut day: Values = vec![Some(3); 86_400];
        day[51_234] = Some(90_000);
        let step = step(day.len(), 900);
        let drawn = extremes(&day, step);
        assert!(drawn.len() <= 2 * 900);
        assert!(drawn.contains(&Some((51_234, 90_000))));
        let shared = aligned(&day, step);
        assert_eq!(shared.len(), places(day.len(), step).len());
        assert!(shared.contains(&Some(90_000)));
    }

    proptest! {
        #[test]
        fn every_bucket_keeps_its_smallest_and_its_largest(
            values in prop::collection::vec(prop::option::of(0_u64..50), 1..200),
            step in 1_usize..20,
        ) {
            let drawn = extremes(&values, step);
            for (bucket, chunk) in values.chunks(step).enumerate() {
                let within = bucket * step..bucket * step + chunk.len();
                let kept = drawn.iter().flatten().filter(|(at, _)| within.contains(at));
                let kept: Vec<u64> = kept.map(|(_, value)| *value).collect();
                let all = || chunk.iter().flatten().copied();
                prop_assert_eq!(kept.iter().min().copied(), all().min());
                prop_assert_eq!(kept.iter().max().copied(), all().max());
            }
            let places: Vec<_> = drawn.iter().flatten().map(|(at, _)| *at).collect();
            prop_assert!(places.windows(2).all(|two| two[0] < two[1]));
            let shared = aligned(&values, step);
            let places = super::places(values.len(), step);
            prop_assert_eq!(shared.len(), places.len());
            prop_assert!(places.windows(2).all(|two| two[0] < two[1]));
            prop_assert!(places.last().is_none_or(|last| *last <= place(values.len() - 1)));
            // Nothing stands before the second that it is of had ended, but the earlier of two in one bucket.
            for (bucket, chunk) in values.chunks(step).enumerate().filter(|_| step > 1) {
                let Some((one, other)) = ends(chunk) else { continue };
                let [first, second] = [2 * bucket, 2 * bucket + 1];
                prop_assert_eq!((shared[first], shared[second]), (Some(one.1), Some(other.1)));
                prop_assert!(places[first] >= place(bucket * step + one.0) - 0.5);
                prop_assert!(places[second] >= place(bucket * step + other.0));
            }
        }
    }
}

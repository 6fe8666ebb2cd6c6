//! HDR histograms with the project's one configuration, and the sparse ones inside clusters.
//!
//! 1 µs to 10 min, 3 significant digits, u32 counts, saturating; what saturates is counted.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hdrhistogram::Histogram;
use hdrhistogram::serialization::{Deserializer, Serializer as _, V2DeflateSerializer};
use serde::{Deserialize, Serialize};

/// Largest value kept apart, in microseconds: 10 minutes.
pub const HIGHEST_US: u64 = 600_000_000;
const DIGITS: u8 = 3;

/// A histogram of microseconds (or of plain numbers, for magnitudes).
#[derive(Clone, Debug, PartialEq)]
pub struct Hist {
    inner: Histogram<u32>,
    overflow: u64,
}

impl Default for Hist {
    fn default() -> Self {
        let inner = Histogram::new_with_bounds(1, HIGHEST_US, DIGITS)
            .expect("1 to 600,000,000 at 3 digits are valid bounds");
        Self { inner, overflow: 0 }
    }
}

impl Hist {
    /// Adds a value; values above [`HIGHEST_US`] are kept at it and counted as overflow.
    pub fn add(&mut self, value: u64) {
        self.overflow += u64::from(value > HIGHEST_US);
        self.inner.saturating_record(value);
    }

    /// Adds all of another histogram.
    ///
    /// # Panics
    /// Never: all histograms have the same bounds.
    pub fn merge(&mut self, other: &Self) {
        self.inner.add(&other.inner).expect("all histograms have the same bounds");
        self.overflow += other.overflow;
    }

    /// As HdrHistogram's own writers take it.
    pub(crate) fn inner(&self) -> &Histogram<u32> {
        &self.inner
    }

    /// How many values.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.inner.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.inner.is_empty()
    }

    /// Values above the range.
    #[must_use]
    pub fn overflow(&self) -> u64 {
        self.overflow
    }

    /// The largest value.
    #[must_use]
    pub fn max(&self) -> u64 {
        self.inner.max()
    }

    /// The mean.
    #[must_use]
    pub fn mean(&self) -> f64 {
        self.inner.mean()
    }

    /// The q-th percentile, q in percent; `None` with fewer than 10 samples beyond it, which is
    /// too few to print one.
    #[must_use]
    pub fn percentile(&self, q: f64) -> Option<u64> {
        #[expect(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
        let beyond = self.len() as f64 * (1.0 - q / 100.0);
        // 1e-9: 1,000 samples at p99 are exactly ten beyond, whatever the floating point says.
        // The same for the rank: 99.9 / 100 is a little more than 0.999, and the histogram rounds up.
        let quantile = (q / 100.0 - 1e-12).max(0.0);
        (beyond + 1e-9 >= 10.0).then(|| self.inner.value_at_quantile(quantile))
    }

    /// The median, which needs no samples beyond it to be printed.
    #[must_use]
    pub fn median(&self) -> Option<u64> {
        (!self.is_empty()).then(|| self.inner.value_at_quantile(0.5))
    }
}

/// The lowest value that the histograms cannot tell from `value`.
#[must_use]
pub fn bucket(value: u64) -> u64 {
    // 3 digits are 2,048 sub-buckets: above, the lowest bits are dropped, one more with each
    // doubling. The arithmetic of HdrHistogram, without an instance.
    let value = value.min(HIGHEST_US);
    let dropped = (u64::BITS - value.leading_zeros()).saturating_sub(11);
    value >> dropped << dropped
}

impl Serialize for Hist {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut bytes = Vec::new();
        V2DeflateSerializer::new()
            .serialize(&self.inner, &mut bytes)
            .map_err(serde::ser::Error::custom)?;
        (STANDARD.encode(bytes), self.overflow).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Hist {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        use serde::de::Error;
        let (text, overflow) = <(String, u64)>::deserialize(deserializer)?;
        let bytes = STANDARD.decode(text).map_err(D::Error::custom)?;
        let read: Histogram<u32> =
            Deserializer::new().deserialize(&mut bytes.as_slice()).map_err(D::Error::custom)?;
        let mut hist = Self { overflow, ..Self::default() };
        hist.inner.add(&read).map_err(D::Error::custom)?;
        Ok(hist)
    }
}

/// A histogram that holds only what it saw: what each cluster of samples keeps.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sparse {
    buckets: BTreeMap<u64, u32>,
    /// Samples that had not ended when the phase did: beyond every threshold.
    censored: u32,
}

impl Sparse {
    /// Adds a value.
    pub fn add(&mut self, value: u64) {
        *self.buckets.entry(bucket(value)).or_insert(0) += 1;
    }

    /// Adds a sample that never ended.
    pub fn add_censored(&mut self) {
        self.censored += 1;
    }

    /// Adds all of another.
    pub fn merge(&mut self, other: &Self) {
        for (&value, &count) in &other.buckets {
            *self.buckets.entry(value).or_insert(0) += count;
        }
        self.censored += other.censored;
    }

    /// How many samples, censored ones included.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.buckets.values().map(|&count| u64::from(count)).sum::<u64>() + self.censored()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many never ended.
    #[must_use]
    pub fn censored(&self) -> u64 {
        u64::from(self.censored)
    }

    /// How many are at or beyond `threshold`, censored ones included.
    #[must_use]
    pub fn at_least(&self, threshold: u64) -> u64 {
        self.buckets.range(bucket(threshold)..).map(|(_, &count)| u64::from(count)).sum::<u64>()
            + self.censored()
    }

    /// Every value with its count, in order.
    pub fn iter(&self) -> impl Iterator<Item = (u64, u32)> + '_ {
        self.buckets.iter().map(|(&value, &count)| (value, count))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_percentile_needs_ten_samples_beyond_it() {
        let mut hist = Hist::default();
        (1..=999).for_each(|value| hist.add(value));
        assert_eq!(hist.percentile(99.0), None);
        hist.add(1_000);
        assert_eq!(hist.percentile(99.0), Some(990));
    }

    #[test]
    fn a_rank_that_is_whole_is_not_rounded_up() {
        let mut hist = Hist::default();
        // 107,892 of 108,000 are exactly 99.9 %.
        (0..107_892).for_each(|_| hist.add(10));
        (0..108).for_each(|_| hist.add(1_000));
        assert_eq!(hist.percentile(99.9), Some(10));
        assert_eq!(hist.percentile(99.0), Some(10));
    }

    #[test]
    fn what_saturates_is_counted() {
        let mut hist = Hist::default();
        hist.add(HIGHEST_US + 1);
        assert_eq!((hist.len(), hist.overflow()), (1, 1));
    }

    proptest! {
        #[test]
        fn buckets_are_those_of_hdr_histogram(value in 1_u64..HIGHEST_US) {
            let hist = Hist::default();
            prop_assert_eq!(bucket(value), hist.inner.lowest_equivalent(value));
        }

        #[test]
        fn serialised_histograms_come_back(values in prop::collection::vec(1_u64..HIGHEST_US, 0..50)) {
            let mut hist = Hist::default();
            values.iter().for_each(|&value| hist.add(value));
            let text = serde_json::to_string(&hist).expect("serialises");
            let back: Hist = serde_json::from_str(&text).expect("parses");
            prop_assert_eq!(back, hist);
        }
    }
}

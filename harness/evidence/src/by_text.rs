//! Sums by text, bounded whatever the texts are.
//!
//! Of more texts than fit, those that come first in the alphabet are kept and the rest is added up
//! under [`OTHERS`], so that it does not matter in which order they came.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Texts kept apart.
pub const TEXTS_MAX: usize = 24;
/// What the rest is called.
pub const OTHERS: &str = "others";

/// What can be added up, in any order.
pub trait Sum {
    /// Adds another.
    fn add(&mut self, other: &Self);
}

impl Sum for u64 {
    fn add(&mut self, other: &Self) {
        *self += other;
    }
}

/// Sums by text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ByText<T>(BTreeMap<Box<str>, T>);

impl<T> Default for ByText<T> {
    fn default() -> Self {
        Self(BTreeMap::new())
    }
}

impl<T> ByText<T> {
    /// The same texts with other sums.
    pub(crate) fn map<U>(self, other: impl Fn(&str, T) -> U) -> ByText<U> {
        let all = self.0.into_iter().map(|(text, value)| {
            let value = other(&text, value);
            (text, value)
        });
        ByText(all.collect())
    }
}

impl<T: Sum> ByText<T> {
    /// Adds to the sum of a text.
    pub fn add(&mut self, text: &str, value: T) {
        match self.0.get_mut(text) {
            Some(mine) => mine.add(&value),
            None => {
                self.0.insert(text.into(), value);
                self.trim();
            }
        }
    }

    /// Adds another shard's.
    pub fn merge(&mut self, other: Self) {
        other.0.into_iter().for_each(|(text, value)| self.add(&text, value));
    }

    fn trim(&mut self) {
        while self.0.keys().filter(|text| &***text != OTHERS).count() > TEXTS_MAX {
            let last = self.0.keys().rfind(|text| &***text != OTHERS).cloned();
            let Some((_, value)) = last.and_then(|text| self.0.remove_entry(&text)) else {
                return;
            };
            match self.0.get_mut(OTHERS) {
                Some(others) => others.add(&value),
                None => drop(self.0.insert(OTHERS.into(), value)),
            }
        }
    }

    /// All of them, by text.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &T)> {
        self.0.iter().map(|(text, value)| (&**text, value))
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn sums_are_the_same_in_whatever_order_they_come_and_nothing_is_lost(
            texts in prop::collection::vec(0_u32..60, 0..200),
            cut in any::<prop::sample::Index>(),
        ) {
            let of = |texts: &[u32]| {
                let mut sums = ByText::default();
                texts.iter().for_each(|n| sums.add(&format!("text {n}"), 1_u64));
                sums
            };
            let whole = of(&texts);
            prop_assert_eq!(whole.iter().map(|(_, n)| n).sum::<u64>(), texts.len() as u64);
            prop_assert!(whole.iter().count() <= TEXTS_MAX + 1);
            let (one, other) = texts.split_at(cut.index(texts.len() + 1));
            let mut forward = of(one);
            forward.merge(of(other));
            let mut backward = of(other);
            backward.merge(of(one));
            prop_assert_eq!(&forward, &whole);
            prop_assert_eq!(&backward, &whole);
        }
    }
}

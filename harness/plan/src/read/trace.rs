//! What the reader asked for in this thread: tests hold the schema against it.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;

use super::scalar::Shown;

/// What was asked for.
#[derive(Debug, Default)]
pub(super) struct Trace {
    /// Table, as messages call it, to the keys that were asked for in it.
    pub keys: BTreeMap<String, BTreeSet<&'static str>>,
    /// Key, and the words that it may have.
    pub words: BTreeSet<(String, Vec<String>)>,
    /// Table, key, least and greatest value.
    pub ranges: BTreeSet<(String, &'static str, String, String)>,
}

thread_local! {
    static TRACE: RefCell<Trace> = RefCell::default();
}

/// Everything since it was taken last.
pub(super) fn take() -> Trace {
    TRACE.take()
}

pub(super) fn keys(table: &str, asked: &[&'static str]) {
    TRACE.with_borrow_mut(|trace| {
        trace.keys.entry(table.to_owned()).or_default().extend(asked);
    });
}

pub(super) fn words<'a>(key: &str, words: impl Iterator<Item = &'a str>) {
    let words = words.map(str::to_owned).collect();
    TRACE.with_borrow_mut(|trace| trace.words.insert((key.to_owned(), words)));
}

pub(super) fn range<T: Shown>(table: &str, key: &'static str, range: &RangeInclusive<T>) {
    let range = (table.to_owned(), key, range.start().shown(), range.end().shown());
    TRACE.with_borrow_mut(|trace| trace.ranges.insert(range));
}

//! The log of one topic: dense, ordered, pruned from its old end.
//!
//! It is also the outbound queue of every subscriber, who keeps a position in it. Invariant: the
//! entries are the watermarks `head - len + 1 ..= head`, without a hole.

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, RwLock};

use khala_wire::TopicKind;
use khala_wire::payload::Update;
use khala_wire::topic::TopicId;
use tokio::time::Instant;

use super::Draft;
use super::journal::{Journal, RecordRef, Write};
use crate::clock;
use crate::config::TopicLimits;
use crate::sync::{read, write};

/// JSON around a payload, roughly, when batches are cut by bytes.
const UPDATE_OVERHEAD_BYTES: usize = 240;
/// Entries that [`TopicLog::superseded`] looks at.
const SUPERSEDED_LOOK_BACK: usize = 2_000;

/// One retained update.
pub struct Entry {
    /// The update as it goes out.
    pub update: Update,
    at: Instant,
}

impl Entry {
    /// When it entered the log.
    pub fn at(&self) -> Instant {
        self.at
    }

    fn bytes(&self) -> usize {
        let payload = self.update.payload.as_ref().map_or(4, |payload| payload.get().len());
        payload + self.update.doc_key.len() + UPDATE_OVERHEAD_BYTES
    }
}

/// Edges of a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// Oldest watermark retained.
    pub oldest: Option<u64>,
    /// Newest watermark; 0 before the first.
    pub head: u64,
    /// Lowest cursor that can be resumed from: oldest − 1, or head when nothing is retained.
    pub floor: u64,
}

/// What lies after a position.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Range {
    /// Nothing.
    CaughtUp,
    /// Updates that retention has pruned already.
    Overrun,
    /// A batch.
    Ready {
        /// First watermark of the batch.
        first: u64,
        /// Last watermark of the batch.
        to: u64,
        /// Head as read with it.
        head: u64,
    },
}

#[derive(Default)]
struct Inner {
    head: u64,
    entries: VecDeque<Arc<Entry>>,
    /// Latest version of each document, of state topics only; outlives retention.
    documents: BTreeMap<String, Arc<Entry>>,
}

impl Inner {
    fn window(&self) -> Window {
        let floor = self.head - self.entries.len() as u64;
        Window { oldest: (!self.entries.is_empty()).then_some(floor + 1), head: self.head, floor }
    }

    fn slice(&self, first: u64, to: u64) -> Option<impl Iterator<Item = &Arc<Entry>>> {
        let floor = self.window().floor;
        let start = usize::try_from(first.checked_sub(floor + 1)?).ok()?;
        let end = usize::try_from(to.checked_sub(floor)?).ok()?;
        (start < end && end <= self.entries.len()).then(|| self.entries.range(start..end))
    }
}

/// The log of one topic.
pub struct TopicLog {
    topic: TopicId,
    limits: TopicLimits,
    journal: Arc<Journal>,
    /// Copy of the head for those who only ask whether there is something new.
    head: AtomicU64,
    inner: RwLock<Inner>,
}

impl TopicLog {
    /// An empty log.
    pub fn new(topic: TopicId, limits: TopicLimits, journal: Arc<Journal>) -> Self {
        Self { topic, limits, journal, head: AtomicU64::new(0), inner: RwLock::default() }
    }

    /// Its topic.
    pub fn topic(&self) -> TopicId {
        self.topic
    }

    /// Its limits.
    pub fn limits(&self) -> &TopicLimits {
        &self.limits
    }

    /// Newest watermark; 0 before the first.
    pub fn head(&self) -> u64 {
        self.head.load(Ordering::Acquire)
    }

    /// Edges, read together.
    pub fn window(&self) -> Window {
        read(&self.inner).window()
    }

    /// Appends an update at head + 1 and prunes by count.
    pub fn append(&self, draft: Draft) -> u64 {
        let mut inner = write(&self.inner);
        let watermark = inner.head + 1;
        let update = draft.at(self.topic.name(), watermark);
        // Under the lock: the journal has the order of the log.
        self.journal.write(&RecordRef::Update { at_ms: clock::unix_ms(), update: &update });
        self.enter(&mut inner, update, clock::now());
        watermark
    }

    fn enter(&self, inner: &mut Inner, update: Update, at: Instant) {
        let watermark = update.watermark;
        let entry = Arc::new(Entry { update, at });
        if self.topic.kind() == TopicKind::State {
            inner.documents.insert(entry.update.doc_key.clone(), Arc::clone(&entry));
        }
        inner.entries.push_back(entry);
        while inner.entries.len() > self.limits.retain_events {
            inner.entries.pop_front();
        }
        inner.head = watermark;
        self.head.store(watermark, Ordering::Release);
    }

    /// Moves an empty log's head, as if everything up to there had been pruned. Says whether it
    /// could: a head never goes back, and entries leave no hole.
    pub fn start_at(&self, head: u64) -> bool {
        let mut inner = write(&self.inner);
        if !inner.entries.is_empty() || head < inner.head {
            return false;
        }
        inner.head = head;
        self.head.store(head, Ordering::Release);
        self.record_floor(&inner);
        true
    }

    fn record_floor(&self, inner: &Inner) {
        let floor = inner.window().floor;
        self.journal.write(&RecordRef::Floor { topic: self.topic.name(), floor });
    }

    /// Prunes to the newest `keep` entries; returns how many went.
    pub fn trim_to(&self, keep: usize) -> usize {
        let mut inner = write(&self.inner);
        let surplus = inner.entries.len().saturating_sub(keep);
        self.prune(&mut inner, surplus);
        surplus
    }

    /// Prunes by age; returns how many went.
    pub fn trim_aged(&self, now: Instant) -> usize {
        let mut inner = write(&self.inner);
        let aged = inner
            .entries
            .iter()
            .take_while(|entry| now.duration_since(entry.at) > self.limits.retain_for)
            .count();
        self.prune(&mut inner, aged);
        aged
    }

    fn prune(&self, inner: &mut Inner, oldest: usize) {
        if oldest > 0 {
            inner.entries.drain(..oldest);
            self.record_floor(inner);
        }
    }

    /// The batch after a position: up to `count` updates, cut after `bytes` of JSON.
    pub fn range(&self, after: u64, count: u64, bytes: usize) -> Range {
        let inner = read(&self.inner);
        let Window { head, floor, .. } = inner.window();
        if after >= head {
            return Range::CaughtUp;
        }
        if after < floor {
            return Range::Overrun;
        }
        let first = after + 1;
        let limit = head.min(after.saturating_add(count.max(1)));
        let mut used = 0;
        let mut to = after;
        for entry in inner.slice(first, limit).into_iter().flatten() {
            used += entry.bytes();
            if to > after && used > bytes {
                break;
            }
            to += 1;
        }
        Range::Ready { first, to, head }
    }

    /// The entries `first ..= to`, or `None` when retention has taken one of them.
    pub fn entries(&self, first: u64, to: u64) -> Option<Vec<Arc<Entry>>> {
        let inner = read(&self.inner);
        inner.slice(first, to).map(|entries| entries.cloned().collect())
    }

    /// One entry, if it is retained.
    pub fn entry(&self, watermark: u64) -> Option<Arc<Entry>> {
        let inner = read(&self.inner);
        let mut entries = inner.slice(watermark, watermark)?;
        entries.next().cloned()
    }

    /// The oldest retained version of a document that another version has superseded before
    /// `watermark`: what the defect `state_regress` goes back to. Looks at recent entries only.
    pub fn superseded(&self, doc_key: &str, watermark: u64) -> Option<Arc<Entry>> {
        let inner = read(&self.inner);
        let recent = inner.entries.len().saturating_sub(SUPERSEDED_LOOK_BACK);
        let mut versions = inner
            .entries
            .range(recent..)
            .filter(|entry| entry.update.doc_key == doc_key && entry.update.watermark < watermark);
        let oldest = versions.next()?;
        versions.next().map(|_| Arc::clone(oldest))
    }

    /// Takes back an update that the journal has recorded. One that does not follow the head is
    /// passed over: a log has no holes.
    pub fn restore(&self, update: Update, at: Instant) {
        let mut inner = write(&self.inner);
        if update.watermark == inner.head + 1 {
            self.enter(&mut inner, update, at);
        }
    }

    /// Takes back a document whose update was pruned.
    pub fn restore_document(&self, update: Update) {
        let mut inner = write(&self.inner);
        let entry = Arc::new(Entry { update, at: clock::now() });
        inner.documents.insert(entry.update.doc_key.clone(), entry);
    }

    /// Takes back a floor: what lies at or below it was pruned.
    pub fn restore_floor(&self, floor: u64) {
        let mut inner = write(&self.inner);
        let pruned = floor.saturating_sub(inner.window().floor);
        let pruned = usize::try_from(pruned).unwrap_or(usize::MAX).min(inner.entries.len());
        inner.entries.drain(..pruned);
        if inner.entries.is_empty() {
            inner.head = inner.head.max(floor);
            self.head.store(inner.head, Ordering::Release);
        }
    }

    /// The latest version of one document.
    pub fn document_version(&self, key: &str) -> Option<u64> {
        read(&self.inner).documents.get(key).map(|entry| entry.update.doc_version)
    }

    /// The log as records: floor, documents that were pruned, updates.
    pub fn rewrite(&self, write: &mut Write<'_>) -> io::Result<()> {
        let inner = read(&self.inner);
        let floor = inner.window().floor;
        write(&RecordRef::Floor { topic: self.topic.name(), floor })?;
        for entry in inner.documents.values().filter(|entry| entry.update.watermark <= floor) {
            write(&RecordRef::Document { update: &entry.update })?;
        }
        let (now, now_ms) = (clock::now(), clock::unix_ms());
        for entry in &inner.entries {
            let age_ms = now.saturating_duration_since(entry.at).as_millis();
            let at_ms = now_ms.saturating_sub(i64::try_from(age_ms).unwrap_or(i64::MAX));
            write(&RecordRef::Update { at_ms, update: &entry.update })?;
        }
        Ok(())
    }

    /// The latest version of every document, with the head it belongs to.
    pub fn documents(&self) -> (u64, Vec<Arc<Entry>>) {
        let inner = read(&self.inner);
        (inner.head, inner.documents.values().cloned().collect())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use khala_wire::topic::{RUN_SUMMARIES, WORKER_EVENTS};

    use super::*;

    fn log(topic: &str, events: u64) -> TopicLog {
        let topic = TopicId::of(topic).expect("known");
        let limits = TopicLimits {
            retain_events: 10,
            retain_for: Duration::from_secs(60),
            replay_budget_events: 5,
        };
        let log = TopicLog::new(topic, limits, Arc::default());
        for n in 1..=events {
            log.append(draft(&format!("doc:{}", n % 3), n, 10));
        }
        log
    }

    fn draft(key: &str, version: u64, pad: usize) -> Draft {
        Draft::of(key.to_owned(), version, &"x".repeat(pad)).expect("a string is JSON")
    }

    #[test]
    fn a_batch_is_cut_by_count_and_by_head() {
        let log = log(WORKER_EVENTS, 5);
        assert_eq!(log.range(0, 2, 1 << 20), Range::Ready { first: 1, to: 2, head: 5 });
        assert_eq!(log.range(4, 2, 1 << 20), Range::Ready { first: 5, to: 5, head: 5 });
        assert_eq!(log.range(5, 2, 1 << 20), Range::CaughtUp);
        assert_eq!(log.range(9, 2, 1 << 20), Range::CaughtUp, "a cursor beyond head waits");
    }

    #[test]
    fn a_batch_is_cut_by_bytes_but_never_empty() {
        let log = log(WORKER_EVENTS, 0);
        for version in 1..=3 {
            log.append(draft("doc", version, 1_000));
        }
        assert_eq!(log.range(0, 200, 1), Range::Ready { first: 1, to: 1, head: 3 });
        assert_eq!(log.range(0, 200, 3_000), Range::Ready { first: 1, to: 2, head: 3 });
    }

    #[test]
    fn retention_by_count_moves_the_floor_and_overruns_old_positions() {
        let log = log(WORKER_EVENTS, 15);
        assert_eq!(log.window(), Window { oldest: Some(6), head: 15, floor: 5 });
        assert_eq!(log.range(4, 200, 1 << 20), Range::Overrun);
        assert!(log.entries(5, 7).is_none());
        let read: Vec<_> =
            log.entries(6, 8).expect("retained").iter().map(|e| e.update.watermark).collect();
        assert_eq!(read, [6, 7, 8]);
    }

    #[test]
    fn a_topic_pruned_empty_has_its_head_as_floor() {
        let log = log(WORKER_EVENTS, 4);
        assert_eq!(log.trim_to(0), 4);
        assert_eq!(log.window(), Window { oldest: None, head: 4, floor: 4 });
        assert_eq!(log.append(draft("doc", 5, 1)), 5);
        assert_eq!(log.range(4, 200, 1 << 20), Range::Ready { first: 5, to: 5, head: 5 });
    }

    #[test]
    fn age_prunes_only_what_is_old() {
        let log = log(WORKER_EVENTS, 3);
        assert_eq!(log.trim_aged(clock::now()), 0);
        assert_eq!(log.trim_aged(clock::now() + Duration::from_secs(61)), 3);
    }

    #[test]
    fn documents_are_the_latest_versions_and_outlive_retention() {
        let log = log(RUN_SUMMARIES, 15);
        log.trim_to(0);
        let (head, documents) = log.documents();
        let versions: Vec<_> = documents.iter().map(|d| d.update.doc_version).collect();
        assert_eq!((head, versions), (15, vec![15, 13, 14]));
    }

    #[test]
    fn a_head_is_moved_only_forward_and_only_while_nothing_is_retained() {
        let log = log(WORKER_EVENTS, 0);
        assert!(log.start_at(512));
        assert!(!log.start_at(511));
        assert_eq!(log.append(draft("doc", 1, 1)), 513);
        assert!(!log.start_at(600));
    }
}

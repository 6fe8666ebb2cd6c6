//! A small, bounded store of encoded batches: what one subscriber is sent, the next is sent too.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use khala_wire::topic::TopicId;

use super::Batch;
use crate::sync::lock;

/// Batches kept. A live event needs one; a storm of reconnects needs one per distinct cursor.
const BATCHES_MAX: usize = 64;

/// What determines a batch's bytes, but for the channel's join ref and serializer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BatchKey {
    /// The topic.
    pub topic: TopicId,
    /// First watermark.
    pub first: u64,
    /// Last watermark.
    pub to: u64,
    /// Head as read with the range.
    pub head: u64,
}

/// Encoded batches, newest last.
#[derive(Default)]
pub struct BatchCache {
    batches: Mutex<VecDeque<(BatchKey, Arc<Batch>)>>,
}

impl BatchCache {
    /// A batch that was encoded before.
    pub fn get(&self, key: &BatchKey) -> Option<Arc<Batch>> {
        let batches = lock(&self.batches);
        batches.iter().rev().find(|(known, _)| known == key).map(|(_, batch)| Arc::clone(batch))
    }

    /// Keeps a batch, and returns the one that is kept: encoding runs outside the lock, so two
    /// connections may race to the same batch, and the first stays.
    pub fn insert(&self, key: BatchKey, batch: Batch) -> Arc<Batch> {
        let mut batches = lock(&self.batches);
        if let Some((_, known)) = batches.iter().rev().find(|(known, _)| *known == key) {
            return Arc::clone(known);
        }
        while batches.len() >= BATCHES_MAX {
            batches.pop_front();
        }
        let batch = Arc::new(batch);
        batches.push_back((key, Arc::clone(&batch)));
        batch
    }
}

#[cfg(test)]
mod tests {
    use khala_wire::topic::NOTIFICATIONS;

    use super::*;

    #[test]
    fn it_stays_small_and_returns_what_was_kept_first() {
        let topic = TopicId::of(NOTIFICATIONS).expect("known");
        let cache = BatchCache::default();
        let key = |n| BatchKey { topic, first: n, to: n, head: n };
        let encode = || Batch::encode(&key(0), &[], None);
        for n in 0..200 {
            cache.insert(key(n), encode());
        }
        assert!(cache.get(&key(0)).is_none());
        let kept = cache.get(&key(199)).expect("the newest is kept");
        assert!(Arc::ptr_eq(&kept, &cache.insert(key(199), encode())));
        assert_eq!(lock(&cache.batches).len(), BATCHES_MAX);
    }
}

//! The two pushes of a batch or of an error, put together.

use std::collections::{BTreeMap, VecDeque};

use khala_plan::model::Push;
use khala_wire::topic::TopicId;

/// Pushes of a topic that may wait for their twins: one more, and the first one's is missing.
const UNPAIRED_MAX: usize = 4;
/// Kinds of errors that are put together: the contract has four.
const ERRORS_MAX: usize = 16;

/// By topic the first push of a batch whose twin has not come, and its digest: between topics there is no
/// order (contract, section 1, rule 5).
#[derive(Debug, Default)]
pub(super) struct Twins(BTreeMap<TopicId, VecDeque<(Push, u64)>>);

/// What a push says of those before it.
pub(super) struct Paired {
    /// How many have no twin.
    pub(super) torn: usize,
    /// Whether it and its twin say the same; `None` of the first of a pair.
    pub(super) agree: Option<bool>,
}

/// Of errors, by code and action: how many came as one kind of push more than as the other.
#[derive(Debug, Default)]
pub(super) struct Errors(Vec<(String, i32)>);

impl Errors {
    /// Whether no other copy of this error came before. Which comes first is nobody's rule, nor that both come.
    pub(super) fn first_copy(&mut self, push: Push, code: &str, action: &str) -> bool {
        let (key, step) = (format!("{code} {action}"), if push == Push::Frame { -1 } else { 1 });
        match self.0.iter_mut().find(|(of, _)| *of == key) {
            Some((_, more)) => {
                *more += step;
                *more * step > 0
            }
            None => {
                if self.0.len() < ERRORS_MAX {
                    self.0.push((key, step));
                }
                true
            }
        }
    }

    /// What waits for its other copy will never have it.
    pub(super) fn clear(&mut self) {
        self.0.clear();
    }
}

impl Twins {
    /// Whether the other push of a batch came before, and said the same.
    pub(super) fn told(&self, push: Push, content: u64) -> bool {
        let mut others = self.0.values().flatten();
        others.any(|(of, twin)| *of != push && *twin == content)
    }

    /// What waits for its twin will never have it.
    pub(super) fn clear(&mut self) {
        self.0.clear();
    }

    /// Puts a push of a topic together with its twin. The contract has the batch first (section 3, "Delivery"),
    /// and not that nothing comes between the two: of several that wait each is held against its own, in the
    /// order in which they came. One that comes second is its frame's twin all the same, if they say the same.
    pub(super) fn pair(&mut self, topic: TopicId, push: Push, content: u64) -> Paired {
        let waiting = self.0.entry(topic).or_default();
        if waiting.front().is_none_or(|(kind, _)| *kind == push) {
            waiting.push_back((push, content));
            let torn = usize::from(waiting.len() > UNPAIRED_MAX);
            waiting.drain(..torn);
            return Paired { torn, agree: None };
        }
        if let Some(own) = waiting.iter().position(|(_, same)| *same == content) {
            waiting.drain(..=own);
            return Paired { torn: own, agree: Some(true) };
        }
        if push == Push::Frame {
            waiting.pop_front();
            return Paired { torn: 0, agree: Some(false) };
        }
        let torn = waiting.len();
        waiting.clear();
        waiting.push_back((push, content));
        Paired { torn, agree: None }
    }
}

//! What of a rollout users may meet when a stage is decided.

use crate::decide::Case;
use crate::history::Attempt;
use crate::steps;

/// What is rolled out by then.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Live<'a> {
    /// Nothing: no stage was held before, and this one was not begun.
    Nothing,
    /// What the stage of this id before rolled out, if it did; this one was not begun: what it asks before it failed.
    Before(&'a str),
    /// What this stage rolled out.
    This,
}

impl<'a> Live<'a> {
    /// What is live of a case.
    #[must_use]
    pub fn of(case: &Case<'a>) -> Self {
        let before = case.rollout.before(&case.stage.id);
        match (before, sent_load(case.attempt)) {
            (None, _) if case.stage.hold.is_none() => Self::Nothing,
            (None, false) => Self::Nothing,
            (Some(before), false) => Self::Before(&before.id),
            (_, true) => Self::This,
        }
    }
}

/// Whether a run of an attempt was begun: until then nothing but preconditions was asked.
fn sent_load(attempt: &Attempt) -> bool {
    attempt.runs.iter().any(|run| run.step == steps::HOLD || run.step.starts_with("scenario "))
}

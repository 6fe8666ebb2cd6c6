//! The steps of a stage, in order.

use khala_plan::rollout::{Precondition, Rollout, ScenarioRun, Stage};

/// A step.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Step<'a> {
    /// The target is asked for its build.
    BuildsBefore,
    /// Something that must hold before load is sent.
    Precondition(&'a Precondition),
    /// A scenario.
    Scenario(&'a ScenarioRun),
    /// The hold.
    Hold(&'a ScenarioRun),
    /// The target is asked for its build again.
    BuildsAfter,
}

impl Step<'_> {
    /// Its name in the journal and in reports.
    #[must_use]
    pub fn name(&self) -> String {
        match self {
            Self::BuildsBefore => "builds before".to_owned(),
            Self::Precondition(one) => format!("precondition {}", one.name),
            Self::Scenario(run) => format!("scenario {}", run.name),
            Self::Hold(_) => HOLD.to_owned(),
            Self::BuildsAfter => "builds after".to_owned(),
        }
    }

    /// Whether it sends load, so that it is left out once something was found.
    #[must_use]
    pub fn sends_load(&self) -> bool {
        matches!(self, Self::Scenario(_) | Self::Hold(_))
    }
}

/// Name of the hold's step.
pub const HOLD: &str = "hold";

/// The steps of a stage.
#[must_use]
pub fn of<'a>(rollout: &'a Rollout, stage: &'a Stage) -> Vec<Step<'a>> {
    let mut steps = vec![Step::BuildsBefore];
    let preconditions = stage.preconditions.iter().filter_map(|name| rollout.precondition(name));
    steps.extend(preconditions.map(Step::Precondition));
    steps.extend(stage.scenarios.iter().map(Step::Scenario));
    steps.extend(stage.hold.iter().map(|hold| Step::Hold(&hold.scenario)));
    steps.push(Step::BuildsAfter);
    steps
}

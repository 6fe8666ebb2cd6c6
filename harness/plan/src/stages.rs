//! How the number of clients goes up and down after the ramp: `[[fleet.stage]]`, as k6 has stages.
//!
//! A stage goes from as many clients as there are to its `target` in a straight line: the k-th of n changes is
//! due k/n into it, the last at its end. Beside that its `churn` has so many clients leave and as many others
//! come, at equal gaps. Whoever has been there longest leaves first. All of it is planned: nothing here waits
//! for what the target does.

use std::time::Duration;

use crate::units::micros;

/// A stage of the fleet.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Stage {
    /// How long it is.
    pub duration: Duration,
    /// How many clients there are at its end.
    pub target: u32,
    /// How many leave a second, and as many others come; 0 for none.
    pub churn_per_s: f64,
}

/// One client more, or one less.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Change {
    /// When, from the end of the ramp.
    pub at_us: u64,
    /// Whether one comes; else the one leaves that has been there longest. Who leaves goes first.
    pub comes: bool,
}

impl Stage {
    /// How many come and leave in it by churn, at the most.
    #[must_use]
    pub fn churns(&self) -> f64 {
        self.duration.as_secs_f64() * self.churn_per_s
    }
}

/// All changes of a fleet that begins with `at_first` clients, in order.
#[must_use]
pub fn changes(at_first: u32, stages: &[Stage]) -> Vec<Change> {
    let mut all = Vec::new();
    let (mut level, mut from_us) = (at_first, 0_u64);
    for stage in stages {
        let lasts_us = micros(stage.duration);
        let mut own = slope(level, stage.target, lasts_us);
        own.extend(churn(stage, lasts_us));
        own.sort_unstable();
        let mut there = u64::from(level);
        let mut pending = 0_u64;
        for change in own {
            // Where nobody is there is nobody to leave, and then nobody comes in his place.
            match (change.comes, change.by_churn) {
                (false, true) if there == 0 => pending += 1,
                (true, true) if pending > 0 => pending -= 1,
                (comes, _) => {
                    there = if comes { there + 1 } else { there.saturating_sub(1) };
                    all.push(Change { at_us: from_us.saturating_add(change.at_us), comes });
                }
            }
        }
        (level, from_us) = (stage.target, from_us.saturating_add(lasts_us));
    }
    all
}

/// The most clients that there are at once.
#[must_use]
pub fn peak(at_first: u32, stages: &[Stage]) -> u32 {
    stages.iter().map(|stage| stage.target).fold(at_first, u32::max)
}

/// How many clients there are over all stages, whoever is there at once: as a number that may be too many.
#[must_use]
pub fn roster(at_first: u32, stages: &[Stage]) -> f64 {
    let mut level = at_first;
    let mut all = f64::from(at_first);
    for stage in stages {
        all += f64::from(stage.target.saturating_sub(level)) + stage.churns();
        level = stage.target;
    }
    all
}

/// A change within its stage.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Own {
    at_us: u64,
    comes: bool,
    by_churn: bool,
}

fn slope(level: u32, target: u32, lasts_us: u64) -> Vec<Own> {
    let n = u64::from(level.abs_diff(target));
    let at = |k: u64| {
        let at_us = u128::from(lasts_us) * u128::from(k) / u128::from(n.max(1));
        u64::try_from(at_us).unwrap_or(u64::MAX)
    };
    (1..=n).map(|k| Own { at_us: at(k), comes: target > level, by_churn: false }).collect()
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "microseconds of a run that was read, in whole clients"
)]
fn churn(stage: &Stage, lasts_us: u64) -> Vec<Own> {
    if stage.churn_per_s <= 0.0 {
        return Vec::new();
    }
    let gap_us = 1e6 / stage.churn_per_s;
    let times = (1_u64..).map(|k| (k as f64 * gap_us).round() as u64);
    let times = times.take_while(|at_us| *at_us < lasts_us);
    times
        .flat_map(|at_us| [false, true].map(|comes| Own { at_us, comes, by_churn: true }))
        .collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn stage(secs: u64, target: u32, churn_per_min: f64) -> Stage {
        Stage { duration: Duration::from_secs(secs), target, churn_per_s: churn_per_min / 60.0 }
    }

    /// Seconds and steps.
    fn steps(at_first: u32, stages: &[Stage]) -> Vec<(f64, i32)> {
        let step = |change: &Change| (change.at_us as f64 / 1e6, if change.comes { 1 } else { -1 });
        changes(at_first, stages).iter().map(step).collect()
    }

    #[test]
    fn a_stage_goes_in_a_straight_line_and_the_next_goes_on_from_its_target() {
        let stages = [stage(4, 4, 0.0), stage(2, 4, 0.0), stage(4, 2, 0.0)];
        assert_eq!(steps(2, &stages), [(2.0, 1), (4.0, 1), (8.0, -1), (10.0, -1)]);
        assert_eq!(steps(2, &[stage(0, 4, 0.0)]), [(0.0, 1), (0.0, 1)], "at once");
    }

    #[test]
    fn churn_has_one_leave_and_another_come_at_equal_gaps() {
        let leaves_and_comes = [(2.0, -1), (2.0, 1), (4.0, -1), (4.0, 1)];
        assert_eq!(steps(3, &[stage(6, 3, 30.0)]), leaves_and_comes);
        assert_eq!(steps(0, &[stage(6, 0, 30.0)]), [], "nobody is there to leave");
    }

    fn any_stage() -> impl Strategy<Value = Stage> {
        (0_u64..40, 0_u32..30, prop_oneof![Just(0.0), 0.0..200.0])
            .prop_map(|(secs, target, churn)| stage(secs, target, churn))
    }

    proptest! {
        #[test]
        fn the_level_is_never_below_nothing_or_above_the_peak_and_ends_at_the_last_target(
            at_first in 1_u32..30,
            stages in prop::collection::vec(any_stage(), 0..5),
        ) {
            let peak = i64::from(peak(at_first, &stages));
            let mut level = i64::from(at_first);
            let mut last_us = 0;
            let mut came = f64::from(at_first);
            for change in changes(at_first, &stages) {
                prop_assert!(change.at_us >= last_us);
                last_us = change.at_us;
                level += if change.comes { 1 } else { -1 };
                came += f64::from(u8::from(change.comes));
                prop_assert!((0..=peak).contains(&level), "{level} of {peak}");
            }
            let target = stages.last().map_or(at_first, |stage| stage.target);
            prop_assert_eq!(level, i64::from(target));
            prop_assert!(came <= roster(at_first, &stages) + 1e-6);
        }
    }
}

//! Whether the stage before opens this one.

use khala_evidence::judge::Decision;
use khala_plan::rollout::{Rollout, Stage};
use serde::{Deserialize, Serialize};

use crate::history::{Attempt, History};
use crate::stamp::Stamp;

/// How a stage was opened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Opened {
    /// It is the first.
    First,
    /// By a GO of the stage before.
    By {
        /// Which stage.
        stage: String,
        /// When it was decided, UTC.
        at: String,
        /// Its report.
        report: String,
    },
    /// By somebody's word.
    ByWord {
        /// Why.
        reason: String,
        /// Why the stage before does not open it.
        instead: String,
    },
    /// Not.
    Not {
        /// Why not.
        why: String,
        /// What to do.
        next: String,
    },
}

/// Whether the last attempt of the stage before is a GO of the same build that was fresh enough when this attempt
/// began: a stage may be held for longer than that. A later NO-GO or HOLD takes an earlier GO back, and so does a NO-GO
/// of an earlier stage, or in rehearsal; a rehearsal opens rehearsals alone. A GO by another rollout file is none.
#[must_use]
pub fn predecessor(
    rollout: &Rollout,
    stage: &Stage,
    history: &History,
    attempt: &Attempt,
) -> Opened {
    let Some(before) = rollout.before(&stage.id) else { return Opened::First };
    let why = match last_go(rollout, before, history, attempt) {
        Ok((by, at)) => match at.until(rollout, &attempt.at) {
            Ok(()) => return by,
            Err(why) => why,
        },
        Err(why) => why,
    };
    match &attempt.begun.without_predecessor {
        Some(reason) => Opened::ByWord { reason: reason.clone(), instead: why },
        None => Opened::Not {
            why,
            next: format!(
                "run `stage {}` for this build first; --without-predecessor REASON goes on without it, and the \
                 reason stands in the report",
                before.id
            ),
        },
    }
}

/// When the stage before was decided.
struct At<'a>(&'a Stamp, &'a str);

impl At<'_> {
    /// Whether that is fresh enough.
    fn until(&self, rollout: &Rollout, then: &Stamp) -> Result<(), String> {
        let Self(decided, stage) = self;
        let age_ms = then.since(decided).map_err(|why| format!("stage {stage}: {why}"))?;
        let fresh_ms = i64::try_from(rollout.fresh.as_millis()).unwrap_or(i64::MAX);
        if age_ms <= fresh_ms {
            return Ok(());
        }
        let hours = |ms: i64| ms as f64 / 3.6e6;
        Err(format!(
            "the GO of stage {stage} was {:.1} hours old, and no more than {:.1} are fresh",
            hours(age_ms),
            hours(fresh_ms)
        ))
    }
}

/// A NO-GO that this build came to after the GO, at that stage or one before it: what was found in rehearsal was
/// found. What the embedded runtime did says nothing of a target.
fn taken_back(
    rollout: &Rollout,
    before: &Stage,
    history: &History,
    attempt: &Attempt,
    (go, decided): (&Attempt, &Stamp),
) -> Option<String> {
    let ids: Vec<&str> = rollout.stages.iter().map(|stage| stage.id.as_str()).collect();
    let until = ids.iter().position(|id| *id == before.id)?;
    let mut all = history.attempts.iter().rev();
    all.find_map(|one| {
        let (ended, at) = one.ended.as_ref()?;
        let is_after =
            one.begun.attempt > go.begun.attempt || at.since(decided).is_ok_and(|ms| ms > 0);
        let is_of_it = one.begun.build == attempt.begun.build
            && one.begun.embedded == attempt.begun.embedded
            && one.begun.attempt < attempt.begun.attempt
            && ids[..=until].contains(&one.begun.stage.as_str());
        let rehearsal = if one.begun.is_rehearsal() { " (a rehearsal)" } else { "" };
        (ended.decision == Decision::NoGo && is_after && is_of_it).then(|| {
            format!(
                "after the GO of stage {}, an attempt of stage {}, at {}{rehearsal}, is NO-GO",
                before.id, one.begun.stage, at.at
            )
        })
    })
}

fn last_go<'a>(
    rollout: &Rollout,
    before: &'a Stage,
    history: &'a History,
    attempt: &'a Attempt,
) -> Result<(Opened, At<'a>), String> {
    let id = &before.id;
    let build = attempt.begun.build.as_deref();
    // What came after this attempt began opens it no more than what is still under way.
    let earlier = |one: &&Attempt| one.begun.attempt < attempt.begun.attempt;
    let of_it: Vec<_> = history.of_stage(id, build).filter(earlier).collect();
    let rehearses = attempt.begun.is_rehearsal();
    let Some(last) = of_it.iter().rfind(|one| rehearses || !one.begun.is_rehearsal()) else {
        let others = history.attempts.iter().filter(|one| one.begun.stage == *id);
        return Err(match (of_it.is_empty(), others.count()) {
            (false, _) => format!("stage {id} was only rehearsed"),
            (true, 0) => format!("stage {id} was never attempted"),
            (true, _) => format!("stage {id} was attempted for other builds alone"),
        });
    };
    let Some((ended, at)) = &last.ended else {
        return Err(format!("the last attempt of stage {id} was never decided"));
    };
    if ended.decision != Decision::Go {
        return Err(format!("the last attempt of stage {id}, at {}, is {}", at.at, ended.decision));
    }
    let sha256 = &last.begun.rollout_sha256;
    if *sha256 != attempt.begun.rollout_sha256 || last.begun.rollout != attempt.begun.rollout {
        return Err(format!(
            "the GO of stage {id} is by another rollout file, `{}` (SHA-256 {}…), which may ask for less",
            last.begun.rollout.escape_debug(),
            sha256.get(..8).unwrap_or(sha256)
        ));
    }
    if last.begun.embedded != attempt.begun.embedded {
        return Err(format!("the GO of stage {id} is of another target, {}", last.begun.target));
    }
    if let Some(why) = taken_back(rollout, before, history, attempt, (*last, at)) {
        return Err(why);
    }
    let by = Opened::By { stage: id.clone(), at: at.at.clone(), report: ended.report.clone() };
    Ok((by, At(at, id)))
}

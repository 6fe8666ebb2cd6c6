//! Whether the stage before opens this one.

use khala_evidence::judge::{Decision, Verdict};
use khala_plan::rollout::{Rollout, Stage};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Case, Named, decide_opened};
use crate::entry::Ended;
use crate::history::{Attempt, History};
use crate::stamp::Stamp;

/// How a stage was opened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
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

/// Whether the last attempt of the stage before is a GO of the same build, on the same target, that was fresh enough when
/// this attempt began: a stage may be held for longer than that. A later NO-GO or HOLD takes an earlier GO back, and so
/// does a NO-GO of an earlier stage, or in rehearsal; a rehearsal opens rehearsals alone. A GO by another rollout file,
/// or by scenarios that were changed since, is none. It is not believed either: what its attempt wrote down has to come
/// to a GO again, and its evidence has to be what it was.
#[must_use]
pub fn predecessor(case: &Case<'_>) -> Opened {
    let Case { rollout, stage, attempt, .. } = *case;
    let Some(before) = rollout.before(&stage.id) else { return Opened::First };
    let why = match last_go(case, before) {
        Ok((by, at)) => match at.until(case, &attempt.at) {
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
                "run `stage {}` for this build on this target first; --without-predecessor REASON goes on without it, \
                 and the reason stands in the report",
                before.id
            ),
        },
    }
}

/// When the stage before was decided.
struct At<'a>(&'a Stamp, &'a str);

impl At<'_> {
    /// Whether that is fresh enough. How old it is nobody knows if a clock was set back since then, over a reboot, say.
    fn until(&self, case: &Case<'_>, then: &Stamp) -> Result<(), String> {
        let Self(decided, stage) = self;
        let age_ms = then.age_of(decided).map_err(|why| format!("stage {stage}: {why}"))?;
        if let Some(why) = case.history.set_back_between(decided, then) {
            return Err(format!("how old the GO of stage {stage} is nobody knows: {why}"));
        }
        let fresh_ms = i64::try_from(case.rollout.fresh.as_millis()).unwrap_or(i64::MAX);
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

/// A NO-GO that this build came to after the GO, at that stage or one before it, whether this attempt was under way by
/// then or not: what was found in rehearsal was found, and so was what failed in an attempt that nobody decided. What the
/// embedded runtime did says nothing of a target.
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
        let (at, what) = no_go(one)?;
        let is_after = one.begun.attempt > go.begun.attempt || history.is_after(at, decided);
        let is_of_it = one.begun.build == attempt.begun.build
            && one.begun.embedded == attempt.begun.embedded
            && one.begun.attempt != attempt.begun.attempt
            && ids[..=until].contains(&one.begun.stage.as_str());
        let rehearsal = if one.begun.is_rehearsal() { " (a rehearsal)" } else { "" };
        (is_after && is_of_it).then(|| {
            format!(
                "after the GO of stage {}, an attempt of stage {}, at {}{rehearsal}, {what}",
                before.id, one.begun.stage, at.at
            )
        })
    })
}

/// When an attempt turned out to be a NO-GO, if it did.
fn no_go(attempt: &Attempt) -> Option<(&Stamp, &'static str)> {
    match &attempt.ended {
        Some((ended, at)) => (ended.decided.decision == Decision::NoGo).then_some((at, "is NO-GO")),
        None => {
            let mut results = attempt.runs.iter().filter_map(|run| run.ended.as_ref());
            let failed = results.find(|(result, _)| result.verdict == Verdict::Fail);
            failed.map(|(_, at)| (at, "failed, and was never decided"))
        }
    }
}

fn last_go<'a>(case: &Case<'a>, before: &'a Stage) -> Result<(Opened, At<'a>), String> {
    let Case { rollout, history, attempt, .. } = *case;
    let id = &before.id;
    let build = attempt.begun.build.as_deref();
    // What came after this attempt began opens it no more than what is still under way, but may close it.
    let closes = |one: &&Attempt| {
        let decided = one.ended.as_ref().map(|(ended, _)| ended.decided.decision);
        decided.is_some_and(|decision| decision != Decision::Go)
    };
    let counts = |one: &&Attempt| one.begun.attempt < attempt.begun.attempt || closes(one);
    let of_it: Vec<_> = history.of_stage(id, build).filter(counts).collect();
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
    if ended.decided.decision != Decision::Go {
        let decision = ended.decided.decision;
        return Err(format!("the last attempt of stage {id}, at {}, is {decision}", at.at));
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
    if let Some(why) = otherwise(id, last, attempt) {
        return Err(why);
    }
    if let Some(why) = taken_back(rollout, before, history, attempt, (*last, at)) {
        return Err(why);
    }
    carried(case, before, last, (ended, at))?;
    let by = Opened::By { stage: id.clone(), at: at.at.clone(), report: ended.report.clone() };
    Ok((by, At(at, id)))
}

/// What of the stage before is not as it would be now: where its target was, or what it asked.
fn otherwise(id: &str, last: &Attempt, attempt: &Attempt) -> Option<String> {
    let (then, now) = (&last.begun, &attempt.begun);
    let before = now.before.clone().unwrap_or_default();
    let is_same = !then.target_sha256.is_empty() && then.target_sha256 == now.target_sha256;
    let is_stated = before.target_sha256.as_ref() == Some(&then.target_sha256);
    if !is_same && !is_stated {
        let reached = match then.target == now.target {
            true => "reached in another way (URL, path, headers or parameters)".to_owned(),
            false => format!("and this is {}", now.target),
        };
        return Some(format!(
            "the GO of stage {id} is of another target, {}, {reached}, and the rollout file does not itself say where \
             each of the stages is",
            then.target
        ));
    }
    let changed = then.files.iter().find(|(name, sha256)| before.files.get(*name) != Some(*sha256));
    changed.map(|(name, _)| {
        format!(
            "the GO of stage {id} is by another `{name}` than is there now, which may ask for less"
        )
    })
}

/// What is said of a GO that what lies on disk of it does not carry.
pub(super) const NOT_CARRIED: [&str; 2] =
    ["is not vouched for", "does not follow from what is there of it"];

/// Whether a GO is carried by what its attempt wrote down and by what lies on disk of it. Of the stages before that one
/// the journal alone is asked: their evidence was there when it began.
fn carried(
    case: &Case<'_>,
    before: &Stage,
    last: &Attempt,
    (ended, at): (&Ended, &Stamp),
) -> Result<(), String> {
    let id = &before.id;
    let report = Named::Report { name: &ended.report, sha256: &ended.report_sha256 };
    if let Some(why) = (case.check)(report) {
        let [not_vouched_for, _] = NOT_CARRIED;
        return Err(format!("the GO of stage {id} {not_vouched_for}: {why}"));
    }
    let history = case.history.until(last.begun.attempt);
    let Some(attempt) = history.attempts.last() else {
        return Err(format!("the GO of stage {id} is of no attempt"));
    };
    let then = Case { stage: before, history: &history, attempt, now: at, ..*case };
    let opened = predecessor(&Case { check: &|_| None, ..then });
    let again = decide_opened(&then, opened);
    match again.reasons.first() {
        None => Ok(()),
        Some(first) => {
            let [_, does_not_follow] = NOT_CARRIED;
            Err(format!(
                "the GO of stage {id} {does_not_follow}, which makes it {}: {}",
                again.decision, first.why
            ))
        }
    }
}

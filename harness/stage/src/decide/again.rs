//! A decision, drawn again from what its attempt wrote down: whether it follows.

use khala_evidence::judge::Decision;
use khala_plan::rollout::Rollout;

use super::{AGAIN, Case, Decided, Named, Opened, Reason, decide};
use crate::entry::{Ended, Entry};
use crate::history::History;
use crate::journal::Journal;

/// Draws the decision on an attempt again: from the lines of the journal up to it, by the rollout file that it was begun
/// with. `check` says what is wrong with something on disk.
///
/// # Errors
/// Why it cannot be drawn, in a clause.
pub fn again(
    rollout: &Rollout,
    journal: &Journal,
    ended: &Ended,
    check: &dyn Fn(Named<'_>) -> Option<String>,
) -> Result<Decided, String> {
    let is_it = |entry: &Entry| matches!(entry, Entry::Ended(one) if one.attempt == ended.attempt);
    let mut history = History::default();
    for line in &journal.lines {
        if !is_it(&line.entry) {
            history.take(&line.stamp, &line.entry).map_err(str::to_owned)?;
            continue;
        }
        let attempt = history.attempts.get((ended.attempt as usize).wrapping_sub(1));
        let attempt = attempt.ok_or("the journal has no such attempt")?;
        let stage = rollout.stage(&attempt.begun.stage);
        let stage = stage.ok_or("the rollout file has no such stage")?;
        let (history, now) = (&history, &line.stamp);
        return Ok(decide(&Case { rollout, stage, history, attempt, now, check }));
    }
    Err("the journal has no decision on it".to_owned())
}

/// What a decision says that does not follow, a line each; `again` is the same, drawn again. What was amiss on disk by then
/// may have been put back: that makes no difference. Builds of the harness word things differently: `same_tool` says that
/// this one wrote it.
#[must_use]
pub fn differences(written: &Decided, again: &Decided, same_tool: bool) -> Vec<String> {
    let mut found = Vec::new();
    let was_amiss = written.reasons.iter().any(is_of_disk);
    let stricter = severity(written.decision) > severity(again.decision);
    if written.decision != again.decision && !(stricter && was_amiss) {
        let why = again.reasons.first().map_or_else(String::new, |it| format!(": {}", it.why));
        found.push(format!(
            "it is {}, and what lies there makes it {}{why}",
            written.decision, again.decision
        ));
    }
    if !same_tool {
        return found;
    }
    let lacks = |all: &[Reason], one: &Reason| !all.contains(one);
    let missing = again.reasons.iter().filter(|one| lacks(&written.reasons, one));
    found.extend(
        missing.map(|one| format!("it does not say why it is {}: {}", one.decision, one.why)),
    );
    let made_up =
        written.reasons.iter().filter(|one| lacks(&again.reasons, one) && !is_of_disk(one));
    found.extend(made_up.map(|one| format!("it says what does not follow: {}", one.why)));
    // Without what was amiss a waiver may have been used, or the stage before have opened it.
    if !was_amiss {
        if (&written.used, &written.unused) != (&again.used, &again.unused) {
            found.push("it has other waivers than those that count".to_owned());
        }
        if told(&written.opened) != told(&again.opened) {
            found.push("it says of the stage before what does not follow".to_owned());
        }
    }
    found
}

fn severity(decision: Decision) -> u8 {
    match decision {
        Decision::Go => 0,
        Decision::Hold => 1,
        Decision::NoGo => 2,
    }
}

/// Whether it is about what lay on disk when it was decided.
fn is_of_disk(reason: &Reason) -> bool {
    reason.next == AGAIN || super::predecessor::NOT_CARRIED.iter().any(|it| reason.why.contains(it))
}

/// How a stage was opened, but for what may have been amiss with the one before when somebody's word opened it.
fn told(opened: &Opened) -> Opened {
    match opened {
        Opened::ByWord { reason, .. } => {
            Opened::ByWord { reason: reason.clone(), instead: String::new() }
        }
        other => other.clone(),
    }
}

#[cfg(test)]
mod tests {
    use khala_evidence::judge::Verdict;

    use super::*;
    use crate::entry::StepResult;
    use crate::testing::{Script, failed_objective, rollout};

    const WELL: fn(&str, StepResult) -> Option<StepResult> = |_, result| Some(result);
    const THERE: &dyn Fn(Named<'_>) -> Option<String> = &|_| None;
    const GONE: &dyn Fn(Named<'_>) -> Option<String> = &|named| {
        matches!(named, Named::Run { .. }).then(|| "its evidence is no longer there".to_owned())
    };

    /// Decides an attempt of a script now, as it comes to be, and writes that down.
    fn end(script: &mut Script, number: u32, check: &dyn Fn(Named<'_>) -> Option<String>) -> Ended {
        let (rollout, now) = (rollout(), script.now());
        let history = script.history.until(number);
        let attempt = history.attempts.last().expect("it began");
        let stage = rollout.stage(&attempt.begun.stage).expect("a stage");
        let (rollout, history) = (&rollout, &history);
        let decided = decide(&Case { rollout, stage, history, attempt, now: &now, check });
        let ended = Ended { decided, ..crate::testing::ended(number, Decision::Go) };
        script.take_at(&now, &Entry::Ended(Box::new(ended.clone())));
        ended
    }

    fn journal(script: Script) -> Journal {
        let mut journal = Journal::default();
        for (stamp, entry) in script.taken {
            journal.append(stamp, entry).expect("serialises");
        }
        journal
    }

    /// One attempt, decided.
    fn decided(
        mut script: Script,
        check: &dyn Fn(Named<'_>) -> Option<String>,
    ) -> (Journal, Ended) {
        let ended = end(&mut script, 1, check);
        (journal(script), ended)
    }

    fn one(spoil: impl Fn(&str, StepResult) -> Option<StepResult>) -> Script {
        let mut script = Script::new();
        script.attempt("0", |_| {}, spoil);
        script
    }

    fn drawn(
        journal: &Journal,
        ended: &Ended,
        check: &dyn Fn(Named<'_>) -> Option<String>,
    ) -> Decided {
        again(&rollout(), journal, ended, check).expect("it can be drawn")
    }

    fn found(journal: &Journal, ended: &Ended) -> Vec<String> {
        differences(&ended.decided, &drawn(journal, ended, THERE), true)
    }

    #[test]
    fn what_was_decided_follows() {
        let failed = |name: &str, result| match name {
            "scenario smoke" => Some(failed_objective("connect_errors", "")),
            _ => Some(result),
        };
        for (script, decision) in [(one(WELL), Decision::Go), (one(failed), Decision::NoGo)] {
            let (journal, ended) = decided(script, THERE);
            assert_eq!(ended.decided.decision, decision);
            assert_eq!(found(&journal, &ended), [""; 0]);
        }
        let lacking = one(|name, result| (name != "builds after").then_some(result));
        let (journal, ended) = decided(lacking, THERE);
        assert_eq!(ended.decided.decision, Decision::Hold);
        assert_eq!(found(&journal, &ended), [""; 0]);
    }

    #[test]
    fn a_decision_that_was_edited_is_told_with_what_it_would_be() {
        let failed = |name: &str, mut result: StepResult| {
            if name == "precondition conform" {
                result.verdict = Verdict::Fail;
            }
            Some(result)
        };
        let (journal, ended) = decided(one(failed), THERE);
        let again = drawn(&journal, &ended, THERE);
        let edited = |change: &dyn Fn(&mut Decided)| {
            let mut written = ended.decided.clone();
            change(&mut written);
            differences(&written, &again, true)
        };
        let go = edited(&|it| {
            it.decision = Decision::Go;
            it.reasons.clear();
        });
        assert_eq!(go.len(), 2, "{go:?}");
        assert!(
            go[0].starts_with("it is GO, and what lies there makes it NO-GO: precondition conform")
        );
        assert!(go[1].starts_with("it does not say why it is NO-GO"), "{go:?}");
        let made_up = edited(&|it| it.reasons.push(Reason::hold("nobody was there", "wait")));
        assert_eq!(made_up, ["it says what does not follow: nobody was there"]);
        let waived = edited(&|it| it.used.push("ux, by Ada until 2999: known".to_owned()));
        assert_eq!(waived.len(), 1, "{waived:?}");
        let opened = edited(&|it| {
            it.opened = Opened::ByWord { reason: "a word".to_owned(), instead: String::new() };
        });
        assert_eq!(opened.len(), 1, "{opened:?}");
        // Another build may say the same otherwise; what it is to say is the same.
        let other = Decided { reasons: Vec::new(), ..ended.decided.clone() };
        assert_eq!(differences(&other, &again, false), [""; 0]);
        let other = Decided { decision: Decision::Hold, ..other };
        assert_eq!(differences(&other, &again, false).len(), 1);
    }

    #[test]
    fn what_was_amiss_when_it_was_decided_may_have_been_put_back() {
        let (journal, ended) = decided(one(WELL), GONE);
        assert_eq!(ended.decided.decision, Decision::Hold);
        assert_eq!(found(&journal, &ended), [""; 0]);
        // But it makes no GO of what was amiss and still is.
        let go = Decided { decision: Decision::Go, reasons: Vec::new(), ..ended.decided.clone() };
        assert_eq!(differences(&go, &drawn(&journal, &ended, GONE), true).len(), 2);
    }

    #[test]
    fn only_what_was_known_by_then_counts() {
        let mut script = Script::new();
        let mut ends = Vec::new();
        for stage in ["0", "1"] {
            let number = script.attempt(stage, |_| {}, WELL);
            ends.push(end(&mut script, number, THERE));
        }
        // It takes the GO of stage 0 back, by which stage 1 was opened: that was not known then.
        let fails = |_: &str, mut result: StepResult| {
            result.verdict = Verdict::Fail;
            Some(result)
        };
        let number = script.attempt("0", |_| {}, fails);
        ends.push(end(&mut script, number, THERE));
        let decisions: Vec<_> = ends.iter().map(|ended| ended.decided.decision).collect();
        assert_eq!(decisions, [Decision::Go, Decision::Go, Decision::NoGo]);
        let journal = journal(script);
        for ended in &ends {
            assert_eq!(found(&journal, ended), [""; 0]);
        }
    }

    #[test]
    fn what_cannot_be_drawn_says_why() {
        let (journal, ended) = decided(one(WELL), THERE);
        let mut other = rollout();
        other.stages.remove(0);
        let why = again(&other, &journal, &ended, THERE).expect_err("there is no such stage");
        assert!(why.contains("no such stage"), "{why}");
        let never = Ended { attempt: 7, ..ended.clone() };
        assert!(again(&rollout(), &journal, &never, THERE).is_err());
    }
}

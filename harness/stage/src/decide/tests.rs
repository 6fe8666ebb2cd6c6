//! Each absence is a test: none of them is a GO.

use std::cell::Cell;

use khala_evidence::builds::SocketBuilds;

use super::*;
use crate::entry::{Begun, Entry};
use crate::evidence::RunSummary;
use crate::testing::{Script, at, builds, held, of_run, passed, rollout, run, run_with};

const WELL: fn(&str, StepResult) -> Option<StepResult> = |_, result| Some(result);

fn decided_with(
    script: &Script,
    attempt: u32,
    now: &Stamp,
    check: &dyn Fn(Named<'_>) -> Option<String>,
) -> Decided {
    let rollout = rollout();
    let attempt = &script.history.attempts[attempt as usize - 1];
    let stage = rollout.stage(&attempt.begun.stage).expect("a stage");
    decide(&Case { rollout: &rollout, stage, history: &script.history, attempt, now, check })
}

fn decided(script: &Script, attempt: u32) -> Decided {
    decided_with(script, attempt, &script.now(), &|_| None)
}

/// The decision on stage 0, whose steps come to what `spoil` makes of them.
fn spoilt(spoil: impl Fn(&str, StepResult) -> Option<StepResult>) -> Decided {
    let mut script = Script::new();
    let attempt = script.attempt("0", |_| {}, spoil);
    decided(&script, attempt)
}

fn on(step: &'static str, change: impl Fn(StepResult) -> Option<StepResult>) -> Decided {
    spoilt(move |name, result| if name == step { change(result) } else { Some(result) })
}

fn on_run(change: impl Fn(&mut RunSummary)) -> Decided {
    on("scenario smoke", |_| {
        let mut run = run();
        change(&mut run);
        Some(of_run(run))
    })
}

#[track_caller]
fn holds(decided: &Decided, why: &str) {
    assert_eq!(decided.decision, Decision::Hold, "{:?}", decided.reasons);
    let told = decided.reasons.iter().any(|reason| reason.why.contains(why));
    assert!(told, "{why}: {:?}", decided.reasons);
    assert!(decided.reasons.iter().all(|reason| !reason.next.is_empty()));
}

/// A script in which stage 0 is a GO, then stage 1 is attempted.
fn second(
    between: impl FnOnce(&mut Script),
    change: impl FnOnce(&mut Begun),
    spoil: impl Fn(&str, StepResult) -> Option<StepResult>,
) -> Decided {
    let mut script = Script::new();
    let first = script.attempt("0", |_| {}, WELL);
    script.end(first, Decision::Go);
    between(&mut script);
    let attempt = script.attempt("1", change, spoil);
    decided(&script, attempt)
}

#[test]
fn what_went_well_is_a_go_and_opens_the_next_stage() {
    let first = spoilt(WELL);
    assert_eq!((first.decision, &first.opened), (Decision::Go, &Opened::First));
    assert!(first.reasons.is_empty());
    let next = second(|_| {}, |_| {}, WELL);
    assert_eq!(next.decision, Decision::Go, "{:?}", next.reasons);
    assert!(matches!(next.opened, Opened::By { .. }));
}

#[test]
fn a_step_that_was_not_carried_out_is_a_hold() {
    for step in ["builds before", "precondition conform", "scenario smoke", "builds after"] {
        let without = spoilt(|name, result| (name != step).then_some(result));
        holds(&without, "not carried out to its end");
    }
    holds(&spoilt(|_, _| None), "not carried out to its end");
    let no_hold = second(|_| {}, |_| {}, |name, result| (name != "hold").then_some(result));
    holds(&no_hold, "not carried out to its end: `hold`");
}

#[test]
fn a_step_that_found_nothing_out_is_a_hold_and_one_that_failed_a_no_go() {
    let open = on("precondition conform", |_| {
        Some(StepResult::of(Verdict::Inconclusive, "the target is gone").next("start it"))
    });
    holds(&open, "the target is gone");
    let failed = on("precondition conform", |_| Some(StepResult::of(Verdict::Fail, "broken")));
    assert_eq!(failed.decision, Decision::NoGo);
    let both = spoilt(|name, result| match name {
        "precondition conform" => Some(StepResult::of(Verdict::Inconclusive, "open")),
        "scenario smoke" => Some(of_run(run_with(Verdict::Fail, "auth_errors", ""))),
        _ => Some(result),
    });
    assert_eq!(both.decision, Decision::NoGo, "what failed goes first");
    assert_eq!(both.reasons[0].decision, Decision::NoGo);
}

#[test]
fn a_run_without_samples_is_a_hold() {
    let none = on_run(|run| (run.decision, run.verdict) = (Decision::Hold, Verdict::Inconclusive));
    holds(&none, "scenario smoke: HOLD");
    holds(&on_run(|run| run.deliveries = 0), "nothing was delivered");
}

#[test]
fn a_run_that_was_cut_is_a_hold() {
    holds(&on_run(|run| run.finished = false), "did not come to its end");
    holds(&on_run(|run| run.manifest_sha256 = None), "has no manifest");
}

#[test]
fn evidence_that_is_no_longer_what_it_was_is_a_hold() {
    let mut script = Script::new();
    let attempt = script.attempt("0", |_| {}, WELL);
    let asked = Cell::new(0);
    let gone = |named: Named<'_>| {
        asked.set(asked.get() + 1);
        let manifest_sha256 = Some("ab");
        let decision = Decision::Go;
        assert_eq!(named, Named::Run { bundle: "runs/one", manifest_sha256, decision });
        Some("runs/one is gone".to_owned())
    };
    holds(&decided_with(&script, attempt, &script.now(), &gone), "runs/one is gone");
    assert!(asked.get() > 0);
}

#[test]
fn samples_of_a_hold_that_are_no_longer_what_they_were_are_a_hold_and_open_nothing() {
    let written = Head { lines: 3, sha256: "ab".to_owned() };
    let with = |name: &str, mut result: StepResult| {
        if let Some(hold) = result.hold.as_mut().filter(|_| name == "hold") {
            hold.samples = Some(Head { lines: 3, sha256: "ab".to_owned() });
        }
        Some(result)
    };
    let mut script = Script::new();
    let first = script.attempt("0", |_| {}, WELL);
    script.end(first, Decision::Go);
    let attempt = script.attempt("1", |_| {}, with);
    let edited = |named: Named<'_>| {
        let is_it = named == Named::Samples { attempt, head: &written };
        is_it.then(|| "builds-2.ndjson was edited".to_owned())
    };
    holds(&decided_with(&script, attempt, &script.now(), &edited), "builds-2.ndjson was edited");
    let well = decided_with(&script, attempt, &script.now(), &|_| None);
    assert_eq!(well.decision, Decision::Go, "{:?}", well.reasons);
}

#[test]
fn evidence_of_another_build_or_of_none_is_a_hold() {
    holds(&on_run(|run| run.build = Some("6".to_owned())), "the build is to be `7`");
    holds(&on_run(|run| run.build = None), "not told");
    let mix = on("builds after", |_| Some(builds(&[("6", 2), ("7", 2)])));
    holds(&mix, "`6` 22 %");
    let unnamed = |run: &mut RunSummary| {
        let named = [("7".to_owned(), 10)].into();
        run.sockets = Some(SocketBuilds { asked: Some("7".to_owned()), named, unnamed: 10 });
    };
    holds(&on_run(unnamed), "`7` 50 % (10 of 20), no header 50 % (10 of 20)");
    let silent = second(
        |_| {},
        |_| {},
        |name, mut result| {
            if name == "hold" {
                (result.builds, result.builds_failed) =
                    ([("7".to_owned(), 10)].into(), [("it timed out".to_owned(), 10)].into());
            }
            Some(result)
        },
    );
    holds(&silent, "`7` 50 % (10 of 20), not answered (it timed out) 50 % (10 of 20)");
    let part = second(
        |_| {},
        |_| {},
        |name, mut result| {
            if let Some(hold) = result.hold.as_mut().filter(|_| name == "hold") {
                hold.segments[0].build = Some("6".to_owned());
            }
            Some(result)
        },
    );
    holds(&part, "`6` ");
    let none = spoilt(|name, result| match name {
        "builds before" | "builds after" => Some(passed()),
        "scenario smoke" => Some(passed()),
        _ => Some(result),
    });
    holds(&none, "nothing shows that the build is `7`");
    let mut script = Script::new();
    let attempt = script.attempt("0", |begun| begun.build = None, WELL);
    holds(&decided(&script, attempt), "nobody said which build");
}

#[test]
fn a_target_without_metrics_is_a_hold() {
    holds(&on_run(|run| run.fanout = None), "showed no fan-out metrics");
}

#[test]
fn target_and_clients_that_contradict_each_other_are_a_hold() {
    let against = on_run(|run| {
        let fanout = run.fanout.as_mut().expect("it has some");
        fanout.contradictions.push("the head went back".to_owned());
    });
    holds(&against, "contradict");
}

#[test]
fn an_empty_set_of_gates_is_a_hold() {
    holds(&on_run(|run| run.gates.clear()), "the gate `ux` was judged in no run");
    holds(&on_run(|run| run.gates[0].verdict = None), "was judged in no run");
    holds(
        &on_run(|run| run.gates[0].verdict = Some(Verdict::NotApplicable)),
        "was judged in no run",
    );
    holds(&on_run(|run| run.gates[0].advisory = true), "was judged in no run");
    let mut rollout = rollout();
    rollout.stages[0].must_apply.clear();
    let mut script = Script::new();
    script.attempt("0", |_| {}, WELL);
    let (history, now) = (&script.history, script.now());
    let (stage, attempt) = (&rollout.stages[0], &history.attempts[0]);
    let case = Case { rollout: &rollout, stage, history, attempt, now: &now, check: &|_| None };
    holds(&decide(&case), "names no gate that must apply");
}

#[test]
fn a_clock_that_was_set_back_is_a_hold() {
    let mut script = Script::new();
    let attempt = script.attempt("0", |_| {}, WELL);
    let mut earlier = script.now();
    earlier.unix_ms -= 3_600_000;
    holds(&decided_with(&script, attempt, &earlier, &|_| None), "the clock was set back");
    let mut script = Script::new();
    script.take(&Entry::Begun(Box::new(crate::testing::begun(1, "0"))));
    let mut back = at(9);
    back.unix_ms -= 60_000;
    script
        .history
        .take(&back, &Entry::Resumed { attempt: 1, owner: "Ada".to_owned() })
        .expect("it follows");
    script.wait(20);
    holds(&decided(&script, 1), "the clock was set back");
}

#[test]
fn the_stage_before_opens_by_a_fresh_go_of_the_same_build_alone() {
    for (why, made) in [
        ("was never attempted", {
            let mut script = Script::new();
            let attempt = script.attempt("1", |_| {}, WELL);
            decided(&script, attempt)
        }),
        ("hours old", second(|script| script.wait(25 * 3_600), |_| {}, WELL)),
        (
            "for other builds alone",
            second(|_| {}, |begun| begun.build = Some("8".to_owned()), WELL),
        ),
        (
            "by another rollout file",
            second(|_| {}, |begun| begun.rollout_sha256 = "01".to_owned(), WELL),
        ),
        ("of another target", second(|_| {}, |begun| begun.embedded = true, WELL)),
        (
            "where each of the stages is",
            second(|_| {}, |begun| begun.target_sha256 = "elsewhere".to_owned(), WELL),
        ),
        (
            "is HOLD",
            second(
                |script| {
                    let again = script.attempt("0", |_| {}, WELL);
                    script.end(again, Decision::Hold);
                },
                |_| {},
                WELL,
            ),
        ),
        (
            "is NO-GO",
            second(
                |script| {
                    let again = script.attempt("0", |_| {}, WELL);
                    script.end(again, Decision::NoGo);
                },
                |_| {},
                WELL,
            ),
        ),
        (
            "was never decided",
            second(
                |script| {
                    script.attempt("0", |_| {}, WELL);
                },
                |_| {},
                WELL,
            ),
        ),
    ] {
        assert!(matches!(made.opened, Opened::Not { .. }), "{why}");
        if why == "for other builds alone" {
            // Then the evidence is of another build, too.
            assert_eq!(made.decision, Decision::Hold);
        }
        holds(&made, why);
    }
}

#[test]
fn a_rehearsal_opens_rehearsals_alone() {
    let rehearsed = |begun: &mut Begun| begun.hold_planned_s = Some(3_600);
    let of = |last: fn(&mut Begun)| {
        let mut script = Script::new();
        let first = script.attempt("0", rehearsed, WELL);
        script.end(first, Decision::Go);
        let attempt = script.attempt("1", last, WELL);
        decided(&script, attempt)
    };
    holds(&of(|_| {}), "was only rehearsed");
    assert_eq!(of(|begun| begun.hold_planned_s = Some(60)).decision, Decision::Go);
    let after = |decision: Decision| {
        second(
            |script| {
                let again = script.attempt("0", rehearsed, WELL);
                script.end(again, decision);
            },
            |_| {},
            WELL,
        )
    };
    // One that found nothing takes nothing back; one that found something does.
    assert_eq!(after(Decision::Hold).decision, Decision::Go);
    holds(&after(Decision::NoGo), "(a rehearsal), is NO-GO");
}

#[test]
fn a_no_go_of_any_earlier_stage_closes_until_the_stage_before_is_a_go_again() {
    let mut rollout = rollout();
    let mut third = rollout.stages[1].clone();
    third.id = "2".to_owned();
    rollout.stages.push(third);
    let mut script = Script::new();
    let go = |script: &mut Script, stage: &str, decision: Decision| {
        let attempt = script.attempt(stage, |_| {}, WELL);
        script.end(attempt, decision);
    };
    go(&mut script, "0", Decision::Go);
    go(&mut script, "1", Decision::Go);
    let opened = |script: &Script| {
        let number = u32::try_from(script.history.attempts.len()).expect("few") + 1;
        let mut history = script.history.clone();
        let begun = crate::testing::begun(number, "2");
        history.take(&script.now(), &Entry::Begun(Box::new(begun))).expect("it follows");
        let attempt = history.attempts.last().expect("it began");
        let (stage, now) = (&rollout.stages[2], script.now());
        let (rollout, history) = (&rollout, &history);
        predecessor(&Case { rollout, stage, history, attempt, now: &now, check: &|_| None })
    };
    assert!(matches!(opened(&script), Opened::By { .. }));
    go(&mut script, "0", Decision::NoGo);
    let Opened::Not { why, .. } = opened(&script) else { panic!("it is closed") };
    assert!(why.contains("an attempt of stage 0") && why.contains("is NO-GO"), "{why}");
    go(&mut script, "0", Decision::Go);
    assert!(matches!(opened(&script), Opened::Not { .. }), "stage 1 was a GO before it");
    go(&mut script, "1", Decision::Go);
    assert!(matches!(opened(&script), Opened::By { .. }));
}

#[test]
fn what_overrides_scenarios_or_breaks_the_runtime_is_a_rehearsal() {
    for spoil in
        [(|begun| begun.set = vec!["fleet.clients=1".to_owned()]) as fn(&mut Begun), |begun| {
            begun.defects = vec!["drop_nth".to_owned()]
        }]
    {
        let mut script = Script::new();
        let first = script.attempt("0", spoil, WELL);
        script.end(first, Decision::Go);
        let attempt = script.attempt("1", |_| {}, WELL);
        holds(&decided(&script, attempt), "was only rehearsed");
    }
}

#[test]
fn a_clock_set_back_since_the_stage_before_is_a_hold() {
    let mut script = Script::new();
    let first = script.attempt("0", |_| {}, WELL);
    script.end(first, Decision::Go);
    // The journal goes on after a reboot, with the clock an hour early.
    let mut begun = crate::testing::begun(2, "1");
    begun.attempt = 2;
    let mut early = script.now();
    (early.unix_ms, early.boot) = (early.unix_ms - 3_600_000, "c".to_owned());
    script.history.take(&early, &Entry::Begun(Box::new(begun))).expect("it follows");
    let decided = decided_with(&script, 2, &early, &|_| None);
    holds(&decided, "the clock was set back");
    assert!(matches!(decided.opened, Opened::Not { .. }));
}

#[test]
fn a_hold_may_be_longer_than_a_go_is_fresh() {
    let mut script = Script::new();
    let first = script.attempt("0", |_| {}, WELL);
    script.end(first, Decision::Go);
    let attempt = script.attempt(
        "1",
        |begun| (begun.hold_s, begun.hold_planned_s) = (48 * 3_600, Some(60)),
        |_, mut result| {
            if let Some(hold) = &mut result.hold {
                (hold.wanted_s, hold.observed_s) = (48 * 3_600, 48.0 * 3_600.0);
            }
            Some(result)
        },
    );
    script.wait(48 * 3_600);
    assert_eq!(decided(&script, attempt).decision, Decision::Go, "it was fresh when it opened");
    script.wait(25 * 3_600);
    holds(&decided(&script, attempt), "`builds before` is 73.0 hours old");
}

#[test]
fn a_word_goes_on_without_the_stage_before_and_stands_there() {
    let mut script = Script::new();
    let word = |begun: &mut Begun| begun.without_predecessor = Some("a hot fix".to_owned());
    let attempt = script.attempt("1", word, WELL);
    let decided = decided(&script, attempt);
    assert_eq!(decided.decision, Decision::Go, "{:?}", decided.reasons);
    let Opened::ByWord { reason, instead } = &decided.opened else {
        panic!("{:?}", decided.opened)
    };
    assert_eq!((reason.as_str(), instead.as_str()), ("a hot fix", "stage 0 was never attempted"));
}

fn warned(waivers: Vec<Waived>) -> Decided {
    let mut script = Script::new();
    let attempt = script.attempt(
        "0",
        |begun| begun.waivers = waivers,
        |name, result| match name {
            "scenario smoke" => Some(of_run(run_with(Verdict::Warn, "auth_errors", ""))),
            _ => Some(result),
        },
    );
    decided(&script, attempt)
}

fn waiver(gate: &str, metric: Option<&str>, expires: &str) -> Waived {
    let metric = metric.map(str::to_owned);
    let (gate, expires) = (gate.to_owned(), expires.to_owned());
    Waived { gate, metric, owner: "Ada".to_owned(), reason: "known".to_owned(), expires }
}

#[test]
fn a_warning_takes_a_waiver_that_fits_and_has_not_expired() {
    // Everything here happens on 2027-01-15.
    holds(&warned(Vec::new()), "scenario smoke");
    let covered = warned(vec![waiver("error-budget", None, "2027-01-15")]);
    assert_eq!((covered.decision, covered.used.len()), (Decision::Go, 1), "{:?}", covered.reasons);
    assert_eq!(
        warned(vec![waiver("error-budget", Some("auth_errors"), "2028-01-01T00:00:00Z")]).decision,
        Decision::Go
    );
    for (given, why) in [
        (waiver("error-budget", None, "2027-01-14"), "it has expired"),
        (waiver("error-budget", None, "2027-01-15T00:00:00Z"), "it has expired"),
        (waiver("error-budget", None, "some day"), "neither a date nor a moment"),
        (waiver("ux", None, "2028-01-01"), "nothing warned that it covers"),
        (waiver("error-budget", Some("topic_errors"), "2028-01-01"), "nothing warned"),
    ] {
        let decided = warned(vec![given]);
        holds(&decided, "scenario smoke");
        assert!(decided.unused[0].contains(why), "{:?}", decided.unused);
    }
}

#[test]
fn a_waiver_covers_no_failure_and_nothing_that_is_open() {
    for verdict in [Verdict::Fail, Verdict::Inconclusive] {
        let mut script = Script::new();
        let attempt = script.attempt(
            "0",
            |begun| begun.waivers = vec![waiver("error-budget", None, "2028-01-01")],
            |name, result| match name {
                "scenario smoke" => Some(of_run(run_with(verdict, "auth_errors", ""))),
                _ => Some(result),
            },
        );
        assert_ne!(decided(&script, attempt).decision, Decision::Go);
    }
}

#[test]
fn a_hold_that_was_not_observed_is_one() {
    let unseen = second(
        |_| {},
        |_| {},
        |name, result| match name {
            "hold" => {
                let mut hold = held();
                hold.verdict = Verdict::Inconclusive;
                hold.what = "56 s of 60 s were observed".to_owned();
                Some(hold)
            }
            _ => Some(result),
        },
    );
    holds(&unseen, "56 s of 60 s were observed");
}

/// Stage 1 after a stage 0 that was decided to be a GO, with steps that came to what `spoil` makes of them.
fn after(spoil: impl Fn(&str, StepResult) -> Option<StepResult>) -> Decided {
    let mut script = Script::new();
    let first = script.attempt("0", |_| {}, spoil);
    script.end(first, Decision::Go);
    let attempt = script.attempt("1", |_| {}, WELL);
    decided(&script, attempt)
}

#[test]
fn a_go_that_its_own_steps_do_not_carry_opens_nothing() {
    for (why, made) in [
        (
            "12 of 100",
            after(|name, result| match name {
                "scenario smoke" => Some(of_run(run_with(Verdict::Fail, "auth_errors", ""))),
                _ => Some(result),
            }),
        ),
        (
            "not carried out to its end",
            after(|name, result| (name != "scenario smoke").then_some(result)),
        ),
        (
            "the build is to be `7`",
            after(|name, result| match name {
                "builds after" => Some(builds(&[("6", 4)])),
                _ => Some(result),
            }),
        ),
    ] {
        let Opened::Not { why: told, .. } = &made.opened else { panic!("{why}") };
        assert!(told.contains("does not follow") && told.contains(why), "{told}");
        holds(&made, why);
    }
}

#[test]
fn a_go_whose_evidence_or_report_is_no_longer_what_it_was_opens_nothing() {
    let mut script = Script::new();
    let spoil = |name: &str, mut result: StepResult| {
        if let Some(run) = result.run.as_mut().filter(|_| name == "scenario smoke") {
            run.bundle = "runs/of-stage-0".to_owned();
        }
        Some(result)
    };
    let first = script.attempt("0", |_| {}, spoil);
    script.end(first, Decision::Go);
    let attempt = script.attempt("1", |_| {}, WELL);
    let amiss = |what: fn(Named<'_>) -> bool| {
        let check = |named: Named<'_>| what(named).then(|| "it was edited".to_owned());
        decided_with(&script, attempt, &script.now(), &check)
    };
    let bundle = |named: Named<'_>| matches!(named, Named::Run { bundle: "runs/of-stage-0", .. });
    let report = |named: Named<'_>| named == Named::Report { name: "stage-1", sha256: "sha-1" };
    for made in [amiss(bundle), amiss(report)] {
        assert!(matches!(made.opened, Opened::Not { .. }));
        holds(&made, "it was edited");
    }
    assert_eq!(amiss(|_| false).decision, Decision::Go);
}

#[test]
fn a_target_elsewhere_is_one_that_the_rollout_file_states_or_somebody_gives_his_word_for() {
    let elsewhere = |begun: &mut Begun| begun.target_sha256 = "elsewhere".to_owned();
    let of = |before: Option<&str>| {
        let target_sha256 = before.map(str::to_owned);
        second(
            |_| {},
            |begun| {
                elsewhere(begun);
                begun.before = Some(crate::entry::Before { target_sha256, ..Default::default() });
            },
            WELL,
        )
    };
    assert_eq!(of(Some("at")).decision, Decision::Go, "stated, and the stage before was there");
    holds(&of(Some("another")), "is of another target");
    holds(&of(None), "is of another target");
    let word = second(
        |_| {},
        |begun| {
            elsewhere(begun);
            begun.without_predecessor = Some("the canary moved".to_owned());
        },
        WELL,
    );
    assert_eq!(word.decision, Decision::Go, "{:?}", word.reasons);
    let Opened::ByWord { reason, instead } = &word.opened else { panic!("{:?}", word.opened) };
    assert_eq!(reason, "the canary moved");
    assert!(instead.contains("is of another target"), "{instead}");
    let nobody = second(|_| {}, |begun| begun.target_sha256.clear(), WELL);
    holds(&nobody, "is of another target");
}

#[test]
fn a_go_by_scenarios_that_were_changed_since_opens_nothing() {
    let files = |sha256: &str| [("smoke.toml".to_owned(), sha256.to_owned())].into_iter().collect();
    let of = |now: Option<&str>| {
        let mut script = Script::new();
        let first = script.attempt("0", |begun| begun.files = files("lax"), WELL);
        script.end(first, Decision::Go);
        let before = crate::entry::Before {
            files: now.map(files).unwrap_or_default(),
            ..Default::default()
        };
        let attempt = script.attempt("1", |begun| begun.before = Some(before), WELL);
        decided(&script, attempt)
    };
    assert_eq!(of(Some("lax")).decision, Decision::Go);
    for now in [Some("strict"), None] {
        holds(&of(now), "is by another `smoke.toml`");
    }
}

#[test]
fn a_stage_before_that_lies_in_the_future_opens_nothing() {
    let mut script = Script::new();
    script.wait(7_200);
    let first = script.attempt("0", |_| {}, WELL);
    script.end(first, Decision::Go);
    // Within one boot: the clock of the wall is set back by an hour, and the machine's own goes on.
    let mut now = script.now();
    (now.unix_ms, now.uptime_ms) = (now.unix_ms - 3_600_000, now.uptime_ms + 60_000);
    script
        .history
        .take(&now, &Entry::Begun(Box::new(crate::testing::begun(2, "1"))))
        .expect("follows");
    let decided = decided_with(&script, 2, &now, &|_| None);
    holds(&decided, "the clock was set back");
    assert!(matches!(decided.opened, Opened::Not { .. }));
}

#[test]
fn a_clock_that_was_set_back_makes_no_waiver_good_again() {
    let mut script = Script::new();
    script.wait(48 * 3_600);
    let first = script.attempt("0", |_| {}, WELL);
    script.end(first, Decision::Hold);
    // Everything before was on 2027-01-17; after a reboot the clock says the fifteenth.
    let mut history = script.history.clone();
    let mut attempt = Script::new();
    let waivers = vec![waiver("error-budget", None, "2027-01-16")];
    attempt.attempt(
        "0",
        |begun| begun.waivers = waivers,
        |name, result| match name {
            "scenario smoke" => Some(of_run(run_with(Verdict::Warn, "auth_errors", ""))),
            _ => Some(result),
        },
    );
    let mut second = attempt.history.attempts.remove(0);
    second.begun.attempt = 2;
    history.attempts.push(second);
    let rollout = rollout();
    let (stage, attempt, now) = (&rollout.stages[0], &history.attempts[1], attempt.now());
    let (rollout, history) = (&rollout, &history);
    let decided = decide(&Case { rollout, stage, history, attempt, now: &now, check: &|_| None });
    holds(&decided, "scenario smoke");
    assert!(decided.unused[0].contains("it has expired"), "{:?}", decided.unused);
}

#[test]
fn a_verdict_that_is_better_than_its_facts_is_none() {
    let better = |step: &'static str, change: fn(&mut StepResult)| {
        second(
            |_| {},
            |_| {},
            move |name, mut result| {
                if name == step {
                    change(&mut result);
                    result.verdict = Verdict::Pass;
                }
                Some(result)
            },
        )
    };
    let failed = better("scenario smoke", |result| {
        result.run = Some(Box::new(run_with(Verdict::Fail, "auth_errors", "")));
    });
    assert_eq!(failed.decision, Decision::NoGo, "{:?}", failed.reasons);
    let part = better("hold", |result| {
        if let Some(hold) = &mut result.hold {
            hold.segments[0].decision = Decision::NoGo;
        }
    });
    assert_eq!(part.decision, Decision::NoGo, "{:?}", part.reasons);
    holds(&better("scenario smoke", |result| result.run = None), "it has no run");
    holds(&better("hold", |result| result.hold = None), "it has no windows");
    let short = better("hold", |result| {
        if let Some(hold) = &mut result.hold {
            hold.observed_s = 30.0;
        }
    });
    holds(&short, "30 s of 60 s were observed");
    let other = better("hold", |result| {
        if let Some(hold) = &mut result.hold {
            (hold.wanted_s, hold.observed_s) = (30, 30.0);
        }
    });
    holds(&other, "30 s of 60 s were observed");
}

#[test]
fn a_run_of_a_try_that_was_interrupted_counts() {
    let with = |other: RunSummary, waivers: Vec<Waived>| {
        let mut script = Script::new();
        let attempt = script.attempt(
            "0",
            |begun| begun.waivers = waivers,
            |name, mut result| {
                if name == "scenario smoke" {
                    if other.objectives(Verdict::Warn).next().is_some() {
                        result.verdict = Verdict::Warn;
                    }
                    result.others.push(other.clone());
                }
                Some(result)
            },
        );
        decided(&script, attempt)
    };
    let failed = with(run_with(Verdict::Fail, "auth_errors", ""), Vec::new());
    assert_eq!(failed.decision, Decision::NoGo, "{:?}", failed.reasons);
    let warned = || run_with(Verdict::Warn, "auth_errors", "");
    holds(&with(warned(), Vec::new()), "scenario smoke");
    let waived = with(warned(), vec![waiver("error-budget", None, "2028-01-01")]);
    assert_eq!(waived.decision, Decision::Go, "{:?}", waived.reasons);
    holds(&with(RunSummary { build: Some("6".to_owned()), ..run() }, Vec::new()), "`6`");
}

#[test]
fn what_a_stage_before_comes_to_while_this_one_is_under_way_may_close_it() {
    let mut script = Script::new();
    let go = script.attempt("0", |_| {}, WELL);
    script.end(go, Decision::Go);
    let attempt = script.attempt("1", |_| {}, WELL);
    assert_eq!(decided(&script, attempt).decision, Decision::Go);
    for (decision, why) in [(Decision::NoGo, "is NO-GO"), (Decision::Hold, "is HOLD")] {
        let history = script.history.clone();
        let again = script.attempt("0", |_| {}, WELL);
        script.end(again, decision);
        holds(&decided(&script, attempt), why);
        script.history = history;
    }
    let again = script.attempt("0", |_| {}, WELL);
    script.end(again, Decision::Go);
    assert_eq!(decided(&script, attempt).decision, Decision::Go, "a GO closes nothing");
}

#[test]
fn a_later_attempt_that_failed_and_was_never_decided_takes_a_go_back() {
    let failed = second(
        |script| {
            script.attempt(
                "0",
                |begun| begun.hold_planned_s = Some(3_600),
                |name, result| match name {
                    "scenario smoke" => Some(of_run(run_with(Verdict::Fail, "auth_errors", ""))),
                    "builds after" => None,
                    _ => Some(result),
                },
            );
        },
        |_| {},
        WELL,
    );
    holds(&failed, "(a rehearsal), failed, and was never decided");
}

#[test]
fn a_hold_that_was_shorter_than_the_stage_says_now_carries_no_go() {
    let mut rollout = rollout();
    let mut third = rollout.stages[1].clone();
    third.id = "2".to_owned();
    rollout.stages.push(third);
    let mut script = Script::new();
    for stage in ["0", "1"] {
        let attempt = script.attempt(stage, |_| {}, WELL);
        script.end(attempt, Decision::Go);
    }
    let begun = crate::testing::begun(3, "2");
    script.take(&Entry::Begun(Box::new(begun)));
    let opened = |rollout: &Rollout| {
        let (history, now) = (&script.history, script.now());
        let (stage, attempt) = (&rollout.stages[2], &history.attempts[2]);
        predecessor(&Case { rollout, stage, history, attempt, now: &now, check: &|_| None })
    };
    assert!(matches!(opened(&rollout), Opened::By { .. }));
    if let Some(hold) = &mut rollout.stages[1].hold {
        hold.length = HoldLength::Time(Duration::from_secs(3_600));
    }
    let Opened::Not { why, .. } = opened(&rollout) else { panic!("it is closed") };
    assert!(why.contains("it was to be 60 s, and the stage is held for 3600 s"), "{why}");
}

//! The stage before opens this one, or does not: each way in which it does not is a test.

use super::*;

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

/// Stage 0 is a GO, something else is written an hour later, and the machine is started anew with its clock half an hour
/// before that: by the two ends alone the GO is half an hour old.
#[test]
fn a_clock_set_back_on_the_way_leaves_nobody_knowing_how_old_a_go_is() {
    let begins = |clock_s: i64| {
        let mut script = Script::new();
        let first = script.attempt("0", |_| {}, WELL);
        script.end(first, Decision::Go);
        script.wait(3_600);
        let other = script.attempt("1", |_| {}, WELL);
        script.end(other, Decision::Hold);
        let mut later = script.now();
        (later.unix_ms, later.uptime_ms) = (later.unix_ms + clock_s * 1_000, 60_000);
        later.boot = "c".to_owned();
        let begun = Entry::Begun(Box::new(crate::testing::begun(3, "1")));
        script.take_at(&later, &begun);
        decided_with(&script, 3, &later, &|_| None)
    };
    let back = begins(-1_800);
    holds(&back, "how old the GO of stage 0 is nobody knows: the clock was set back");
    assert!(matches!(back.opened, Opened::Not { .. }));
    assert!(matches!(begins(1_800).opened, Opened::By { .. }), "a gap is none");
}

/// An attempt of before the GO is taken up again after it and fails, by a clock that was set back meanwhile.
#[test]
fn a_no_go_takes_a_go_back_that_stands_before_it_in_the_journal_whatever_the_clock_says() {
    let mut rollout = rollout();
    let mut third = rollout.stages[1].clone();
    third.id = "2".to_owned();
    rollout.stages.push(third);
    let mut script = Script::new();
    let interrupted =
        script.attempt("0", |_| {}, |name, result| (name != "builds after").then_some(result));
    let go = script.attempt("0", |_| {}, WELL);
    script.end(go, Decision::Go);
    script.wait(3_600);
    let go = script.attempt("1", |_| {}, WELL);
    script.end(go, Decision::Go);
    let mut back = script.now();
    // Before every GO.
    (back.unix_ms, back.uptime_ms) = (back.unix_ms - 7_200_000, 60_000);
    back.boot = "c".to_owned();
    let step = "builds after".to_owned();
    script.take_at(&back, &Entry::StepBegun { attempt: interrupted, step: step.clone(), run: 1 });
    let result = Box::new(StepResult::of(khala_evidence::judge::Verdict::Fail, "it is broken"));
    script.take_at(&back, &Entry::StepEnded { attempt: interrupted, step, run: 1, result });
    script.take_at(&back, &Entry::Begun(Box::new(crate::testing::begun(4, "2"))));
    let (history, attempt) = (&script.history, &script.history.attempts[3]);
    let (rollout, stage) = (&rollout, &rollout.stages[2]);
    let case = Case { rollout, stage, history, attempt, now: &back, check: &|_| None };
    let Opened::Not { why, .. } = predecessor(&case) else { panic!("it is closed") };
    assert!(why.contains("failed, and was never decided"), "{why}");
}

#[test]
fn a_go_that_is_old_by_the_clock_on_the_wall_is_old_where_the_machine_stood_still_meanwhile() {
    let mut script = Script::new();
    let first = script.attempt("0", |_| {}, WELL);
    script.end(first, Decision::Go);
    let after = |hours: i64| {
        let mut history = script.history.clone();
        let mut later = script.now();
        later.unix_ms += hours * 3_600_000;
        let begun = crate::testing::begun(2, "1");
        history.take(&later, &Entry::Begun(Box::new(begun))).expect("it follows");
        let (rollout, attempt) = (rollout(), &history.attempts[1]);
        let stage = &rollout.stages[1];
        let case = Case {
            rollout: &rollout,
            stage,
            history: &history,
            attempt,
            now: &later,
            check: &|_| None,
        };
        predecessor(&case)
    };
    assert!(matches!(after(23), Opened::By { .. }));
    let Opened::Not { why, .. } = after(25) else { panic!("it is closed") };
    assert!(why.contains("was 25.0 hours old, and no more than 24.0 are fresh"), "{why}");
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

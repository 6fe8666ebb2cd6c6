use super::*;
use crate::decide::decide;
use crate::entry::Waived;
use crate::render;
use crate::testing::{Script, at, failed_objective, rollout};

fn report(
    spoil: impl Fn(&str, crate::entry::StepResult) -> Option<crate::entry::StepResult>,
) -> StageReport {
    let mut script = Script::new();
    let first = script.attempt("0", |_| {}, |_, result| Some(result));
    script.end(first, Decision::Go);
    let attempt = script.attempt("0", |_| {}, spoil);
    let rollout = rollout();
    let (history, now) = (&script.history, script.now());
    let attempt = &history.attempts[attempt as usize - 1];
    let stage = &rollout.stages[0];
    let case = Case { rollout: &rollout, stage, history, attempt, now: &now, check: &|_| None };
    StageReport::of(&case, &decide(&case), "2027-01-15-stage-0-attempt-2")
}

#[test]
fn the_decision_stands_first_with_attempt_owner_and_time() {
    let report = report(|_, result| Some(result));
    assert_eq!(report.headline(), "GO: stage 0, Stage 0, build 7, attempt 2 of 2");
    let text = render::markdown(&report);
    let mut lines = text.lines().filter(|line| !line.is_empty());
    assert_eq!(lines.next(), Some("# GO: stage 0, Stage 0, build 7, attempt 2 of 2"));
    let statement = lines.next().expect("a statement");
    assert!(statement.contains("Owner: Ada. Decided at t+"), "{statement}");
    assert!(text.contains("`khala-harness stage 1 --owner NAME --rollout rollout.toml`"), "{text}");
    assert!(text.contains("2 (this)"), "every attempt is listed: {text}");
}

#[test]
fn a_no_go_has_issues_to_paste_and_the_plan_in_order() {
    let report = report(|name, result| match name {
        "scenario smoke" => Some(failed_objective("auth_errors", "")),
        _ => Some(result),
    });
    assert_eq!(report.decision, Decision::NoGo);
    let text = render::markdown(&report);
    for says in [
        "Objective: error-budget / auth_errors\nMust hold: proportion <= 3%\nMeasured: 12.000 %\n95 % bounds: at least \
         9.000 %",
        "Evidence: runs/one/summary.md (manifest sha256 ab)",
        "**1. Traffic rollback: not now**\n\n- Why: nothing is rolled out yet at this stage",
        "Do not begin the rollout. Of the plan below: ",
    ] {
        assert!(text.contains(says), "{says}: {text}");
    }
    let at = |what: &str| text.find(what).unwrap_or_else(|| panic!("{what}: {text}"));
    assert!(at("**1. Traffic") < at("**2. Runtime guard"));
    assert!(at("**2. Runtime guard") < at("**3. Surface"));
    assert!(at("**3. Surface") < at("**4. Validation"));
    let page = render::html(&report);
    assert!(page.starts_with("<!doctype html>") && !page.contains("<script"));
    for style in [
        "white-space:pre-wrap",
        "overflow-wrap:anywhere",
        "prefers-color-scheme:dark",
        "@media print",
    ] {
        assert!(page.contains(style), "{style}");
    }
    assert!(page.contains("<strong class=\"fail\">NO-GO"), "{page}");
    assert!(page.contains("NO-GO: stage 0"));
}

#[test]
fn a_later_stage_that_failed_before_it_was_begun_is_not_to_be_rolled_back() {
    let mut script = Script::new();
    let first = script.attempt("0", |_| {}, |_, result| Some(result));
    script.end(first, Decision::Go);
    let number = script.attempt(
        "1",
        |_| {},
        |name, result| match name {
            "precondition conform" => Some(StepResult::of(Verdict::Fail, "6 of 150 deviate")),
            "builds before" => Some(result),
            _ => None,
        },
    );
    let rollout = rollout();
    let (history, now) = (&script.history, script.now());
    let (stage, attempt) = (&rollout.stages[1], &history.attempts[number as usize - 1]);
    let case = Case { rollout: &rollout, stage, history, attempt, now: &now, check: &|_| None };
    let report = StageReport::of(&case, &decide(&case), "2027-01-15-stage-1");
    assert_eq!(report.decision, Decision::NoGo);
    assert!(report.statement.contains("this stage must not begin; it rolled nothing out"));
    let text = render::markdown(&report);
    for says in [
        "Do not begin this stage: it rolled nothing out",
        "Of the plan below: 4. Validation. ",
        "**1. Traffic rollback: not now**\n\n- Why: this stage rolled nothing out: leave traffic where it is, unless stage 0 \
         is live",
    ] {
        assert!(text.contains(says), "{says}: {text}");
    }
    for never in ["roll back by", "Stop the rollout", "what was rolled out is to be taken back"] {
        assert!(!text.contains(never), "{never}: {text}");
    }
}

/// Whoever was not there has to be able to act by the report alone.
#[test]
fn a_failed_precondition_is_an_issue_that_says_what_was_seen_and_nothing_is_made_up_where_nothing_was_run()
 {
    let report = report(|name, _| match name {
        "precondition conform" => {
            let mut result = StepResult::of(Verdict::Fail, "NO-GO: 1 of 9 cases deviates");
            result.lines = (0..20).map(|number| format!("`case_{number}`: gone")).collect();
            Some(result.next("`khala-harness conform --target canary.toml` shows each case"))
        }
        "builds before" => Some(crate::testing::builds(&[("7", 4)])),
        _ => None,
    });
    let text = render::markdown(&report);
    let issue =
        text.split("```text\n").nth(1).and_then(|it| it.split("```").next()).expect("an issue");
    for says in [
        "Must hold: it passes\nMeasured: NO-GO: 1 of 9 cases deviates\nSeen:\n- `case_0`: gone\n",
        "- `case_11`: gone\n- and 8 more, with the step in the report\n",
        "To do: `khala-harness conform --target canary.toml` shows each case\n",
        "Evidence: stages/2027-01-15-stage-0-attempt-2.md, step `precondition conform`",
    ] {
        assert!(issue.contains(says), "{says}: {issue}");
    }
    assert!(!issue.contains("Why:") && !issue.contains("case_12"), "{issue}");
    for section in [
        "No scenario was run, so that no gate was judged.",
        "No scenario was run, so that there are no figures.",
        "No scenario was run, so that nobody asked for them.",
        "No scenario was run, so that there is no bundle",
    ] {
        assert!(text.contains(section), "{section}: {text}");
    }
    assert!(!text.contains("The target showed none"), "{text}");
    // Since when, and what to type.
    assert!(text.contains("| precondition conform | **FAIL** | t+"), "{text}");
    assert!(
        text.contains(
            "then a new attempt: `khala-harness stage 0 --owner NAME --rollout rollout.toml`"
        ),
        "{text}"
    );
}

#[test]
fn a_go_says_until_when_it_counts_and_what_to_type_and_a_hold_what_to_type() {
    let go = report(|_, result| Some(result));
    let until = go.fresh_until.as_deref().expect("it opens the next stage");
    let decided_ms = at(0).unix_ms + 24 * 3_600_000;
    let until_ms = until.parse::<jiff::Timestamp>().expect("a moment").as_millisecond();
    assert!((0..60_000).contains(&(until_ms - decided_ms)), "{until}");
    let text = render::markdown(&go);
    let says =
        format!("Go on to stage 1 by {until}, while this GO is fresh: `khala-harness stage 1 ");
    assert!(text.contains(&says), "{text}");
    let hold = report(|name, result| (name != "scenario smoke").then_some(result));
    assert_eq!((hold.decision, &hold.fresh_until), (Decision::Hold, &None));
    let text = render::markdown(&hold);
    assert!(
        text.contains(
            "Then begin a new attempt: `khala-harness stage 0 --owner NAME --rollout rollout.toml`"
        ),
        "{text}"
    );
}

#[test]
fn a_go_says_under_its_decision_what_nobody_tested() {
    let untested = |name: &str, result: crate::entry::StepResult| match name {
        "scenario smoke" => {
            let mut run = crate::testing::run();
            run.profile = Some("small".to_owned());
            run.command = "khala-harness run smoke.toml --profile small".to_owned();
            let mut one = failed_objective("violations", "rule=no_eviction").run.expect("a run");
            let mut of_it = one.gates.remove(1);
            of_it.name = "slow".to_owned();
            of_it.verdict = Some(Verdict::Pass);
            of_it.untested = std::mem::take(&mut of_it.open);
            run.gates.push(of_it.clone());
            of_it.name = "bystanders".to_owned();
            (of_it.verdict, of_it.untested) = (None, Vec::new());
            run.gates.push(of_it);
            Some(crate::testing::of_run(run))
        }
        "precondition conform" => {
            let mut result = result;
            result.untested =
                vec![Untested::new("2 of 9 cases of `conform`", "not allowed", "a token")];
            Some(result)
        }
        _ => Some(result),
    };
    let report = report(untested);
    assert_eq!(report.decision, Decision::Go, "{:?}", report.reasons);
    let text = render::markdown(&report);
    let under = text.find("## What was not tested or checked").expect("it is said");
    assert!(under < text.find("## Gates").expect("gates"), "{text}");
    for says in [
        "| `slow / violations [rule=no_eviction]`, to be `proportion <= 3%` | not applicable in smoke, profile `small`: 12 of 100 |",
        "| the gate `bystanders` | the profile `small` of smoke does not judge it | `khala-harness run smoke.toml` |",
        "| 2 of 9 cases of `conform` | not allowed | a token |",
        "| runbook 1.3: target surface builds are deployed",
        "| runbook 3, stage 0: the sync tables are healthy",
        "| runbook 5: the docs are consistent",
    ] {
        assert!(text.contains(says), "{says}: {text}");
    }
    assert!(text.contains("| `slow` | **PASS, 1 not tested** |"), "{text}");
    assert!(report.statement.contains("Not tested: "), "{}", report.statement);
}

#[test]
fn figures_of_gates_stand_with_their_bounds_and_the_rest_is_folded() {
    let report = report(|name, result| match name {
        "scenario smoke" => {
            let mut run = crate::testing::run();
            let one = failed_objective("violations", "rule=gap").run.expect("a run");
            let mut held = one.gates[1].open[0].clone();
            held.verdict = Verdict::Pass;
            let other =
                crate::evidence::ObjectiveLine { selector: "rule=leak".into(), ..held.clone() };
            run.gates[0].held = vec![held, other];
            run.kpis = vec![crate::evidence::Kpi {
                metric: "delivery".to_owned(),
                phase: "steady".to_owned(),
                surface: "ios".to_owned(),
                n: 9,
                figure: "p50 2 ms".to_owned(),
            }];
            Some(crate::testing::of_run(run))
        }
        _ => Some(result),
    });
    let text = render::markdown(&report);
    for says in [
        "| `ux` | `violations`, each of 2 rules | `proportion <= 3%` | 12.000 % | at least 9.000 % | 100 | **PASS** |",
        "`violations`, each of 2 rules: 12.000 % (at least 9.000 %), must be `proportion <= 3%`",
        "<details><summary>Figures by phase and surface (1)</summary>",
        "Updates judged: every update that a client received",
    ] {
        assert!(text.contains(says), "{says}: {text}");
    }
}

#[test]
fn the_embedded_runtime_is_told_in_the_headline_and_first_of_all() {
    let mut report = report(|_, result| Some(result));
    report.begun.embedded = true;
    assert!(
        report
            .headline()
            .starts_with("GO (REHEARSAL on the embedded reference runtime: no canary was tested)")
    );
    let text = render::markdown(&report);
    let (head, _) = text.split_once("## What to do next").expect("it goes on");
    assert!(head.contains("No canary was tested."), "{head}");
}

#[test]
fn what_was_not_run_says_for_what_and_whom_to_call_stands_beside() {
    let mut report = report(|name, result| match name {
        "precondition conform" => {
            let mut result = StepResult::of(Verdict::Fail, "NO-GO: a tally");
            result.failed = Some(crate::entry::Failed {
                title: "conform fails: 1 of 9 deviates (resume 1)".to_owned(),
                claim: "0 deviations from the contract".to_owned(),
                measured: "1 of 9 cases deviates (resume 1)".to_owned(),
            });
            result.lines = vec!["`resume`: deviation: lost".to_owned()];
            Some(result)
        }
        "scenario smoke" => None,
        _ => Some(result),
    });
    report.escalation = Some("page khala".to_owned());
    let text = render::markdown(&report);
    for says in [
        "Not run, because conform failed: smoke. Nothing to do for these until that is mended.",
        "Whom to call, and where blockers go: page khala",
        "Stage 0, 7: conform fails: 1 of 9 deviates (resume 1)\n",
        "Must hold: 0 deviations from the contract\nMeasured: 1 of 9 cases deviates (resume 1)\nSeen:\n- `resume`",
        "What was seen stands in its blocker, above.",
    ] {
        assert!(text.contains(says), "{says}: {text}");
    }
    assert!(!text.contains("**HOLD**"), "{text}");
    assert_eq!(text.matches("a tally").count(), 1, "the tally stands with the step: {text}");
    assert_eq!(text.matches("deviation: lost").count(), 1, "{text}");
}

#[test]
fn what_is_written_is_read_again() {
    let report = report(|_, result| Some(result));
    let text = render::json(&report).expect("serialises");
    assert_eq!(serde_json::from_str::<StageReport>(&text).expect("reads"), report);
}

/// A report on which whoever started the stage wrote this wherever they may.
fn written(words: &str) -> StageReport {
    let own = || words.to_owned();
    let mut script = Script::new();
    let change = |begun: &mut Begun| {
        (begun.owner, begun.build, begun.target) = (own(), Some(own()), own());
        (begun.set, begun.command) = (vec![own()], vec![own()]);
        let expires = "2099-01-01".to_owned();
        begun.waivers =
            vec![Waived { gate: own(), metric: Some(own()), owner: own(), reason: own(), expires }];
    };
    let attempt = script.attempt("0", change, |name, result| match name {
        "scenario smoke" => Some(failed_objective("auth_errors", "")),
        _ => Some(result),
    });
    let rollout = rollout();
    let (history, now) = (&script.history, script.now());
    let attempt = &history.attempts[attempt as usize - 1];
    let stage = &rollout.stages[0];
    let case = Case { rollout: &rollout, stage, history, attempt, now: &now, check: &|_| None };
    let mut report = StageReport::of(&case, &decide(&case), "a");
    report.opened = Opened::ByWord { reason: own(), instead: "none".to_owned() };
    report
}

/// What Markdown makes of a text, but for its words.
fn structure(text: &str) -> Vec<String> {
    use pulldown_cmark::{Event, Options, Parser};
    let options =
        Options::ENABLE_TABLES | Options::ENABLE_STRIKETHROUGH | Options::ENABLE_FOOTNOTES;
    let events = Parser::new_ext(text, options);
    let markup = events.filter(|event| !matches!(event, Event::Text(_) | Event::Code(_)));
    markup.map(|event| format!("{event:?}")).collect()
}

#[test]
fn what_somebody_wrote_is_inert_wherever_it_is_read() {
    let plain = written("x");
    for evil in [
        "a`b",
        "| <b>x</b> |",
        "\u{202e}x\u{200b}\u{1b}[1A",
        "one\n# two\n\n- three",
        "[x](http://x) ![y](z) &#x202e; **s** ~~t~~ _u_ <!-- ``` \\",
    ] {
        let report = written(evil);
        let (markdown, html) = (render::markdown(&report), render::html(&report));
        assert_eq!(
            structure(&markdown),
            structure(&render::markdown(&plain)),
            "{evil:?}: {markdown}"
        );
        let tags = |page: &str| page.matches('<').count() - page.matches("code>").count();
        assert_eq!(tags(&html), tags(&render::html(&plain)), "{evil:?}: {html}");
        for shown in [markdown, html] {
            assert!(!shown.contains(['\u{202e}', '\u{200b}', '\u{1b}']), "{evil:?}: {shown}");
        }
    }
}

#[test]
fn the_figures_of_a_hold_in_parts_are_those_of_the_whole() {
    let mut script = Script::new();
    let first = script.attempt("0", |_| {}, |_, result| Some(result));
    script.end(first, Decision::Go);
    let kpi = |figure: &str| crate::evidence::Kpi {
        metric: "delivery".to_owned(),
        phase: "hold".to_owned(),
        surface: String::new(),
        n: 9,
        figure: figure.to_owned(),
    };
    let attempt = script.attempt(
        "1",
        |_| {},
        |_, mut result| {
            if let (Some(hold), Some(run)) = (&mut result.hold, &mut result.run) {
                let mut earlier = hold.segments[0].clone();
                earlier.bundle = "runs/earlier".to_owned();
                hold.segments.insert(0, earlier);
                (hold.whole.deliveries, hold.whole.kpis) = (1_234, vec![kpi("of the whole")]);
                run.bundle = "runs/last".to_owned();
                hold.segments[1].bundle.clone_from(&run.bundle);
                run.kpis = vec![kpi("of the last part")];
            }
            Some(result)
        },
    );
    let rollout = rollout();
    let (history, now) = (&script.history, script.now());
    let (stage, attempt) = (&rollout.stages[1], &history.attempts[attempt as usize - 1]);
    let case = Case { rollout: &rollout, stage, history, attempt, now: &now, check: &|_| None };
    let text = render::markdown(&StageReport::of(&case, &decide(&case), "it"));
    assert!(text.contains("the whole hold, 2 runs: 0 clients, 1234 updates judged"), "{text}");
    assert!(text.contains("of the whole |") && !text.contains("of the last part"), "{text}");
}

#[test]
fn the_schema_fits_what_is_written_and_nothing_that_lacks_what_readers_act_on() {
    let published = serde_json::from_str(&schema()).expect("JSON");
    let schema = jsonschema::draft202012::new(&published).expect("a schema");
    let wrong = |report: &serde_json::Value| -> Vec<String> {
        schema.iter_errors(report).map(|it| format!("{}: {it}", it.instance_path())).collect()
    };
    let reports = [
        report(|_, result| Some(result)),
        report(|name, result| (name != "scenario smoke").then_some(result)),
        report(|name, result| match name {
            "scenario smoke" => Some(failed_objective("auth_errors", "")),
            _ => Some(result),
        }),
    ];
    let decisions = reports.each_ref().map(|report| report.decision);
    assert_eq!(decisions, [Decision::Go, Decision::Hold, Decision::NoGo]);
    for report in reports {
        let whole = serde_json::to_value(&report).expect("serialises");
        assert_eq!(wrong(&whole), [""; 0]);
        for key in ["decision", "format_version", "statement", "begun", "gates", "steps", "runs"] {
            let mut less = whole.clone();
            less.as_object_mut().expect("an object").remove(key);
            assert_ne!(wrong(&less), [""; 0], "without {key}");
        }
        for (pointer, other) in [
            ("/decision", "MAYBE".into()),
            ("/number", (-1).into()),
            ("/begun/owner", serde_json::Value::Null),
            ("/opened", "last".into()),
            ("/steps/0/verdict", "GO".into()),
        ] {
            let mut changed = whole.clone();
            *changed.pointer_mut(pointer).expect("it is there") = other;
            assert_ne!(wrong(&changed), [""; 0], "{pointer}");
        }
        let mut more = whole;
        more["of_a_later_build"] = 1.into();
        assert_eq!(wrong(&more), [""; 0], "fields are added");
    }
}

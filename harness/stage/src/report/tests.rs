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
    assert!(text.contains("`khala-harness stage 1 --owner NAME`"), "{text}");
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
        "**1. Traffic rollback: do it**",
    ] {
        assert!(text.contains(says), "{says}: {text}");
    }
    let at = |what: &str| text.find(what).unwrap_or_else(|| panic!("{what}: {text}"));
    assert!(at("**1. Traffic") < at("**2. Runtime guard"));
    assert!(at("**2. Runtime guard") < at("**3. Surface"));
    assert!(at("**3. Surface") < at("**4. Validation"));
    let page = render::html(&report);
    assert!(page.starts_with("<!doctype html>") && !page.contains("<script"));
    assert!(page.contains("NO-GO: stage 0"));
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
        "- `case_11`: gone\n- and 8 more in the step of the report\n",
        "To do: `khala-harness conform --target canary.toml` shows each case\n",
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
    assert!(text.contains("then a new attempt: `khala-harness stage 0 --owner NAME`"), "{text}");
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
        text.contains("Then begin a new attempt: `khala-harness stage 0 --owner NAME`"),
        "{text}"
    );
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

//! What people read of a run: the first lines are for whoever decides, each reason is said once, what does
//! not explain itself is explained, and no line is wider than the screen.

use khala_evidence::facts::FaultOutcome;
use khala_evidence::judge::{Decision, Verdict};
use khala_evidence::oracle::Rule;
use khala_evidence::record::{Cut, OfflineCause, Probe, Record};
use khala_evidence::render::story::ClientStory;
use khala_evidence::render::terminal;
use khala_evidence::report::{Provenance, RunReport};
use khala_evidence::shard::stalls::Stall;

use crate::support::plans::{Planned, SMALL};
use crate::support::reading::{besides_what_to_do, file, flat, reader, summary, what_to_do};
use crate::support::trial::Trial;
use crate::support::{incidents, records};

const S: u64 = 1_000_000;

fn screen(report: &RunReport, width: usize) -> String {
    terminal::render_for(report, &reader(width, true))
}

/// The run in which clients 3 and 5 never got seq 7.
fn two_without_one_event() -> Trial {
    Trial::small().without(|record| match record {
        Record::Delivered(it) => it.seq == 7 && [3, 5].contains(&it.client),
        _ => false,
    })
}

#[test]
fn the_first_ten_lines_are_for_whoever_decides() {
    let report = two_without_one_event().report();
    let text = summary(&report);
    let lines: Vec<_> = text.lines().take(10).collect();
    assert_eq!(lines[0], "# NO-GO: small");
    assert!(lines[2].starts_with("**Do not go on: users miss events"), "{text}");
    let said = lines.join("\n");
    for told in [
        "A run to be rendered. 8 clients (8 desktop) for 6.2 s against the reference runtime",
        "at 4.0 s 8 clients are cut off",
        "2 of 8 clients, first at 2.5 s, 03:04:07 UTC",
        "Whether the test is to blame.",
        "`khala-harness explain . 3`",
        "Not judged by this profile: error-budget.",
    ] {
        assert!(said.contains(told), "no {told} in:\n{said}");
    }
    for jargon in ["seq", "gap", "oracle", "epoch", "cursor", "p(", "count ==", "runtime.codex"] {
        assert!(!said.contains(jargon), "{jargon} in:\n{said}");
    }
    assert!(
        lines[6].starts_with("- **Since when, and whom it befell.** 2.5 s (03:04:07 UTC"),
        "{text}"
    );
    assert_eq!(text.lines().nth(11).unwrap_or_default(), "## What befell it, and why");
}

#[test]
fn each_reason_is_said_once_and_violations_of_one_cause_are_one() {
    let report = two_without_one_event().report();
    assert_eq!(report.oracle.violations["gap"], 2);
    let cause = &report.oracle.causes;
    assert_eq!(cause.len(), 1, "{cause:?}");
    assert_eq!((cause[0].rule, cause[0].violations, cause[0].clients), (Rule::Gap, 2, 2));
    let told = "seq 7 was never delivered";
    for text in [summary(&report), flat(&screen(&report, 80))] {
        assert_eq!(text.matches(told).count(), 1, "{text}");
        assert_eq!(text.matches("no violation").count(), 1, "{text}");
        assert!(text.contains(Rule::Gap.what_must_hold()), "{text}");
    }
    let shown = flat(&screen(&report, 80));
    let expected =
        "gap on runtime.codex_worker_events: 2 times, 2 of 8 clients, 2 updates missing in all";
    assert!(shown.contains(expected), "{shown}");
    assert!(shown.contains("khala-harness explain runs/one 3 "), "{shown}");
}

#[test]
fn what_holds_for_the_run_is_said_once_for_all_that_it_leaves_undecided() {
    let mut trial = Trial::small();
    trial.facts.faults[0].applied = false;
    let report = trial.report();
    let why = "fault 0 (disconnect in storm) was not due: the run ended before its time, 4.0 s";
    for text in [summary(&report), flat(&screen(&report, 80))] {
        assert_eq!(text.matches(why).count(), 2, "in the headline, and once below: {text}");
        assert!(text.contains("so undecided: reconnect: time_to_recovered [desktop]"), "{text}");
    }
}

#[test]
fn every_client_that_missed_an_event_is_told_of_it() {
    let trial = two_without_one_event();
    let report = trial.report();
    let line: serde_json::Value =
        serde_json::from_str(file("violations.ndjson", &report).trim()).expect("one line of JSON");
    assert_eq!(
        (&line["client"], &line["clients"]),
        (&3.into(), &serde_json::json!([[3, 3], [5, 5]]))
    );
    let Planned { plan, schedule, .. } = &trial.planned;
    let story = |client| {
        ClientStory::of(plan, schedule, &report, None, (client, ".")).expect("a client").render()
    };
    for client in [3, 5] {
        assert!(story(client).contains("seq 7 was never delivered"), "{client}");
    }
    assert!(!story(4).contains("seq 7 was never delivered"));
    // What was kept of it is of the client that it names.
    let look = "those of client 3: khala-harness explain . 3)";
    assert!(story(5).contains(look) && !story(3).contains("stands for several clients"));
}

#[test]
fn the_verdict_stands_first_and_last() {
    let report = two_without_one_event().report();
    let shown = screen(&report, 80);
    assert!(shown.starts_with("NO-GO  small"), "{shown}");
    let end: Vec<_> = shown.lines().rev().take(2).collect();
    assert_eq!(end, ["NO-GO  small: gap, 2 times, 2 of 8 clients", "runs/one"], "{shown}");
    let wide = screen(&report, 120);
    assert!(wide.trim_end().ends_with("stays incomplete until they reload."), "{wide}");
    let piped = terminal::render_for(&report, &reader(100, false));
    let end: Vec<_> = piped.lines().rev().take(2).collect();
    assert!(end[0] == "runs/one" && end[1].starts_with("NO-GO  small"), "{piped}");
}

/// Reports with as much in them as possible.
fn full() -> Vec<RunReport> {
    let mut many = two_without_one_event().report();
    many.doubt(&[format!("reasons may be long{}", " and longer".repeat(40))]);
    many.scenario.description = Some("a description ".repeat(30));
    many.target.defects = vec!["drop_nth,0.5,after=3".to_owned(); 4];
    many.gates[0].objectives[0].require = "p(99.999) < 123456789ms".to_owned();
    many.gates[0].objectives[0].verdict = Verdict::Inconclusive;
    vec![Trial::small().report(), two_without_one_event().report(), many]
}

#[test]
fn no_line_is_wider_than_the_screen() {
    for report in full() {
        for width in [40, 63, 80, 100, 120, 200] {
            let shown = screen(&report, width);
            for line in shown.lines() {
                // What is longer than a line stays whole, but for the backslash of a broken command.
                let words = line.trim_end_matches('\\').split_whitespace();
                let alone = words.count() == 1;
                assert!(
                    alone || line.chars().count() <= width.min(120),
                    "{width}: {line}\n{shown}"
                );
            }
        }
        assert_eq!(flat(&screen(&report, 200)).len(), flat(&screen(&report, 120)).len());
    }
}

#[test]
fn ten_lines_say_what_to_decide_why_and_what_to_do() {
    for report in full() {
        for width in [60, 80, 100, 120] {
            for at_a_terminal in [true, false] {
                let shown = terminal::render_short(&report, &reader(width, at_a_terminal));
                let lines: Vec<_> = shown.lines().collect();
                assert!(besides_what_to_do(&shown) <= 8, "{width}:\n{shown}");
                assert!(
                    lines.iter().all(|line| line.chars().count() <= width),
                    "{width}:\n{shown}"
                );
                let decision = report.decision.to_string();
                let last = if at_a_terminal { lines.len() - 1 } else { lines.len() - 2 };
                assert!(lines[0].starts_with(&decision) && lines[last].starts_with(&decision));
                assert_eq!(lines[2 * lines.len() - 3 - last], "runs/one", "{shown}");
                for told in ["Next  ", "--summary full; gates: "] {
                    assert!(shown.contains(told), "no {told} in {width}:\n{shown}");
                }
            }
        }
    }
    let shown = terminal::render_short(&two_without_one_event().report(), &reader(100, false));
    for told in ["users miss events", "2 times, 2 of 8 clients", "khala-harness explain runs/one 3"]
    {
        assert!(flat(&shown).contains(told), "no {told} in:\n{shown}");
    }
    let shown = terminal::render_short(&Trial::storm(&[]).report(), &reader(100, false));
    assert!(shown.contains("Seen  Nothing wrong"), "{shown}");
}

/// What stands beside `Next`.
fn next_of(shown: &str) -> String {
    let lines = what_to_do(shown);
    assert!(!lines.is_empty(), "{shown}");
    flat(&lines.join(" "))
}

#[test]
fn what_to_do_is_never_cut_and_what_is_cut_says_where_all_of_it_stands() {
    let mut away = incidents::fleet(12);
    let how = OfflineCause::Broken { how: Cut::Reset };
    away.extend((0..12).map(|n| records::offline(n, 300 * S + u64::from(n) * 1_000, how)));
    away.sort_by_key(Record::at);
    let away = Trial::of(&incidents::at_home(""), away).report();
    assert_eq!(away.decision, Decision::NoGo);
    for report in full().into_iter().chain([away]) {
        let at = |width| terminal::render_short(&report, &reader(width, true));
        let whole = next_of(&at(120));
        for width in [30, 40, 60, 80, 100, 120] {
            let shown = at(width);
            let next = next_of(&shown);
            assert!(next == whole && !next.contains('…'), "{width}:\n{shown}");
            let (all, rest): (Vec<_>, Vec<_>) =
                shown.lines().partition(|line| line.starts_with("  All   "));
            let cut = rest.iter().any(|line| line.ends_with('…'));
            let said = all.iter().any(|line| line.contains("All   uncut"));
            assert_eq!(cut, said, "{width}:\n{shown}");
        }
    }
}

#[test]
fn an_advisory_gate_that_fails_is_counted_apart_and_stands_last() {
    let mut report = Trial::storm(&[]).report();
    assert_eq!(report.decision, Decision::Go);
    report.gates[0].advisory = true;
    report.gates[0].verdict = Some(Verdict::Fail);
    let judged = report.gates.iter().filter(|gate| gate.verdict == Some(Verdict::Pass)).count();
    let shown = terminal::render_short(&report, &reader(100, false));
    assert!(shown.contains(&format!("gates: {judged} passed; advisory: 1 failed")), "{shown}");
    let page = file("report.html", &report);
    let heads: Vec<_> = page.split("scope=\"rowgroup\"").skip(1).collect();
    assert!(heads.len() > 1, "{page}");
    let is_advisory: Vec<_> =
        heads.iter().map(|head| head.contains("(advisory: decides nothing)")).collect();
    assert_eq!(is_advisory.iter().position(|it| *it), Some(heads.len() - 1), "{is_advisory:?}");
    for gate in &mut report.gates {
        gate.advisory = true;
    }
    let shown = terminal::render_short(&report, &reader(100, false));
    assert!(shown.contains("gates: advisory: 1 failed, "), "{shown}");
}

#[test]
fn a_go_fits_on_a_screen() {
    let report = Trial::storm(&[]).report();
    assert_eq!(report.decision, Decision::Go);
    for (width, lines) in [(80, 42), (100, 40)] {
        let shown = screen(&report, width);
        assert!(shown.lines().count() <= lines, "{width}:\n{shown}");
    }
}

#[test]
fn a_warning_that_nothing_breaks_says_what_would_have_to_come() {
    let text = SMALL.replace("warn = \"p(50) < 500ms\"", "warn = \"p(60) < 1500ms\"");
    let mut report = Trial::played(Planned::with_profile(&text, Some("smoke"))).report();
    let objective = &mut report.gates[0].objectives[0];
    (objective.verdict, objective.warn_bad) = (Verdict::Warn, Some(0));
    let note = "the claim holds, and the stricter `p(60) < 1500ms` is not shown to: none of 8 samples \
                breaks that one either";
    for shown in [summary(&report), flat(&screen(&report, 80))] {
        assert!(shown.contains(note), "{shown}");
    }
    let report = Trial::small().report();
    let note = "the stricter `p(50) < 500ms` is not shown to: 8 of 8 samples break that one";
    assert!(summary(&report).contains(note), "{}", summary(&report));
}

fn told_of(report: &RunReport) -> String {
    let text = summary(report);
    let starting = |start| text.lines().find(|line| line.starts_with(start)).expect("the fault");
    assert!(flat(&screen(report, 80)).contains("disconnect in storm: planned 8, "));
    format!("{} {}", starting("| 0 disconnect "), starting("- 0 disconnect"))
}

#[test]
fn a_fault_that_was_not_due_is_not_called_unproven() {
    let mut trial = Trial::small();
    let schedule = &trial.planned.schedule;
    trial.facts.faults = vec![FaultOutcome::not_applied(schedule, &schedule.faults[0], "")];
    let mut report = trial.report();
    report.duration_s = 3.2;
    let line = told_of(&report);
    assert!(
        line.contains(
            "| 8 | not reached | - 0 disconnect: the run ended at 3.2 s, before its time, 4.0 s"
        ),
        "{line}"
    );
}

#[test]
fn a_fault_that_hit_nobody_while_the_harness_stood_still_says_so() {
    let with = |from: u64, to: u64| {
        let mut trial = Trial::small();
        trial.facts.faults[0].effective = Some(0);
        let mut report = trial.report();
        report.generator.stalls = vec![Stall { from, to, thread: 0 }];
        told_of(&report)
    };
    let line = with(3 * S, 5 * S);
    let expected = "the harness itself stood still from 3.0 s to 5.0 s, when this was due";
    assert!(line.contains("| 8 | 0 |") && line.contains(expected), "{line}");
    for elsewhere in [(0, 2 * S), (10 * S, 11 * S)] {
        assert!(!with(elsewhere.0, elsewhere.1).contains("stood still"));
    }
}

#[test]
fn a_busy_machine_is_told_in_words_that_everybody_knows() {
    let mut trial = Trial::small();
    trial.records.push(Record::Probe(Probe {
        at: 2 * S,
        wall_us: 6 * S,
        cpu_us: 250_000,
        hottest_us: 120_000,
        waited_us: 5_900_000,
        descriptors: 100,
        memory_kib: 64 * 1024,
        backlog_bytes: 0,
    }));
    let text = summary(&trial.report());
    let third = text.lines().nth(2).expect("a third line");
    let expected = "Do not decide by this run: the machine that ran the test was too busy";
    assert!(third.contains(expected), "{text}");
}

#[test]
fn a_run_with_a_defect_says_so_at_its_head() {
    let mut report = two_without_one_event().report();
    let said = "The target was started with a defect, on purpose: drop_nth,0.5, slow_recovery. This is no judgement \
                of a real one.";
    let heads = |report: &RunReport| {
        let lines = |text: &str| flat(&text.lines().take(10).collect::<Vec<_>>().join("\n"));
        let page = file("report.html", report);
        let head = page.split("<table").next().expect("its head").to_owned();
        [lines(&summary(report)), flat(&screen(report, 100)), flat(&head)]
    };
    for head in heads(&report) {
        assert!(!head.contains("with a defect"), "there is none: {head}");
    }
    report.target.defects = vec!["drop_nth,0.5".to_owned(), "slow_recovery".to_owned()];
    for head in heads(&report) {
        assert!(head.contains(said), "{head}");
    }
}

#[test]
fn the_ten_lines_of_a_run_with_a_defect_say_so() {
    let mut report = two_without_one_event().report();
    let head = |report: &RunReport, width| {
        let text = terminal::render_short(report, &reader(width, true));
        let head: Vec<_> = text.lines().take(2).map(str::to_owned).collect();
        (head[0].clone(), head[1].clone())
    };
    assert!(!head(&report, 100).0.contains("defect"), "there is none");
    report.target.defects = vec!["drop_nth,0.5".to_owned()];
    let (line, _) = head(&report, 100);
    assert!(
        line.starts_with("NO-GO  small (smoke)  ")
            && line.ends_with("  with the defect drop_nth,0.5"),
        "{line}"
    );
    report.fleet.only_clients = vec![30];
    assert!(head(&report, 100).0.contains(" s  client 30 alone  with the defect"), "{line}");
    report.fleet.only_clients.clear();
    report.target.defects.push("slow_recovery".repeat(8));
    let (line, _) = head(&report, 100);
    assert!(line.ends_with("  with 2 defects"), "{line}");
    let (line, next) = head(&report, 40);
    assert!(!line.contains("defect") && next == "  with 2 defects", "{line}\n{next}");
}

#[test]
fn where_and_how_it_was_run_is_in_the_summary() {
    let mut report = Trial::small().report();
    report.target.defects = vec!["drop_nth".to_owned()];
    report.target.build = Some("build `7`|x".to_owned());
    let host = khala_evidence::journal::Host {
        name: "judge".to_owned(),
        system: "Linux 6.1".to_owned(),
        cores: 2,
        memory_mib: 24_105,
    };
    let command = ["khala-harness", "run", "a b.toml", "--seed=7"].map(str::to_owned).to_vec();
    report.provenance = Some(Provenance { host, command, scenario_sha256: "ab12".to_owned() });
    let text = summary(&report);
    for row in [
        "| seed | 3 |",
        "| target's build | build \\`7\\`\\|x |",
        "| defect in force | `drop_nth` |",
        "| host | `judge`, 2 cores, 24,105 MiB of memory, Linux 6.1 |",
        "| command line | `khala-harness run 'a b.toml' --seed=7` |",
        "| scenario's SHA-256 | `ab12` |",
        "| made by | khala-harness 0.0.0 |",
    ] {
        assert!(text.contains(row), "no {row} in:\n{text}");
    }
    assert!(text.lines().take(9).any(|line| line.contains("with a defect, on purpose: drop_nth")));
}

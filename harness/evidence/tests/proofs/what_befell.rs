//! What a reader is told of a run in which not everything befell as it was planned: what a fault came to, whether the
//! generator is to blame, and what a second run of one client alone would say.

use std::collections::BTreeMap;

use khala_evidence::facts::{FaultOutcome, RestsOn};
use khala_evidence::judge::{Against, Decision, RunReason};
use khala_evidence::record::Record;
use khala_evidence::render::story::ClientStory;
use khala_evidence::render::terminal::{self, Colour, Reader};
use khala_evidence::render::{self, Renderer};
use khala_evidence::report::RunReport;
use khala_evidence::shard::whereabouts::Whereabouts;
use khala_evidence::standing::Standing;
use khala_evidence::{Shard, Sink as _};
use khala_plan::estimate::{Estimate, Expected};

use crate::support::plans::{Planned, SMALL};
use crate::support::trial::{Trial, of};

fn file(name: &str, report: &RunReport) -> String {
    let renderer: &dyn Renderer =
        *render::ALL.iter().find(|it| it.file_name() == name).expect("such a rendering");
    String::from_utf8(renderer.render(report).expect("renders")).expect("text")
}

fn reader(width: usize) -> Reader<'static> {
    let (bundle, last) = ("runs/one", "runs/one");
    Reader { colour: Colour::Never, width, bundle, last, at_a_terminal: false }
}

fn flat(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The whole summary on a terminal, as one line.
fn screen(report: &RunReport) -> String {
    flat(&terminal::render_for(report, &reader(100)))
}

fn sound() -> Trial {
    Trial::played(Planned::with_profile(SMALL, Some("smoke")))
}

/// The run in which client 3 never got seq 7.
fn with_a_gap() -> Trial {
    sound()
        .without(|record| matches!(record, Record::Delivered(it) if it.seq == 7 && it.client == 3))
}

#[test]
fn a_second_run_of_one_client_says_what_it_does_not_decide() {
    let trial = with_a_gap();
    let mut report = trial.report();
    let Planned { plan, schedule, .. } = &trial.planned;
    let everywhere = |report: &RunReport| {
        let story = ClientStory::of(plan, schedule, report, None, (3, "runs/one"));
        [
            file("summary.md", report),
            screen(report),
            file("report.html", report).replace("&#39;", "'"),
            flat(&story.expect("a client").render()),
        ]
    };
    let command = "--only-client 3";
    let undecided = "Where no rule breaks there, GO or HOLD, that says nothing of ";
    let chance =
        "need not show this violation: the target's defect strikes by chance or by count (";
    for text in everywhere(&report) {
        let (_, after) = text.split_once(command).expect("the command");
        assert!(after.contains(undecided) && !text.contains(chance), "{text}");
    }
    report.target.defects = vec!["drop_on_reconnect,1,after=1".to_owned()];
    everywhere(&report).iter().for_each(|text| assert!(!text.contains(chance), "{text}"));
    // One that is drawn is drawn otherwise for a client alone: the whole run has the same odds.
    report.target.defects.push("drop_nth,0.02,after=1".to_owned());
    let whole = [
        "scenario.resolved.toml --seed 3 --out-dir ..",
        "resolved.toml --seed 3 --out-dir runs/one/..",
    ];
    for text in everywhere(&report) {
        let (_, after) = text.split_once(command).expect("the command");
        assert!(after.contains(&format!("{chance}drop_nth,0.02,after=1)")), "{text}");
        assert!(after.contains(undecided) && whole.iter().any(|it| after.contains(it)), "{text}");
    }
}

/// The run whose fault came to `hit` of its eight clients, and to what else.
fn short(hit: u64, with: impl Fn(&mut FaultOutcome)) -> RunReport {
    let mut trial = sound();
    trial.facts.faults[0].effective = Some(hit);
    let mut report = trial.report();
    with(&mut report.faults[0]);
    report
}

#[test]
fn clients_that_came_back_with_their_own_cursors_are_not_said_to_have_stayed() {
    let kind = |fault: &mut FaultOutcome, kind: &str| kind.clone_into(&mut fault.kind);
    let windows = |fault: &mut FaultOutcome| {
        kind(fault, "offline");
        fault.rests_on = Some(RestsOn::Windows);
    };
    let by_hand = |fault: &mut FaultOutcome| {
        FaultOutcome::NOT_SWITCHED.clone_into(&mut fault.proof);
    };
    let own = "8 clients go away and come back (with their own cursors: those that were to be tried had no place";
    let some = "8 clients go away and come back (3 with the cursors that were to be tried, the others with their own";
    for (report, told) in [
        (short(0, windows), own),
        (short(3, windows), some),
        (short(0, |fault| kind(fault, "offline")), "8 clients go away and come back (in fact 0)"),
        (short(3, |_| {}), "8 clients are cut off (in fact 3)"),
        (short(0, by_hand), "8 clients are cut off (by hand, and nobody switched it on)"),
        (
            short(0, |fault| kind(fault, "retention_trim")),
            "old events are removed (which did not happen)",
        ),
    ] {
        for text in [file("summary.md", &report), screen(&report)] {
            assert!(text.contains(told), "no {told} in:\n{text}");
        }
    }
    // Where they were not there when it was due, that is told, and nothing of cursors.
    let mut report = short(3, windows);
    let others = Whereabouts { connected: 3, not_yet: 5, ..Whereabouts::default() };
    report.whereabouts = BTreeMap::from([(0, others)]);
    let told = "go away and come back (with the cursors that were to be tried 3)";
    assert!(screen(&report).contains(told), "{}", screen(&report));
    // The reason that decides says the same.
    let mut outcome = report.faults[0].clone();
    let why = |outcome: &FaultOutcome| outcome.why_it_did_not_bite().expect("it fell short");
    let told = "brought back 3 of 8 clients with the cursor that was to be tried";
    assert!(why(&outcome).ends_with(told), "{}", why(&outcome));
    outcome.rests_on = None;
    assert!(why(&outcome).ends_with("hit 3 of 8 clients planned"), "{}", why(&outcome));
}

#[test]
fn the_ten_lines_of_a_no_go_say_that_the_generator_was_starved() {
    let starved =
        "the generator was starved: a thread of it wanted a core and had none for 71 % of the time";
    let short = |report: &RunReport, width| terminal::render_short(report, &reader(width));
    let mut report = with_a_gap().report();
    assert_eq!(report.decision, Decision::NoGo);
    let fit = short(&report, 120);
    assert!(!fit.contains("Test  "), "{fit}");
    report.of_the_run.push(RunReason {
        against: Against::Generator,
        why: starved.to_owned(),
        it_takes: None,
    });
    let told = short(&report, 120);
    let line = "  Test  To blame for what is undecided, but not for what is broken: the generator was starved: ";
    assert!(told.contains(line), "{told}");
    for width in [60, 80, 100, 120] {
        let told = short(&report, width);
        assert!(told.contains("  Test  To blame for what is undecided, but"), "{told}");
        assert!(told.lines().count() <= 10, "{told}");
        assert!(told.lines().all(|line| line.chars().count() <= width), "{told}");
    }
    // A HOLD says it in its headline, and a GO has no such reason.
    report.decision = Decision::Hold;
    let held = short(&report, 100);
    assert!(held.contains("the machine that ran the test was too busy"), "{held}");
    assert!(!held.contains("Test  "), "{held}");
}

#[test]
fn a_run_that_goes_by_plan_has_the_samples_that_check_counts_on() {
    let storm = (
        "metric = \"delivery\"\nduring = [\"steady\"]",
        "metric = \"delivery\"\nduring = [\"storm\"]",
    );
    let by_surface =
        ("require = \"max < 5s\"", "where = { surface = \"*\" }\nrequire = \"max < 5s\"");
    let slow = (
        "mode = \"all\"\n",
        "mode = \"all\"\n\n[[phase.fault]]\ntype = \"slow_reader\"\ncohort = \"desktop\"\nat = \"6s\"\n\
         duration = \"5s\"\nmode = \"fixed\"\nvalue = 10\nattributes = { pause = true }\n",
    );
    let spread = ("metric = \"delivery\"", "metric = \"delivery_spread\"");
    for edits in [
        &[][..],
        &[storm],
        &[by_surface],
        &[slow],
        &[storm, by_surface, slow],
        &[spread],
        &[storm, slow],
    ] {
        let trial = Trial::storm(edits);
        let Planned { plan, schedule, .. } = &trial.planned;
        let verdict = trial.judge();
        let delivered = Estimate::of(plan, schedule).objectives;
        let delivered = delivered.iter().filter(|it| it.metric.starts_with("delivery"));
        let expected: Vec<_> = delivered.flat_map(|it| it.expected.clone()).collect();
        let metric = if edits.contains(&spread) { "delivery_spread" } else { "delivery" };
        let came = of(&verdict, "ux", metric);
        assert_eq!((came.len(), came.is_empty()), (expected.len(), false));
        for (came, (surface, expected)) in came.iter().zip(expected) {
            let Expected::Samples(expected) = expected else { panic!("samples: {expected:?}") };
            let (n, label) = (came.n as f64, surface.map(|it| format!("surface={it}")));
            assert_eq!(came.selector, label.unwrap_or_default());
            // No more than a second of each arrival and return is left out.
            assert!(
                expected <= n && n <= expected * 1.2,
                "{edits:?} {surface:?}: {expected}, and {n} came"
            );
        }
    }
}

#[test]
fn a_decision_is_told_with_how_much_it_rests_on_before_what_has_no_room() {
    let ten_lines = |report: &RunReport| flat(&terminal::render_short(report, &reader(100)));
    let mut report = short(0, |_| {});
    assert_eq!(report.decision, Decision::Hold, "{:?}", report.reasons);
    let fault = "fault 0 (disconnect in storm) hit 0 of 8 clients planned";
    let told = ten_lines(&report);
    let one = format!("a disturbance that belongs to the test did not happen as planned: {fault}");
    assert!(told.contains(&one), "{told}");
    assert!(told.contains(&format!("Why {fault} (so undecided: ")), "{told}");
    report.faults.extend([report.faults[0].clone(), report.faults[0].clone()]);
    (report.faults[1].id, report.faults[2].id) = (1, 2);
    report.faults[2].effective = Some(8);
    let told = ten_lines(&report);
    let several = format!("2 of the test's 3 disturbances did not happen as planned: {fault}");
    assert!(told.contains(&several), "{told}");
    let told = ten_lines(&with_a_gap().report());
    let next = "Next Give this to those who build the service: khala-harness explain runs/one 3 All uncut with --summary full";
    assert!(told.contains(next), "{told}");
}

#[test]
fn who_watches_hears_of_what_was_skipped_before_it_is_judged() {
    let so_far = |trial: &Trial| {
        let mut shard = Shard::new(trial.planned.context.clone());
        trial.records.iter().for_each(|record| shard.record(record.clone()));
        let mut standing = Standing::default();
        standing.add(&shard.take());
        (standing.skips(), standing.violations())
    };
    assert_eq!(so_far(&sound()), (0, 0));
    // One that a client never got shows when the next one comes, and breaks a rule at the end.
    let trial = with_a_gap();
    assert_eq!(so_far(&trial), (1, 0));
    let broken = &trial.report().oracle.violations;
    assert_eq!(broken.get("gap"), Some(&1));
}

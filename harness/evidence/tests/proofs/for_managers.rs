//! What a manager asks of a run that he did not see: what failed, how badly, since when, who is hurt, what was
//! tried, whether the test is to blame, and what to do. Nothing that is told may deny what is told elsewhere.

use khala_plan::units::format_count;
use std::collections::BTreeMap;

use khala_evidence::facts::RestsOn;
use khala_evidence::judge::{Against, Decision, Reach, Resampled, RunReason, Verdict};
use khala_evidence::oracle::Rule;
use khala_evidence::record::{Outcome, Record, Request};
use khala_evidence::render::terminal;
use khala_evidence::report::{RequestLine, RunReport};
use khala_evidence::shard::absence::{Absence, Manner};
use khala_evidence::shard::whereabouts::Whereabouts;
use khala_evidence::{event, journal, unfinished};

use crate::support::plans::{Planned, SMALL};
use crate::support::reading::{flat, reader, summary};
use crate::support::records;
use crate::support::trial::Trial;

const S: u64 = 1_000_000;

/// The terminal, as one line.
fn screen(report: &RunReport) -> String {
    flat(&terminal::render_for(report, &reader(100, false)))
}

fn both(report: &RunReport) -> [String; 2] {
    [summary(report), screen(report)]
}

/// A line that begins so.
fn line<'a>(text: &'a str, start: &str) -> &'a str {
    text.lines().find(|line| line.starts_with(start)).unwrap_or_else(|| panic!("{start}: {text}"))
}

#[test]
fn what_another_rule_found_is_not_denied_by_one_that_was_kept() {
    let text = summary(&Trial::with_gaps().report());
    assert!(!line(&text, "Kept, ").contains("`lost_publish`"), "{text}");
    let apart = line(&text, "Not said to be kept, ");
    assert!(apart.contains("`lost_publish` (see `gap`)"), "{apart}");
    let text = summary(&Trial::small().report());
    assert!(line(&text, "Kept, ").contains("`lost_publish`"), "{text}");
    assert!(!text.contains("Not said to be kept"), "{text}");
    // Where the judge attributed cases, the rule is not kept either, whatever the table of rules says.
    let mut report = Trial::small().report();
    report.oracle.consequences.insert("nonmonotonic".to_owned(), 2);
    let apart = summary(&report);
    let apart = line(&apart, "Not said to be kept, ");
    assert!(apart.contains("`nonmonotonic` (see an earlier one)"), "{apart}");
}

#[test]
fn a_rule_is_told_by_others_that_are_judged_and_never_by_itself() {
    for &rule in Rule::ALL {
        assert!(!rule.told_by().contains(&rule), "{rule}");
    }
    assert_eq!(Rule::LostPublish.told_by().first(), Some(&Rule::Gap));
}

#[test]
fn it_is_told_how_much_is_missing_for_whom_and_since_when_on_the_clock() {
    let report = Trial::with_gaps().report();
    let cause = report.oracle.causes.first().expect("a cause");
    assert_eq!((cause.violations, cause.missing_updates, cause.missing_events), (3, 3, 2));
    assert!(cause.last_us > cause.first.at_us, "{cause:?}");
    for text in both(&report) {
        for told in [
            "3 times, 2 of 8 clients, 3 updates missing in all, of 2 events, first at 2.500 s (03:04:07 UTC)",
            ", last at 3.500 s (03:04:08 UTC)",
            "2 of 8 clients, first at 2.5 s, 03:04:07 UTC; missing: 3 updates of 2 events",
        ] {
            assert!(text.contains(told), "no {told} in:\n{text}");
        }
    }
    assert!(summary(&report).contains("  - befell 2 of 8 desktop\n"));
    let mut one = report.clone();
    let cause = &mut one.oracle.causes[0];
    (cause.missing_updates, cause.missing_events, cause.last_us) = (1, 1, cause.first.at_us);
    let text = summary(&one);
    assert!(
        text.contains(", 1 update missing in all, of 1 event, first at 2.500 s (03:04:07 UTC)\n")
    );
}

fn away(from_us: u64, until_us: Option<u64>, planned: bool) -> Absence {
    let noticed = vec!["nothing was heard".to_owned()];
    Absence {
        manner: Manner::Lost,
        from_us,
        until_us,
        clients: 8,
        arrived: 8,
        noticed,
        only_sockets: false,
        planned,
    }
}

#[test]
fn a_fault_that_never_happened_is_not_listed_as_one_that_did() {
    // The fault is due at 4 s.
    let with = |absence: Absence, effective: Option<u64>| {
        let mut trial = Trial::small();
        trial.facts.faults[0].effective = effective;
        let mut report = trial.report();
        report.target.absences = vec![absence];
        report
    };
    let lost = with(away(3 * S, None, false), Some(0));
    for text in both(&lost) {
        assert!(
            text.contains("8 clients are cut off (not reached: the target was away)"),
            "{text}"
        );
        assert!(
            text.contains("the target was away from 3.0 s on, when this was due, 4.0 s"),
            "{text}"
        );
    }
    assert!(summary(&lost).contains("| 0 disconnect | storm | 4.00 s | 8 | not reached |"));
    assert!(screen(&lost).contains("disconnect in storm: planned 8, not reached: the target"));
    for (absence, effective) in [
        (away(5 * S, None, false), Some(0)),
        (away(3 * S, Some(4 * S), false), Some(0)),
        (away(3 * S, None, true), Some(0)),
        (away(3 * S, None, false), Some(8)),
    ] {
        let report = with(absence, effective);
        both(&report).iter().for_each(|text| assert!(!text.contains("not reached"), "{text}"));
    }
    let mut trial = Trial::small();
    trial.facts.faults[0].applied = false;
    trial.facts.faults[0].effective = None;
    for text in both(&trial.report()) {
        assert!(
            text.contains("8 clients are cut off (not reached: the run ended before)"),
            "{text}"
        );
    }
}

#[test]
fn a_fault_that_fell_short_says_where_the_others_were() {
    let mut trial = Trial::small();
    trial.facts.faults[0].effective = Some(3);
    let mut report = trial.report();
    let others = Whereabouts {
        connected: 3,
        not_yet: 1,
        cut_by: BTreeMap::from([(0, 2)]),
        away: 1,
        retired: 1,
    };
    report.whereabouts = BTreeMap::from([(0, others.clone())]);
    let told = "of the clients that it was aimed at, when it was due, 3 were connected, 2 not back from fault 0, \
                disconnect at 4.0 s, 1 not connected yet, 1 without a connection for another reason, 1 out of \
                the run";
    for text in both(&report) {
        assert!(text.contains(&format!("hit 3 of 8 clients planned: {told}")), "{text}");
        assert!(text.contains(&format!("disconnects counted by the target; {told}")), "{text}");
        assert!(text.contains("8 clients are cut off (in fact 3)"), "{text}");
        assert!(text.contains("Give the disturbances more time between them"), "{text}");
    }
    // Of those who were there it says nothing, and of a fault that hit all neither.
    report.whereabouts.insert(0, Whereabouts { connected: 8, ..Whereabouts::default() });
    both(&report).iter().for_each(|text| assert!(!text.contains("aimed at, when"), "{text}"));
    (report.faults[0].effective, report.whereabouts) = (Some(8), BTreeMap::from([(0, others)]));
    both(&report).iter().for_each(|text| assert!(!text.contains("aimed at, when"), "{text}"));
}

#[test]
fn where_clients_were_when_a_fault_was_due_is_known_from_their_records() {
    let text = SMALL.replace(
        "type = \"disconnect\"\nat = \"1s\"\nmode = \"all\"\n",
        "type = \"disconnect\"\nat = \"1s\"\nmode = \"all\"\n\n[[phase.fault]]\n\
         type = \"disconnect\"\nat = \"1500ms\"\nmode = \"all\"\n",
    );
    assert_ne!(text, SMALL);
    let mut all = Vec::new();
    // Client 0 is cut and back, 1 is cut and away, 2 comes late, of 3 nothing is known.
    for client in [0, 1] {
        all.push(records::connect_begun(client, S, 1));
        all.push(records::connected(client, S + 1));
        all.push(records::cut(client, 4 * S + 10, 0, 4 * S));
    }
    all.push(records::connect_begun(0, 4 * S + 100, 2));
    all.push(records::connected(0, 4 * S + 200));
    all.push(records::connect_begun(2, 5 * S, 1));
    all.push(records::connected(2, 5 * S + 1));
    for client in 0..3 {
        all.push(records::retired(client, 6 * S, true));
    }
    all.sort_by_key(Record::at);
    let report = Trial::of(&text, all).report();
    let first = Whereabouts { connected: 2, not_yet: 1, ..Whereabouts::default() };
    let cut_by = BTreeMap::from([(0, 1)]);
    let second = Whereabouts { connected: 1, not_yet: 1, cut_by, ..Whereabouts::default() };
    assert_eq!(report.whereabouts, BTreeMap::from([(0, first), (1, second)]));
}

fn tried(request: Request, outcome: Outcome, status: &str) -> Record {
    records::answered(request, Some(1), [2 * S, 2 * S + 50], (outcome, status))
}

#[test]
fn what_the_plan_makes_fail_is_told_apart_from_trouble() {
    let mut trial = Trial::small();
    for (request, outcome, status) in [
        (Request::TriedConnect, Outcome::RefusedAuth, "403"),
        (Request::TriedConnect, Outcome::RefusedAuth, "403"),
        (Request::TriedConnect, Outcome::ConnectionFailed, "connection refused"),
        (Request::TriedJoin, Outcome::Timeout, "timeout"),
        (Request::TriedCommand, Outcome::ConnectionFailed, "its socket ended"),
        (Request::TriedHeartbeat, Outcome::Ok, "ok"),
    ] {
        trial.records.push(tried(request, outcome, status));
    }
    let report = trial.report();
    let planned: u64 = report.requests.iter().map(|line| line.planned).sum();
    assert_eq!(planned, 3, "{:?}", report.requests);
    let shown = screen(&report);
    let (trouble, asked) =
        shown.split_once("Requests that failed as the plan makes them").expect("they stand apart");
    let asked = asked.split_once("Oracle and generator").expect("then come the rules").0;
    for told in ["tried_upgrade HTTP 403 ×2", "tried_command its socket ended ×1"] {
        assert!(asked.contains(told) && !trouble.contains(told), "{told}: {shown}");
    }
    for told in ["tried_upgrade connection refused ×1", "tried_join timeout ×1"] {
        assert!(trouble.contains(told) && !asked.contains(told), "{told}: {shown}");
    }
    let row = "| tried_upgrade | 403 | 2 | 0 | 2 | 2.0 s in steady |";
    assert!(summary(&report).contains(row), "{}", summary(&report));
}

#[test]
fn what_somebody_else_sent_is_not_counted_as_checked() {
    let mut report = Trial::storm(&[]).report();
    assert_eq!(report.decision, Decision::Go);
    let own = format_count(report.oracle.deliveries);
    for text in both(&report) {
        assert!(text.contains(&format!("{own} updates were checked as they arrived.")), "{text}");
        assert!(!text.contains("somebody else"), "{text}");
    }
    report.oracle.deliveries += 7;
    report.oracle.foreign = 7;
    // Nobody else publishes to a target that the run has to itself: what lay there is its past.
    assert!(report.target.exclusive, "the embedded runtime is");
    for text in both(&report) {
        let told = format!(
            "{own} updates were checked as they arrived. 7 more were of the service's past, from before the test, and"
        );
        assert!(text.contains(&told) && !text.contains("somebody else"), "{text}");
    }
    let past = "the target's past, from before the run, held against no publish";
    assert!(screen(&report).contains(&format!("7 more were of {past}")));
    assert!(summary(&report).contains(&format!("Of {past}: 7 deliveries.")));
    report.target.exclusive = false;
    for text in both(&report) {
        let told = format!(
            "{own} updates were checked as they arrived. 7 more were of somebody else, and held against nothing"
        );
        assert!(text.contains(&told), "{text}");
    }
    assert!(screen(&report).contains(&format!("0 violations over {own} deliveries and ")));
    assert!(summary(&report).contains("Of others, held against no publish: 7 deliveries."));
}

#[test]
fn the_reach_is_explained_where_it_is_shown_and_only_there() {
    let mut report = Trial::small().report();
    let explained = "what the seconds that were measured say of other times";
    both(&report).iter().for_each(|text| assert!(!text.contains(explained), "{text}"));
    let objective = &mut report.gates[0].objectives[0];
    let units = 30;
    objective.resampled =
        Some(Resampled { seconds: true, units, block_len: 1, resamples: 9, seed: 1 });
    let share = 0.095;
    objective.reach =
        Some(Reach { seconds: units, worse: 0, share, asked: None, seconds_needed: None });
    for text in both(&report) {
        assert!(text.contains("; reach 9.5 %"), "{text}");
        assert_eq!(text.matches(explained).count(), 1, "{text}");
    }
}

#[test]
fn whether_the_test_is_to_blame_is_answered() {
    let blame = |report: &RunReport| line(&summary(report), "- **Whether the test").to_owned();
    let mut report = Trial::with_gaps().report();
    assert_eq!(report.decision, Decision::NoGo);
    let told = blame(&report);
    assert!(
        told.contains(
            " No: timers late by 50 µs at most; never stood still, and no slowness of it"
        )
    );
    assert!(screen(&report).contains("Is the test itself to blame? No: timers late"));
    // What a machine that is too busy leaves undecided is its own, and not a lack of samples.
    let mut held = Trial::small().report();
    let objective = &mut held.gates[0].objectives[0];
    objective.verdict = Verdict::Inconclusive;
    objective.reason = "the generator was starved: it wanted a core".to_owned();
    objective.against = Some(Against::Generator);
    held.decision = Decision::Hold;
    let text = summary(&held);
    assert!(text.contains("the machine that ran the test was too busy to measure"), "{text}");
    assert!(blame(&held).contains("In what is undecided, yes: the generator was starved"));
    report.finished = false;
    let told = blame(&report);
    assert!(told.contains("Not known: the record breaks off. What is broken stands all the same"));
    let go = Trial::storm(&[]).report();
    assert!(!screen(&go).contains("to blame"), "nobody asks");
}

#[test]
fn a_journal_that_was_cut_makes_no_run_longer() {
    let Planned { plan, schedule, .. } = &Planned::of(SMALL);
    let begin = journal::Begin {
        tool_version: String::new(),
        tool_commit: None,
        run_id: String::new(),
        started_at: "2026-01-02T03:04:05Z".to_owned(),
        profile: None,
        host: journal::Host::default(),
        command: Vec::new(),
    };
    let told = |events: &[event::Event], until, full| {
        let why = ("it ends early".to_owned(), full);
        unfinished::facts(plan, schedule, &begin, events, until, why)
    };
    let of = |events: &[event::Event], until| told(events, until, false);
    let at = |at_us, kind| event::Event { at_us, kind };
    let events =
        [at(5 * S, event::EventKind::DrainBegan), at(6 * S + 100_000, event::EventKind::Retired)];
    // The second that the last entry covers ends after the run did.
    let whole = of(&events, 7 * S);
    assert_eq!(whole.duration_us, 6 * S + 100_000);
    let why = whole.unfinished.expect("it is not whole");
    assert!(why.ends_with(
        "the run itself came to its end at 6.1 s, so that it was cut or changed afterwards, or had no room on the disk \
         to be written on"
    ));
    // Nobody is suspected where the journal says itself why it does not go on.
    let full = told(&events, 3 * S, true).unfinished.expect("it is not whole");
    assert!(full.ends_with("went on to its end at 6.1 s, of which nothing is kept"), "{full}");
    assert_eq!(of(&events, 3 * S).duration_us, 3 * S, "no more than is left");
    let killed = of(&events[..1], 3 * S);
    assert_eq!(killed.duration_us, 5 * S, "as far as anything is known of it");
    assert_eq!(killed.unfinished.as_deref(), Some("it ends early"));
}

/// A request of operators that was refused for want of their token.
fn refused(request: &str) -> RequestLine {
    RequestLine {
        request: request.to_owned(),
        status: "401".to_owned(),
        count: 3,
        ok: 0,
        denied: 3,
        ours: 0,
        planned: 0,
        first_at_us: S,
        first_phase: "steady".to_owned(),
        last_at_us: S,
        example: None,
        retry_after: None,
    }
}

#[test]
fn a_fault_that_fell_short_is_told_with_what_mends_it() {
    let with = |requests: &[&str], kind: &str| {
        let mut trial = Trial::small();
        trial.facts.faults[0].effective = Some(0);
        let mut report = trial.report();
        report.faults[0].rests_on = Some(RestsOn::Windows);
        report.requests.extend(requests.iter().copied().map(refused));
        kind.clone_into(&mut report.target.kind);
        assert_eq!(report.decision, Decision::Hold);
        summary(&report)
    };
    let token = with(&["metrics", "trim"], "url");
    let next = line(&token, "- **What to do next.** ");
    assert!(next.contains("KHALA_TARGET_ADMIN_TOKEN, or target.admin_token"), "{next}");
    let blame = line(&token, "- **Whether the test is to blame.** ");
    assert!(blame.contains("yes: it was not given the operators' token"), "{blame}");
    let window = with(&[], "url");
    let next = line(&window, "- **What to do next.** ");
    assert!(next.contains("--retain TOPIC=EVENTS") && !next.contains("ADMIN_TOKEN"), "{next}");
    let embedded = with(&[], "reference");
    let next = line(&embedded, "- **What to do next.** ");
    assert!(!next.contains("--retain"), "{next}");
}

#[test]
fn that_the_operators_token_is_missing_is_known_by_how_requests_counted_and_not_by_words() {
    let next = |denied: u64, planned: u64| {
        let mut trial = Trial::small();
        trial.facts.faults[0].effective = Some(0);
        let mut report = trial.report();
        report.faults[0].rests_on = Some(RestsOn::Request);
        let told = RequestLine { denied, planned, status: "said no".to_owned(), ..refused("trim") };
        report.requests.push(told);
        line(&summary(&report), "- **What to do next.** ").to_owned()
    };
    assert!(next(3, 0).contains("ADMIN_TOKEN"), "{}", next(3, 0));
    for (denied, planned) in [(0, 0), (3, 3)] {
        assert!(!next(denied, planned).contains("ADMIN_TOKEN"), "{denied}, {planned}");
    }
    // The judge counts them from the answers themselves.
    let mut trial = Trial::small();
    trial.records.push(tried(Request::Trim, Outcome::RefusedAuth, "401"));
    trial.records.push(tried(Request::Trim, Outcome::ProtocolError, "403 of a proxy"));
    let report = trial.report();
    let denied = report.requests.iter().filter(|line| line.request == "trim");
    assert_eq!(denied.map(|line| line.denied).collect::<Vec<_>>(), [1, 0]);
}

#[test]
fn a_trim_that_is_refused_where_the_metrics_are_answered_does_not_want_for_the_token() {
    let next = |metrics: Option<RequestLine>| {
        let mut trial = Trial::small();
        trial.facts.faults[0].effective = Some(0);
        let mut report = trial.report();
        "retention_trim".clone_into(&mut report.faults[0].kind);
        report.faults[0].rests_on = Some(RestsOn::Request);
        report.requests.push(refused("trim"));
        report.requests.extend(metrics);
        line(&summary(&report), "- **What to do next.** ").to_owned()
    };
    let answered = RequestLine { ok: 3, denied: 0, ..refused("metrics") };
    let told = next(Some(answered));
    assert!(told.contains("none of the contract") && told.contains("pruned-log.toml"), "{told}");
    assert!(!told.contains("ADMIN_TOKEN"), "{told}");
    for metrics in [None, Some(refused("metrics"))] {
        let told = next(metrics);
        assert!(told.contains("ADMIN_TOKEN"), "{told}");
    }
}

/// The disconnect of the storm's run, in another fault's place.
const CUT: &str = "type = \"disconnect\"\nat = \"2s\"\nmode = \"all\"";

#[test]
fn what_a_fault_rests_on_is_the_plans_to_say_and_no_words_of_its_proof() {
    let short = |fault: &str, proof: &str| {
        let mut trial = Trial::storm(&[(CUT, fault)]);
        (trial.facts.faults[0].planned, trial.facts.faults[0].effective) = (1, Some(0));
        proof.clone_into(&mut trial.facts.faults[0].proof);
        let mut report = trial.report();
        report.requests.push(refused("trim"));
        (report.faults[0].rests_on, summary(&report))
    };
    let away = |resume| {
        format!(
            "type = \"offline\"\nat = \"1s\"\nattributes = {{ offline_for = \"1s\", resume = \"{resume}\" }}"
        )
    };
    let trim = "type = \"retention_trim\"\nat = \"1s\"\nattributes = { topic = \
                \"runtime.codex_worker_events\", keep = 1 }";
    let burst = "type = \"publish_burst\"\nat = \"1s\"\nattributes = { events = 5, over = \"1s\" }";
    for (fault, rests_on) in [
        (away("below-floor").as_str(), Some(RestsOn::Windows)),
        (trim, Some(RestsOn::Request)),
        (away("kept").as_str(), None),
        (burst, None),
    ] {
        for proof in ["3 of 5 publishes acknowledged", "such a cursor", ""] {
            let (told, text) = short(fault, proof);
            assert_eq!(told, rests_on, "{fault}");
            let next = line(&text, "- **What to do next.** ");
            assert_eq!(
                next.contains("ADMIN_TOKEN"),
                rests_on.is_some(),
                "{fault}, {proof}: {next}"
            );
        }
    }
}

#[test]
fn each_distinct_reason_of_a_hold_is_told_once_and_worst_first() {
    let mut trial = Trial::small();
    trial.facts.faults[0].effective = Some(0);
    let mut report = trial.report();
    for why in ["records are missing", "records are missing", "something else is"] {
        report.of_the_run.push(RunReason::other(why));
    }
    let late = "its timers were late";
    report.of_the_run.push(RunReason::new(Against::Generator, late));
    let text = summary(&report);
    let headline = line(&text, "**Do not decide");
    assert!(headline.contains("too busy to measure anything but itself, and for "), "{headline}");
    let next = line(&text, "- **What to do next.** ");
    let at = |what: &str| next.find(what).unwrap_or_else(|| panic!("{what}: {next}"));
    let order = [at("(1) As the machine"), at("(2) As a disturbance"), at("records are missing")];
    assert!(order.is_sorted(), "{next}");
    assert_eq!(next.matches("records are missing").count(), 1, "{next}");
    // What the same mends is told together.
    assert!(next.contains("As records are missing, and something else is: Mend what"), "{next}");
}

#[test]
fn what_was_not_tested_stands_under_the_headline_of_a_go() {
    let mut report = Trial::small().report();
    report.decision = Decision::Go;
    assert!(summary(&report).contains("all that this run was asked to show holds"));
    let one = &mut report.gates[0].objectives[0];
    (one.verdict, one.reason) = (Verdict::NotApplicable, "nobody is slow".to_owned());
    "violations".clone_into(&mut one.metric);
    "rule=no_eviction".clone_into(&mut one.selector);
    let text = summary(&report);
    let first: Vec<_> = text.lines().take(6).collect();
    assert!(first[2].contains("Not tested: no_eviction."), "{first:?}");
    assert!(first[4].starts_with("- **What was not tested.** "), "{first:?}");
    assert!(first[4].contains("[rule=no_eviction]: nobody is slow"), "{first:?}");
    assert_eq!(
        text.matches("nobody is slow").count(),
        2,
        "beside its gate, and nowhere else: {text}"
    );
    let screen = screen(&report);
    let untested = screen.find("Untested").expect("it is told");
    assert!(screen.find("Not tested: no_eviction.").is_some_and(|headline| headline < untested));
    assert!(screen.find("Tried").is_some_and(|tried| untested < tried), "{screen}");
}

#[test]
fn what_a_gate_file_asks_in_vain_is_mended_there_and_not_by_another_run() {
    let mut report = Trial::small().report();
    report.decision = Decision::Hold;
    let one = &mut report.gates[0].objectives[0];
    one.verdict = Verdict::Inconclusive;
    one.never_kept = Some("a back-off of 2 s".to_owned());
    one.it_takes = Some("ask for p(80) < 6s".to_owned());
    assert!(summary(&report).contains("Mend the scenario and run it again: ask for p(80) < 6s"));
    report.judged_by = Some("my gates.toml".to_owned());
    let text = summary(&report);
    let next = line(&text, "- **What to do next.** ");
    assert!(next.contains("Mend my gates.toml and judge by it again, no run is needed"), "{next}");
    assert!(!next.contains("run it again"), "{next}");
}

//! What leaves a run or a claim undecided is told with what would take it away, and with what of the run it is.

use super::objectives::objective;
use super::*;
use crate::judge::open;
use crate::record::{Answered, Outcome, Published, Request};

const P90: &str = "metric = \"delivery\"\nduring = [\"before\"]\nrequire = \"p(90) < 100ms\"\n";

fn of_deliveries(more: &str, facts: &RunFacts) -> ObjectiveVerdict {
    objective(&format!("{P90}{more}"), &delivered(20, |_| 20_000), facts)
}

#[test]
fn what_leaves_the_run_undecided_says_what_it_takes() {
    let mut cut_short = facts();
    cut_short.interrupted = true;
    let verdict = in_court(&plan(), &delivered(1, |_| 500), &cut_short, judge);
    let reason = verdict.of_the_run.iter().find(|one| one.why.contains("interrupted"));
    assert_eq!(reason.expect("it is said").it_takes.as_deref(), Some("a run to its end"));
}

#[test]
fn too_few_samples_and_seconds_say_how_many_more_it_takes() {
    let takes = |more: &str| of_deliveries(more, &facts()).it_takes;
    assert_eq!(
        takes("min_samples = 900").as_deref(),
        Some("900 samples of delivery (300 more than came)")
    );
    assert_eq!(
        takes("min_samples = 601").as_deref(),
        Some("601 samples of delivery (1 more than came)")
    );
    assert_eq!(takes("reach = \"1 %\"").as_deref(), Some("269 more seconds in its phases"));
    assert_eq!(takes("min_samples = 600"), None, "it passes");
    let mut killed = facts();
    killed.unfinished = Some("it was killed".to_owned());
    let cut = of_deliveries("min_samples = 900", &killed);
    assert_eq!(cut.it_takes.as_deref(), Some("a run to its end"));
    let max = "metric = \"delivery\"\nduring = [\"before\"]\nrequire = \"max < 100ms\"";
    let none = objective(max, &[lag(5 * S, 1)], &facts());
    assert_eq!(none.it_takes.as_deref(), Some("1 sample of delivery (1 more than came)"));
}

#[test]
fn a_rule_that_had_no_case_takes_an_occasion_and_a_run_without_deliveries_takes_those() {
    let takes = |records: &[Record]| {
        let verdict = in_court(&plan(), records, &facts(), judge);
        verdict.gates[0].objectives[0].it_takes.clone().expect("it is said")
    };
    assert!(takes(&delivered(1, |_| 500)).starts_with("an occasion for the rule"));
    assert!(takes(&[]).starts_with("clients that connect, and what is published"));
}

/// A command of the load, and how it ended.
fn command(n: u32, at: u64, (outcome, status): (Outcome, &str)) -> [Record; 2] {
    let (client, request, start) = (None, Request::Publish, at);
    let (status, example, retry_after) = (status.into(), None, None);
    let done = at + 100;
    let published = Published {
        outcome,
        ..testing::published(PublishId::Planned(n), 0, [at, done], Some(u64::from(n)))
    };
    let at = done;
    let answered = Answered { client, request, start, at, outcome, status, example, retry_after };
    [Record::Answered(answered), Record::Published(published)]
}

#[test]
fn a_claim_on_requests_that_is_broken_says_what_came_instead() {
    let text = "metric = \"publish_errors\"\nduring = [\"before\"]\nrequire = \"proportion <= 1%\"\n\
                min_samples = 1";
    let of = |failed_at: u64| {
        let refused = (Outcome::ConnectionFailed, "connection refused");
        let mut records: Vec<_> =
            [command(1, 5 * S, (Outcome::Ok, "202")), command(2, failed_at, refused)].concat();
        records.push(lag(5 * S, 1));
        objective(text, &records, &facts())
    };
    let broken = of(6 * S);
    assert_eq!((broken.n, broken.bad), (2, 1));
    assert!(broken.reason.contains("; over the whole run: 1 connection refused"), "{broken:?}");
    // What failed in other phases broke nothing here.
    let kept = of(40 * S);
    assert_eq!((kept.n, kept.bad), (1, 0));
    assert!(!kept.reason.contains("over the whole run"), "{kept:?}");
}

#[test]
fn of_an_unfit_generator_it_is_told_that_it_was_that() {
    let mut records = delivered(20, |_| 20_000);
    records.retain(|record| !matches!(record, Record::SchedulerLag { .. }));
    records.extend((0..61).map(|second| lag(second * S, 3_500_000)));
    records.extend(command(1, 5 * S, (Outcome::Timeout, "timeout")));
    let of = objective(P90, &records, &facts());
    assert_eq!((of.verdict, of.against), (Verdict::Inconclusive, Some(Against::Generator)));
    let verdict = in_court(&plan(), &records, &facts(), judge);
    for (gate, selector) in
        [(ORACLE_GATE, "rule=no_convergence"), (STABILITY_GATE, "kind=publish_errors")]
    {
        let gate = verdict.gates.iter().find(|one| one.name == gate).expect("it is judged");
        let one = gate.objectives.iter().find(|one| one.selector == selector).expect(selector);
        assert_eq!(
            (one.verdict, one.against),
            (Verdict::Inconclusive, Some(Against::Generator)),
            "{one:?}"
        );
    }
}

#[test]
fn a_target_that_was_never_asked_takes_clients_that_ask_it() {
    let absence = |records: &[Record]| {
        let verdict = in_court(&plan(), records, &facts(), judge);
        let gate = verdict.gates.iter().find(|one| one.name == STABILITY_GATE).expect("the gate");
        gate.objectives.iter().find(|one| one.metric == "absence").expect("it is judged").clone()
    };
    let never = absence(&[]);
    assert_eq!(never.verdict, Verdict::Inconclusive);
    assert_eq!(
        never.it_takes.as_deref(),
        Some("clients that come so far as to ask the target"),
        "{never:?}"
    );
    assert_eq!(absence(&delivered(1, |_| 500)).it_takes, None);
}

#[test]
fn what_each_rule_leaves_open_is_told_with_why_and_mended_in_its_own_way() {
    let told = |rule: Rule| {
        let leave_open = |settled: &mut Settled| settled.tally.undecided_cases(rule, 9);
        in_court_with(&plan(), &delivered(20, |_| 500), &facts(), leave_open, open::told)
    };
    for (rule, why, what) in [
        (
            Rule::WrongReason,
            "by floor and head in the target's metrics",
            "read the target's metrics",
        ),
        (Rule::StateStale, "what a client had of a document", "whether snapshots were refused"),
        (Rule::BadSnapshot, "nobody else was sent the documents", "whether snapshots were refused"),
        (Rule::LostPublish, "the run did not drain", "a longer `drain_within`"),
        (Rule::NoEviction, "too little came to their end", "be slow for longer"),
        (Rule::UnboundedBuffer, "too little came to their end", "be slow for longer"),
        (Rule::NoConvergence, "left by plan or with the run before", "clients stay for longer"),
        (Rule::AuthzLeak, "the tokens were not tried far enough", "what became of the bad tokens"),
        (Rule::CommandAccepted, "commands over the socket had no answer", "answer commands over"),
        (Rule::Nonmonotonic, "than is remembered of each client", "with fewer documents"),
        (Rule::StateRegress, "than is remembered of each client", "with fewer documents"),
    ] {
        let said = told(rule);
        assert!(said.starts_with(&format!("9 of {rule}: ")) && said.contains(why), "{said}");
        assert!(open::remedy(rule).contains(what), "{rule}: {}", open::remedy(rule));
    }
    assert_eq!(told(Rule::Gap), "9 of gap");
    assert!(open::remedy(Rule::Gap).contains("with more clients"));
}

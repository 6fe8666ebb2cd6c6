//! Mistakes beside a name that nobody has: they are told with it, and not once it is mended.

use crate::testing::{Load, complaints, edited};

/// Asserts that each of these is a complaint, a line each, and that there is no other.
fn told(edits: &[(&str, &str)], expected: &[&str]) {
    let found = complaints(edits);
    for complaint in expected {
        assert!(found.contains(complaint), "no {complaint} in:\n{found}");
    }
    assert_eq!(found.lines().count(), expected.len(), "{found}");
}

#[test]
fn a_claim_is_read_beside_a_misspelt_metric() {
    let misspelt = ("metric = \"time_to_recovered\"", "metric = \"time_to_recoverd\"");
    let metric = "there is no metric `time_to_recoverd` -> did you mean `time_to_recovered`?";
    // A claim about the metric that is meant, and what else stands there.
    told(&[misspelt, ("p(90) < 20s", "p(90) < 20")], &[metric, "`20`"]);
    told(
        &[misspelt, ("where = { surface = \"*\" }", "where = { rule = \"gap\" }")],
        &[metric, "samples of `time_to_recovered` have no label `rule`"],
    );
    // One whose mistakes are no more than the name has no other.
    told(&[misspelt], &[metric]);
}

#[test]
fn a_claim_about_nothing_is_told_beside_a_metric_that_nobody_can_guess() {
    let unknown = ("metric = \"violations\"", "metric = \"happiness_of_users\"");
    let metric = "there is no metric `happiness_of_users`";
    told(&[unknown, ("count == 0", "count is zero")], &[metric, "makes no comparison"]);
    told(&[unknown], &[metric]);
    let absent = ("metric = \"violations\"\nrequire = \"count == 0\"", "require = \"count > 0\"");
    told(&[absent], &["lacks `metric`", "`>` is not a comparison of claims"]);
    let against = "require = \"ratio < 2\"\nagainst = [\"nowhere\"]";
    told(&[unknown, ("require = \"count == 0\"", against)], &[metric, "no phase `nowhere`"]);
}

#[test]
fn what_a_fault_says_is_read_beside_a_misspelt_type() {
    let misspelt = ("type = \"disconnect\"", "type = \"disconect\"");
    let fault = "there is no fault `disconect` -> did you mean `disconnect`?";
    told(
        &[
            misspelt,
            ("mode = \"all\"", "mode = \"most\"\ncohort = \"nobody\""),
            ("style = \"reset\"", "style = \"rest\""),
        ],
        &[fault, "`most`", "the fleet has no cohort `nobody`", "`rest`"],
    );
    told(&[misspelt], &[fault]);
    let unknown = ("type = \"disconnect\"", "type = \"earthquake\"");
    told(
        &[unknown, ("mode = \"all\"", "duration = \"long\"\nspread = 3\ncohort = \"nobody\"")],
        &[
            "there is no fault `earthquake`",
            "`long`",
            "`spread`",
            "the fleet has no cohort `nobody`",
        ],
    );
}

#[test]
fn what_a_load_says_is_read_beside_an_arrival_that_there_is_not() {
    told(
        &[("rate = \"4/s\"\narrival = \"constant\"", "rate = \"fast\"\narrival = \"steady\"")],
        &["`fast`", "`steady`"],
    );
}

#[test]
fn what_is_nearly_right_is_no_plan() {
    let text = edited(&[("metric = \"time_to_recovered\"", "metric = \"time_to_recoverd\"")]);
    assert!(Load::of(&text).load().is_err());
    let text = edited(&[("type = \"disconnect\"", "type = \"disconect\"")]);
    assert!(Load::of(&text).load().is_err());
}

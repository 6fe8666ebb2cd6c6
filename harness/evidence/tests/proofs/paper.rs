//! `report.html` on paper and its first lines: every gate stands on the first page, and under the verdict what was tested.

use khala_evidence::judge::ObjectiveVerdict;
use khala_evidence::report::RunReport;
use roxmltree::Node;

use crate::page::{broken, page, parsed, part, without_script, words};

/// The rows of a part that have this class and, where `shown` says so, stand on the first page of paper.
fn objectives(part: Node<'_, '_>, on_first: Option<bool>) -> usize {
    let classes = part.descendants().filter_map(|it| it.attribute("class"));
    let rows = classes.filter(|class| class.split(' ').next() == Some("objective"));
    rows.filter(|class| on_first.is_none_or(|first| first != class.ends_with("later"))).count()
}

#[test]
fn paper_has_every_gate_first_and_counts_the_objectives_that_stand_on_its_second_page() {
    let mut report = broken();
    assert!(!page(&report).contains("id=\"gates-more\""), "there is room for all");
    let gate = report.gates.iter().find(|gate| gate.name == "oracle").expect("the oracle").clone();
    let failed = gate.objectives.iter().find(|one| one.bad > 0).expect("a broken rule").clone();
    for n in 0..8 {
        let mut more = gate.clone();
        more.name = format!("more-{n}");
        more.objectives = vec![failed.clone(); 14];
        if n == 7 {
            let metric = "connect".to_owned();
            more.objectives.push(ObjectiveVerdict { metric, ..failed.clone() });
        }
        report.gates.push(more);
    }
    let text = without_script(&page(&report));
    let page = parsed(&text);
    let (gates, more) = (part(&page, "gates"), part(&page, "gates-more"));
    let later = objectives(gates, Some(false));
    assert_eq!(later, objectives(more, None));
    assert!(more.attribute("hidden").is_some(), "on a screen all of it stands in one place");
    let first = objectives(gates, Some(true));
    assert!((5..50).contains(&first), "{first} on the first page");
    // What fails is looked for before the rules, which the second page tells in any case.
    let mut names = gates.descendants().filter(|it| it.attribute("class") == Some("objective"));
    assert!(names.any(|row| words(row).contains("connect [gap]")), "{text}");
    let said = gates.descendants().filter(|it| it.attribute("class") == Some("clean paper"));
    let said = said.map(words).map(|said| {
        let n = said.split("and ").nth(1).and_then(|it| it.split(' ').next()).expect("a count");
        n.parse::<usize>().expect("a number")
    });
    assert_eq!(said.sum::<usize>(), later);
}

#[test]
fn what_was_tested_and_was_switched_on_in_it_stands_under_the_verdict() {
    let mut report = broken();
    let subject = |report: &RunReport| {
        let text = without_script(&page(report));
        let page = parsed(&text);
        let subject = page.descendants().find(|it| it.attribute("class") == Some("subject"));
        words(subject.expect("a sentence"))
    };
    report.target.kind = "url".to_owned();
    report.target.url = "https://sync.example.com".to_owned();
    report.target.build = Some("b42".to_owned());
    report.target.defects.clear();
    assert_eq!(subject(&report), "Tested: https://sync.example.com; its build: b42.");
    report.target.kind = "reference".to_owned();
    report.target.build = None;
    report.target.defects = ["a", "b", "c", "d", "e"].map(str::to_owned).into();
    let told = subject(&report);
    assert!(told.contains("the reference runtime that is built in, at https://sync"), "{told}");
    assert!(told.contains("its build: not known. The target was started with 5 defects"), "{told}");
    let named =
        "on purpose: a, b, c and 2 more, under Provenance. This is no judgement of a real one.";
    assert!(told.ends_with(named), "{told}");
    assert_eq!(page(&report).matches("This is no judgement of a real one").count(), 1);
}

//! `report.html`: its figures are those of `run.json`, it is the same whenever it is made, it asks for nothing from
//! elsewhere, everything is said without script and style, and no text in it is anything but text.

use khala_evidence::facts::Finding;
use khala_evidence::judge::Verdict;
use khala_evidence::oracle::Rule;
use khala_evidence::render::report_html;
use khala_evidence::report::{RequestLine, RunReport};
use khala_evidence::shard::flight::{Flight, Frame, Story};
use proptest::prelude::*;
use roxmltree::{Document, Node, ParsingOptions};
use serde_json::Value;

use crate::support::cases;
use crate::support::edit::{apply, missing_mid_stream};
use crate::support::reading::file;
use crate::support::trial::Trial;

pub fn page(report: &RunReport) -> String {
    file("report.html", report)
}

/// A run with one update missing.
pub fn broken() -> RunReport {
    let mut trial = Trial::small();
    trial.records = apply(&trial.records, &missing_mid_stream(&trial.records)[5]);
    trial.report()
}

/// The page without what its own scripts and styles hold: all that is there for whoever has neither.
pub fn without_script(page: &str) -> String {
    let mut out = String::new();
    let mut rest = page;
    while let Some(start) = ["<script", "<style"].iter().filter_map(|it| rest.find(it)).min() {
        let end = rest[start..].find("</s").map_or(rest.len(), |end| start + end);
        let close = rest[end..].find('>').map_or(rest.len(), |close| end + close + 1);
        out.push_str(&rest[..start]);
        rest = &rest[close..];
    }
    out + rest
}

pub fn parsed(text: &str) -> Document<'_> {
    let options = ParsingOptions { allow_dtd: true, ..ParsingOptions::default() };
    Document::parse_with_options(text, options).expect("well-formed")
}

pub fn words(node: Node<'_, '_>) -> String {
    let texts = node.descendants().filter(Node::is_text).filter_map(|text| text.text());
    texts.collect::<String>().split_whitespace().collect::<Vec<_>>().join(" ")
}

pub fn part<'a>(page: &'a Document<'_>, id: &str) -> Node<'a, 'a> {
    page.descendants().find(|node| node.attribute("id") == Some(id)).expect("such a part")
}

/// The rows of the table with this caption, each as its cells.
fn rows<'a>(part: Node<'a, 'a>, caption: &str) -> Vec<Vec<Node<'a, 'a>>> {
    let table = part.descendants().filter(|it| it.has_tag_name("table")).find(|table| {
        table.children().any(|it| it.has_tag_name("caption") && words(it) == caption)
    });
    let table = table.unwrap_or_else(|| panic!("no table {caption}"));
    let body = table.children().find(|it| it.has_tag_name("tbody")).expect("a body");
    let rows = body.children().filter(|it| it.has_tag_name("tr"));
    rows.map(|row| row.children().filter(Node::is_element).collect()).collect()
}

/// The numbers that stand behind a cell's figures.
fn data(cell: Node<'_, '_>) -> Vec<f64> {
    let data = cell.descendants().filter(|it| it.has_tag_name("data"));
    data.map(|it| it.attribute("value").and_then(|it| it.parse().ok()).expect("a number")).collect()
}

/// What a figure says to people, as the number that it stands for, and how far its last digit leaves that open.
fn said(cell: Node<'_, '_>) -> Option<(f64, f64)> {
    let text = words(cell);
    let text = text.trim_start_matches("> ");
    let (figure, unit) = text.split_once(' ').unwrap_or((text, ""));
    let figure = figure.trim_end_matches("/s").replace(',', "");
    let decimals = figure.split_once('.').map_or(0, |(_, decimals)| decimals.len());
    let open = 0.500_001 / 10_f64.powi(i32::try_from(decimals).expect("few digits"));
    let unit = match unit {
        "s" => 1e6,
        "ms" => 1e3,
        "%" => 0.01,
        _ => 1.0,
    };
    Some((figure.parse::<f64>().ok()? * unit, open * unit))
}

fn assert_says(cell: Node<'_, '_>, expected: &Value) {
    match expected.as_f64() {
        None => assert!(data(cell).is_empty() && said(cell).is_none(), "{}", words(cell)),
        Some(expected) => {
            assert_eq!(data(cell), [expected]);
            let (said, open) = said(cell).unwrap_or_else(|| panic!("none in {}", words(cell)));
            assert!((said - expected).abs() <= open, "{said} for {expected}");
        }
    }
}

fn of<'a>(value: &'a Value, key: &str) -> &'a Value {
    value.get(key).unwrap_or(&Value::Null)
}

fn assert_gates(page: &Document<'_>, run: &Value) {
    let mut gate = &Value::Null;
    let (mut told, mut objectives) = (0, [].iter());
    for cells in rows(part(page, "gates"), "Every gate with what was measured") {
        let row = cells[0].parent().expect("a row");
        match row.attribute("class") {
            Some("gate") => {
                let gates = run["gates"].as_array().expect("gates");
                let name = words(cells[0]);
                let named = |gate: &&Value| {
                    name.split_whitespace().any(|word| Some(word) == gate["name"].as_str())
                };
                gate = gates.iter().find(named).expect("such a gate");
                objectives = gate["objectives"].as_array().expect("objectives").iter();
                told += 1;
            }
            Some("objective") => {
                let name = words(cells[1]);
                let require = words(cells[2]);
                let same = |one: &&Value| {
                    let selector = one["selector"].as_str().unwrap_or_default();
                    let label = selector.split_once('=').map_or(selector, |(_, label)| label);
                    name.starts_with(one["metric"].as_str().unwrap_or_default())
                        && name.contains(label)
                        && one["require"] == *require
                };
                let one = objectives.find(same).unwrap_or_else(|| panic!("{gate} has no {name}"));
                assert!(words(cells[0]).ends_with(one["verdict"].as_str().expect("a verdict")));
                assert_says(cells[3], of(one, "estimate"));
                let ends = [of(one, "lower"), of(one, "upper")];
                let ends: Vec<f64> = ends.into_iter().filter_map(Value::as_f64).collect();
                assert_eq!(data(cells[4]), ends, "{name}");
                assert_says(cells[5], of(one, "n"));
                assert_eq!(data(cells[2]).len(), 1, "the bound of {name}");
                assert!(cells[6].descendants().any(|it| it.has_tag_name("svg")), "{name}");
            }
            _ => {}
        }
    }
    assert_eq!(told, run["gates"].as_array().expect("gates").len());
}

fn assert_figures(page: &Document<'_>, run: &Value) {
    let lines = run["metrics"].as_array().expect("figures");
    let lines: Vec<_> = lines.iter().filter(|line| line["response"].is_object()).collect();
    let rows = rows(part(page, "figures"), "Figures by metric, phase and surface");
    assert_eq!(rows.len(), lines.len());
    for (cells, line) in rows.iter().zip(lines) {
        assert_eq!(words(cells[0]), line["metric"].as_str().expect("a name"));
        assert_eq!(words(cells[1]), line["phase"].as_str().expect("a name"));
        let (response, service) = (&line["response"], &line["service"]);
        for (cell, expected) in cells[3..].iter().zip([
            &line["n"],
            &line["censored"],
            &response["p50"],
            &response["p90"],
            &response["p99"],
            &response["p99_9"],
            &response["max"],
            &service["p99"],
        ]) {
            assert_says(*cell, expected);
        }
    }
}

fn assert_rules_and_faults(page: &Document<'_>, run: &Value) {
    let oracle = &run["oracle"];
    let rules = rows(part(page, "rules"), "Every rule that had an occasion");
    assert_eq!(rules.len(), oracle["violations"].as_object().expect("rules").len());
    for cells in rules {
        let rule = words(cells[0]);
        for (cell, counts) in
            cells[2..].iter().zip(["judged", "violations", "consequences", "undecided"])
        {
            assert_says(*cell, &oracle[counts][&rule]);
        }
    }
    let faults = run["faults"].as_array().expect("faults");
    let rows = rows(part(page, "faults"), "Faults, planned against effective");
    for (cells, fault) in rows.iter().zip(faults) {
        assert_says(cells[2], &fault["at_us"]);
        assert_says(cells[4], &fault["planned"]);
        assert_eq!(data(cells[5]), [fault["effective"].as_f64().expect("proven")]);
    }
    assert_eq!(rows.len(), faults.len());
}

#[test]
fn the_figures_on_the_page_are_those_of_run_json() {
    for report in [broken(), Trial::storm(&[]).report()] {
        let run = serde_json::to_value(&report).expect("serialises");
        let text = without_script(&page(&report));
        let page = parsed(&text);
        let heading = page.descendants().find(|it| it.has_tag_name("h1")).expect("a heading");
        let decision = run["decision"].as_str().expect("a decision");
        assert!(words(heading).starts_with(&format!("{decision}: ")), "{}", words(heading));
        assert_gates(&page, &run);
        assert_figures(&page, &run);
        assert_rules_and_faults(&page, &run);
    }
}

#[test]
fn everything_is_said_without_script_and_style_and_nothing_is_asked_for() {
    let report = broken();
    let whole = page(&report);
    let text = without_script(&whole);
    assert!(text.len() < whole.len() && !text.contains("style="), "no style but in its element");
    let page = parsed(&text);
    for node in page.descendants().filter(Node::is_element) {
        assert!(!["img", "iframe", "object", "base", "script"].contains(&node.tag_name().name()));
        for asks in ["src", "srcset", "action", "data"] {
            assert_eq!(node.attribute(asks), None, "{node:?}");
        }
        let href = node.attribute("href").unwrap_or("#");
        assert!(href.starts_with('#') || href == "data:,", "{href}");
        let target = href.strip_prefix('#').filter(|id| !id.is_empty());
        let there = |id| page.descendants().any(|it| it.attribute("id") == Some(id));
        assert!(target.is_none_or(there), "{href} leads nowhere");
    }
    let styles = whole.len() - text.len();
    assert!(styles > 0 && !whole.contains("@import") && !whole.contains("url("));
    // A picture a surface, and of each chart a title, a description and a table.
    for surface in report.fleet.clients.keys() {
        let figure = part(&page, &format!("latency-{}", surface.name()));
        assert!(figure.descendants().any(|it| it.has_tag_name("path")));
    }
    let figures: Vec<_> = page.descendants().filter(|it| it.has_tag_name("figure")).collect();
    assert!(figures.len() >= 6);
    for figure in figures.iter().filter(|it| it.descendants().any(|it| it.has_tag_name("path"))) {
        for needed in ["title", "desc", "table"] {
            assert!(figure.descendants().any(|it| it.has_tag_name(needed)), "no {needed}");
        }
    }
    let ids: Vec<_> = page.descendants().filter_map(|it| it.attribute("id")).collect();
    let different: std::collections::BTreeSet<_> = ids.iter().collect();
    assert_eq!(ids.len(), different.len(), "an id stands twice");
    // What a manager asks is answered before anything else is said.
    let head = page.descendants().find(|it| it.has_tag_name("header")).expect("a head");
    let head = words(head);
    for told in [
        "NO-GO: small",
        "users miss events",
        "1 of 8 clients, first at 2.5 s, 03:04:07 UTC",
        "at 4.0 s 8 clients are cut off",
        "Whether the test is to blameNo:",
    ] {
        assert!(head.replace('\u{a0}', " ").contains(told), "no {told} in {head}");
    }
}

#[test]
fn the_page_is_the_same_whenever_it_is_made_and_says_what_it_does_not_know() {
    let report = Trial::storm(&[]).report();
    assert!(page(&report) == page(&report.clone()));
    let text = page(&report.summary());
    for told in ["seconds are not recorded", "samples are not recorded"] {
        assert!(text.contains(told), "no {told}");
    }
}

#[test]
fn what_nothing_was_seen_of_is_nowhere_on_its_picture() {
    let mut report = broken();
    let told = |page: &str| {
        let gates = page.split("id=\"rules\"").next().expect("gates");
        (gates.matches("class=\"estimate\"").count(), gates.matches(">exact<").count())
    };
    let (dots, exact) = told(&page(&report));
    let mut all = report.gates.iter_mut().flat_map(|gate| &mut gate.objectives);
    let counted = all.find(|one| one.verdict == Verdict::Fail && one.lower.is_none());
    let counted = counted.expect("a broken rule is counted");
    (counted.n, counted.estimate, counted.verdict) = (0, Some(0.0), Verdict::Inconclusive);
    assert_eq!(told(&page(&report)), (dots - 1, exact - 1));
}

#[test]
fn a_seconds_figures_stand_at_its_end_in_picture_data_and_table_alike() {
    let mut report = broken();
    let seconds = report.series.len();
    for (second, it) in report.series.iter_mut().enumerate() {
        it.counts.errors = if second == 4 { 9 } else { 1 };
    }
    let text = page(&report);
    let script = text.split("id=\"report-data\">").nth(1).and_then(|rest| rest.split("</").next());
    let json: Value = serde_json::from_str(script.expect("the data")).expect("JSON");
    let places: Vec<f64> = serde_json::from_value(json["seconds"].clone()).expect("numbers");
    let ends = (1_u32..).take(seconds).map(f64::from).collect::<Vec<_>>();
    assert_eq!(places, ends);
    let errors = &json["charts"]["chart-trouble"]["lines"][0];
    assert_eq!((&errors["name"], &errors["y"][4]), (&"errors".into(), &9.into()));

    let text = without_script(&text);
    let page = parsed(&text);
    let trouble = part(&page, "trouble");
    assert!(
        words(trouble).contains("errors: at most 9, in the second to 5 s"),
        "{}",
        words(trouble)
    );
    let caption = "Errors, violations and sockets ended unplanned, per second, by phase";
    let table = rows(trouble, caption);
    let highest = table.iter().filter(|row| words(row[1]) == "errors" && words(row[3]) == "9");
    let highest: Vec<_> = highest.map(|row| words(row[4])).collect();
    assert_eq!(highest, ["5 s"]);
    // In the picture the fault at 4.0 s stands before what it made, by a second of the axis.
    let attribute = |it: &Node<'_, '_>, name: &str| -> f64 {
        it.attribute(name).and_then(|at| at.parse().ok()).expect("a number")
    };
    let svg =
        trouble.descendants().find(|it| it.has_tag_name("svg") && it.attribute("role").is_some());
    let svg = svg.expect("a picture");
    let lines = || svg.descendants().filter(|it| it.has_tag_name("line"));
    let axis = lines().find(|it| it.attribute("stroke-opacity") == Some("0.6")).expect("an axis");
    let (left, right) = (attribute(&axis, "x1"), attribute(&axis, "x2"));
    let fault = lines().find(|it| it.attribute("class") == Some("fault-line")).expect("a fault");
    let paths = svg.descendants().filter(|it| it.has_tag_name("path"));
    let path = paths.filter_map(|it| it.attribute("d")).next().expect("a line");
    let points = path.split(['M', 'L']).filter_map(|point| {
        let (x, y) = point.trim_end_matches("h0").split_once(' ')?;
        Some((x.parse::<f64>().ok()?, y.parse::<f64>().ok()?))
    });
    let (at, _) = points.min_by(|one, other| one.1.total_cmp(&other.1)).expect("a point");
    let second = (right - left) / f64::from(u32::try_from(seconds).expect("few"));
    assert!((at - attribute(&fault, "x1") - second).abs() < 1.0, "{at} {fault:?} {second}");
}

#[test]
fn two_runs_are_drawn_into_one_recovery_curve() {
    let report = Trial::storm(&[]).report();
    let mut other = report.clone();
    other.run_id = "otherrun".to_owned();
    let curves = |text: &str| {
        let text = without_script(text);
        let page = parsed(&text);
        let part = part(&page, "recovery");
        part.descendants().filter(|it| it.has_tag_name("path")).count()
    };
    let (one, two) = (page(&report), report_html::page(&report, Some(&other)));
    assert!(two.contains("run otherrun") && !one.contains("otherrun"));
    assert!(curves(&one) > 0 && curves(&two) == 2 * curves(&one));
}

/// A report as of a run of so many seconds, with one delivery in it that took 90 s.
fn long(seconds: u32) -> RunReport {
    let mut report = Trial::storm(&[]).report();
    let model = report.series.clone();
    let row = |second: u32| {
        let mut row = model[second as usize % model.len()].clone();
        let noise = u64::from(second.wrapping_mul(2_654_435_761) >> 18);
        row.second = second;
        row.open += noise % 977;
        row.counts.connects = noise % 61;
        row.counts.mints = noise % 59;
        row.counts.deliveries = 20_000 + noise;
        row.counts.errors = noise % 3;
        row.unplanned_ends = noise % 2;
        for (place, at) in [
            (&mut row.delivery_p50_us, 1_000),
            (&mut row.delivery_p90_us, 2_000),
            (&mut row.delivery_p99_us, 5_000),
            (&mut row.delivery_p99_9_us, 9_000),
            (&mut row.delivery_max_us, 12_000),
        ] {
            *place = Some(at + noise % 3_333);
        }
        row.generator.wall_us = 1_000_000;
        row.generator.cpu_us = noise * 31;
        row.generator.hottest_us = noise * 17;
        row.generator.waited_us = noise * 3;
        row.generator.lag_max_us = 60 + noise;
        row.generator.queue_max_us = 40 + noise;
        row
    };
    report.series = (0..seconds).map(row).collect();
    if let Some(last) = report.phases.last_mut() {
        last.end_us = u64::from(seconds) * 1_000_000;
    }
    report.series[seconds as usize / 2].delivery_max_us = Some(90_000_000);
    report
}

/// The path of the slowest deliveries, and what the script draws of them.
fn slowest(text: &str) -> (String, Vec<u64>) {
    let script = text.split("id=\"report-data\">").nth(1).and_then(|rest| rest.split("</").next());
    let json: Value = serde_json::from_str(script.expect("the data")).expect("JSON");
    let lines = json["charts"]["chart-delivery"]["lines"].as_array().expect("lines");
    let line = lines.iter().find(|line| line["name"] == "largest").expect("such a line");
    let values = line["y"].as_array().expect("values").iter().filter_map(Value::as_u64).collect();
    let text = without_script(text);
    let page = parsed(&text);
    let mut paths = part(&page, "delivery").descendants().filter(|it| it.has_tag_name("path"));
    (paths.next_back().and_then(|it| it.attribute("d")).expect("a path").to_owned(), values)
}

#[test]
fn a_page_is_small_however_long_the_run_and_one_spike_in_a_day_is_seen() {
    for (seconds, kib) in [(72, 400), (20 * 60, 1_024), (3_600, 1_024), (86_400, 3_072)] {
        let report = long(seconds);
        let text = page(&report);
        assert!(text.len() < kib * 1_024, "{seconds} s: {} bytes", text.len());
        let (path, values) = slowest(&text);
        assert!(values.contains(&90_000_000), "{seconds} s");
        // The spike is the highest point of its line: nothing else is drawn above half of it.
        let heights = path.split(['M', 'L', 'h']).filter_map(|point| point.split(' ').nth(1));
        let heights: Vec<f64> = heights.filter_map(|y| y.parse().ok()).collect();
        let top = heights.iter().copied().fold(f64::MAX, f64::min);
        let others = heights.iter().filter(|y| **y > top + 1.0);
        let next = others.copied().fold(f64::MAX, f64::min);
        assert!(next - top > 50.0, "{seconds} s: {top} and {next}");
    }
}

/// A storm in which every rule is broken for other clients, each with as much to tell as is kept of one.
fn all_broken(bytes: usize) -> RunReport {
    let mut report = broken();
    report.series = long(72).series;
    let model = report.oracle.causes[0].clone();
    let excerpt = "x".repeat(bytes);
    let causes = Rule::ALL.iter().zip(0..).map(|(rule, client)| {
        let mut flight = Flight::default();
        for at_us in 0..16 {
            let excerpt = excerpt.as_str().into();
            flight.frame(Frame { at_us, sent: false, bytes: 1_000, excerpt });
        }
        report.stories.keep(client, Story { at_us: 20, flight });
        let mut cause = model.clone();
        cause.rule = *rule;
        (cause.first.rule, cause.first.client) = (*rule, Some(client));
        report.oracle.violations.insert(rule.name().to_owned(), 1);
        cause
    });
    report.oracle.causes = causes.collect();
    report
}

#[test]
fn a_page_is_small_however_much_is_broken_and_the_worst_is_told_whole() {
    let clients = |page: &str| page.matches("<details class=\"client\">").count();
    let few = page(&all_broken(20));
    assert!(few.len() < 400 << 10 && clients(&few) == 20, "{} bytes", few.len());
    let many = page(&all_broken(1_500));
    assert!(many.len() < 400 << 10, "{} bytes", many.len());
    assert!((1..20).contains(&clients(&many)), "{} clients", clients(&many));
    // Of whom nothing is shown it stands how to see it.
    assert_eq!(
        many.matches("khala-harness explain . ").count(),
        few.matches("khala-harness explain . ").count()
    );
}

/// Every text of a report that a target, an environment or a scenario may have a say in.
fn with_text(text: &str) -> RunReport {
    let mut report = broken();
    let own = || text.to_owned();
    for place in [&mut report.scenario.name, &mut report.target.url, &mut report.run_id] {
        *place = own();
    }
    report.scenario.description = Some(own());
    report.scenario.profile = Some(own());
    report.target.build = Some(own());
    report.target.defects = vec![own()];
    report.findings.push(Finding::at_end(text, own(), 3));
    for cause in &mut report.oracle.causes {
        cause.first.message = own();
        cause.kind = own();
    }
    for kept in &mut report.oracle.kept {
        kept.message = own();
    }
    for fault in &mut report.faults {
        fault.proof = own();
    }
    report.requests.push(RequestLine {
        request: own(),
        status: own(),
        count: 3,
        ok: 0,
        denied: 0,
        ours: 0,
        planned: 1,
        first_at_us: 1,
        first_phase: own(),
        last_at_us: 2,
        example: Some(own()),
        retry_after: Some(own()),
    });
    for objective in report.gates.iter_mut().flat_map(|gate| &mut gate.objectives) {
        objective.reason = own();
    }
    let client = report.oracle.causes.first().and_then(|cause| cause.first.client);
    let mut flight = Flight::default();
    for sent in [false, true] {
        flight.frame(Frame { at_us: 1, sent, bytes: 7, excerpt: text.into() });
    }
    report.stories.keep(client.expect("a client"), Story { at_us: 2, flight });
    report
}

/// What a browser makes of a page: its elements with the names of their attributes, in order.
fn skeleton(text: &str) -> Vec<String> {
    let text = without_script(text);
    let page = parsed(&text);
    // How long texts are says what of the gates stands on which page of paper.
    let for_paper = |node: &Node<'_, '_>| {
        let mut within = node.ancestors().filter_map(|it| it.attribute("class"));
        within.any(|class| class.split(' ').any(|it| it == "paper"))
    };
    let elements = page.descendants().filter(|node| node.is_element() && !for_paper(node));
    let told = elements.map(|node| {
        let attributes: Vec<_> = node.attributes().map(|it| it.name().to_owned()).collect();
        format!("{} {}", node.tag_name().name(), attributes.join(" "))
    });
    told.collect()
}

fn assert_inert(text: &str) {
    let (harmless, page) = (page(&with_text("x")), page(&with_text(text)));
    assert_eq!(skeleton(&page), skeleton(&harmless), "{text:?}");
    for tag in ["<script", "</script", "<style", "</style", "<!--", "]]>"] {
        assert_eq!(page.matches(tag).count(), harmless.matches(tag).count(), "{tag} of {text:?}");
    }
    for unseen in ['\u{202e}', '\u{2066}', '\u{200f}', '\u{0}', '\u{1b}', '\u{feff}'] {
        assert!(!page.contains(unseen), "{unseen:?} of {text:?}");
    }
}

#[test]
fn known_tricks_are_text() {
    for text in [
        "<script>alert(1)</script>",
        "</script><script>alert(1)</script>",
        "\u{202e}gpj.exe",
        "--><img src=x onerror=alert(1)>",
        "]]></style><svg onload=alert(1)>",
        "\" onmouseover=\"alert(1)",
        "' autofocus onfocus='alert(1)",
        "&lt;script&gt; &#0; &amp;",
        "javascript:alert(1) `code` \u{0}\u{1b}[31m\r\n",
    ] {
        assert_inert(text);
        assert!(page(&with_text(text)).len() > 1_000);
    }
}

proptest! {
    #![proptest_config(cases(24))]

    #[test]
    fn any_text_is_text(
        parts in prop::collection::vec(
            prop_oneof![
                Just("<script>".to_owned()),
                Just("</script>".to_owned()),
                Just("</style>".to_owned()),
                Just("<!--".to_owned()),
                Just("\u{202e}".to_owned()),
                Just("\"><b>".to_owned()),
                any::<String>(),
            ],
            1..5,
        ),
    ) {
        assert_inert(&parts.concat());
    }
}

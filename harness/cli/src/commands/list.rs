//! `list`: what there is to choose from, a line each; with a name, all that there is to say of one.

use std::fmt::Write as _;

use khala_evidence::oracle::Rule;
use khala_plan::fault;
use khala_plan::gate::grammar;
use khala_plan::metric::{Clustering, MetricId};
use khala_plan::surface::Surface;
use khala_reference::defect::{CATALOGUE, Defect};

use crate::args::{List, Listed};
use crate::exit::{Exit, Failure};
use crate::{output, screen, show};

/// Prints one list: names, each with what it is; or what there is to say of one of them.
pub fn run(list: &List) -> Result<Exit, Failure> {
    let lines = all(list.what);
    let text = match &list.name {
        None => table(&lines),
        Some(name) => one(list.what, name).ok_or_else(|| unknown(list.what, name, &lines))?,
    };
    let text = show::screen_width().map_or_else(|| text.clone(), |it| screen::fitted(&text, it));
    output::print(text.as_bytes())?;
    Ok(Exit::Go)
}

/// Names, each with what it is.
fn all(what: Listed) -> Vec<(String, String)> {
    match what {
        Listed::Surfaces => {
            let told = |surface: Surface| (surface.name().to_owned(), topics(surface));
            Surface::ALL.iter().copied().map(told).collect()
        }
        Listed::Faults => {
            let told = |fault: &fault::FaultType| (fault.name.to_owned(), fault.summary.to_owned());
            fault::REGISTRY.iter().map(told).collect()
        }
        Listed::Metrics => {
            let told =
                |metric: &MetricId| (metric.name().to_owned(), metric.definition().to_owned());
            MetricId::ALL.iter().map(told).collect()
        }
        Listed::Rules => {
            let told = |rule: &Rule| (rule.name().to_owned(), rule.what_must_hold().to_owned());
            Rule::ALL.iter().map(told).collect()
        }
        Listed::Defects => {
            let told = |it: &Defect| (it.name.to_owned(), it.summary.to_owned());
            CATALOGUE.iter().map(told).collect()
        }
        Listed::Scenarios => khala_selftest::shipped(),
    }
}

fn table(lines: &[(String, String)]) -> String {
    let width = lines.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
    let mut text = String::new();
    for (name, what) in lines {
        // Writing to a string does not fail.
        let _ = writeln!(text, "{name:width$}  {what}");
    }
    text
}

/// That there is none of this name, and which was probably meant.
pub fn unknown(what: Listed, name: &str, lines: &[(String, String)]) -> Failure {
    let kind = what.called();
    let help = match khala_plan::closest(name, lines.iter().map(|(name, _)| name.as_str())) {
        Some(meant) => format!("did you mean `{meant}`?"),
        None => format!("`khala-harness list {}` names them all", what.word()),
    };
    Failure::new(Exit::Usage, format!("there is no {kind} `{name}`: {help}"))
}

/// What there is to say of one; `None` where there is none of that name.
fn one(what: Listed, name: &str) -> Option<String> {
    match what {
        Listed::Faults => khala_plan::fault_reference(name),
        Listed::Metrics => MetricId::of(name).map(of_metric),
        Listed::Rules => Rule::of(name).map(of_rule),
        Listed::Surfaces => Surface::of(name).map(of_surface),
        Listed::Defects => CATALOGUE.iter().find(|it| it.name == name).map(of_defect),
        Listed::Scenarios => {
            let shipped = khala_selftest::shipped();
            let (name, told) = shipped.into_iter().find(|(shipped, _)| shipped == name)?;
            Some(described(
                &format!("{name}: {told}"),
                &[
                    ("get it", format!("khala-harness init --scenario {name}")),
                    ("check it", format!("khala-harness check scenarios/{name}.toml")),
                ],
            ))
        }
    }
}

/// A sentence, and a table of what there is to add.
fn described(head: &str, rows: &[(&str, String)]) -> String {
    let rows: Vec<_> = rows.iter().map(|(key, told)| (format!("  {key}"), told.clone())).collect();
    format!("{head}\n{}", table(&rows))
}

fn topics(surface: Surface) -> String {
    let topics = surface.default_topics();
    topics.iter().map(|topic| topic.name()).collect::<Vec<_>>().join(", ")
}

fn of_surface(surface: Surface) -> String {
    let backoff = surface.default_backoff();
    let delays = (1..=4).map(|attempt| backoff.delay(0, 0, attempt));
    let delays = delays.map(|it| format!("{:.2} s", it.as_secs_f64())).collect::<Vec<_>>();
    let name = surface.name();
    described(
        &format!("{name}: a cohort of clients that behave like the real {name}"),
        &[
            ("topics", topics(surface)),
            (
                "back-off",
                format!("{}, … (drawn for one client, where it has jitter)", delays.join(", ")),
            ),
            ("heartbeat", format!("every {} s", Surface::HEARTBEAT.as_secs())),
            ("example", format!("[[fleet.surface]] with name = \"{name}\" and share = 0.5")),
        ],
    )
}

fn of_metric(metric: MetricId) -> String {
    let labels = match metric.labels() {
        [] => "none".to_owned(),
        labels => labels.join(", "),
    };
    let clusters = match metric.clustering() {
        Clustering::Seconds => "by seconds: it flows all the time",
        Clustering::Clients => "by clients: it comes of occasions",
    };
    described(
        &format!("{}: {}", metric.name(), metric.definition()),
        &[
            ("kind", metric.kind().name().to_owned()),
            ("unit", metric.unit().to_owned()),
            ("claims", grammar::estimators(metric.kind()).to_owned()),
            ("labels of `where`", labels),
            ("samples hang together", clusters.to_owned()),
            (
                "example",
                format!(
                    "metric = \"{}\", require = \"{}\"",
                    metric.name(),
                    grammar::example(metric)
                ),
            ),
            ("how it is judged", "khala-harness metrics".to_owned()),
        ],
    )
}

fn of_rule(rule: Rule) -> String {
    let name = rule.name();
    let defects = CATALOGUE.iter().filter(|defect| defect.primary == name);
    let defects = defects.map(|defect| defect.name).collect::<Vec<_>>();
    let defects = if defects.is_empty() { "none".to_owned() } else { defects.join(", ") };
    described(
        &format!("{name}: {}", rule.what_must_hold()),
        &[
            ("broken, users see", rule.what_users_see().to_owned()),
            ("judged", "always; a gate can count it by `where`".to_owned()),
            ("defects that break it", defects),
            (
                "example",
                format!(
                    "metric = \"violations\", where = {{ rule = \"{name}\" }}, require = \"count == 0\""
                ),
            ),
        ],
    )
}

fn of_defect(defect: &Defect) -> String {
    let name = defect.name;
    let beside = match defect.consequences {
        [] => "nothing".to_owned(),
        some => some.join(", "),
    };
    let shows = match defect.shows_in() {
        Some(scenario) => {
            format!("khala-harness run scenarios/{scenario}.toml --profile smoke --defect {name}")
        }
        None => format!("khala-harness selftest --matrix --only {name}"),
    };
    described(
        &format!("{name}: {}", defect.summary),
        &[
            ("caught by", defect.primary.to_owned()),
            ("may fail beside it", beside),
            ("probability", format!("{} unless told otherwise", defect.probability)),
            ("shows it", shows),
        ],
    )
}

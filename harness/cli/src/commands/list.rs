//! `list`: what there is to choose from, a line each.

use std::fmt::Write as _;

use khala_evidence::oracle::Rule;
use khala_plan::fault;
use khala_plan::metric::MetricId;
use khala_plan::surface::Surface;
use khala_reference::defect::{CATALOGUE, Defect};

use crate::args::{List, Listed};
use crate::exit::{Exit, Failure};
use crate::output;

/// Prints one list: names, each with what it is.
pub fn run(list: &List) -> Result<Exit, Failure> {
    let lines: Vec<(String, String)> = match list.what {
        Listed::Surfaces => {
            let told = |surface: Surface| {
                let topics = surface.default_topics();
                let topics: Vec<_> = topics.iter().map(|topic| topic.name()).collect();
                (surface.name().to_owned(), topics.join(", "))
            };
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
    };
    let width = lines.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
    let mut text = String::new();
    for (name, what) in lines {
        // Writing to a string does not fail.
        let _ = writeln!(text, "{name:width$}  {what}");
    }
    output::print(text.as_bytes())?;
    Ok(Exit::Go)
}

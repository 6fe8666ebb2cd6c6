//! `[[phase]]` and its faults.

use super::shape::Shape;
use super::table::{Case, Key, Table};
use crate::fault::{Extent, FaultType, REGISTRY};
use crate::model::ActsOn;
use crate::read::fault::{COUNTS, MODES};
use crate::read::phase::DURATIONS;
use crate::units::DURATION_MAX;

/// Every table of the section.
pub(super) fn tables() -> Vec<Table> {
    let mut tables = vec![phase(), fault()];
    tables.extend(REGISTRY.iter().map(attributes));
    tables
}

fn phase() -> Table {
    let keys = vec![
        Key::new(
            "name",
            Shape::name(),
            "Its name, unique; objectives refer to it. Every run also has `ramp` before and \
             `drain` after the phases.",
        )
        .required(),
        Key::new("duration", Shape::Duration(DURATIONS), "How long it is.").required(),
        Key::new(
            "measure",
            Shape::Bool,
            "Whether its samples may be judged; they are kept in any case.",
        )
        .or(true),
        Key::new("fault", Shape::Tables("fault", 0), "What goes wrong in it."),
    ];
    Table::new("phase", "A part of the run.", keys)
}

fn fault() -> Table {
    let names: Vec<&'static str> = REGISTRY.iter().map(|fault| fault.name).collect();
    let about: Vec<String> =
        REGISTRY.iter().map(|fault| format!("`{}`: {}", fault.name, fault.summary)).collect();
    let aimed = "For faults that act on clients only.";
    let keys = vec![
        Key::new("type", Shape::Words(names), about.join(" ")).required(),
        Key::new(
            "at",
            Shape::Duration(std::time::Duration::ZERO..=DURATION_MAX),
            "When, from the start of its phase; before the phase ends.",
        )
        .or("0s"),
        Key::new(
            "duration",
            Shape::Duration(DURATIONS),
            "How long it lasts, for a fault that is no instant; it ends with its phase at the \
             latest.",
        ),
        Key::new(
            "spread",
            Shape::Duration(DURATIONS),
            "Over how long it comes to its clients, one after the other at equal gaps from `at` on, so that \
             a race is tried many times; it ends with its phase at the latest.",
        ),
        Key::new(
            "mode",
            Shape::words(&MODES),
            format!(
                "Whom it hits, drawn by seed. `fixed`: `value` clients. `fixed-percent`: `value` \
                 percent of them. `random-max-percent`: a share drawn between 0 and `value` \
                 percent. {aimed}"
            ),
        )
        .or("all"),
        Key::new(
            "value",
            Shape::NumberAbove(0.0, f64::from(u32::MAX)),
            "Clients for `fixed`; a percentage, at most 100, for `fixed-percent` and \
             `random-max-percent`.",
        ),
        Key::new(
            "cohort",
            Shape::Text,
            format!("Cohort that it is aimed at. Default: the whole fleet. {aimed}"),
        ),
        Key::new(
            "attributes",
            Shape::AnyWhole(REGISTRY.iter().map(attributes_name).collect()),
            "What there is to say about a fault of its type.",
        ),
    ];
    let percent = Shape::NumberAbove(0.0, 100.0);
    let table = Table::new("fault", "Something that goes wrong.", keys)
        .case(Case::when("mode", ["fixed"]).then("value", Shape::integer(COUNTS)).needs("value"))
        .case(
            Case::when("mode", ["fixed-percent", "random-max-percent"])
                .then("value", percent)
                .needs("value"),
        );
    REGISTRY.iter().fold(table, |table, fault| table.case(case(fault)))
}

/// What is known of a fault by its type.
fn case(fault: &FaultType) -> Case {
    let mut case =
        Case::when("type", [fault.name]).then("attributes", Shape::Whole(attributes_name(fault)));
    if attributes(fault).is_needed() {
        case = case.needs("attributes");
    }
    case = match fault.extent {
        Extent::Interval => case.needs("duration").then("spread", Shape::Never),
        Extent::Instant => case.then("duration", Shape::Never).then("spread", Shape::Never),
        Extent::InstantOrInterval => case.then("spread", Shape::Never),
        Extent::InstantOfEach => case.then("duration", Shape::Never),
    };
    match fault.acts_on {
        ActsOn::Clients => case,
        ActsOn::Target => ["mode", "value", "cohort"]
            .into_iter()
            .fold(case, |case, key| case.then(key, Shape::Never)),
    }
}

fn attributes(fault: &FaultType) -> Table {
    let keys = (fault.attributes)();
    Table::new(attributes_name(fault), fault.summary, keys).replaced()
}

fn attributes_name(fault: &FaultType) -> String {
    format!("{}_attributes", fault.name)
}

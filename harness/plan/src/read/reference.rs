//! `scenarios/REFERENCE.md`: every key of scenarios and gate files, as a page for those who write
//! them.
//!
//! Made of the keys as they are declared; nothing is said here of any single one.

use super::key::{Case, Declared, Table, inline};
use super::schema::Shape;
use super::{include, scenario, tables, target};
use crate::fault::{Extent, FaultType};
use crate::model::ActsOn;

const HEAD: &str = "# Scenario reference

Every key of a scenario, and of a gate file. This page is made by `khala-harness schema --reference`
from the declarations that the reader itself goes by; a test tells when it is out of date. Editors get
the same from `scenario.schema.json` and `gates.schema.json` beside it.

A scenario is TOML. A key that is not here is refused. Strings may read the environment, `${NAME}` or
`${NAME:-default}`; what they give may also be a number or a boolean. A variable that is empty counts as
one that is not set, here and for every flag. `--set KEY=VALUE` overrides any key: `--set
fleet.clients=200`, `--set phase.storm.duration=10s`. What metrics mean, and how claims are judged, is in [METRICS.md](../harness/evidence/METRICS.md).

| type | is written as |
| --- | --- |
| duration | a text of numbers with units, longest first: `\"1h30m\"`, `\"20s\"`, `\"250ms\"`, `\"1.5s\"`; units `h`, `m`, `s`, `ms`, `us` |
| rate | a text, a number per `s`, `min` or `h`: `\"2/s\"`, `\"120/min\"` |
| size | a text, a number of `B`, `KiB` or `MiB`: `\"8KiB\"` |
| flow | a text, a size per second: `\"2KiB/s\"` |
| limit | a number `3`, or a text: a share of the occasions `\"1%\"`, a rate `\"0.05/s\"`, a share of the clients an hour `\"0.1%/h\"` |
| name | a text of up to 64 letters, digits, `-` and `_`, a letter or digit first |
| secret | where it is, never itself: `{ env = \"NAME\" }` or `{ file = \"path\" }` |

In the column *default*, **needed** is a key that must be there, and *one of these* a key of which its
table has exactly one. A dash is no default, or one that hangs on others, which the last column tells.
";

/// The page.
#[must_use]
pub fn page() -> String {
    let mut tables = vec![scenario::TABLE];
    tables.extend(tables::all());
    tables.extend([scenario::PROFILES, include::TABLE, target::profile::FILE]);
    let mut out = format!("{HEAD}\n");
    for table in &tables {
        let heading = heading(table);
        out.push_str(&format!("- [{heading}](#{})\n", anchor(&heading)));
    }
    tables.iter().for_each(|table| section(&mut out, table, &tables));
    out
}

/// What a type of fault takes, as a terminal shows it; `None` where there is no such type.
#[must_use]
pub fn of_fault(name: &str) -> Option<String> {
    let fault = crate::fault::of(name)?;
    let table = fault.table();
    let mut out = format!("{name}: {}\n", fault.summary);
    let envelope: &[&str] = match (fault.acts_on, fault.extent) {
        (ActsOn::Target, Extent::Interval) => &["at", "duration (needed)"],
        (ActsOn::Target, Extent::InstantOrInterval) => &["at", "duration"],
        (ActsOn::Target, _) => &["at"],
        (ActsOn::Clients, Extent::Interval) => {
            &["at", "duration (needed)", "mode", "value", "cohort"]
        }
        (ActsOn::Clients, Extent::InstantOrInterval) => {
            &["at", "duration", "mode", "value", "cohort"]
        }
        (ActsOn::Clients, Extent::InstantOfEach) => &["at", "spread", "mode", "value", "cohort"],
        (ActsOn::Clients, Extent::Instant) => &["at", "mode", "value", "cohort"],
    };
    let mut envelope = envelope.to_vec();
    if fault.by_hand {
        envelope.push("by_hand");
    }
    let acts_on = match fault.acts_on {
        ActsOn::Clients => "clients",
        ActsOn::Target => "the target",
    };
    out.push_str(&format!(
        "It acts on {acts_on}. Of the keys of every fault it takes {} (`khala-harness schema --reference`).\n",
        envelope.join(", ")
    ));
    if table.keys.is_empty() {
        out.push_str("\nIt has no attributes.\n");
    } else {
        out.push_str("\nattributes\n");
    }
    let width = table.keys.iter().map(|key| key.name().len()).max().unwrap_or(0);
    for key in table.keys {
        let type_and_unit = unlinked(&kind(*key, &[]));
        let mut facts = vec![type_and_unit];
        facts.extend(Some(allowed(&key.shape())).filter(|range| range != "–"));
        facts.push(match default(*key).as_str() {
            "**needed**" => "needed".to_owned(),
            "*one of these*" => "one of these is needed".to_owned(),
            "–" => "no default".to_owned(),
            default => format!("default {default}"),
        });
        out.push_str(&format!("  {:width$}  {}\n", key.name(), facts.join("; ")));
        for line in [key.doc(), format!("such as `{}`", key.example())] {
            out.push_str(&format!("  {:width$}  {line}\n", ""));
        }
    }
    out.push_str("\nexample\n");
    example(fault).iter().for_each(|line| out.push_str(&format!("  {line}\n")));
    Some(out)
}

/// A fault that can stand in a phase of ten seconds: what it needs, and the first of what it may have.
fn example(fault: &FaultType) -> Vec<String> {
    let mut lines = vec![
        "[[phase.fault]]".to_owned(),
        format!("type = \"{}\"", fault.name),
        "at = \"5s\"".to_owned(),
    ];
    if fault.extent == Extent::Interval {
        lines.push("duration = \"2s\"".to_owned());
    }
    if fault.acts_on == ActsOn::Clients {
        lines.push("mode = \"all\"".to_owned());
    }
    let table = fault.table();
    let needed: Vec<_> = table.keys.iter().filter(|key| key.is_required()).collect();
    let one = table.keys.iter().find(|key| key.is_alternative()).or(table.keys.first());
    let one = one.filter(|_| needed.is_empty());
    let attributes: Vec<String> = needed.into_iter().chain(one).map(|key| key.example()).collect();
    if !attributes.is_empty() {
        lines.push(format!("attributes = {{ {} }}", attributes.join(", ")));
    }
    lines
}

/// The text of links alone.
fn unlinked(text: &str) -> String {
    let mut out = String::new();
    for (index, part) in text.split('[').enumerate() {
        match part.split_once("](").and_then(|(shown, rest)| Some((shown, rest.split_once(')')?.1)))
        {
            Some((shown, rest)) if index > 0 => out.push_str(&format!("{shown}{rest}")),
            _ if index > 0 => out.push_str(&format!("[{part}")),
            _ => out.push_str(part),
        }
    }
    out
}

fn heading(table: &Table) -> String {
    match table.fault() {
        Some(fault) => format!("`attributes` of `{fault}`"),
        None => {
            let mut chars = table.called.chars();
            let first = chars.next().map(|first| first.to_ascii_uppercase());
            first.into_iter().chain(chars).collect()
        }
    }
}

/// The anchor of a heading, as GitHub makes it.
fn anchor(heading: &str) -> String {
    let kept = heading.chars().filter(|c| c.is_alphanumeric() || " -_".contains(*c));
    kept.collect::<String>().to_lowercase().replace(' ', "-")
}

fn section(out: &mut String, table: &Table, tables: &[Table]) {
    out.push_str(&format!("\n## {}\n\n{}\n", heading(table), table.doc));
    if table.keys.is_empty() {
        out.push_str("\nIt has no keys.\n");
        return;
    }
    out.push_str("\n| key | type and unit | default | range or words | example | meaning |\n");
    out.push_str("| --- | --- | --- | --- | --- | --- |\n");
    // What is laid over a scenario needs nothing: the scenario has it.
    let laid_over = [scenario::PROFILES, target::profile::FILE].map(|it| it.definition());
    let laid_over = laid_over.contains(&table.definition());
    for key in table.keys {
        let cells = [
            format!("`{}`", key.name()),
            kind(*key, tables),
            if laid_over && key.is_required() { "–".to_owned() } else { default(*key) },
            allowed(&key.shape()),
            format!("`{}`", key.example()),
            key.doc(),
        ];
        let cells = cells.map(|cell| cell.replace('|', "\\|"));
        out.push_str(&format!("| {} |\n", cells.join(" | ")));
    }
    let cases: Vec<String> = (table.cases)().iter().filter_map(told).collect();
    if !cases.is_empty() {
        out.push('\n');
        cases.iter().for_each(|case| out.push_str(&format!("- {case}\n")));
    }
}

/// Type and unit.
fn kind(key: &dyn Declared, tables: &[Table]) -> String {
    let kind = type_of(&key.shape(), tables);
    key.unit().map_or_else(|| kind.clone(), |unit| format!("{kind}, {unit}"))
}

fn type_of(shape: &Shape, tables: &[Table]) -> String {
    let link = |name: &str| {
        let table = tables.iter().find(|table| table.definition() == name);
        let heading = table.map_or_else(|| name.to_owned(), heading);
        format!("[{heading}](#{})", anchor(&heading))
    };
    match shape {
        Shape::Text | Shape::Matching(_) => "text".to_owned(),
        Shape::Name => "name".to_owned(),
        Shape::Words(_) => "word".to_owned(),
        Shape::Bool | Shape::True => "boolean".to_owned(),
        Shape::Integer(..) => "integer".to_owned(),
        Shape::Number(..) | Shape::NumberAbove(..) => "number".to_owned(),
        Shape::Duration(_) => "duration".to_owned(),
        Shape::Rate(_) => "rate".to_owned(),
        Shape::Size(_) => "size".to_owned(),
        Shape::Flow(_) => "flow".to_owned(),
        Shape::Limit => "limit".to_owned(),
        Shape::Texts => "list of texts".to_owned(),
        Shape::List(of, min) => {
            let least = if *min == 0 { "" } else { ", at least one" };
            format!("list of {}s, each once{least}", type_of(of, tables))
        }
        Shape::Command => "list of texts, at least one".to_owned(),
        Shape::Extras => format!("table of texts or {}", link("secret")),
        Shape::Table(name) => format!("table {}", link(name)),
        Shape::Whole(name) => format!("table {}", link(name)),
        Shape::AnyWhole(names) => {
            let links: Vec<String> = names.iter().map(|name| link(name)).collect();
            format!("table, by type: {}", links.join(", "))
        }
        Shape::Tables(name, _) => format!("tables {}", link(name)),
        Shape::Named(_, name) => format!("tables {} by name", link(name)),
        Shape::Profiles(name) => format!("tables {} by name", link(name)),
        Shape::Without(_) | Shape::NoTables | Shape::Never => "nothing".to_owned(),
    }
}

fn default(key: &dyn Declared) -> String {
    match key.default() {
        _ if key.is_required() => "**needed**".to_owned(),
        _ if key.is_alternative() => "*one of these*".to_owned(),
        Some(default) => format!("`{}`", inline(&default)),
        None => "–".to_owned(),
    }
}

/// Range or words.
fn allowed(shape: &Shape) -> String {
    match shape {
        Shape::Words(words) => {
            let words: Vec<String> = words.iter().map(|word| format!("`{word}`")).collect();
            words.join(", ")
        }
        Shape::True => "`true`".to_owned(),
        Shape::Bool => "`true`, `false`".to_owned(),
        Shape::Integer(from, to) if from == to => format!("`{from}`"),
        Shape::List(of, _) => allowed(of),
        Shape::Named(names, _) => allowed(&Shape::Words(names.clone())),
        _ => shape.range().map_or_else(|| "–".to_owned(), |range| lower(&range)),
    }
}

/// With a small letter first.
fn lower(text: &str) -> String {
    let mut chars = text.chars();
    let first = chars.next().map(|first| first.to_ascii_lowercase());
    first.into_iter().chain(chars).collect()
}

/// Values that one key may have, beyond which what is known by them is told by its meaning alone.
const TOLD_MAX: usize = 3;

/// What is known of other keys by one, where that fits a line.
fn told(case: &Case) -> Option<String> {
    if case.is.len() > TOLD_MAX {
        return None;
    }
    let list = |keys: &[&str]| {
        let keys: Vec<String> = keys.iter().map(|key| format!("`{key}`")).collect();
        keys.join(", ")
    };
    let never = case.then.iter().filter(|(_, shape)| matches!(shape, Shape::Never));
    let never: Vec<&str> = never.map(|(key, _)| *key).collect();
    let mut said = Vec::new();
    if !case.required.is_empty() {
        said.push(format!("needs {}", list(&case.required)));
    }
    if !never.is_empty() {
        said.push(format!("takes no {}", list(&never)));
    }
    let not = if case.unless { "no " } else { "" };
    let absent = if case.or_absent { ", or nothing" } else { "" };
    let when = format!("`{}` is {not}{}{absent}", case.key, list(&case.is));
    (!said.is_empty()).then(|| format!("Where {when}, the table {}.", said.join(", and ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_committed_page_is_the_one_of_this_code() {
        let committed = include_str!("../../../../scenarios/REFERENCE.md");
        assert!(
            committed == page(),
            "scenarios/REFERENCE.md is out of date; renew it with\n  \
             cargo build && target/debug/khala-harness schema --reference > scenarios/REFERENCE.md"
        );
    }

    #[test]
    fn every_type_of_fault_tells_its_attributes_and_its_example_can_stand_in_a_scenario() {
        use crate::testing::{Load, SOUND};
        let reset = SOUND.find("[[phase.fault]]").expect("a fault");
        let end = SOUND[reset..].find("[[gate]]").expect("a gate") + reset;
        for fault in crate::fault::REGISTRY {
            let told = of_fault(fault.name).expect("it is one");
            for key in fault.attributes {
                for said in [key.name(), &*key.example(), &*key.doc()] {
                    assert!(told.contains(said), "{}: no {said} in:\n{told}", fault.name);
                }
            }
            assert!(!told.contains("](#"), "a terminal has no links: {told}");
            let (_, example) = told.split_once("\nexample\n").expect("an example");
            let text = format!("{}{example}\n{}", &SOUND[..reset], &SOUND[end..]);
            if let Err(wrong) = Load::of(&text).load() {
                panic!("{}", wrong.render(false));
            }
        }
        assert_eq!(of_fault("earthquake"), None);
    }

    #[test]
    fn what_is_laid_over_a_scenario_needs_no_key() {
        let page = page();
        let section = |heading: &str| {
            let (_, rest) = page.split_once(&format!("\n## {heading}\n")).expect("a section");
            rest.split("\n## ").next().unwrap_or_default().to_owned()
        };
        let fleet = |heading: &str| {
            let section = section(heading);
            section.lines().find(|line| line.starts_with("| `fleet`")).expect("a row").to_owned()
        };
        assert!(fleet("The scenario").contains("**needed**"));
        for heading in ["`[profile.…]`", "The target profile"] {
            assert!(!section(heading).contains("**needed**"), "{heading}");
            assert!(fleet(heading).contains("| – |"), "{heading}");
        }
    }

    #[test]
    fn every_link_within_the_page_leads_to_a_heading() {
        let page = page();
        let anchors: Vec<String> =
            page.lines().filter_map(|line| line.strip_prefix("## ")).map(anchor).collect();
        let links: Vec<&str> =
            page.split("](#").skip(1).filter_map(|rest| rest.split(')').next()).collect();
        assert!(links.len() > anchors.len());
        let lost: Vec<_> =
            links.iter().filter(|link| !anchors.iter().any(|it| it == *link)).collect();
        assert!(lost.is_empty(), "{lost:?}");
    }

    #[test]
    fn a_row_has_six_cells_whatever_stands_in_them() {
        for row in page().lines().filter(|line| line.starts_with("| `")) {
            let bars = row.replace("\\|", "").matches('|').count();
            assert_eq!(bars, 7, "{row}");
        }
    }
}

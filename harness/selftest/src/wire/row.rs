//! A row of the wire matrix: a deviation, the scenario in which it is met, and what must come of it.

use super::deviation::Deviation;
use super::deviations;

/// What must come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expected {
    /// GO: valid, or what every real client takes. Where a line is given, the report has it.
    Go(Option<&'static str>),
    /// NO-GO by a rule or a gate (`gate:NAME`), with a line of the report that tells why.
    NoGo {
        /// Who must say it.
        by: &'static str,
        /// Part of a line.
        says: &'static str,
    },
    /// No run: it could not be set up, with a reason.
    NoRun(&'static str),
}

/// A row.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    /// Its name, which is its file's; given where it is listed.
    pub name: &'static str,
    /// Its file, whose doc tells its source; given where it is listed.
    pub text: &'static str,
    /// What is done.
    pub deviation: Deviation,
    /// Name of the scenario.
    pub scenario: &'static str,
    /// Overrides.
    pub set: &'static [&'static str],
    /// More arguments for the runtime.
    pub runtime: &'static [&'static str],
    /// What must come.
    pub expected: Expected,
}

/// Tokens that the harness signs itself.
const WIRE: &str = "wire";
/// Tokens of the control service.
const CONTROL: &str = "wire-control";
/// Everybody goes away and comes back: half with cursors that are fresh, half with stale ones, who take a
/// snapshot.
const RESUME: &str = "wire-resume";
/// Everybody gives up a topic for a while.
const LEAVE: &str = "wire-leave";
/// Fewer events than those of [`RESUME`] miss.
const BUDGET: &[&str] = &["--replay-budget", "runtime.codex_worker_summaries=10"];

impl Row {
    const fn new(deviation: Deviation, expected: Expected) -> Self {
        let (name, text) = ("", "");
        Self { name, text, deviation, scenario: WIRE, set: &[], runtime: &[], expected }
    }

    /// Must be GO.
    pub const fn go(deviation: Deviation) -> Self {
        Self::new(deviation, Expected::Go(None))
    }

    /// Must be GO, and told all the same.
    pub const fn told(deviation: Deviation, says: &'static str) -> Self {
        Self::new(deviation, Expected::Go(Some(says)))
    }

    /// Must be NO-GO.
    pub const fn no_go(deviation: Deviation, by: &'static str, says: &'static str) -> Self {
        Self::new(deviation, Expected::NoGo { by, says })
    }

    /// Must not begin.
    pub const fn no_run(deviation: Deviation, says: &'static str) -> Self {
        Self::new(deviation, Expected::NoRun(says))
    }

    /// The same with tokens of the control service.
    pub const fn control(self) -> Self {
        Self { scenario: CONTROL, ..self }
    }

    /// The same with clients that come back.
    pub const fn resume(self) -> Self {
        Self { scenario: RESUME, runtime: BUDGET, ..self }
    }

    /// The same with clients that give up a topic.
    pub const fn leave(self) -> Self {
        Self { scenario: LEAVE, ..self }
    }

    /// The same with overrides.
    pub const fn set(self, set: &'static [&'static str]) -> Self {
        Self { set, ..self }
    }
}

/// Every row.
pub fn rows() -> Vec<Row> {
    deviations::FAMILIES.iter().flat_map(|family| family.rows.iter().copied()).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use khala_evidence::oracle::Rule;

    use super::super::super::texts;
    use super::*;

    #[test]
    fn names_are_unique_and_every_row_has_a_scenario() {
        let rows = rows();
        let names: BTreeSet<_> = rows.iter().map(|row| row.name).collect();
        assert_eq!(names.len(), rows.len());
        for row in rows {
            texts::tests::load(texts::tests::of(row.scenario), None, row.set);
        }
    }

    #[test]
    fn who_must_say_no_exists() {
        for row in rows() {
            let Expected::NoGo { by, says } = row.expected else { continue };
            assert!(!says.is_empty(), "{}: a line that says something", row.name);
            let rule = Rule::ALL.iter().any(|rule| rule.name() == by);
            assert!(rule || by.starts_with("gate:"), "{}: {by}", row.name);
        }
    }

    /// A harness that stops everybody would pass a matrix of nothing but defects.
    #[test]
    fn much_of_it_is_valid() {
        let rows = rows();
        let go = rows.iter().filter(|row| matches!(row.expected, Expected::Go(_))).count();
        assert!(go * 20 >= rows.len() * 9, "{go} of {}", rows.len());
    }
}

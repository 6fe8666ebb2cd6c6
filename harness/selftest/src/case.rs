//! How a defect is given the occasion to act, and the harness the occasion to notice. One file a group
//! of the catalogue, in `cases/`.

use khala_reference::defect::{CATALOGUE, Defect, Group};

use super::cases::{authority, cursors, delivery, flow, latency, snapshot};

/// Probability of a rare defect's row.
pub const RARE: f64 = 0.01;

/// One way to run a scenario.
#[derive(Clone, Copy, Debug)]
pub struct How {
    /// Name of the scenario.
    pub scenario: &'static str,
    /// Its profile.
    pub profile: Option<&'static str>,
    /// Overrides.
    pub set: &'static [&'static str],
    /// The first opportunity that the defect takes, where it is not the first.
    pub after: Option<u32>,
    /// A seed in place of the scenario's.
    pub seed: Option<u64>,
    /// Whether no other run may go on beside it: its gates judge milliseconds.
    pub alone: bool,
}

impl How {
    /// A scenario as it is.
    pub const fn whole(scenario: &'static str) -> Self {
        Self { scenario, profile: None, set: &[], after: None, seed: None, alone: false }
    }

    /// A scenario's profile `smoke`.
    pub const fn smoke(scenario: &'static str) -> Self {
        Self { profile: Some("smoke"), ..Self::whole(scenario) }
    }

    /// The same with overrides.
    pub const fn set(self, set: &'static [&'static str]) -> Self {
        Self { set, ..self }
    }

    /// The same from the n-th opportunity on.
    pub const fn after(self, n: u32) -> Self {
        Self { after: Some(n), ..self }
    }

    /// The same with another seed.
    pub const fn seed(self, seed: u64) -> Self {
        Self { seed: Some(seed), ..self }
    }

    /// The same undisturbed by other runs.
    pub const fn alone(self) -> Self {
        Self { alone: true, ..self }
    }

    /// The scenario as a reader would name it.
    pub fn title(&self) -> String {
        match self.profile {
            Some(profile) => format!("{} ({profile})", self.scenario),
            None => self.scenario.to_owned(),
        }
    }
}

/// A defect's row, and where the defect acts per delivery a second one, in which it is rare.
#[derive(Clone, Copy, Debug)]
pub struct Case {
    /// The defect's name.
    pub defect: &'static str,
    /// How it is provoked.
    pub how: How,
    /// How it is at a probability of [`RARE`], with deliveries enough.
    pub rare: Option<How>,
}

impl Case {
    /// A defect for which once is enough.
    pub const fn of(defect: &'static str, how: How) -> Self {
        Self { defect, how, rare: None }
    }

    /// A defect that the same run shows when it is rare.
    pub const fn both(defect: &'static str, how: How) -> Self {
        Self { defect, how, rare: Some(how) }
    }

    /// A defect that takes another run to be seen when it is rare.
    pub const fn each(defect: &'static str, how: How, rare: How) -> Self {
        Self { defect, how, rare: Some(rare) }
    }
}

fn cases(group: Group) -> &'static [Case] {
    match group {
        Group::Delivery => delivery::CASES,
        Group::Cursors => cursors::CASES,
        Group::Snapshot => snapshot::CASES,
        Group::Authority => authority::CASES,
        Group::Flow => flow::CASES,
        Group::Latency => latency::CASES,
    }
}

/// A row of the matrix.
#[derive(Clone, Debug)]
pub struct Row {
    /// The defect's name, with the probability where the row is a rare one's.
    pub name: String,
    /// The defect.
    pub defect: &'static Defect,
    /// How it is provoked.
    pub how: How,
    /// Probability, where it is not the defect's own.
    pub rare: Option<f64>,
}

impl Row {
    /// Share of the opportunities that the defect takes.
    pub fn probability(&self) -> f64 {
        self.rare.unwrap_or(self.defect.probability)
    }

    /// The defect as `--defect` takes it.
    pub fn spec(&self) -> String {
        let after = self.how.after.map(|n| format!(",after={n}")).unwrap_or_default();
        format!("{}{after}", self.name)
    }
}

/// Every row, in the catalogue's order, the rare ones after the others.
pub fn rows() -> Vec<Row> {
    let find = |defect: &'static Defect| {
        let case = cases(defect.group).iter().find(|case| case.defect == defect.name);
        (defect, case.expect("a test insists that every defect has one"))
    };
    let found: Vec<_> = CATALOGUE.iter().map(find).collect();
    let usual = found.iter().map(|&(defect, case)| Row {
        name: defect.name.to_owned(),
        defect,
        how: case.how,
        rare: None,
    });
    let rare = found.iter().filter_map(|&(defect, case)| {
        let name = format!("{},{RARE}", defect.name);
        case.rare.map(|how| Row { name, defect, how, rare: Some(RARE) })
    });
    usual.chain(rare).collect()
}

#[cfg(test)]
mod tests {
    use khala_reference::defect::DefectSpec;

    use super::super::texts;
    use super::*;

    const GROUPS: [Group; 6] = [
        Group::Delivery,
        Group::Cursors,
        Group::Snapshot,
        Group::Authority,
        Group::Flow,
        Group::Latency,
    ];

    #[test]
    fn every_defect_has_one_case_and_every_case_a_defect() {
        for group in GROUPS {
            let of_group = CATALOGUE.iter().filter(|defect| defect.group == group);
            let wanted: Vec<_> = of_group.map(|defect| defect.name).collect();
            let cases: Vec<_> = cases(group).iter().map(|case| case.defect).collect();
            assert_eq!(cases, wanted, "in the catalogue's order");
        }
        assert!(rows().len() > CATALOGUE.len());
    }

    #[test]
    fn where_the_catalogue_says_that_a_defect_shows_the_matrix_shows_it() {
        for row in rows().into_iter().filter(|row| row.rare.is_none()) {
            let How { scenario, set, after, .. } = row.how;
            let shipped = texts::SHIPPED.iter().any(|text| text.name() == scenario);
            let as_it_is = shipped && set.is_empty() && after.is_none();
            assert_eq!(row.defect.shows_in(), as_it_is.then_some(scenario), "{}", row.name);
        }
    }

    #[test]
    fn what_acts_per_delivery_is_tried_rare_too() {
        for defect in CATALOGUE {
            let case = cases(defect.group).iter().find(|case| case.defect == defect.name);
            let rare = case.expect("there is one").rare.is_some();
            let wanted = defect.per.delivery() && defect.probability > RARE;
            assert_eq!(rare, wanted, "{}", defect.name);
        }
    }

    #[test]
    fn every_row_has_a_scenario_and_a_defect_that_can_be_run() {
        for row in rows() {
            let spec: DefectSpec = row.spec().parse().expect("a defect");
            assert_eq!((spec.defect(), spec.probability), (row.defect, row.probability()));
            texts::tests::load(texts::tests::of(row.how.scenario), row.how.profile, row.how.set);
        }
    }

    /// A gate that is not in the scenario can catch nothing.
    #[test]
    fn every_row_judges_the_gate_that_must_catch_its_defect() {
        for row in rows() {
            let Some(gate) = row.defect.primary.strip_prefix("gate:") else { continue };
            let text = texts::tests::of(row.how.scenario);
            let plan = texts::tests::load(text, row.how.profile, row.how.set).plan;
            let judged = plan.gates.iter().any(|found| found.judged && found.name == gate);
            assert!(judged, "{}: {} does not judge `{gate}`", row.name, row.how.title());
        }
    }
}

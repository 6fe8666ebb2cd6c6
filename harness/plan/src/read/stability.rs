//! `[stability]` and `[target.stability]`: how much of what nobody planned is too much.

use std::collections::BTreeMap;
use std::time::Duration;

use super::fields::Fields;
use crate::model::Stability;
use crate::stability::{ABSENCE, Allowance, Incident, Limit, LimitFrom};

pub(crate) const ABSENCES: std::ops::RangeInclusive<Duration> =
    Duration::from_millis(500)..=Duration::from_secs(3600);

/// What one table says.
#[derive(Debug, Default)]
pub(crate) struct Given {
    absence: Option<Duration>,
    /// Of every kind that is not named.
    limit: Option<Allowance>,
    limits: BTreeMap<Incident, Allowance>,
}

/// Reads one table.
pub(crate) fn read(mut fields: Fields<'_>) -> Given {
    let absence = fields.within("absence", ABSENCES);
    let limit = fields.get("limit");
    let named = Incident::ALL.iter();
    let limits = named.filter_map(|&incident| Some((incident, fields.get(incident.name())?)));
    let limits = limits.collect();
    fields.finish();
    Given { absence, limit, limits }
}

impl Given {
    fn of(&self, incident: Incident) -> Option<Allowance> {
        self.limits.get(&incident).copied().or(self.limit)
    }
}

/// Who is heard: the scenario, else the target, else the contract; and where all are silent, nobody.
pub(crate) fn resolve(scenario: &Given, target: &Given, reference: bool) -> Stability {
    let given = [(scenario, LimitFrom::Scenario), (target, LimitFrom::Target)];
    let absence = given.iter().find_map(|(given, from)| Some((given.absence?, *from)));
    let (absence, absence_from) = absence.unwrap_or((ABSENCE, LimitFrom::Assumed));
    let limit = |incident| {
        let said =
            given.iter().find_map(|(given, from)| Some(Limit::given(given.of(incident)?, *from)));
        said.unwrap_or_else(|| Limit::by_default(incident, reference))
    };
    let limits = Incident::ALL.iter().map(|&incident| (incident, limit(incident))).collect();
    Stability { absence, absence_from, limits, advisory: false }
}

//! `[stability]` and `[target.stability]`: how much of what nobody planned is too much.

use std::collections::BTreeMap;
use std::time::Duration;

use super::fields::Fields;
use super::key::{self, Declared, Key, Quantity as _, Raw, Table, Within, Writer};
use super::schema::Shape;
use crate::model::Stability;
use crate::stability::{self, Allowance, Incident, Limit, LimitFrom};
use crate::units::format_duration;

const ABSENCE: Key<Within<Duration>> = Key::new(
    "absence",
    Within(Duration::from_millis(500), Duration::from_secs(3600)),
    "absence = \"5s\"",
    "",
)
.told(|| {
    let default = format_duration(stability::ABSENCE);
    format!(
        "For how long the target may answer nobody although it is asked. Default: `{default}`, which \
         is an assumption."
    )
});
const LIMIT: Key<Raw> = Key::new(
    "limit",
    Raw(|| Shape::Limit),
    "limit = \"0.1%/h\"",
    "How many unplanned incidents of each kind that is not named a run may have: a number, a \
     share of the occasions such as `1%`, a rate such as `0.05/s`, or a share of the clients \
     an hour such as `0.1%/h`.",
);

/// The limit of one kind of incident.
struct LimitOf(Incident);

impl Declared for LimitOf {
    fn name(&self) -> &'static str {
        self.0.name()
    }

    fn doc(&self) -> String {
        let mut doc = format!("Limit of this kind. {}", self.0.definition());
        if let Some(allowance) = self.0.contract() {
            doc.push_str(&format!(" Default: `{allowance}` (contract, section 7)."));
        }
        doc
    }

    fn example(&self) -> String {
        format!("{} = 3", self.name())
    }

    fn shape(&self) -> Shape {
        Shape::Limit
    }
}

const KINDS: usize = Incident::ALL.len();
static LIMITS: [LimitOf; KINDS] = {
    let mut limits = [const { LimitOf(Incident::ALL[0]) }; KINDS];
    let mut at = 0;
    while at < KINDS {
        limits[at] = LimitOf(Incident::ALL[at]);
        at += 1;
    }
    limits
};
static LIMIT_KEYS: [&dyn Declared; KINDS] = {
    let mut keys: [&dyn Declared; KINDS] = [&LIMITS[0]; KINDS];
    let mut at = 0;
    while at < KINDS {
        keys[at] = &LIMITS[at];
        at += 1;
    }
    keys
};
static KEYS: [&dyn Declared; 2 + KINDS] = key::with([&ABSENCE, &LIMIT], LIMIT_KEYS);

/// `[stability]` and `[target.stability]`
pub(crate) const TABLE: Table = Table::new(
    "stability",
    "`[stability]`",
    "How much of what nobody planned is too much; what is not said here is the target's word, else \
     the contract's, else none for the embedded runtime and for another 0.1 % of the clients an \
     hour, at least 1.",
    &KEYS,
);
/// How messages call the target's.
pub(crate) const OF_TARGET: &str = "`[target.stability]`";

/// What one table says.
#[derive(Debug, Default)]
pub(crate) struct Given {
    absence: Option<Duration>,
    /// Of every kind that is not named.
    limit: Option<Allowance>,
    limits: BTreeMap<Incident, Allowance>,
}

/// Reads one table.
pub(crate) fn read(fields: Fields<'_>) -> Given {
    let absence = fields.get(&ABSENCE);
    let limit = fields.get_as(&LIMIT);
    let named = LIMITS.iter().filter_map(|key| Some((key.0, fields.get_as(key)?)));
    let limits = named.collect();
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
    let (absence, absence_from) = absence.unwrap_or((stability::ABSENCE, LimitFrom::Assumed));
    let limit = |incident| {
        let said =
            given.iter().find_map(|(given, from)| Some(Limit::given(given.of(incident)?, *from)));
        said.unwrap_or_else(|| Limit::by_default(incident, reference))
    };
    let limits = Incident::ALL.iter().map(|&incident| (incident, limit(incident))).collect();
    Stability { absence, absence_from, limits, advisory: false }
}

/// Writes the limits that come from one place: whose word a limit is, is part of the plan.
fn limits(out: &mut Writer, header: &str, stability: &Stability, from: LimitFrom) {
    let absence = stability.absence_from == from;
    let limits: Vec<_> = stability.limits.iter().filter(|(_, limit)| limit.from == from).collect();
    if from == LimitFrom::Target && !absence && limits.is_empty() {
        return;
    }
    out.table(header);
    if absence {
        out.key(&ABSENCE, &stability.absence);
    }
    for (incident, limit) in limits {
        let key = LimitOf(*incident);
        match limit.allowance {
            Allowance::Count(count) => out.raw(&key, count.toml()),
            other => out.raw(&key, other.to_string()),
        }
    }
}

/// Writes what the target is known for.
pub(crate) fn write_target(out: &mut Writer, stability: &Stability) {
    limits(out, "[target.stability]", stability, LimitFrom::Target);
}

/// Writes the scenario's limits; those that nobody gave stand beside them as what they are.
pub(crate) fn write(out: &mut Writer, stability: &Stability) {
    limits(out, "[stability]", stability, LimitFrom::Scenario);
    if stability.absence_from == LimitFrom::Assumed {
        let absence = format_duration(stability.absence);
        out.line(format_args!("# absence = \"{absence}\" ({})", stability.absence_from));
    }
    let given = [LimitFrom::Scenario, LimitFrom::Target];
    let others = stability.limits.iter().filter(|(_, limit)| !given.contains(&limit.from));
    for (incident, limit) in others {
        out.line(format_args!("# {}: {}", incident.name(), limit.told(incident.occasions())));
    }
}

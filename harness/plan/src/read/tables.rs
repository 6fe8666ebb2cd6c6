//! Every table that there is.

use super::key::Table;
use super::{
    auth, backoff, fault, fleet, gate, load, objective, phase, retention, slowness, stability,
    surface, target, tuning,
};

/// Every table but the scenario itself and its profiles, in the order in which pages tell them.
pub(crate) fn all() -> Vec<Table> {
    let mut tables = vec![
        target::TABLE,
        target::TLS,
        slowness::TABLE,
        retention::TABLE,
        auth::TABLE,
        auth::SECRET,
        auth::OPENING,
        fleet::TABLE,
        fleet::STAGES,
        surface::TABLE,
        backoff::TABLE,
        load::TABLE,
        phase::TABLE,
        fault::TABLE,
    ];
    tables.extend(fault::attributes());
    tables.extend([
        gate::TABLE,
        objective::TABLE,
        objective::LABELS,
        stability::TABLE,
        tuning::ORACLE,
        tuning::GENERATOR,
    ]);
    tables
}

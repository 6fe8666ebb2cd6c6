//! The scenario itself, and its profiles.

use super::shape::Shape;
use super::table::{Key, Table};
use crate::read::scenario::{SEED, VERSION};

const DOC: &str = "A run of khala-harness: the target, the clients, what is published, what goes \
                   wrong in which phase, and what must hold. Strings may read the environment: \
                   `${NAME}`, `${NAME:-default}`.";
const PROFILE: &str = "Changes that `--profile NAME` lays over the scenario. A table where the \
                       scenario has an array addresses its elements by their names: \
                       `[profile.smoke.phase.storm]`.";

/// The scenario.
pub(super) fn root() -> Table {
    let mut keys = keys();
    keys.push(Key::new("profile", Shape::Profiles("profile"), "Profiles, by their names."));
    Table::new("scenario", DOC, keys)
}

/// What a profile may change.
pub(super) fn profile() -> Table {
    let mut keys = keys();
    let judge = "Names of the gates that runs with this profile judge; the others are listed as \
                 not judged, never as passed. Left out, all are judged.";
    keys.push(Key::new("judge", Shape::names(1), judge));
    Table::new("profile", PROFILE, keys)
}

fn keys() -> Vec<Key> {
    let gates = "Files of gates to add, relative to the scenario's folder, such as \
                 `gates/runbook.toml`. A gate of the same name in the scenario overrides.";
    let must_apply = "What this run must be able to exercise: names of gates, of metrics and of rules that \
                      a gate has an objective on. Where the plan cannot, the objective is not \
                      applicable, and with its name here INCONCLUSIVE. A gate file may say it too.";
    let seed = "Root of all randomness: equal seeds give equal plans. `--seed` goes before it.";
    vec![
        Key::new("version", Shape::Integer(VERSION, VERSION), "Version of the scenario format.")
            .required(),
        Key::new("name", Shape::name(), "Name of the scenario; bundles are called after it.")
            .required(),
        Key::new("description", Shape::Text, "What the scenario asks, in a sentence or two."),
        Key::new("seed", Shape::Integer(0, i64::MAX.unsigned_abs()), seed).or(SEED),
        Key::new("target", Shape::Table("target"), "What is tested."),
        Key::new("auth", Shape::Table("auth"), "How clients come by tokens."),
        Key::new("fleet", Shape::Table("fleet"), "The clients.").required(),
        Key::new("load", Shape::Tables("load", 0), "What is published; without any, nothing."),
        Key::new("phase", Shape::Tables("phase", 1), "The parts of the run, one after the other.")
            .required(),
        Key::new("gate", Shape::Tables("gate", 0), "What must hold: named sets of objectives."),
        Key::new("gates", Shape::Texts, gates),
        Key::new("must_apply", Shape::names(0), must_apply),
        Key::new("oracle", Shape::Table("oracle"), "Bounds that the oracle judges with."),
        Key::new(
            "stability",
            Shape::Table("stability"),
            "How much of what nobody planned is too much.",
        ),
        Key::new("generator", Shape::Table("generator"), "The harness itself."),
    ]
}

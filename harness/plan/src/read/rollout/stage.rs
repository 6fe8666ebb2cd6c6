//! `[[stage]]`: one decision.

use super::{CANARY, OF_CANARY, canary, hold, texts};
use crate::read::diagnostic::Diagnostic;
use crate::read::fields::{Cx, Fields};
use crate::read::key::{Bool, Key, KeyOr, Name, Raw, Table, Text, Within};
use crate::read::name;
use crate::read::scalar::Placed;
use crate::read::schema::Shape;
use crate::read::suggest;
use crate::read::tree::Node;
use crate::rollout::{Canary, ScenarioRun, Stage};

const ID: Key<Name> =
    Key::new("id", Name, "id = \"3-25\"", "What it is called on the command line and in reports.")
        .required();
const NAME: Key<Text> =
    Key::new("name", Text, "name = \"External canary (5 %)\"", "What it is, in a few words.")
        .required();
const OWNER: Key<Text> =
    Key::new("owner", Text, "owner = \"release engineer on duty\"", "Who decides, as a role.");
const CLIENTS: Key<Within<u32>> = Key::new(
    "clients",
    Within(1, 1_000_000),
    "clients = 200",
    "Clients of its hold, and of scenarios with `stage_load`. Either this or `share`.",
)
.unit("clients")
.alternative();
const SHARE: Key<Within<f64>> = Key::new(
    "share",
    Within(0.000_001, 1.0),
    "share = 0.05",
    "The same as a share of the rollout's `fleet`.",
)
.alternative();
const PRECONDITIONS: Key<Raw> = Key::new(
    "preconditions",
    Raw(|| Shape::names(0)),
    "preconditions = [\"conform\", \"token\"]",
    "Names of the preconditions that it asks, in order. Default: all of them.",
);
const SCENARIO: Key<Raw> = Key::new(
    "scenario",
    Raw(|| Shape::Tables("stage_scenario", 0)),
    "[[stage.scenario]]",
    "What is run before the hold, in order.",
);
const MUST_APPLY: Key<Raw> = Key::new(
    "must_apply",
    Raw(|| Shape::names(1)),
    "must_apply = [\"error-budget\", \"ux\"]",
    "What must have been judged, and passed, in at least one run of the stage: the name of a gate, which is every \
     objective of it, or of a metric or rule that an objective of one is on. What was exercised nowhere is a HOLD.",
)
.required();
const HOLD: Key<Raw> =
    Key::new("hold", Raw(|| Shape::Table("hold")), "[stage.hold]", "The hold at its end.");
pub(super) const TABLE: Table = Table::new(
    "stage",
    "`[[stage]]`",
    "A stage of the rollout: one decision.",
    &[&ID, &NAME, &OWNER, &CLIENTS, &SHARE, &CANARY, &PRECONDITIONS, &SCENARIO, &MUST_APPLY, &HOLD],
);

const FILE: Key<Text> = Key::new(
    "file",
    Text,
    "file = \"smoke.toml\"",
    "The scenario's file, relative to the rollout file.",
)
.required();
const RUN_NAME: Key<Name> = Key::new(
    "name",
    Name,
    "name = \"storm\"",
    "What it is called in the stage. Default: the file's name without its end.",
);
const PROFILE: Key<Name> =
    Key::new("profile", Name, "profile = \"smoke\"", "The scenario's profile.");
const SET: Key<Raw> = Key::new(
    "set",
    Raw(|| Shape::Texts),
    "set = [\"fleet.ramp=10s\"]",
    "Overrides, as `run --set` takes them.",
);
const STAGE_LOAD: KeyOr<Bool> = Key::new(
    "stage_load",
    Bool,
    "stage_load = true",
    "Whether it runs with the stage's clients, and not with its own.",
)
.or(false);
pub(super) const OF_SCENARIO: Table = Table::new(
    "stage_scenario",
    "`[[stage.scenario]]`",
    "A scenario that a stage runs.",
    &[&FILE, &RUN_NAME, &PROFILE, &SET, &STAGE_LOAD],
);

/// What the rest of the file says.
pub(super) struct Around {
    pub fleet: Option<u32>,
    pub canary: Canary,
    pub preconditions: Vec<String>,
}

pub(super) fn read_all(
    rollout: &mut Fields<'_>,
    key: &Key<Raw>,
    around: &Around,
) -> Option<Vec<Stage>> {
    let place = rollout.need_node(key).map(|node| node.place.clone());
    let nodes = rollout.tables(key)?;
    if let (Some(place), true) = (place, nodes.is_empty()) {
        let what = "the rollout has no stage";
        rollout.cx.report_missing(Diagnostic::error(&place, what).help("add a `[[stage]]`"));
        return None;
    }
    let mut ids = Vec::new();
    let read: Vec<_> =
        nodes.into_iter().map(|node| one(rollout.cx, node, around, &mut ids)).collect();
    let placed = ids.iter().map(|id| (id.value.as_str(), &id.place));
    name::report_duplicates(rollout.cx, "stage", placed);
    read.into_iter().collect()
}

fn one(cx: &Cx, node: &Node, around: &Around, ids: &mut Vec<Placed<String>>) -> Option<Stage> {
    let mut fields = Fields::of(cx, node, &TABLE)?;
    let id = fields.need_placed(&ID);
    ids.extend(id.clone());
    let name = fields.need(&NAME);
    let owner = fields.get(&OWNER);
    let clients = clients(&fields, around);
    let canary = canary(fields.inner(&CANARY, &OF_CANARY), &around.canary);
    let preconditions = preconditions(&fields, around);
    let scenarios = scenarios(&fields);
    fields.need_node(&MUST_APPLY);
    let must_apply = texts(&fields, &MUST_APPLY);
    let hold = match fields.node(&HOLD) {
        None => Some(None),
        Some(_) => hold::read(fields.inner(&HOLD, &hold::TABLE)).map(Some),
    };
    fields.finish();
    Some(Stage {
        id: id?.value,
        name: name?,
        owner,
        clients: clients?,
        canary: canary?,
        preconditions: preconditions?,
        scenarios: scenarios?,
        must_apply: must_apply?,
        hold: hold?,
    })
}

fn clients(fields: &Fields<'_>, around: &Around) -> Option<u32> {
    match (fields.has(&CLIENTS), fields.has(&SHARE)) {
        (true, false) => fields.get(&CLIENTS),
        (false, true) => {
            let (node, share) = (fields.node(&SHARE)?, fields.get(&SHARE)?);
            let Some(fleet) = around.fleet else {
                let what = "a `share` of a fleet that nobody states";
                let help = "add `fleet = 4000` at the top of the file, or say `clients`";
                fields.cx.report_missing(Diagnostic::error(&node.place, what).help(help));
                return None;
            };
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "a share, from 0 to 1, of a number that fits"
            )]
            let clients = (f64::from(fleet) * share).round() as u32;
            Some(clients.max(1))
        }
        (both, _) => {
            let what = match both {
                true => "the stage has `clients` and `share`",
                false => "the stage does not say its load",
            };
            let help = "say either `clients = 200`, or `share = 0.05` of the rollout's `fleet`";
            fields.cx.report_missing(Diagnostic::error(&fields.place, what).help(help));
            None
        }
    }
}

fn preconditions(fields: &Fields<'_>, around: &Around) -> Option<Vec<String>> {
    if !fields.has(&PRECONDITIONS) {
        return Some(around.preconditions.clone());
    }
    let names = fields.get_as::<Vec<Placed<String>>>(&PRECONDITIONS)?;
    let known = || around.preconditions.iter().map(String::as_str);
    let mut right = true;
    for name in &names {
        if !known().any(|known| known == name.value) {
            let what = format!("there is no precondition `{}`", name.value);
            let help = suggest::did_you_mean(&name.value, known());
            fields.cx.report_missing(Diagnostic::error(&name.place, what).help(help));
            right = false;
        }
    }
    let placed = names.iter().map(|name| (name.value.as_str(), &name.place));
    name::report_duplicates(fields.cx, "precondition", placed);
    right.then(|| names.into_iter().map(|name| name.value).collect())
}

fn scenarios(fields: &Fields<'_>) -> Option<Vec<ScenarioRun>> {
    let nodes = fields.tables(&SCENARIO)?;
    let mut names = Vec::new();
    let read: Vec<_> =
        nodes.into_iter().map(|node| scenario(fields.cx, node, &mut names)).collect();
    let placed = names.iter().map(|name| (name.value.as_str(), &name.place));
    name::report_duplicates(fields.cx, "run", placed);
    read.into_iter().collect()
}

fn scenario(cx: &Cx, node: &Node, names: &mut Vec<Placed<String>>) -> Option<ScenarioRun> {
    let mut fields = Fields::of(cx, node, &OF_SCENARIO)?;
    let file = fields.need_placed(&FILE);
    let name = match fields.node(&RUN_NAME) {
        Some(node) => {
            fields.get(&RUN_NAME).map(|value| Placed { value, place: node.place.clone() })
        }
        None => file.as_ref().map(|file| {
            let name = file.value.rsplit('/').next().unwrap_or(&file.value);
            let name = name.strip_suffix(".toml").unwrap_or(name).to_owned();
            Placed { value: name, place: file.place.clone() }
        }),
    };
    names.extend(name.clone());
    let profile = fields.get(&PROFILE);
    let set = texts(&fields, &SET);
    let stage_load = fields.right(&STAGE_LOAD);
    fields.finish();
    Some(ScenarioRun {
        name: name?.value,
        file: file?.value,
        profile,
        set: set?,
        stage_load: stage_load?,
    })
}

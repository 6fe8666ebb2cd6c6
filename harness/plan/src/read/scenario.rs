//! A whole scenario, from the merged tree to the plan.

use khala_wire::TopicKind;
use khala_wire::topic::TopicId;

use super::diagnostic::Diagnostic;
use super::fields::{Cx, Fields};
use super::gate::{self, Gates};
use super::key::{self, Declared, Key, KeyOr, Name, Raw, Table, Text, Within, Writer, array};
use super::objective::Scope;
use super::phase;
use super::scalar::Placed;
use super::schema::Shape;
use super::source::Place;
use super::target::keys::KIND;
use super::tree::Node;
use super::{auth, fit, fleet, limits, load, passive, stability, target, tuning};
use crate::model::{Fleet, Load, ORACLE_GATE, Plan, STABILITY_GATE, TargetKind};

/// Version of the scenario format that is read.
pub(crate) const FORMAT: u64 = 1;

const VERSION: Key<Within<u64>> =
    Key::new("version", Within(FORMAT, FORMAT), "version = 1", "Version of the scenario format.")
        .required();
const NAME: Key<Name> = Key::new(
    "name",
    Name,
    "name = \"reconnect-storm\"",
    "Name of the scenario; bundles are called after it.",
)
.required();
const DESCRIPTION: Key<Text> = Key::new(
    "description",
    Text,
    "description = \"Half of the clients are cut off at once.\"",
    "What the scenario asks, in a sentence or two. It is told under any profile and override: reports add the \
     figures of the run themselves.",
);
const SEED: KeyOr<Within<u64>> = Key::new(
    "seed",
    Within(0, i64::MAX.unsigned_abs()),
    "seed = 7",
    "Root of all randomness: equal seeds give equal plans. `--seed` goes before it.",
)
// A scenario is reproducible unless it is told not to be.
.or(1);
pub(crate) const TARGET: Key<Raw> =
    Key::new("target", Raw(|| Shape::Table("target")), "[target]", "What is tested.");
pub(crate) const AUTH: Key<Raw> =
    Key::new("auth", Raw(|| Shape::Table("auth")), "[auth]", "How clients come by tokens.");
pub(crate) const FLEET: Key<Raw> =
    Key::new("fleet", Raw(|| Shape::Table("fleet")), "[fleet]", "The clients.").required();
const PHASE: Key<Raw> = Key::new(
    "phase",
    Raw(|| Shape::Tables("phase", 1)),
    "[[phase]]",
    "The parts of the run, one after the other.",
)
.required();
const LOAD: Key<Raw> = Key::new(
    "load",
    Raw(|| Shape::Tables("load", 0)),
    "[[load]]",
    "What is published; without any, nothing.",
);
pub(crate) const GATE: Key<Raw> = Key::new(
    "gate",
    Raw(|| Shape::Tables("gate", 0)),
    "[[gate]]",
    "What must hold: named sets of objectives.",
);
pub(crate) const MUST_APPLY: Key<Raw> = Key::new(
    "must_apply",
    Raw(|| Shape::names(0)),
    "must_apply = [\"reconnect\"]",
    "What this run must be able to exercise: names of gates, of metrics and of rules that \
     a gate has an objective on. Where the plan cannot, the objective is not \
     applicable, and with its name here INCONCLUSIVE. The name of a topic: a run in which \
     nothing came on it is a HOLD. A gate file may say it too.",
);
const ORACLE: Key<Raw> = Key::new(
    "oracle",
    Raw(|| Shape::Table("oracle")),
    "[oracle]",
    "Bounds that the oracle judges with.",
);
const STABILITY: Key<Raw> = Key::new(
    "stability",
    Raw(|| Shape::Table("stability")),
    "[stability]",
    "How much of what nobody planned is too much.",
);
const GENERATOR: Key<Raw> =
    Key::new("generator", Raw(|| Shape::Table("generator")), "[generator]", "The harness itself.");
pub(crate) const GATES: Key<Raw> = Key::new(
    "gates",
    Raw(|| Shape::Texts),
    "gates = [\"gates/runbook.toml\"]",
    "Files of gates to add, relative to the scenario's folder, such as \
     `gates/runbook.toml`. A gate of the same name in the scenario overrides.",
);
/// Taken out of the tree before it is read.
pub(crate) const PROFILE: Key<Raw> = Key::new(
    "profile",
    Raw(|| Shape::Profiles("profile")),
    "[profile.smoke]",
    "Profiles, by their names.",
);
/// Of a profile; taken out of it before it is laid over the scenario.
pub(crate) const JUDGE: Key<Raw> = Key::new(
    "judge",
    Raw(|| Shape::names(1)),
    "judge = [\"reconnect\"]",
    "Names of the gates that runs with this profile judge; the others are listed as \
     not judged, never as passed. Left out, all are judged.",
);

/// What a profile may change.
const KEYS: [&dyn Declared; 15] = [
    &VERSION,
    &NAME,
    &DESCRIPTION,
    &SEED,
    &TARGET,
    &AUTH,
    &FLEET,
    &PHASE,
    &LOAD,
    &GATE,
    &MUST_APPLY,
    &ORACLE,
    &STABILITY,
    &GENERATOR,
    &GATES,
];
const OF_SCENARIO: &[&dyn Declared] = &key::with::<15, 1, 16>(KEYS, [&PROFILE]);
const OF_PROFILE: &[&dyn Declared] = &key::with::<15, 1, 16>(KEYS, [&JUDGE]);

/// The scenario.
pub(crate) const TABLE: Table = Table::new(
    "scenario",
    "the scenario",
    "A run of khala-harness: the target, the clients, what is published, what goes wrong in which \
     phase, and what must hold. Strings may read the environment: `${NAME}`, `${NAME:-default}`.",
    OF_SCENARIO,
);

/// A profile.
pub(crate) const PROFILES: Table = Table::new(
    "profile",
    "`[profile.…]`",
    "Changes that `--profile NAME` lays over the scenario. A table where the scenario has an array \
     addresses its elements by their names: `[profile.smoke.phase.storm]`.",
    OF_PROFILE,
);

/// What comes from the command line, not from the tree.
pub(crate) struct Given<'a> {
    pub profile: Option<&'a str>,
    pub seed: Option<u64>,
    pub defects: &'a [Placed<String>],
    /// Names of the gates that the profile judges.
    pub judge: Option<&'a Node>,
}

/// A plan, with the places of its objectives' claims, gate by gate.
pub(crate) struct Placeable {
    pub plan: Plan,
    pub objective_places: Vec<Vec<Place>>,
    pub load_places: Vec<Place>,
    /// In the order of the phases, as the schedule numbers them.
    pub fault_places: Vec<Place>,
    pub fleet_place: Place,
}

/// Reads the whole tree; `None` when anything is wrong with it, which has then been reported.
pub(crate) fn read(cx: &Cx, root: &Node, given: &Given<'_>) -> Option<Placeable> {
    let mut fields = Fields::of(cx, root, &TABLE)?;
    version(&mut fields);
    let name = fields.need(&NAME);
    let description = fields.get(&DESCRIPTION);
    let seed = fields.or(&SEED);

    let (target, known) = target::read(fields.inner(&TARGET, &target::TABLE), given.defects);
    let reference = target.as_ref().map(|t| matches!(t.kind, TargetKind::Reference { .. }));
    let kind = key_of_target(&fields, KIND.name);
    let auth = auth::read(fields.inner(&AUTH, &auth::TABLE), reference, kind);
    let fleet_node = fields.need_node(&FLEET);
    let fleet_place = fleet_node.map_or(&fields.place, |node| &node.place).clone();
    let fleet = fleet_node.and_then(|node| Fields::of(cx, node, &fleet::TABLE));
    let fleet = fleet.and_then(fleet::read);
    let phases = phase::read_all(&fields, &PHASE, fleet.as_ref());
    let (loads, load_places) = loads(&fields, &phases.declared);
    let clients = fleet.as_ref().map(|fleet| fleet.clients);
    let surfaces = fleet.as_ref().map(Fleet::surfaces);
    let is_stream = |topic: &TopicId| topic.kind() == TopicKind::Stream;
    let cohorts = fleet.iter().flat_map(|fleet| &fleet.cohorts);
    let with_streams = cohorts
        .filter(|cohort| cohort.topics.iter().any(is_stream))
        .map(|cohort| cohort.surface)
        .collect();
    let scope = Scope { phases: &phases.declared, surfaces, with_streams };
    let Gates { gates, places, advisory, must_apply } =
        gate::read_all(&fields, &scope, given.judge);
    let mut oracle = tuning::oracle(fields.inner(&ORACLE, &tuning::ORACLE));
    oracle.advisory = advisory.contains(&ORACLE_GATE);
    let wanted = stability::read(fields.inner(&STABILITY, &stability::TABLE));
    let mut stability = stability::resolve(&wanted, &known, reference.unwrap_or(true));
    stability.advisory = advisory.contains(&STABILITY_GATE);
    let generator = tuning::generator(fields.inner(&GENERATOR, &tuning::GENERATOR));
    limits::check(cx, loads.as_deref(), &load_places, clients, &phases);
    fit::check(cx, target.as_ref(), &phases);
    fit::check_stages(cx, fleet.as_ref(), &fleet_place, &phases, oracle.converge_within);
    fit::check_sources(cx, target.as_ref(), fields.node(&GENERATOR));
    passive::check(
        &fields,
        &passive::Asked {
            target: target.as_ref(),
            fleet: fleet.as_ref(),
            fleet_place: &fleet_place,
            load_places: &load_places,
            phases: &phases,
        },
    );
    fields.finish();

    let plan = Plan {
        name: name?,
        description,
        profile: given.profile.map(str::to_owned),
        seed: given.seed.unwrap_or(seed),
        target: target?,
        auth: auth?,
        fleet: fleet?,
        loads: loads?,
        phases: phases.phases?,
        gates: gates?,
        must_apply,
        oracle,
        stability,
        generator: generator?,
    };
    Some(Placeable {
        plan,
        objective_places: places,
        load_places,
        fault_places: phases.fault_places,
        fleet_place,
    })
}

fn version(fields: &mut Fields<'_>) {
    let Some(node) = fields.need_node(&VERSION) else { return };
    if let Some(version) = fields.get_as::<u64>(&VERSION).filter(|found| *found != FORMAT) {
        let what = format!("version {version} of the scenario format is not known");
        let help = format!("this harness reads version {FORMAT}");
        fields.cx.report(Diagnostic::error(&node.place, what).help(help));
    }
}

/// What stands at a key of `[target]`, whoever laid it there.
pub(crate) fn key_of_target<'a>(scenario: &Fields<'a>, key: &str) -> Option<&'a Node> {
    scenario.node(&TARGET)?.as_table()?.get(key)
}

fn loads(fields: &Fields<'_>, phases: &[phase::Declared]) -> (Option<Vec<Load>>, Vec<Place>) {
    let nodes = fields.tables(&LOAD).unwrap_or_default();
    let places = nodes.iter().map(|node| node.place.clone()).collect();
    let loads: Vec<Option<Load>> =
        nodes.into_iter().map(|node| load::read(fields.cx, node, phases)).collect();
    (loads.into_iter().collect(), places)
}

/// Writes a plan as a scenario, with every default and override.
pub(crate) fn write(plan: &Plan) -> String {
    let out = &mut Writer::default();
    out.key(&VERSION, &FORMAT);
    out.key(&NAME, &plan.name);
    out.some(&DESCRIPTION, plan.description.as_ref());
    out.key(&SEED, &plan.seed);
    if !plan.must_apply.is_empty() {
        out.raw(&MUST_APPLY, array(plan.must_apply.iter().map(String::as_str)));
    }
    target::write(out, &plan.target);
    stability::write_target(out, &plan.stability);
    auth::write(out, &plan.auth);
    fleet::write(out, &plan.fleet);
    plan.loads.iter().for_each(|one| load::write(out, one));
    plan.phases.iter().for_each(|one| phase::write(out, one));
    plan.gates.iter().for_each(|one| gate::write(out, one));
    // Of the gates that are always judged, those that decide nothing.
    let gates = [(ORACLE_GATE, plan.oracle.advisory), (STABILITY_GATE, plan.stability.advisory)];
    let advisory = gates.into_iter().filter(|(_, advisory)| *advisory);
    advisory.for_each(|(name, _)| gate::write_advisory(out, name));
    tuning::write_oracle(out, &plan.oracle);
    tuning::write_generator(out, &plan.generator);
    stability::write(out, &plan.stability);
    write_profile(out, plan);
    std::mem::take(out).text()
}

/// The profile's changes are in the scenario by now; what is left of it is what it judges.
fn write_profile(out: &mut Writer, plan: &Plan) {
    let Some(name) = &plan.profile else { return };
    out.table(&format!("[{}.{name}]", PROFILE.name));
    if plan.gates.iter().any(|gate| !gate.judged) {
        let judged = plan.gates.iter().filter(|gate| gate.judged);
        out.raw(&JUDGE, array(judged.map(|gate| gate.name.as_str())));
    }
}

//! A whole scenario, from the merged tree to the plan.

use khala_wire::TopicKind;
use khala_wire::topic::TopicId;

use super::diagnostic::Diagnostic;
use super::fields::{Cx, Fields};
use super::gate::{self, Gates};
use super::objective::Scope;
use super::phase::Declared;
use super::scalar::{Placed, Read};
use super::source::Place;
use super::tree::Node;
use super::{auth, fit, fleet, limits, load, name, phase, stability, target, tuning};
use crate::model::{Fleet, Load, ORACLE_GATE, Plan, STABILITY_GATE, TargetKind};

/// Version of the scenario format.
pub(crate) const VERSION: u64 = 1;
/// Seed of a scenario that names none: a scenario is reproducible unless it is told not to be.
pub(crate) const SEED: u64 = 1;

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
    let mut fields = Fields::of(cx, root, "the scenario")?;
    version(&mut fields);
    let name = name::need(&mut fields, "name", "name = \"reconnect-storm\"");
    let description = fields.get::<String>("description");
    let seed = fields.or("seed", SEED);
    let place = fields.place.clone();

    let target_node = fields.node("target");
    let (target, known) =
        target::read(Fields::or_empty(cx, target_node, &place, "`[target]`"), given.defects);
    let reference = target.as_ref().map(|t| matches!(t.kind, TargetKind::Reference { .. }));
    let auth_node = fields.node("auth");
    let auth = auth::read(Fields::or_empty(cx, auth_node, &place, "`[auth]`"), reference);
    let fleet_node = fields.need_node("fleet", "[fleet]");
    let fleet_place = fleet_node.map_or(&place, |node| &node.place).clone();
    let fleet = fleet_node.and_then(|node| Fields::of(cx, node, "`[fleet]`")).and_then(fleet::read);
    let phases = phase::read_all(&mut fields, fleet.as_ref());
    let (loads, load_places) = loads(&mut fields, &phases.declared);
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
        gate::read_all(&mut fields, &scope, given.judge);
    let oracle_node = fields.node("oracle");
    let mut oracle = tuning::oracle(Fields::or_empty(cx, oracle_node, &place, "`[oracle]`"));
    oracle.advisory = advisory.contains(&ORACLE_GATE);
    let stability_node = fields.node("stability");
    let wanted = Fields::or_empty(cx, stability_node, &place, "`[stability]`");
    let wanted = stability::read(wanted);
    let mut stability = stability::resolve(&wanted, &known, reference.unwrap_or(true));
    stability.advisory = advisory.contains(&STABILITY_GATE);
    let generator_node = fields.node("generator");
    let generator =
        tuning::generator(Fields::or_empty(cx, generator_node, &place, "`[generator]`"));
    // Read before this walk began: the files it names are in the tree by now.
    let _ = fields.node("gates");
    limits::check(cx, loads.as_deref(), &load_places, clients, &phases);
    fit::check(cx, target.as_ref(), &phases);
    fit::check_sources(cx, target.as_ref(), generator_node);
    fields.finish();

    let plan = Plan {
        name: name?.value,
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
    let Some(node) = fields.need_node("version", "version = 1") else { return };
    if let Some(version) = u64::read(fields.cx, "version", node).filter(|found| *found != VERSION) {
        let what = format!("version {version} of the scenario format is not known");
        let help = format!("this harness reads version {VERSION}");
        fields.cx.report(Diagnostic::error(&node.place, what).help(help));
    }
}

fn loads(fields: &mut Fields<'_>, phases: &[Declared]) -> (Option<Vec<Load>>, Vec<Place>) {
    let nodes = fields.tables("load").unwrap_or_default();
    let places = nodes.iter().map(|node| node.place.clone()).collect();
    let loads: Vec<Option<Load>> =
        nodes.into_iter().map(|node| load::read(fields.cx, node, phases)).collect();
    (loads.into_iter().collect(), places)
}

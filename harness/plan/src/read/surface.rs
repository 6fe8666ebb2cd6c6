//! `[[fleet.surface]]`: a part of the fleet that behaves like one real client.

use std::time::Duration;

use super::diagnostic::Diagnostic;
use super::fields::{Cx, Fields};
use super::key::{Declared, Key, KeyOr, Name, Raw, Table, Within, Writer};
use super::scalar::{Placed, Read};
use super::schema::Shape;
use super::source::Place;
use super::topic::Topics;
use super::tree::Node;
use super::{backoff, name, suggest};
use crate::model::Cohort;
use crate::surface::Surface;

const NAME: Key<Raw> = Key::new(
    "name",
    Raw(|| Shape::Words(Surface::ALL.into_iter().map(Surface::name).collect())),
    "name = \"desktop\"",
    "Which real client the cohort behaves like.",
)
.required();
const COHORT: Key<Name> = Key::new(
    "cohort",
    Name,
    "cohort = \"far\"",
    "Name by which faults, profiles and flags know it; unique. Default: the surface's.",
);
const SHARE: Key<Raw> = Key::new(
    "share",
    Raw(|| Shape::NumberAbove(0.0, 1.0)),
    "share = 0.5",
    "Its share of the clients.",
)
.unit("share of the clients")
.required();
const TOPICS: Key<Topics> = Key::new(
    "topics",
    Topics {
        none: "a client without a topic receives nothing",
        help: "name a topic, or leave `topics` out for the surface's own",
    },
    "topics = [\"runtime.codex_worker_events\"]",
    "",
)
.told(|| {
    let topics = Surface::ALL.into_iter().map(|surface| {
        let topics = surface.default_topics();
        let names: Vec<&str> = topics.iter().map(|topic| topic.name()).collect();
        format!("{} of `{}`", names.join(", "), surface.name())
    });
    let topics: Vec<String> = topics.collect();
    format!("What its clients subscribe to. Default: the surface's own, {}.", topics.join("; "))
});
const BACKOFF: Key<Raw> = Key::new(
    "backoff",
    Raw(|| Shape::Whole(backoff::TABLE.definition())),
    "backoff = { fixed = \"2s\" }",
    "When its clients reconnect. Default: as the real client does (contract, section 6).",
);
const HEARTBEAT: KeyOr<Within<Duration>> = Key::new(
    "heartbeat",
    Within(Duration::from_millis(100), Duration::from_secs(3600)),
    "heartbeat = \"10s\"",
    "How often its clients heartbeat.",
)
.or(Surface::HEARTBEAT);
const REPLAY_BATCH_SIZE: KeyOr<Within<u32>> = Key::new(
    "replay_batch_size",
    // Five times what real clients ask for.
    Within(1, 1_000),
    "replay_batch_size = 100",
    "`replay_batch_size` of its subscribes, in events.",
)
.unit("events")
.or(Surface::REPLAY_BATCH_SIZE);

/// `[[fleet.surface]]`
pub(crate) const TABLE: Table = Table::new(
    "surface",
    "`[[fleet.surface]]`",
    "Clients of one surface that behave alike.",
    &[&NAME, &COHORT, &SHARE, &TOPICS, &BACKOFF, &HEARTBEAT, &REPLAY_BATCH_SIZE],
);

/// A cohort whose clients have not been counted yet.
pub(crate) struct Population {
    pub share: f64,
    pub share_place: Place,
    /// With `clients` 0.
    pub cohort: Cohort,
}

/// Reads all surfaces, if there is a list of them; `None` in place of one that is wrong.
pub(crate) fn read_all(fleet: &Fields<'_>, key: &dyn Declared) -> Option<Vec<Option<Population>>> {
    let cx = fleet.cx;
    let mut names = Vec::new();
    let populations = fleet.tables(key)?;
    let populations = populations.into_iter().map(|node| one(cx, node, &mut names)).collect();
    let named = names.iter().map(|name| (name.value.as_str(), &name.place));
    let help = "give it a name of its own: `cohort = \"…\"`";
    name::report_duplicates_helped(cx, "cohort", help, named);
    Some(populations)
}

fn one(cx: &Cx, node: &Node, names: &mut Vec<Placed<String>>) -> Option<Population> {
    let mut fields = Fields::of(cx, node, &TABLE)?;
    let surface = surface(&mut fields);
    let name = cohort_name(&fields, surface.as_ref());
    names.extend(name.clone());
    let surface = surface.map(|surface| surface.value);
    let share_place = fields.node(&SHARE).map_or(&node.place, |node| &node.place).clone();
    let share = share(&mut fields);
    let topics = match fields.node(&TOPICS) {
        Some(_) => fields.get(&TOPICS),
        None => surface.map(Surface::default_topics),
    };
    let backoff = match fields.node(&BACKOFF) {
        Some(node) => backoff::read(cx, node),
        None => surface.map(Surface::default_backoff),
    };
    let heartbeat = fields.or(&HEARTBEAT);
    let replay_batch_size = fields.or(&REPLAY_BATCH_SIZE);
    fields.finish();
    let (surface, topics, backoff) = (surface?, topics?, backoff?);
    let name = name?.value;
    let cohort =
        Cohort { name, surface, clients: 0, topics, backoff, heartbeat, replay_batch_size };
    Some(Population { share: share?, share_place, cohort })
}

/// The name by which faults, profiles and flags know it: its surface's, unless it has its own.
fn cohort_name(fields: &Fields<'_>, surface: Option<&Placed<Surface>>) -> Option<Placed<String>> {
    let Some(node) = fields.node(&COHORT) else {
        return surface.filter(|_| !fields.has(&COHORT)).map(|surface| Placed {
            value: surface.value.name().to_owned(),
            place: surface.place.clone(),
        });
    };
    Some(Placed { value: fields.get(&COHORT)?, place: node.place.clone() })
}

fn surface(fields: &mut Fields<'_>) -> Option<Placed<Surface>> {
    let node = fields.need_node(&NAME)?;
    let name = String::read(fields.cx, NAME.name, node)?;
    if let Some(value) = Surface::of(&name) {
        return Some(Placed { value, place: node.place.clone() });
    }
    let known = || Surface::ALL.into_iter().map(Surface::name);
    fields.cx.report(if name == "onyx" {
        Diagnostic::error(&node.place, "`onyx` may read run events only, which this lane has not")
            .note("it lives on the poll lane, which is not yet served")
            .help(format!("the surfaces of the lane `ws` are {}", suggest::list(known())))
    } else {
        Diagnostic::error(&node.place, format!("there is no surface `{name}`"))
            .help(suggest::did_you_mean(&name, known().collect::<Vec<_>>()))
    });
    None
}

fn share(fields: &mut Fields<'_>) -> Option<f64> {
    let node = fields.need_node(&SHARE)?;
    let share = f64::read(fields.cx, SHARE.name, node)?;
    if share > 0.0 && share <= 1.0 {
        return Some(share);
    }
    let what = format!("`share` is {share}; it must be above 0 and at most 1");
    fields.cx.report(Diagnostic::error(&node.place, what));
    None
}

/// Writes a cohort of a fleet of so many clients.
pub(crate) fn write(out: &mut Writer, cohort: &Cohort, clients: u32) {
    out.table("[[fleet.surface]]");
    out.raw(&NAME, cohort.surface.name());
    out.key(&COHORT, &cohort.name);
    let share = f64::from(cohort.clients) / f64::from(clients);
    out.line(format_args!("{} = {share:?} # {} clients", SHARE.name, cohort.clients));
    out.key(&TOPICS, &cohort.topics);
    out.line(format_args!("{} = {}", BACKOFF.name, backoff::written(&cohort.backoff)));
    out.key(&HEARTBEAT, &cohort.heartbeat);
    out.key(&REPLAY_BATCH_SIZE, &cohort.replay_batch_size);
}

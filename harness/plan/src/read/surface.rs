//! `[[fleet.surface]]`: a part of the fleet that behaves like one real client.

use std::time::Duration;

use super::diagnostic::Diagnostic;
use super::fields::{Cx, Fields};
use super::scalar::{Placed, Read};
use super::source::Place;
use super::tree::Node;
use super::{backoff, name, suggest, topic};
use crate::model::Cohort;
use crate::surface::Surface;

pub(crate) const HEARTBEATS: std::ops::RangeInclusive<Duration> =
    Duration::from_millis(100)..=Duration::from_secs(3600);
/// Five times what real clients ask for.
pub(crate) const REPLAY_BATCHES: std::ops::RangeInclusive<u32> = 1..=1_000;

const NO_TOPIC: (&str, &str) = (
    "a client without a topic receives nothing",
    "name a topic, or leave `topics` out for the surface's own",
);

/// A cohort whose clients have not been counted yet.
pub(crate) struct Population {
    pub share: f64,
    pub share_place: Place,
    /// With `clients` 0.
    pub cohort: Cohort,
}

/// Reads all surfaces, if there is a list of them; `None` in place of one that is wrong.
pub(crate) fn read_all(fleet: &mut Fields<'_>) -> Option<Vec<Option<Population>>> {
    let cx = fleet.cx;
    let mut names = Vec::new();
    let populations = fleet.tables("surface")?;
    let populations = populations.into_iter().map(|node| one(cx, node, &mut names)).collect();
    let named = names.iter().map(|name| (name.value.as_str(), &name.place));
    let help = "give it a name of its own: `cohort = \"…\"`";
    name::report_duplicates_helped(cx, "cohort", help, named);
    Some(populations)
}

fn one(cx: &Cx, node: &Node, names: &mut Vec<Placed<String>>) -> Option<Population> {
    let mut fields = Fields::of(cx, node, "`[[fleet.surface]]`")?;
    let surface = surface(&mut fields);
    let name = cohort_name(&mut fields, surface.as_ref());
    names.extend(name.clone());
    let surface = surface.map(|surface| surface.value);
    let share_place = fields.node("share").map_or(&node.place, |node| &node.place).clone();
    let share = share(&mut fields);
    let topics = match fields.node("topics") {
        Some(node) => topic::list(cx, "topics", node, NO_TOPIC),
        None => surface.map(Surface::default_topics),
    };
    let backoff = match fields.node("backoff") {
        Some(node) => backoff::read(cx, node),
        None => surface.map(Surface::default_backoff),
    };
    let heartbeat = fields.within("heartbeat", HEARTBEATS).unwrap_or(Surface::HEARTBEAT);
    let replay_batch_size =
        fields.within("replay_batch_size", REPLAY_BATCHES).unwrap_or(Surface::REPLAY_BATCH_SIZE);
    fields.finish();
    let (surface, topics, backoff) = (surface?, topics?, backoff?);
    let name = name?.value;
    let cohort =
        Cohort { name, surface, clients: 0, topics, backoff, heartbeat, replay_batch_size };
    Some(Population { share: share?, share_place, cohort })
}

/// The name by which faults, profiles and flags know it: its surface's, unless it has its own.
fn cohort_name(
    fields: &mut Fields<'_>,
    surface: Option<&Placed<Surface>>,
) -> Option<Placed<String>> {
    let Some(node) = fields.node("cohort") else {
        return surface.filter(|_| !fields.has("cohort")).map(|surface| Placed {
            value: surface.value.name().to_owned(),
            place: surface.place.clone(),
        });
    };
    name::plain(fields.cx, String::read(fields.cx, "cohort", node)?, &node.place)
}

fn surface(fields: &mut Fields<'_>) -> Option<Placed<Surface>> {
    let node = fields.need_node("name", "name = \"desktop\"")?;
    let name = String::read(fields.cx, "name", node)?;
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
    let node = fields.need_node("share", "share = 0.5")?;
    let share = f64::read(fields.cx, "share", node)?;
    if share > 0.0 && share <= 1.0 {
        return Some(share);
    }
    let what = format!("`share` is {share}; it must be above 0 and at most 1");
    fields.cx.report(Diagnostic::error(&node.place, what));
    None
}

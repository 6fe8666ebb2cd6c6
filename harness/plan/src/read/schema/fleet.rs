//! `[fleet]`, its surfaces and their back-off.

use super::shape::Shape;
use super::table::{Key, Table};
use crate::read::backoff::{DELAYS, EXPONENT_MAX, EXPONENTS, JITTERS};
use crate::read::fleet::{
    CLIENTS_MAX, FIRST_SUBSCRIBES, FIRST_USER_ID, FIRST_USER_IDS, NAME_PREFIX, RAMP, RAMPS,
    USER_IDS,
};
use crate::read::surface::{HEARTBEATS, REPLAY_BATCHES};
use crate::surface::Surface;
use crate::units::format_duration;

/// Every table of the section.
pub(super) fn tables() -> Vec<Table> {
    vec![fleet(), surface(), backoff()]
}

fn fleet() -> Table {
    let keys = vec![
        Key::new(
            "clients",
            Shape::integer(1..=CLIENTS_MAX),
            "How many clients, over all surfaces. `check` says what they take.",
        )
        .required(),
        Key::new(
            "ramp",
            Shape::Duration(RAMPS),
            "Over how long they arrive, at equal gaps, whatever the target does.",
        )
        .or(format_duration(RAMP)),
        Key::new("name_prefix", Shape::name(), "Prefix of every synthetic name.").or(NAME_PREFIX),
        Key::new(
            "users",
            Shape::integer(1..=CLIENTS_MAX),
            "How many users the clients are, at most one each. Default: one each.",
        ),
        Key::new(
            "orgs",
            Shape::integer(1..=CLIENTS_MAX),
            "How many organisations the users belong to, at most one each.",
        )
        .or(1),
        Key::new(
            "user_ids",
            Shape::words(&USER_IDS),
            "What the ids of users look like. `named`: `{prefix}-user-{n}`. `numeric`: positive \
             integers, for a target that wants such.",
        )
        .or("named"),
        Key::new(
            "first_user_id",
            Shape::integer(FIRST_USER_IDS),
            "The first user's id, with `user_ids = \"numeric\"`; it publishes too.",
        )
        .or(FIRST_USER_ID),
        Key::new(
            "first_subscribe",
            Shape::words(&FIRST_SUBSCRIBES),
            "Where the first subscribe of a client begins. `from-start`: without a cursor, so that all \
             that the target retains is replayed. `from-now`: where its topics stand when the run is set \
             up, which one client learns.",
        )
        .or("from-start"),
        Key::new(
            "only_clients",
            Shape::List(Box::new(Shape::integer(0..=CLIENTS_MAX)), 0),
            "The only clients that take part, by number; each does what it does in the whole fleet. \
             `run --only-client` sets it. Default: all of them.",
        ),
        Key::new(
            "surface",
            Shape::Tables("surface", 1),
            "The cohorts of the fleet. Their shares sum to 1.",
        )
        .required(),
    ];
    Table::new("fleet", "How many clients, and over how long they arrive.", keys)
}

fn surface() -> Table {
    let surfaces = || Surface::ALL.into_iter();
    let topics: Vec<String> = surfaces()
        .map(|surface| {
            let topics = surface.default_topics();
            let names: Vec<&str> = topics.iter().map(|topic| topic.name()).collect();
            format!("{} of `{}`", names.join(", "), surface.name())
        })
        .collect();
    let keys = vec![
        Key::new(
            "name",
            Shape::Words(surfaces().map(Surface::name).collect()),
            "Which real client the cohort behaves like.",
        )
        .required(),
        Key::new(
            "cohort",
            Shape::name(),
            "Name by which faults, profiles and flags know it; unique. Default: the surface's.",
        ),
        Key::new("share", Shape::NumberAbove(0.0, 1.0), "Its share of the clients.").required(),
        Key::new(
            "topics",
            Shape::topics(),
            format!(
                "What its clients subscribe to. Default: the surface's own, {}.",
                topics.join("; ")
            ),
        ),
        Key::new(
            "backoff",
            Shape::Whole("backoff".to_owned()),
            "When its clients reconnect. Default: as the real client does (contract, section 6).",
        ),
        Key::new("heartbeat", Shape::Duration(HEARTBEATS), "How often its clients heartbeat.")
            .or(format_duration(Surface::HEARTBEAT)),
        Key::new(
            "replay_batch_size",
            Shape::integer(REPLAY_BATCHES),
            "`replay_batch_size` of its subscribes, in events.",
        )
        .or(Surface::REPLAY_BATCH_SIZE),
    ];
    let doc = "Clients of one surface that behave alike.";
    Table::new("surface", doc, keys)
}

fn backoff() -> Table {
    let keys = vec![
        Key::new("fixed", Shape::Duration(DELAYS), "The same delay at every attempt.")
            .alternative(),
        Key::new("base", Shape::Duration(DELAYS), "Delay of the first step.")
            .alternative()
            .beside("cap"),
        Key::new("cap", Shape::Duration(DELAYS), "Largest delay before jitter."),
        Key::new(
            "exponent_offset",
            Shape::integer(EXPONENTS),
            "Subtracted from the attempt, which counts from 1, to get the exponent.",
        )
        .or(0),
        Key::new("exponent_max", Shape::integer(EXPONENTS), "Largest exponent.").or(EXPONENT_MAX),
        Key::new(
            "jitter",
            Shape::number(JITTERS),
            "Largest share of the delay that is added to it, drawn evenly.",
        )
        .or(0.0),
    ];
    let doc = "`{ fixed = \"2s\" }`, or `base × 2^min(attempt − exponent_offset, exponent_max)`, \
               at most `cap`, plus up to `jitter` of it.";
    Table::new("backoff", doc, keys).replaced()
}

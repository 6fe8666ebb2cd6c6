//! `[fleet]`: how many clients, and over how long they arrive.

use std::time::Duration;

use super::diagnostic::Diagnostic;
use super::fields::{Cx, Fields};
use super::key::{Declared, Key, KeyOr, Name, Raw, Table, Within, Words, Writer};
use super::scalar::{Placed, Rate, Read};
use super::schema::Shape;
use super::surface::{self, Population};
use super::tree::Node;
use crate::apportion;
use crate::model::{Cohort, FirstSubscribe, Fleet, UserIds};
use crate::stages::{self, Stage};

/// Far beyond what one host can open: more is a slip of the pen.
const CLIENTS_MAX: u32 = 1_000_000;
/// How far the shares may be from 1, so that three times 0.333 will do.
const SHARE_TOLERANCE: f64 = 0.005;

const CLIENTS: Key<Within<u32>> = Key::new(
    "clients",
    Within(1, CLIENTS_MAX),
    "clients = 100",
    "How many clients, over all surfaces; with stages, those that arrive in the ramp. `check` says what they \
     take.",
)
.unit("clients")
.required();
const RAMP: KeyOr<Within<Duration>> = Key::new(
    "ramp",
    Within(Duration::ZERO, Duration::from_secs(24 * 3600)),
    "ramp = \"30s\"",
    "Over how long they arrive, at equal gaps, whatever the target does.",
)
.or(Duration::from_secs(10));
const NAME_PREFIX: KeyOr<Name> =
    Key::new("name_prefix", Name, "name_prefix = \"nightly\"", "Prefix of every synthetic name.")
        .or("khala-harness");
const USERS: Key<Within<u32>> = Key::new(
    "users",
    Within(1, CLIENTS_MAX),
    "users = 50",
    "How many users the clients are, at most one each. Default: one each.",
)
.unit("users");
const ORGS: KeyOr<Within<u32>> = Key::new(
    "orgs",
    Within(1, CLIENTS_MAX),
    "orgs = 5",
    "How many organisations the users belong to, at most one each.",
)
.unit("organisations")
.or(1);
const USER_IDS: KeyOr<Words<bool>> = Key::new(
    "user_ids",
    Words(&[("named", false), ("numeric", true)]),
    "user_ids = \"numeric\"",
    "What the ids of users look like. `named`: `{prefix}-user-{n}`, with zeros before the number to 36 characters, so \
     that users differ at the end alone. `numeric`: positive \
     integers, for a target that wants such.",
)
.or(false);
const FIRST_USER_ID: KeyOr<Within<u64>> = Key::new(
    "first_user_id",
    // What fits a signed 64-bit column with room for the users of a fleet.
    Within(1, 1_000_000_000_000_000),
    "first_user_id = 1_000_000",
    "The first user's id, with `user_ids = \"numeric\"`; it publishes too.",
)
.or(1);
const FIRST_SUBSCRIBE: KeyOr<Words<FirstSubscribe>> = Key::new(
    "first_subscribe",
    Words(&[("from-start", FirstSubscribe::FromStart), ("from-now", FirstSubscribe::FromNow)]),
    "first_subscribe = \"from-now\"",
    "Where the first subscribe of a client begins. `from-start`: without a cursor, so that all \
     that the target retains is replayed. `from-now`: where its topics stand when the run is set \
     up, which one client learns.",
)
.or(FirstSubscribe::FromStart);
const STAGE: Key<Raw> = Key::new(
    "stage",
    Raw(|| Shape::Tables("stage", 0)),
    "[[fleet.stage]]",
    "How the number of clients goes up and down after the ramp, a stage after the other; after the last one it \
     stays. Without any it stays as it is.",
);
const STAGE_DURATION: Key<Within<Duration>> = Key::new(
    "duration",
    Within(Duration::ZERO, Duration::from_secs(30 * 24 * 3600)),
    "duration = \"10m\"",
    "How long it is: the first begins with the first phase.",
)
.required();
const STAGE_TARGET: Key<Within<u32>> = Key::new(
    "target",
    Within(0, CLIENTS_MAX),
    "target = 200",
    "How many clients there are at its end; until then the number goes there in a straight line. Who has been \
     there longest leaves first, in good order.",
)
.unit("clients")
.required();
const STAGE_CHURN: Key<Within<Rate>> = Key::new(
    "churn",
    Within(Rate(0.0001), Rate(10_000.0)),
    "churn = \"30/min\"",
    "So many clients leave, at equal gaps, and as many others come in their place. Default: none.",
);

/// `[[fleet.stage]]`
pub(crate) const STAGES: Table = Table::new(
    "stage",
    "`[[fleet.stage]]`",
    "A time in which the number of clients goes up or down, or clients come and go.",
    &[&STAGE_DURATION, &STAGE_TARGET, &STAGE_CHURN],
);
const SURFACE: Key<Raw> = Key::new(
    "surface",
    Raw(|| Shape::Tables("surface", 1)),
    "[[fleet.surface]]",
    "The cohorts of the fleet. Their shares sum to 1.",
)
.required();
const ONLY_CLIENTS: Key<Raw> = Key::new(
    "only_clients",
    Raw(|| Shape::List(Box::new(Shape::Integer(0, CLIENTS_MAX.into())), 0)),
    "only_clients = [17]",
    "The only clients that take part, by number; each does what it does in the whole fleet. \
     `run --only-client` sets it. Default: all of them.",
)
.unit("numbers of clients");

/// `[fleet]`
pub(crate) const TABLE: Table = Table::new(
    "fleet",
    "`[fleet]`",
    "How many clients, and over how long they arrive.",
    &[
        &CLIENTS,
        &RAMP,
        &STAGE,
        &NAME_PREFIX,
        &USERS,
        &ORGS,
        &USER_IDS,
        &FIRST_USER_ID,
        &FIRST_SUBSCRIBE,
        &SURFACE,
        &ONLY_CLIENTS,
    ],
);

/// Reads `[fleet]`.
pub(crate) fn read(mut fields: Fields<'_>) -> Option<Fleet> {
    let at_first = fields.need(&CLIENTS);
    let stages = stages(&fields);
    let clients = roster(&fields, at_first, stages.as_deref());
    let ramp = fields.or(&RAMP);
    let name_prefix = fields.right(&NAME_PREFIX);
    // Without a count of clients there is nothing to compare with.
    let users_max = clients.unwrap_or(CLIENTS_MAX);
    let users = at_most(&fields, &USERS, users_max, "clients").unwrap_or(users_max);
    let orgs = at_most(&fields, &ORGS, users, "users").unwrap_or(ORGS.default_value());
    let user_ids = user_ids(&fields);
    let first_subscribe = fields.right(&FIRST_SUBSCRIBE);
    let populations = surface::read_all(&fields, &SURFACE);
    let cohorts = cohorts(&fields, clients, populations);
    let only_clients = only_clients(&fields, clients);
    fields.finish();
    let (clients, name_prefix, cohorts) = (clients?, name_prefix?, cohorts?);
    Some(Fleet {
        clients,
        at_first: at_first?,
        ramp,
        stages: stages?,
        name_prefix,
        users,
        orgs,
        user_ids: user_ids?,
        first_subscribe: first_subscribe?,
        cohorts,
        only_clients: only_clients?,
    })
}

/// The stages, each read; `None` where one is wrong.
fn stages(fields: &Fields<'_>) -> Option<Vec<Stage>> {
    let nodes = fields.tables(&STAGE).unwrap_or_default();
    let read: Vec<Option<Stage>> = nodes.into_iter().map(|node| stage(fields.cx, node)).collect();
    read.into_iter().collect()
}

fn stage(cx: &Cx, node: &Node) -> Option<Stage> {
    let mut fields = Fields::of(cx, node, &STAGES)?;
    let duration = fields.need(&STAGE_DURATION);
    let target = fields.need(&STAGE_TARGET);
    let churn = fields.get(&STAGE_CHURN).map_or(0.0, |Rate(per_s)| per_s);
    fields.finish();
    Some(Stage { duration: duration?, target: target?, churn_per_s: churn })
}

/// How many clients there are in the whole run.
fn roster(fields: &Fields<'_>, at_first: Option<u32>, stages: Option<&[Stage]>) -> Option<u32> {
    let (at_first, stages) = (at_first?, stages?);
    let all = stages::roster(at_first, stages);
    if all > f64::from(CLIENTS_MAX) {
        let what = format!("the stages bring {all:.0} clients in all; {CLIENTS_MAX} are the most");
        let help = "lower `churn`, or shorten the stages";
        fields.cx.report(Diagnostic::error(&fields.place, what).help(help));
        return None;
    }
    let came = stages::changes(at_first, stages).iter().filter(|change| change.comes).count();
    Some(at_first.saturating_add(u32::try_from(came).unwrap_or(u32::MAX)))
}

/// What the users' ids look like.
fn user_ids(fields: &Fields<'_>) -> Option<UserIds> {
    let numeric = fields.right(&USER_IDS);
    if numeric == Some(false) {
        let why = "with `user_ids = \"named\"`";
        fields.no_effect_by(&FIRST_USER_ID, fields.node(&USER_IDS), why);
        return Some(UserIds::Named { padded: true });
    }
    let first = fields.or(&FIRST_USER_ID);
    numeric.map(|_| UserIds::Numeric { first })
}

/// The numbers of the only clients that take part.
fn only_clients(fields: &Fields<'_>, clients: Option<u32>) -> Option<Vec<u32>> {
    let Some(node) = fields.node(&ONLY_CLIENTS) else { return Some(Vec::new()) };
    let numbers = Vec::<Placed<u32>>::read(fields.cx, ONLY_CLIENTS.name, node)?;
    let clients = clients?;
    let mut sound = true;
    for number in numbers.iter().filter(|number| number.value >= clients) {
        let what = format!("there is no client {} among {clients}", number.value);
        let help = format!("clients are numbered from 0 to {}", clients - 1);
        fields.cx.report(Diagnostic::error(&number.place, what).help(&help));
        sound = false;
    }
    let mut only: Vec<u32> = numbers.iter().map(|number| number.value).collect();
    only.sort_unstable();
    if let Some(twice) = only.windows(2).find(|pair| pair[0] == pair[1]) {
        let what = format!("client {} is named twice", twice[0]);
        fields.cx.report(Diagnostic::error(&node.place, what).help("name it once"));
        sound = false;
    }
    sound.then_some(only)
}

/// A count of at least 1 that cannot be more than another.
fn at_most(fields: &Fields<'_>, key: &dyn Declared, max: u32, of: &str) -> Option<u32> {
    let node = fields.node(key)?;
    let key = key.name();
    let value = u32::read(fields.cx, key, node)?;
    if (1..=max).contains(&value) {
        return Some(value);
    }
    let what = format!("`{key}` is {value}; it must be from 1 to the number of {of}, {max}");
    fields.cx.report(Diagnostic::error(&node.place, what));
    None
}

/// Deals the clients out over the surfaces; everything said of a share is said here.
fn cohorts(
    fields: &Fields<'_>,
    clients: Option<u32>,
    populations: Option<Vec<Option<Population>>>,
) -> Option<Vec<Cohort>> {
    let cx = fields.cx;
    let populations = populations?;
    if populations.is_empty() {
        let what = format!("{} has no surface, so there are no clients", fields.name);
        let help = "add `[[fleet.surface]]` with `name = \"desktop\"` and `share = 1`";
        cx.report_missing(Diagnostic::error(&fields.place, what).help(help));
        return None;
    }
    let populations: Vec<Population> = populations.into_iter().collect::<Option<_>>()?;
    let shares: Vec<f64> = populations.iter().map(|population| population.share).collect();
    let sum: f64 = shares.iter().sum();
    if (sum - 1.0).abs() > SHARE_TOLERANCE {
        let place = populations.first().map_or(&fields.place, |first| &first.share_place);
        let what = format!("the shares of the surfaces sum to {}, not to 1", rounded(sum));
        let written: Vec<String> = shares.iter().map(ToString::to_string).collect();
        let note = format!("the shares are {}", written.join(" + "));
        let help = "make them sum to 1";
        cx.report_missing(Diagnostic::error(place, what).note(note).help(help));
        return None;
    }
    let counts = apportion::largest_remainder(clients?, &shares);
    let cohorts = populations.into_iter().zip(counts).map(|(population, clients)| {
        if clients == 0 {
            let name = &population.cohort.name;
            let what = format!("a share of {} leaves `{name}` without a client", population.share);
            let help = "raise `fleet.clients` or the share";
            cx.report(Diagnostic::error(&population.share_place, what).help(help));
        }
        Cohort { clients, ..population.cohort }
    });
    Some(cohorts.collect())
}

/// Without the noise of adding decimal fractions in binary.
fn rounded(sum: f64) -> f64 {
    (sum * 1e6).round() / 1e6
}

/// Writes a fleet.
pub(crate) fn write(out: &mut Writer, fleet: &Fleet) {
    out.table("[fleet]");
    out.key(&CLIENTS, &fleet.at_first);
    out.key(&RAMP, &fleet.ramp);
    out.key(&NAME_PREFIX, &fleet.name_prefix);
    out.key(&USERS, &fleet.users);
    out.key(&ORGS, &fleet.orgs);
    if fleet.first_subscribe != FIRST_SUBSCRIBE.default_value() {
        out.key(&FIRST_SUBSCRIBE, &fleet.first_subscribe);
    }
    if let UserIds::Numeric { first } = fleet.user_ids {
        out.key(&USER_IDS, &true);
        out.key(&FIRST_USER_ID, &first);
    }
    if !fleet.only_clients.is_empty() {
        let only = fleet.only_clients.iter().map(|client| toml::Value::from(*client));
        out.raw(&ONLY_CLIENTS, only.collect::<Vec<_>>());
    }
    for stage in &fleet.stages {
        out.table("[[fleet.stage]]");
        out.key(&STAGE_DURATION, &stage.duration);
        out.key(&STAGE_TARGET, &stage.target);
        if stage.churn_per_s > 0.0 {
            out.key(&STAGE_CHURN, &Rate(stage.churn_per_s));
        }
    }
    fleet.cohorts.iter().for_each(|cohort| surface::write(out, cohort, fleet.clients));
}

//! `[fleet]`: how many clients, and over how long they arrive.

use std::time::Duration;

use super::diagnostic::Diagnostic;
use super::fields::Fields;
use super::name;
use super::scalar::{Placed, Read};
use super::surface::{self, Population};
use crate::apportion;
use crate::model::{Cohort, FirstSubscribe, Fleet, UserIds};

pub(crate) const RAMP: Duration = Duration::from_secs(10);
pub(crate) const RAMPS: std::ops::RangeInclusive<Duration> =
    Duration::ZERO..=Duration::from_secs(24 * 3600);
pub(crate) const NAME_PREFIX: &str = "khala-harness";
/// `user_ids`, and whether they are numbers.
pub(crate) const USER_IDS: [(&str, bool); 2] = [("named", false), ("numeric", true)];
pub(crate) const FIRST_USER_ID: u64 = 1;
pub(crate) const FIRST_SUBSCRIBES: [(&str, FirstSubscribe); 2] =
    [("from-start", FirstSubscribe::FromStart), ("from-now", FirstSubscribe::FromNow)];
/// What fits a signed 64-bit column with room for the users of a fleet.
pub(crate) const FIRST_USER_IDS: std::ops::RangeInclusive<u64> = 1..=1_000_000_000_000_000;
/// Far beyond what one host can open: more is a slip of the pen.
pub(crate) const CLIENTS_MAX: u32 = 1_000_000;
/// How far the shares may be from 1, so that three times 0.333 will do.
const SHARE_TOLERANCE: f64 = 0.005;

/// Reads `[fleet]`.
pub(crate) fn read(mut fields: Fields<'_>) -> Option<Fleet> {
    let clients = fields.need_within("clients", "clients = 100", 1..=CLIENTS_MAX);
    let ramp = fields.within("ramp", RAMPS).unwrap_or(RAMP);
    let name_prefix = name_prefix(&mut fields);
    // Without a count of clients there is nothing to compare with.
    let users_max = clients.unwrap_or(CLIENTS_MAX);
    let users = at_most(&mut fields, "users", users_max, "clients").unwrap_or(users_max);
    let orgs = at_most(&mut fields, "orgs", users, "users").unwrap_or(1);
    let user_ids = user_ids(&mut fields);
    let first_subscribe =
        fields.keyword_or("first_subscribe", FirstSubscribe::FromStart, &FIRST_SUBSCRIBES);
    let populations = surface::read_all(&mut fields);
    let cohorts = cohorts(&fields, clients, populations);
    let only_clients = only_clients(&mut fields, clients);
    fields.finish();
    let (clients, name_prefix, cohorts) = (clients?, name_prefix?, cohorts?);
    Some(Fleet {
        clients,
        ramp,
        name_prefix,
        users,
        orgs,
        user_ids: user_ids?,
        first_subscribe: first_subscribe?,
        cohorts,
        only_clients: only_clients?,
    })
}

/// What the users' ids look like.
fn user_ids(fields: &mut Fields<'_>) -> Option<UserIds> {
    let numeric = fields.keyword_or("user_ids", false, &USER_IDS);
    if numeric == Some(false) {
        fields.no_effect("first_user_id", "with `user_ids = \"named\"`");
        return Some(UserIds::Named);
    }
    let first = fields.within("first_user_id", FIRST_USER_IDS).unwrap_or(FIRST_USER_ID);
    numeric.map(|_| UserIds::Numeric { first })
}

/// The numbers of the only clients that take part.
fn only_clients(fields: &mut Fields<'_>, clients: Option<u32>) -> Option<Vec<u32>> {
    let Some(node) = fields.node("only_clients") else { return Some(Vec::new()) };
    let numbers = Vec::<Placed<u32>>::read(fields.cx, "only_clients", node)?;
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

fn name_prefix(fields: &mut Fields<'_>) -> Option<String> {
    let Some(node) = fields.node("name_prefix") else { return Some(NAME_PREFIX.to_owned()) };
    let prefix = String::read(fields.cx, "name_prefix", node)?;
    name::plain(fields.cx, prefix, &node.place).map(|prefix| prefix.value)
}

/// A count of at least 1 that cannot be more than another.
fn at_most(fields: &mut Fields<'_>, key: &'static str, max: u32, of: &str) -> Option<u32> {
    let node = fields.node(key)?;
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

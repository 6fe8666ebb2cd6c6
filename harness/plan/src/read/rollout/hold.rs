//! `[stage.hold]`: a steady run for as long as a stage is to be held.

use std::time::Duration;

use super::texts;
use crate::read::diagnostic::Diagnostic;
use crate::read::fields::Fields;
use crate::read::key::{Key, KeyOr, Raw, Table, Text, Within};
use crate::read::schema::Shape;
use crate::rollout::{Hold, HoldLength, ScenarioRun};
use crate::units::DURATION_MAX;

/// Name of the hold among a stage's runs.
const HOLD: &str = "hold";

const SCENARIO: KeyOr<Text> = Key::new(
    "scenario",
    Text,
    "scenario = \"hold.toml\"",
    "Its scenario, relative to the rollout file: one phase called `hold`, without a fault. The phase gets the \
     hold's length, the fleet the stage's clients.",
)
.or("hold.toml");
const DURATION: Key<Within<Duration>> = Key::new(
    "duration",
    Within(Duration::from_secs(1), DURATION_MAX),
    "duration = \"60m\"",
    "How long, at any time of day. Either this, or `from`, `to` and `tz`.",
)
.alternative();
const FROM: Key<Text> = Key::new(
    "from",
    Text,
    "from = \"09:00\"",
    "Of a hold of one business day (Monday to Friday, but for `holidays`): when it begins.",
)
.alternative()
.beside("to");
const TO: Key<Text> = Key::new(
    "to",
    Text,
    "to = \"17:00\"",
    "When the business day ends: what is left of the hold by then goes on the next one.",
)
.beside("tz");
const TZ: Key<Text> = Key::new(
    "tz",
    Text,
    "tz = \"Europe/Berlin\"",
    "Time zone of the business day, by its IANA name.",
)
.beside("from");
const HOLIDAYS: Key<Raw> = Key::new(
    "holidays",
    Raw(|| Shape::names(0)),
    "holidays = [\"2026-12-25\"]",
    "Dates that are no business days where `tz` is. Others than these are not known.",
)
.beside("tz");
const BURN_LONG: KeyOr<Within<Duration>> = Key::new(
    "burn_long",
    Within(Duration::from_secs(1), DURATION_MAX),
    "burn_long = \"1h\"",
    "The long window of burn rates; clipped to the hold.",
)
.or(Duration::from_secs(3600));
const BURN_SHORT: KeyOr<Within<Duration>> = Key::new(
    "burn_short",
    Within(Duration::from_secs(1), DURATION_MAX),
    "burn_short = \"5m\"",
    "The short window of burn rates; clipped to the hold.",
)
.or(Duration::from_secs(300));
const BURN_RATE_MAX: KeyOr<Within<f64>> = Key::new(
    "burn_rate_max",
    Within(0.01, 1_000.0),
    "burn_rate_max = 1.0",
    "How many times as fast as its limit allows a budget may be spent over the long and the short window.",
)
.or(1.0);
const OBSERVED_MIN: KeyOr<Within<f64>> = Key::new(
    "observed_min",
    Within(0.95, 1.0),
    "observed_min = 0.95",
    "The least share of the hold that must have been observed.",
)
.or(0.95);
const MUST_APPLY: Key<Raw> = Key::new(
    "must_apply",
    Raw(|| Shape::names(0)),
    "must_apply = [\"auth_failures\"]",
    "Indicators of the rolling windows that must have had occasions; one without any is a HOLD.",
);
pub(super) const TABLE: Table = Table::new(
    "hold",
    "`[stage.hold]`",
    "A steady run without faults, for as long as the stage is to be held.",
    &[
        &SCENARIO,
        &DURATION,
        &FROM,
        &TO,
        &TZ,
        &HOLIDAYS,
        &BURN_LONG,
        &BURN_SHORT,
        &BURN_RATE_MAX,
        &OBSERVED_MIN,
        &MUST_APPLY,
    ],
);

pub(super) fn read(fields: Fields<'_>) -> Option<Hold> {
    let file = fields.right(&SCENARIO);
    let length = length(&fields);
    let (long, short) = (fields.right(&BURN_LONG), fields.right(&BURN_SHORT));
    if let (Some(long), Some(short)) = (long, short)
        && short > long
    {
        let what = "`burn_short` is longer than `burn_long`";
        let place = fields.node(&BURN_SHORT).map_or(&fields.place, |node| &node.place);
        fields
            .cx
            .report(Diagnostic::error(place, what).help("the short window lies in the long one"));
    }
    let (rate, observed) = (fields.right(&BURN_RATE_MAX), fields.right(&OBSERVED_MIN));
    let must_apply = texts(&fields, &MUST_APPLY);
    fields.finish();
    let scenario = ScenarioRun {
        name: HOLD.to_owned(),
        file: file?,
        profile: None,
        set: Vec::new(),
        stage_load: true,
    };
    Some(Hold {
        scenario,
        length: length?,
        burn_long: long?,
        burn_short: short?,
        burn_rate_max: rate?,
        observed_min: observed?,
        must_apply: must_apply?,
    })
}

fn length(fields: &Fields<'_>) -> Option<HoldLength> {
    let day = [&FROM, &TO, &TZ];
    let of_a_day = day.iter().filter(|key| fields.has(**key)).count();
    let has_holidays = fields.has(&HOLIDAYS);
    if fields.has(&DURATION) {
        if of_a_day > 0 || has_holidays {
            let what = "a hold has a `duration`, or `from`, `to` and `tz`, and not both";
            fields.cx.report(Diagnostic::error(&fields.place, what).help("remove one of them"));
            return None;
        }
        return fields.get(&DURATION).map(HoldLength::Time);
    }
    if of_a_day < day.len() {
        let what = "the hold does not say how long it is";
        let help = "add `duration = \"60m\"`, or `from = \"09:00\"`, `to = \"17:00\"` and `tz = \"Europe/Berlin\"`";
        fields.cx.report_missing(Diagnostic::error(&fields.place, what).help(help));
        return None;
    }
    let (from, to) = (time_of_day(fields, &FROM), time_of_day(fields, &TO));
    let (from, to, tz, holidays) = (from?, to?, fields.get(&TZ)?, texts(fields, &HOLIDAYS)?);
    if to <= from {
        let place = fields.node(&TO).map_or(&fields.place, |node| &node.place);
        let what = "the business day ends before it begins";
        fields.cx.report(Diagnostic::error(place, what).help("`to` comes after `from`"));
        return None;
    }
    Some(HoldLength::BusinessDay { from, to, tz, holidays })
}

/// Minutes after midnight.
fn time_of_day(fields: &Fields<'_>, key: &Key<Text>) -> Option<u16> {
    let (node, text) = (fields.node(key)?, fields.get(key)?);
    let number = |part: &str, max: u16| {
        let digits = part.len() == 2 && part.bytes().all(|byte| byte.is_ascii_digit());
        part.parse::<u16>().ok().filter(|number| digits && *number <= max)
    };
    let minutes = text
        .split_once(':')
        .and_then(|(hour, minute)| Some(60 * number(hour, 23)? + number(minute, 59)?));
    if minutes.is_none() {
        let what = format!("`{}` is no time of day", text.escape_debug());
        fields.cx.report(Diagnostic::error(&node.place, what).help("write it as `09:00`"));
    }
    minutes
}

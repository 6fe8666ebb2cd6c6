//! A rollout file: `scenarios/rollout.toml` is one. As strict as a scenario, and told of in the same way.

mod hold;
mod precondition;
mod stage;
pub(super) mod waiver;

use std::time::Duration;

pub use waiver::waivers;

use super::diagnostic::{Diagnostic, Diagnostics, Severity};
use super::fields::{Cx, Fields};
use super::interpolate::Environment;
use super::key::{Bool, Declared, Key, KeyOr, Name, Raw, Table, Text, Within};
use super::parse;
use super::schema::Shape;
use super::source::Place;
use super::variant::filled;
use crate::rollout::{Canary, Rollout};
use crate::units::DURATION_MAX;

/// Version of the format that is read.
const FORMAT: u64 = 1;

const VERSION: Key<Within<u64>> =
    Key::new("version", Within(FORMAT, FORMAT), "version = 1", "Version of the rollout format.")
        .required();
const NAME: Key<Name> =
    Key::new("name", Name, "name = \"khala\"", "Name of the rollout.").required();
const FRESH: KeyOr<Within<Duration>> = Key::new(
    "fresh",
    Within(Duration::from_secs(60), DURATION_MAX),
    "fresh = \"24h\"",
    "For how long a GO opens the next stage.",
)
.or(Duration::from_secs(24 * 3600));
const ABORT_ON_FAIL: KeyOr<Bool> = Key::new(
    "abort_on_fail",
    Bool,
    "abort_on_fail = false",
    "Whether a run is ended early once something failed in it; it still heals, drains and writes its evidence.",
)
.or(true);
const GRACE: KeyOr<Within<Duration>> = Key::new(
    "grace",
    Within(Duration::ZERO, Duration::from_secs(3600)),
    "grace = \"5s\"",
    "How long a run goes on after something failed in it, with `abort_on_fail`.",
)
.or(Duration::from_secs(5));
const ESCALATION: Key<Text> = Key::new(
    "escalation",
    Text,
    "escalation = \"page khala-oncall; blockers go to the tracker's queue KHALA\"",
    "Whom to call on a NO-GO or a HOLD, and where blockers are filed; stands in reports as it is.",
);
const FLEET: Key<Within<u32>> = Key::new(
    "fleet",
    Within(1, 1_000_000),
    "fleet = 4000",
    "The fleet that a stage's `share` is a share of.",
)
.unit("clients");
const CANARY: Key<Raw> = Key::new(
    "canary",
    Raw(|| Shape::Table("canary")),
    "[canary]",
    "How the canary is reached; a stage's own keys go before it.",
);
const PRECONDITION: Key<Raw> = Key::new(
    "precondition",
    Raw(|| Shape::Tables("precondition", 0)),
    "[[precondition]]",
    "What must hold before load is sent.",
);
const STAGE: Key<Raw> = Key::new(
    "stage",
    Raw(|| Shape::Tables("stage", 1)),
    "[[stage]]",
    "The stages, in order; each needs a GO of the one before.",
)
.required();
pub(super) const TABLE: Table = Table::new(
    "rollout",
    "the rollout file",
    "The stages of a rollout.",
    &[
        &VERSION,
        &NAME,
        &FRESH,
        &ABORT_ON_FAIL,
        &GRACE,
        &ESCALATION,
        &FLEET,
        &CANARY,
        &PRECONDITION,
        &STAGE,
    ],
);

const TARGET: Key<Text> = Key::new(
    "target",
    Text,
    "target = \"targets/canary.toml\"",
    "A target profile (a name beside the rollout file, or a file), or a URL. Left out, or empty: the embedded \
     runtime.",
);
const HEADER: Key<Text> = Key::new(
    "header",
    Text,
    "header = \"x-route: canary\"",
    "Header that routes requests and sockets to the canary.",
);
const BUILD: Key<Text> = Key::new(
    "build",
    Text,
    "build = \"2026.11.3\"",
    "The build that is rolled out, as the target says it (`build_header` or `build_command` of its profile). \
     `--build` goes before it. Of the embedded runtime it is the harness's own version.",
);
const BUILD_SAMPLES: Key<Within<u32>> = Key::new(
    "build_samples",
    Within(1, 1_000),
    "build_samples = 20",
    "How often the target is asked for its build before and after the runs, each time over a connection of its \
     own. Default: 20.",
)
.unit("requests");
const METRICS: Key<Bool> = Key::new(
    "metrics",
    Bool,
    "metrics = false",
    "Whether the target must show its fan-out metrics; `false` for one that has none. Default: true.",
);
const OF_CANARY: Table = Table::new(
    "canary",
    "`[canary]`",
    "How the canary is reached, and which build it is to be.",
    &[&TARGET, &HEADER, &BUILD, &BUILD_SAMPLES, &METRICS],
);

/// Every table of a rollout file but the file itself.
pub(super) const TABLES: [Table; 5] =
    [OF_CANARY, precondition::TABLE, stage::TABLE, stage::OF_SCENARIO, hold::TABLE];

/// Requests for the build, unless the file says otherwise.
const BUILD_SAMPLES_DEFAULT: u32 = 20;

/// Reads a rollout file; `path` is for messages.
///
/// # Errors
/// With everything that is wrong with it.
pub fn load(path: &str, text: &str, env: &Environment<'_>) -> Result<Rollout, Diagnostics> {
    document(path, text, env, read)
}

/// Reads a document with `read`, or tells everything that is wrong with it.
fn document<T>(
    path: &str,
    text: &str,
    env: &Environment<'_>,
    read: impl FnOnce(&Cx, &super::tree::Node) -> Option<T>,
) -> Result<T, Diagnostics> {
    let cx = Cx::default();
    let source = cx.sources.borrow_mut().file(path, text);
    let (mut root, errors) = parse::document(source, text);
    cx.partial.set(!errors.is_empty());
    errors.into_iter().for_each(|error| cx.report(error));
    root.map_strings(&mut |text, place| filled(&cx, env, text, place, true));
    let read = read(&cx, &root);
    let found = cx.found.take();
    let broken = found.iter().any(|one| one.severity() == Severity::Error);
    match read {
        Some(read) if !broken => Ok(read),
        _ => Err(Diagnostics::new(cx.sources.into_inner(), found)),
    }
}

fn read(cx: &Cx, root: &super::tree::Node) -> Option<Rollout> {
    let mut fields = Fields::of(cx, root, &TABLE)?;
    let version = fields.need(&VERSION);
    let name = fields.need(&NAME);
    let (fresh, grace) = (fields.right(&FRESH), fields.right(&GRACE));
    let abort_on_fail = fields.right(&ABORT_ON_FAIL);
    let escalation = fields.get(&ESCALATION).filter(|text| !text.trim().is_empty());
    let fleet = fields.get(&FLEET);
    let canary = canary(fields.inner(&CANARY, &OF_CANARY), &Canary::by_default());
    let preconditions = precondition::read_all(&fields, &PRECONDITION);
    let around = stage::Around {
        fleet,
        canary: canary.clone().unwrap_or_default(),
        preconditions: preconditions.iter().flatten().map(|one| one.name.clone()).collect(),
    };
    let stages = stage::read_all(&mut fields, &STAGE, &around);
    fields.finish();
    version?;
    canary?;
    Some(Rollout {
        name: name?,
        fresh: fresh?,
        abort_on_fail: abort_on_fail?,
        grace: grace?,
        escalation,
        preconditions: preconditions?,
        stages: stages?,
    })
}

impl Canary {
    fn by_default() -> Self {
        let build_samples = BUILD_SAMPLES_DEFAULT;
        Self { build_samples, metrics: true, ..Self::default() }
    }
}

/// Reads how the canary is reached, over what is said elsewhere.
fn canary(fields: Fields<'_>, over: &Canary) -> Option<Canary> {
    let said = |text: Option<String>| text.filter(|text| !text.trim().is_empty());
    let header = match fields.node(&HEADER) {
        None => Some(over.header.clone()),
        Some(node) => match fields.get(&HEADER) {
            Some(text) if text.trim().is_empty() => Some(None),
            Some(text) => routing(fields.cx, &node.place, &text).map(Some),
            None => None,
        },
    };
    let filled =
        |key: &dyn Declared, over: bool| fields.node(key).map_or(over, |node| node.place.filled);
    let (target, routed) = over.by_variable;
    let by_variable = (filled(&TARGET, target), filled(&HEADER, routed));
    let canary = Canary {
        by_variable,
        target: if fields.has(&TARGET) { said(fields.get(&TARGET)) } else { over.target.clone() },
        header: header.clone().flatten(),
        build: if fields.has(&BUILD) { said(fields.get(&BUILD)) } else { over.build.clone() },
        build_samples: fields.get(&BUILD_SAMPLES).unwrap_or(over.build_samples),
        metrics: fields.get(&METRICS).unwrap_or(over.metrics),
    };
    fields.finish();
    header.map(|_| canary)
}

/// The name and the value of a header.
fn routing(cx: &Cx, place: &Place, text: &str) -> Option<(String, String)> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_".contains(c);
    match text.split_once(':').map(|(name, value)| (name.trim(), value.trim())) {
        Some((name, value)) if !name.is_empty() && name.chars().all(plain) && !value.is_empty() => {
            Some((name.to_owned(), value.to_owned()))
        }
        _ => {
            let what = format!("`{}` is no header", text.escape_debug());
            let help = "write its name, a colon and its value: `header = \"x-route: canary\"`";
            cx.report(Diagnostic::error(place, what).help(help));
            None
        }
    }
}

/// A list of strings at a key; empty where it is absent, `None` where something else stands there.
fn texts(fields: &Fields<'_>, key: &dyn Declared) -> Option<Vec<String>> {
    match fields.node(key) {
        None => (!fields.has(key)).then(Vec::new),
        Some(_) => {
            let placed = fields.get_as::<Vec<super::scalar::Placed<String>>>(key)?;
            Some(placed.into_iter().map(|one| one.value).collect())
        }
    }
}

#[cfg(test)]
mod tests;

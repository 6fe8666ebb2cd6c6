//! `[[precondition]]`: what must hold before load is sent.

use std::time::Duration;

use super::texts;
use crate::read::diagnostic::Diagnostic;
use crate::read::fields::{Cx, Fields};
use crate::read::key::{Bool, Case, Declared, Key, KeyOr, Name, Raw, Table, Text, Within, Words};
use crate::read::name;
use crate::read::scalar::Placed;
use crate::read::schema::Shape;
use crate::read::suggest;
use crate::read::tree::Node;
use crate::rollout::{COVERED, Check, Precondition};

/// The kinds of checks.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Conform,
    Token,
    Rollback,
    Surfaces,
    Command,
}

const NAME: Key<Name> =
    Key::new("name", Name, "name = \"conform\"", "Its name; stages refer to it.").required();
const CHECK: Key<Words<Kind>> = Key::new(
    "check",
    Words(&[
        ("conform", Kind::Conform),
        ("token", Kind::Token),
        ("rollback", Kind::Rollback),
        ("surfaces", Kind::Surfaces),
        ("command", Kind::Command),
    ]),
    "check = \"conform\"",
    "What is asked. `conform`: the contract, sentence by sentence. `token`: the control service mints a token \
     that opens a socket. `rollback`: the revisions to go back to are known. `surfaces`: the topics of every surface \
     that is built in or in the stage's scenarios are those of a Markdown table, and those that the runtime grants. \
     `command`: a command ends with 0.",
)
.required();
const BY_URL: KeyOr<Bool> = Key::new(
    "by_url",
    Bool,
    "by_url = true",
    "Whether it applies to a target by URL alone, and not to the embedded runtime.",
)
.or(false);
const WITHIN: KeyOr<Within<Duration>> = Key::new(
    "within",
    Within(Duration::from_millis(100), Duration::from_secs(4 * 3600)),
    "within = \"10m\"",
    "How long it may take.",
)
.or(Duration::from_secs(600));
const ONLY: Key<Raw> = Key::new(
    "only",
    Raw(|| Shape::Texts),
    "only = [\"token_*\"]",
    "Of `conform`: patterns of the cases, as `conform --only` takes them. Default: all.",
);
const WRITES: KeyOr<Bool> = Key::new(
    "writes",
    Bool,
    "writes = false",
    "Of `conform`: whether its cases may create workers and publish.",
)
.or(true);
const KNOWN: Key<Text> = Key::new(
    "known",
    Text,
    "known = \"known-deviations.toml\"",
    "Of `conform`: a file of accepted deviations, relative to the rollout file.",
);
const WAIT_MAX: KeyOr<Within<Duration>> = Key::new(
    "wait_max",
    Within(Duration::ZERO, Duration::from_secs(600)),
    "wait_max = \"2m\"",
    "Of `conform`: leaves out cases that wait longer than this for a time-out of the runtime's.",
)
.or(Duration::from_secs(120));
const CONTROL: Key<Text> = Key::new(
    "control",
    Text,
    "control = \"${KHALA_ROLLBACK_CONTROL:-}\"",
    "Of `rollback`: the revision of the control service to go back to.",
);
const RUNTIME: Key<Text> = Key::new(
    "runtime",
    Text,
    "runtime = \"${KHALA_ROLLBACK_RUNTIME:-}\"",
    "Of `rollback`: the revision of the runtime to go back to.",
);
const HOW: Key<Text> = Key::new(
    "how",
    Text,
    "how = \"kubectl argo rollouts undo khala-runtime --to-revision ${KHALA_ROLLBACK_RUNTIME:-}\"",
    "Of `rollback`: the command that routes traffic back, which the plan of a NO-GO tells; nothing runs it.",
);
const MATRIX: Key<Text> = Key::new(
    "matrix",
    Text,
    "matrix = \"../docs/sync/SURFACES.md\"",
    "Of `surfaces`: the Markdown file, relative to the rollout file.",
);
const COMMAND: Key<Raw> = Key::new(
    "command",
    Raw(|| Shape::Command),
    "command = [\"./scripts/local-ci.sh\", \"docs\"]",
    "Of `command`: program and arguments; no shell is asked. It runs in the rollout file's folder.",
);
const COVERS: Key<Raw> = Key::new(
    "covers",
    Raw(|| Shape::List(Box::new(Shape::Words(COVERED.map(|one| one.name).to_vec())), 1)),
    "covers = [\"docs\"]",
    "Of `command`: what of the runbook it shows; reports name what nothing showed. `surface-builds`: section 1.3. \
     `sync-tables`: section 3, stage 0. `runtime-tests` and `docs`: section 5.",
);
pub(super) const TABLE: Table = Table::new(
    "precondition",
    "`[[precondition]]`",
    "Something that must hold before load is sent.",
    &[
        &NAME, &CHECK, &BY_URL, &WITHIN, &ONLY, &WRITES, &KNOWN, &WAIT_MAX, &CONTROL, &RUNTIME,
        &HOW, &MATRIX, &COMMAND, &COVERS,
    ],
)
.cases(cases);

/// Keys that only one kind has.
const OWN: [(&dyn Declared, Kind); 10] = [
    (&ONLY, Kind::Conform),
    (&WRITES, Kind::Conform),
    (&KNOWN, Kind::Conform),
    (&WAIT_MAX, Kind::Conform),
    (&CONTROL, Kind::Rollback),
    (&RUNTIME, Kind::Rollback),
    (&HOW, Kind::Rollback),
    (&MATRIX, Kind::Surfaces),
    (&COMMAND, Kind::Command),
    (&COVERS, Kind::Command),
];

/// Keys that one kind cannot do without.
const NEEDED: [(&dyn Declared, Kind); 4] = [
    (&CONTROL, Kind::Rollback),
    (&RUNTIME, Kind::Rollback),
    (&MATRIX, Kind::Surfaces),
    (&COMMAND, Kind::Command),
];

/// What each kind needs, and what has no effect with it.
fn cases() -> Vec<Case> {
    let of = |&(word, kind): &(&'static str, Kind)| {
        let others = OWN.into_iter().filter(|(_, own)| *own != kind);
        let case =
            others.fold(Case::when(&CHECK, [word]), |it, (key, _)| it.then(key, Shape::Never));
        NEEDED.into_iter().filter(|(_, own)| *own == kind).fold(case, |it, (key, _)| it.needs(key))
    };
    CHECK.kind.0.iter().map(of).collect()
}

pub(super) fn read_all(rollout: &Fields<'_>, key: &dyn Declared) -> Option<Vec<Precondition>> {
    let nodes = rollout.tables(key)?;
    let mut names = Vec::new();
    let read: Vec<_> = nodes.into_iter().map(|node| one(rollout.cx, node, &mut names)).collect();
    let placed = names.iter().map(|name| (name.value.as_str(), &name.place));
    name::report_duplicates(rollout.cx, "precondition", placed);
    read.into_iter().collect()
}

fn one(cx: &Cx, node: &Node, names: &mut Vec<Placed<String>>) -> Option<Precondition> {
    let mut fields = Fields::of(cx, node, &TABLE)?;
    let name = fields.need_placed(&NAME);
    names.extend(name.clone());
    let kind = fields.need(&CHECK);
    let (by_url, within) = (fields.right(&BY_URL), fields.right(&WITHIN));
    let check = kind.and_then(|kind| {
        for (key, own) in OWN {
            if own != kind {
                let word = CHECK.kind.word(kind);
                fields.no_effect(key, &format!("with `check = \"{word}\"`"));
            }
        }
        check(kind, &mut fields)
    });
    fields.finish();
    Some(Precondition { name: name?.value, check: check?, by_url: by_url?, within: within? })
}

fn check(kind: Kind, fields: &mut Fields<'_>) -> Option<Check> {
    Some(match kind {
        Kind::Token => Check::Token,
        Kind::Conform => Check::Conform {
            only: texts(fields, &ONLY)?,
            writes: fields.right(&WRITES)?,
            known: fields.get(&KNOWN),
            wait_max: fields.right(&WAIT_MAX)?,
        },
        Kind::Rollback => {
            let (control, runtime) = (fields.need(&CONTROL), fields.need(&RUNTIME));
            let how = fields.get(&HOW).filter(|how| !how.trim().is_empty());
            Check::Rollback { control: control?, runtime: runtime?, how }
        }
        Kind::Surfaces => Check::Surfaces { matrix: fields.need(&MATRIX)? },
        Kind::Command => {
            let node = fields.need_node(&COMMAND)?;
            let words = texts(fields, &COMMAND)?;
            if words.is_empty() {
                let what = "`command` names no program";
                fields.cx.report(Diagnostic::error(&node.place, what).help(COMMAND.example()));
                return None;
            }
            Check::Command { words, covers: covers(fields)? }
        }
    })
}

fn covers(fields: &Fields<'_>) -> Option<Vec<String>> {
    if !fields.has(&COVERS) {
        return Some(Vec::new());
    }
    let names = fields.get_as::<Vec<Placed<String>>>(&COVERS)?;
    let known = || COVERED.iter().map(|one| one.name);
    let mut right = true;
    for name in names.iter().filter(|name| !known().any(|known| known == name.value)) {
        let what = format!("nothing of the runbook is called `{}`", name.value);
        let help = suggest::did_you_mean(&name.value, known());
        fields.cx.report(Diagnostic::error(&name.place, what).help(help));
        right = false;
    }
    right.then(|| names.into_iter().map(|name| name.value).collect())
}

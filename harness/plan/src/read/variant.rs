//! The variants of a scenario: as it stands, and under each of its profiles.
//!
//! One of them is asked for and is read with the flags and the real environment. The others are
//! only checked, so that only what is wrong with the text itself is said of them: what the flags
//! neither cause nor cure, and what is not for the environment to give.

use std::cell::RefCell;
use std::collections::{BTreeMap, HashSet};

use super::diagnostic::{Diagnostic, Diagnostics, Severity};
use super::fields::Cx;
use super::include::{self, Includes};
use super::interpolate::{Environment, interpolate};
use super::limits::NUMBERED_MAX;
use super::merge::{self, Override};
use super::scalar::Placed;
use super::scenario::{self, AUTH, GATES, Given, JUDGE, PROFILE, Placeable, TARGET};
use super::source::{Place, SourceId};
use super::target::DEFECTS;
use super::tree::{Node, Table, Value};
use super::{KnownDefect, Loaded, Options, Sources, advice, parse, suggest, target};

pub(super) fn load(sources: &Sources<'_>, options: &Options<'_>) -> Result<Loaded, Diagnostics> {
    let cx = Cx::default();
    let source = cx.sources.borrow_mut().file(sources.path, sources.text);
    let (mut root, errors) = parse::document(source, sources.text);
    if include::is_gate_file(&root) && options.set.is_empty() {
        let what = format!("`{}` is a file of gates, and no scenario", sources.path);
        let help = "`khala-harness score DIR --gates FILE` judges a run by it; a scenario takes it up by \
                    `gates = [\"FILE\"]`";
        let wrong = Diagnostic::error(&Place::new(source, 0..0), what).help(help);
        return Err(Diagnostics::new(cx.sources.into_inner(), vec![wrong]));
    }
    cx.partial.set(!errors.is_empty());
    errors.into_iter().for_each(|error| cx.report(error));
    let profiles = take_profiles(&cx, &mut root);
    let includes = Includes {
        cx: &cx,
        scenario: sources.path,
        loader: sources.loader,
        known: RefCell::new(BTreeMap::new()),
    };
    let target = options.target.and_then(|(path, text)| target::profile::read(&cx, path, text));
    let scenario = Scenario { cx: &cx, root, includes, target, defect: options.defect };

    let flags = Flags::of(&cx, options);
    let asked = profile(&cx, options, &profiles);
    let placeable = scenario.asked(asked, &flags, options);
    let mut found = cx.found.take();
    // Another message about the same text is about the same mistake.
    let mut places: HashSet<_> = found.iter().map(Diagnostic::at).collect();
    let mut others: Vec<Option<&Profile>> = vec![None];
    others.extend(profiles.iter().map(Some));
    for other in others {
        if other.map(|profile| &profile.name) == asked.map(|profile| &profile.name) {
            continue;
        }
        let wrong = scenario.other(other, &flags);
        let when = match other {
            Some(profile) => format!("this is so with the profile `{}`", profile.name),
            None => "this is so without a profile".to_owned(),
        };
        for diagnostic in wrong {
            if places.insert(diagnostic.at()) {
                found.push(diagnostic.note(&when));
            }
        }
    }

    let broken = found.iter().any(|diagnostic| diagnostic.severity() == Severity::Error);
    match placeable {
        Some(placeable) if !broken => {
            found.extend(advice::of(&placeable));
            Ok(Loaded {
                plan: placeable.plan,
                warnings: Diagnostics::new(cx.sources.into_inner(), found),
            })
        }
        _ => {
            debug_assert!(broken, "a scenario that gives no plan says why");
            Err(Diagnostics::new(cx.sources.into_inner(), found))
        }
    }
}

/// A `[profile.NAME]`.
struct Profile {
    name: String,
    /// Its changes.
    over: Node,
    /// The gates that it judges, if it says so.
    judge: Option<Node>,
}

/// Takes the profiles out of the tree, in which they would be an unknown key.
fn take_profiles(cx: &Cx, root: &mut Node) -> Vec<Profile> {
    let Value::Table(root) = &mut root.value else { return Vec::new() };
    let Some(node) = root.remove(PROFILE.name) else { return Vec::new() };
    let not_a_table = |node: &Node| {
        if !node.is_poison() {
            let what = format!("a profile is a table, not {}", node.value.type_name());
            let help = "write `[profile.NAME]`";
            cx.report(Diagnostic::error(&node.place, what).help(help));
        }
    };
    let Some(profiles) = node.as_table() else {
        not_a_table(&node);
        return Vec::new();
    };
    // Each is read with the whole scenario.
    let count = profiles.iter().count();
    if count > NUMBERED_MAX {
        let what = format!("the scenario has {count} profiles");
        let help = format!("stay below {NUMBERED_MAX}");
        cx.report(Diagnostic::error(&node.place, what).help(help));
        return Vec::new();
    }
    let mut out = Vec::new();
    for (name, place, node) in profiles.iter() {
        let mut over = node.clone();
        over.mark_profile();
        let Value::Table(table) = &mut over.value else {
            not_a_table(node);
            continue;
        };
        let judge = table.remove(JUDGE.name);
        if let Some(inner) = table.remove(PROFILE.name) {
            let what = "a profile has no profiles of its own";
            cx.report(Diagnostic::error(&inner.place, what).help("name them side by side"));
        }
        let _ = super::name::plain(cx, name.to_owned(), place);
        out.push(Profile { name: name.to_owned(), over, judge });
    }
    out
}

/// What the command line lays over the scenario.
struct Flags {
    set: Vec<Override>,
    defects: Vec<Placed<String>>,
}

impl Flags {
    fn of(cx: &Cx, options: &Options<'_>) -> Self {
        let set = options.set.iter().filter_map(|text| merge::parse_override(cx, text)).collect();
        let defects = options.defects.iter().map(|defect| {
            let (source, span) = flag(cx, "--defect", defect);
            Placed { value: defect.clone(), place: Place::new(source, span) }
        });
        Self { set, defects: defects.collect() }
    }
}

fn flag(cx: &Cx, name: &str, value: &str) -> (SourceId, std::ops::Range<usize>) {
    let text = format!("{name} {value}");
    let span = name.len() + 1..text.len();
    (cx.sources.borrow_mut().flag(text), span)
}

/// The profile that was asked for; reports when there is none of that name.
fn profile<'a>(cx: &Cx, options: &Options<'_>, profiles: &'a [Profile]) -> Option<&'a Profile> {
    let name = options.profile.as_ref()?;
    let found = profiles.iter().find(|profile| profile.name == *name);
    if found.is_none() {
        let (source, span) = flag(cx, "--profile", name);
        let what = format!("the scenario has no profile `{name}`");
        let known: Vec<&str> = profiles.iter().map(|profile| profile.name.as_str()).collect();
        let help = suggest::did_you_mean(name, known);
        cx.report_missing(Diagnostic::error(&Place::new(source, span), what).help(help));
    }
    found
}

struct Scenario<'a> {
    cx: &'a Cx,
    /// Without its profiles.
    root: Node,
    includes: Includes<'a>,
    /// The target profile.
    target: Option<Node>,
    /// Says what is wrong with a defect.
    defect: &'a KnownDefect<'a>,
}

impl Scenario<'_> {
    /// The variant that was asked for.
    fn asked(
        &self,
        profile: Option<&Profile>,
        flags: &Flags,
        options: &Options<'_>,
    ) -> Option<Placeable> {
        let mut root = self.merged(profile, &flags.set, options.env);
        root.map_strings(&mut |text, place| filled(self.cx, options.env, text, place, true));
        self.report_defects(&root);
        let given = Given {
            profile: profile.map(|profile| profile.name.as_str()),
            seed: options.seed,
            defects: &flags.defects,
            judge: profile.and_then(|profile| profile.judge.as_ref()),
        };
        scenario::read(self.cx, &root, &given)
    }

    /// The errors of a variant that was not asked for.
    fn other(&self, profile: Option<&Profile>, flags: &Flags) -> Vec<Diagnostic> {
        let mut wrong = self.errors(profile, &[]);
        if !flags.set.is_empty() {
            let with_flags = self.errors(profile, &flags.set);
            let with_flags: HashSet<_> =
                with_flags.iter().map(|error| (error.at(), error.what())).collect();
            wrong.retain(|error| with_flags.contains(&(error.at(), error.what())));
        }
        wrong
    }

    fn errors(&self, profile: Option<&Profile>, set: &[Override]) -> Vec<Diagnostic> {
        let nothing: &Environment<'_> = &|_| None;
        let mut root = self.merged(profile, set, nothing);
        root.map_strings(&mut |text, place| filled(self.cx, nothing, text, place, false));
        self.report_defects(&root);
        let given = Given {
            profile: None,
            seed: None,
            defects: &[],
            judge: profile.and_then(|profile| profile.judge.as_ref()),
        };
        let _ = scenario::read(self.cx, &root, &given);
        let mut found = self.cx.found.take();
        found.retain(|diagnostic| diagnostic.severity() == Severity::Error);
        found
    }

    /// Reports the defects that the embedded runtime does not have.
    fn report_defects(&self, root: &Node) {
        let target = root.as_table().and_then(|root| root.get(TARGET.name));
        let named = target.and_then(Node::as_table).and_then(|target| target.get(DEFECTS.name));
        let Some(Value::Array(named)) = named.map(|named| &named.value) else { return };
        for node in named {
            if let Some(Err(what)) = node.as_str().map(self.defect) {
                let help = "`khala-harness list defects` names them";
                self.cx.report(Diagnostic::error(&node.place, what).help(help));
            }
        }
    }

    /// The scenario with its included gates, the profile, the target profile and the overrides.
    fn merged(
        &self,
        profile: Option<&Profile>,
        set: &[Override],
        environment: &Environment<'_>,
    ) -> Node {
        let mut root = self.root.clone();
        // The profile may include other gates, and address those that it includes.
        let gates = self.gates(profile, set, environment);
        if let Value::Table(table) = &mut root.value {
            self.includes.add_to(table, gates.as_ref());
        }
        if let Some(profile) = profile {
            merge::merge(self.cx, &mut root, &profile.over, "");
        }
        if let Some(target) = &self.target {
            merge::merge(self.cx, &mut root, target, "");
            // Of these a profile says all; of `[fleet]` a little.
            for key in [TARGET.name, AUTH.name] {
                let over = target.as_table().and_then(|table| table.get(key));
                if let (Value::Table(table), Some(over)) = (&mut root.value, over)
                    && let Some(node) = table.get_mut(key)
                {
                    merge::move_to(node, over);
                }
            }
        }
        for change in set {
            merge::apply(self.cx, &mut root, change);
        }
        root
    }

    /// `gates` as the flags, else the profile, else the scenario has it.
    fn gates(
        &self,
        profile: Option<&Profile>,
        set: &[Override],
        environment: &Environment<'_>,
    ) -> Option<Node> {
        let from_flag = set.iter().rev().find_map(|change| match change.steps.as_slice() {
            [only] if only.name == GATES.name => Some(&change.value),
            _ => None,
        });
        let in_table = |table: Option<&'_ Table>| table.and_then(|t| t.get(GATES.name)).cloned();
        let mut gates = from_flag
            .cloned()
            .or_else(|| in_table(profile.and_then(|profile| profile.over.as_table())))
            .or_else(|| in_table(self.root.as_table()))?;
        // An unset variable is reported when the whole tree is filled in.
        gates.map_strings(&mut |text, place| filled(self.cx, environment, text, place, false));
        Some(gates).filter(|gates| !gates.is_poison())
    }
}

/// A string with its variables filled in. Where `complain` is false, variables that are not set are
/// passed over in silence.
pub(super) fn filled(
    cx: &Cx,
    environment: &Environment<'_>,
    text: &str,
    place: &mut Place,
    complain: bool,
) -> Option<String> {
    match interpolate(text, environment) {
        Ok(filled) => {
            place.filled |= filled.text != text;
            place.variables = filled.variables;
            Some(filled.text)
        }
        Err(error) => {
            if complain || !error.unset {
                let place = cx.sources.borrow().part(place, text, error.span);
                cx.report(Diagnostic::error(&place, error.what).help(error.help));
            }
            None
        }
    }
}

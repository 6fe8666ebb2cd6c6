//! Scenario text to a checked [`Plan`], or everything that is wrong with it at once.
//!
//! Texts come in, a plan or diagnostics go out. The order is: parse (syntax errors do not stop it),
//! add included gates, lay the profile over, the target profile over that, then `--set`, fill in the
//! environment, walk the tree. The walk never stops at a mistake; what depends on one stays silent. A scenario is
//! checked without a profile and with each of its profiles, whichever is used, so that a broken
//! smoke profile is found before the night on which it is needed.
//!
//! Each table is one file: its keys are declared at the top ([`key`]), then it is read, then written
//! again. To add a key is to declare it there, in the list of its table, and to read and write it below.

mod address;
mod advice;
mod auth;
mod backoff;
pub(crate) mod diagnostic;
mod extras;
mod fault;
pub(crate) mod fields;
mod fit;
mod fleet;
mod gate;
mod include;
mod interpolate;
pub(crate) mod key;
mod limits;
mod load;
pub(crate) mod mask;
mod merge;
mod name;
mod objective;
mod parse;
mod passive;
mod phase;
pub(crate) mod reference;
mod retention;
pub(crate) mod rollout;
pub(crate) mod scalar;
pub(crate) mod scenario;
pub(crate) mod schema;
mod slowness;
mod source;
pub(crate) mod stability;
pub(crate) mod suggest;
mod surface;
mod tables;
mod target;
pub(crate) mod topic;
mod tree;
mod tuning;
mod variant;
pub(crate) mod words;

#[cfg(test)]
mod tests;

pub use diagnostic::{Diagnostic, Diagnostics, Severity};
pub use include::Loader;
pub use interpolate::Environment;
pub use mask::names_a_secret;

use crate::model::Plan;

/// The texts that a plan is made from.
pub struct Sources<'a> {
    /// Path of the scenario, for messages and for the paths that it includes.
    pub path: &'a str,
    /// Its text.
    pub text: &'a str,
    /// Reads an included file; takes its path, relative ones joined to the scenario's folder.
    pub loader: &'a Loader<'a>,
}

/// Whether a text names a defect of the embedded runtime; else what is wrong with it, in a sentence without a full
/// stop.
pub type KnownDefect<'a> = dyn Fn(&str) -> Result<(), String> + 'a;

/// What the command line says.
pub struct Options<'a> {
    /// `--profile`.
    pub profile: Option<String>,
    /// What is laid over the scenario last, in order: `--set`, and flags that set a key under a name of their own.
    pub set: Vec<Setting>,
    /// `--defect`, each as it is handed to the reference runtime.
    pub defects: Vec<String>,
    /// `--seed`; goes before the scenario's.
    pub seed: Option<u64>,
    /// `--target`: path and text of a target profile.
    pub target: Option<(&'a str, &'a str)>,
    /// Says what is wrong with a defect of the embedded runtime's, which this crate does not know.
    pub defect: &'a KnownDefect<'a>,
    /// Looks a variable of the environment up; one that is empty counts as not set.
    pub env: &'a Environment<'a>,
}

/// A key that the command line sets.
#[derive(Clone, Debug)]
pub struct Setting {
    /// `key=value`.
    pub(crate) assignment: String,
    /// The flag as it was typed, where that is no `--set`; its value stands last.
    pub(crate) typed: Option<String>,
}

impl Setting {
    /// What a flag sets that is no `--set`: messages tell the flag, with `value` as it was typed.
    #[must_use]
    pub fn by(flag: &str, value: &str, assignment: String) -> Self {
        Self { assignment, typed: Some(format!("{flag} {value}")) }
    }
}

impl From<String> for Setting {
    fn from(assignment: String) -> Self {
        Self { assignment, typed: None }
    }
}

/// A plan that can be run.
#[derive(Debug)]
pub struct Loaded {
    /// The plan.
    pub plan: Plan,
    /// What will probably not come out as the scenario's author thinks.
    pub warnings: Diagnostics,
}

/// Reads a scenario.
///
/// # Errors
/// With everything that is wrong with the scenario, its profiles, its gate files and the flags.
pub fn load(sources: &Sources<'_>, options: &Options<'_>) -> Result<Loaded, Diagnostics> {
    variant::load(sources, options)
}

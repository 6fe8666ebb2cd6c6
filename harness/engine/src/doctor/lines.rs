//! What is told of each thing that was tried.

use super::profile::Fact;

/// How it came out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Came {
    /// As it should.
    Good,
    /// A run goes without it, and decides less.
    Less,
    /// A run cannot begin without it.
    Wrong,
    /// It was not tried.
    Skipped,
}

/// One thing that was tried.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// What it is about, in a word or two.
    pub what: &'static str,
    /// What was tried.
    pub tried: String,
    /// How it came out.
    pub came: Came,
    /// What came.
    pub seen: String,
    /// What to do; empty where there is nothing to do.
    pub advice: String,
    /// What it has for the target's profile.
    pub facts: Vec<Fact>,
}

impl Line {
    fn of(what: &'static str, tried: &str, came: Came, seen: String, advice: String) -> Self {
        Self { what, tried: tried.to_owned(), came, seen, advice, facts: Vec::new() }
    }

    /// As it should be.
    pub fn good(what: &'static str, tried: &str, seen: impl Into<String>) -> Self {
        Self::of(what, tried, Came::Good, seen.into(), String::new())
    }

    /// Something that a run goes without.
    pub fn less(
        what: &'static str,
        tried: &str,
        seen: impl ToString,
        advice: impl Into<String>,
    ) -> Self {
        Self::of(what, tried, Came::Less, seen.to_string(), advice.into())
    }

    /// Something that no run goes without; what to do is in what was seen.
    pub fn wrong(what: &'static str, tried: &str, seen: impl ToString) -> Self {
        Self::of(what, tried, Came::Wrong, seen.to_string(), String::new())
    }

    /// The same, with what to do.
    pub fn mended(self, advice: impl Into<String>) -> Self {
        Self { advice: advice.into(), ..self }
    }

    /// The same, with what it has for the target's profile.
    pub fn of_the_profile(self, facts: Vec<Fact>) -> Self {
        Self { facts, ..self }
    }

    /// Something that was not tried, why, and what to do to have it tried.
    pub fn skipped(what: &'static str, why: &str, advice: impl Into<String>) -> Self {
        Self::of(what, "not tried", Came::Skipped, why.to_owned(), advice.into())
    }
}

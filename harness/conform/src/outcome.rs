//! What came of a case, before the level of its sentence says what that means.

/// How a case ends.
pub type Outcome = Result<Found, Stop>;

/// The sentence was put to the test.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
    /// It is kept; what was seen.
    Kept(String),
    /// It is not.
    Broken(Broken),
}

/// What was done, what came of it, and what should have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Broken {
    /// What the case did, in a sentence.
    pub did: String,
    /// What the target did, in a sentence.
    pub came: String,
    /// What should have come, in a sentence.
    pub should: String,
}

/// The sentence was not put to the test.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stop {
    /// It cannot be, on this target or with what was given.
    NotApplicable {
        /// Why.
        why: String,
        /// What would make it applicable.
        mend: String,
    },
    /// It could have been, and something came between; that is never a pass.
    Undecided(String),
    /// A step on the way broke the very sentence.
    Broken(Broken),
}

/// The sentence is kept.
///
/// # Errors
/// Never: so that a case can end with it.
pub fn kept(seen: impl Into<String>) -> Outcome {
    Ok(Found::Kept(seen.into()))
}

/// The sentence is broken.
///
/// # Errors
/// Never: so that a case can end with it.
pub fn broken(
    did: impl Into<String>,
    came: impl Into<String>,
    should: impl Into<String>,
) -> Outcome {
    Ok(Found::Broken(Broken { did: did.into(), came: came.into(), should: should.into() }))
}

/// The case does not apply.
pub fn not_applicable(why: impl Into<String>, mend: impl Into<String>) -> Stop {
    Stop::NotApplicable { why: why.into(), mend: mend.into() }
}

/// Something came between.
pub fn undecided(why: impl Into<String>) -> Stop {
    Stop::Undecided(why.into())
}

//! The deviations, by family. One is a small file of its row's name in its family's folder, whose doc says
//! what it is and where its like was seen, and its name in the `rows!` of the family.

use std::time::Duration;

use super::row::Row;

/// Declares the rows of a family, each a file of its name beside the family's `mod.rs`, and lists them in
/// the order of the page. Rustfmt follows no module that a macro declares: `scripts/check` hands it these
/// files by name.
macro_rules! rows {
    ($($name:ident),* $(,)?) => {
        $(mod $name;)*

        pub const ROWS: &[crate::wire::row::Row] = &[$(crate::wire::row::Row {
            name: stringify!($name),
            text: include_str!(concat!(stringify!($name), ".rs")),
            ..$name::ROW
        }),*];
    };
}

mod answers;
mod balancer;
mod batch;
mod batches;
mod claims;
mod closes;
mod contents;
mod deliveries;
mod frames;
mod goodbyes;
mod handshakes;
mod joins;
mod json;
mod leaks;
mod messages;
mod phoenix;
mod requests;
mod resumes;
mod segments;
mod seqs;
mod upgrades;

/// Rows of a kind.
pub struct Family {
    /// Name of its folder.
    pub name: &'static str,
    /// The rows.
    pub rows: &'static [Row],
    /// Its `mod.rs`, whose doc says what its rows have in common.
    pub text: &'static str,
}

macro_rules! families {
    ($($name:ident),* $(,)?) => {
        &[$(Family {
            name: stringify!($name),
            rows: $name::ROWS,
            text: include_str!(concat!(stringify!($name), "/mod.rs")),
        }),*]
    };
}

/// Every family, in the order of the page.
pub const FAMILIES: &[Family] = families![
    frames, segments, closes, goodbyes, upgrades, handshakes, messages, phoenix, json, joins,
    leaks, batches, deliveries, contents, claims, seqs, resumes, answers, requests, balancer,
];

/// Number of the frame at which a deviation acts that acts once a socket: by then a client has joined,
/// subscribed and got its first events.
const LATER: u32 = 20;

/// Longer than any run here waits.
const FOR_EVER: Duration = Duration::from_secs(120);

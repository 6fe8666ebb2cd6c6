//! The deviations, by family. A row is a function here, with where its like was seen, and one line in its
//! family's list.

mod answers;
mod balancer;
mod batch;
mod batches;
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

use super::row::Row;

/// Rows of a kind.
pub struct Family {
    /// Name of its file.
    pub name: &'static str,
    /// The rows.
    pub rows: &'static [Row],
    /// Its file, in which each row's source is told.
    pub text: &'static str,
}

macro_rules! families {
    ($($name:ident),* $(,)?) => {
        &[$(Family {
            name: stringify!($name),
            rows: $name::ROWS,
            text: include_str!(concat!(stringify!($name), ".rs")),
        }),*]
    };
}

/// Every family, in the order of the page.
pub const FAMILIES: &[Family] = families![
    frames, segments, closes, goodbyes, upgrades, handshakes, messages, phoenix, json, joins,
    leaks, batches, deliveries, contents, seqs, resumes, answers, requests, balancer,
];

/// Number of the frame at which a deviation acts that acts once a socket: by then a client has joined,
/// subscribed and got its first events.
const LATER: u32 = 20;

//! The deviations, by family. A row is a function here, with where its like was seen, and one line in its
//! family's list.

mod answers;
mod balancer;
mod batch;
mod batches;
mod closes;
mod frames;
mod joins;
mod leaks;
mod messages;
mod upgrades;

use super::row::Row;

/// Every family's rows.
pub const FAMILIES: &[&[Row]] = &[
    frames::ROWS,
    closes::ROWS,
    upgrades::ROWS,
    messages::ROWS,
    joins::ROWS,
    leaks::ROWS,
    batches::ROWS,
    answers::ROWS,
    balancer::ROWS,
];

/// Number of the frame at which a deviation acts that acts once a socket: by then a client has joined,
/// subscribed and got its first events.
const LATER: u32 = 20;

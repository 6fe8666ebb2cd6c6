//! What clients, and a process, can be made to do: the words of which faults are composed.

use serde::{Deserialize, Serialize};

/// How a disconnect looks to the target.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "style", rename_all = "snake_case")]
pub enum DisconnectStyle {
    /// A close frame with this code, then FIN.
    Close {
        /// Close code, 1000 to 4999.
        #[serde(rename = "close_code")]
        code: u16,
    },
    /// RST, as when a load balancer dies.
    Reset,
    /// Nothing at all: neither side is told, and the client notices at a heartbeat.
    HalfOpen,
}

/// The cursor with which an offline client comes back, of each of its topics. All but `kept` are
/// computed from the target's own window (oldest, head, budget) as read just before the return, so
/// they mean what they say only while nothing is published.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Resume {
    /// What it had applied.
    Kept,
    /// One below the retention floor: stale.
    BelowFloor,
    /// Exactly at the floor: fresh.
    AtFloor,
    /// One further behind head than the replay budget: stale.
    BeyondBudget,
    /// Exactly the budget behind head: fresh.
    AtBudget,
}

/// The cursor with which the clients of a `cursor` fault come back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ChosenCursor {
    /// So many events behind what the client had applied.
    StaleBy(u64),
    /// So many events beyond the highest that any client has seen.
    FutureBy(u64),
    /// None of the contract.
    Garbage(Garbage),
}

/// What is written where a cursor belongs. The contract has `bad_subscription` for each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Garbage {
    /// A negative number.
    Negative,
    /// A number as text.
    Text,
    /// One number for all topics, in place of the list.
    Number,
}

/// How a process is ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum RestartSignal {
    /// It is asked to end.
    Term,
    /// It is given no time.
    Kill,
}

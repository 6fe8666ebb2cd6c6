//! Gates: the grammar of claims, and how many samples a claim needs.

pub mod grammar;
pub mod power;

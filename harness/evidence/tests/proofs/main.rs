//! Proofs of the judge: what it must accept, what it must reject and by which rule, and when it must
//! refuse to say anything.
//!
//! Histories come from a small model of a correct runtime that shares no code with the oracle
//! ([`support::world`]). Nothing here opens a socket, reads a clock or depends on the machine.

mod absences;
mod blame;
mod coverage;
mod estimators;
mod fair_drain;
mod for_managers;
mod for_people;
mod green_and_void;
mod headlines;
mod holds;
mod one_edit;
mod page;
mod paper;
mod renderings;
mod second_opinion;
mod slow_clients;
mod split_and_merge;
mod stability;
mod stories;
mod support;
mod vacuity;
mod valid_histories;
mod verdicts;
mod what_befell;

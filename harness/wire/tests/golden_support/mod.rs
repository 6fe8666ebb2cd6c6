//! Reading of the recording: its lines as types, and what in it is deliberately wrong.
//!
//! Knows the *recorder's* notation (its notes, its `BIN` for binary frames). Must never know how a
//! frame is read or written: that is what the tests ask `khala_wire`.

pub mod garbage;
pub mod note;
pub mod recording;

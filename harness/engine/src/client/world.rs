//! What a client reads and writes beside its own state, and the records that a client and its dialect both make.

use khala_evidence::record::{Flaw, Micros, Place, Record, Sink};

use super::reader::Reader;
use crate::heads::LocalHeads;
use crate::said;

/// What a client reads and writes beside its own state.
pub struct World<'a, S> {
    /// Takes the records.
    pub sink: &'a mut S,
    /// Reads batches.
    pub reader: &'a mut Reader,
    /// What other clients have seen.
    pub heads: &'a LocalHeads,
}

impl<S: Sink> World<'_, S> {
    /// A word of the target by which something ended or was refused.
    pub fn word(&mut self, client: u32, at: Micros, place: Place, word: &str) {
        let word = said::word(word);
        self.sink.record(Record::Word { client, at, place, word });
    }

    /// What the contract does not say.
    pub fn finding(&mut self, client: u32, name: &str, at: Micros, message: String) {
        let (name, client) = (name.to_owned(), Some(client));
        self.sink.record(Record::Finding { name, client, at, message });
    }

    /// A message that can be read, and what it says is not so.
    pub fn not_so(&mut self, client: u32, at: Micros, why: String) {
        let (flaw, why) = (Flaw::Content, why.into());
        self.sink.record(Record::Malformed { client, at, flaw, why });
    }

    /// A message that does not have the contract's shape.
    pub fn malformed(&mut self, client: u32, at: Micros, why: impl Into<Box<str>>) {
        let (flaw, why) = (Flaw::Shape, why.into());
        self.sink.record(Record::Malformed { client, at, flaw, why });
    }
}

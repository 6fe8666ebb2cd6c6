//! What lies between a client machine and its session: how a lane says what the machine asks, and what the
//! texts of a lane mean to it.
//!
//! A dialect owns all that is its lane's alone: how answers find what they answer, to whom a message is addressed,
//! what is no message of the contract, how many copies of a batch come. It records such facts itself; what any
//! lane's client does about a message is the machine's.

pub mod phoenix;

use std::future::Future;
use std::rc::Rc;

use khala_evidence::record::{Micros, Outcome, Sink};
use khala_wire::snapshot::Snapshot;
use khala_wire::topic::TopicId;

use super::machine::spoken::{Ask, Came, Manners};
use super::machine::{Action, Machine, Settings};
use super::world::World;
use crate::answer::Answer;
use crate::clock::Clock;
use crate::http::Http;

/// What one client speaks over its sessions.
pub trait Dialect: Sized + 'static {
    /// How a client behaves on its lane.
    const MANNERS: Manners;

    /// That of a client.
    fn new(client: u32, settings: Rc<Settings>) -> Self;

    /// For which session the token of the next connect is minted; nothing where nobody knows.
    fn speaks_for(&mut self, session: Option<Box<str>>);

    /// A connect was taken: nothing that was said before counts.
    fn begin(&mut self);

    /// What is to be sent for what the machine asks; nothing where the lane has said it already, or never says it.
    fn say(&mut self, ask: &Ask) -> Option<String>;

    /// A text came: tells the machine what it means. What the machine wants done.
    fn text<S: Sink>(
        &mut self,
        came: Came,
        text: &str,
        machine: &mut Machine,
        world: &mut World<'_, S>,
    ) -> Action;

    /// A binary message of so many bytes came.
    fn binary<S: Sink>(
        &mut self,
        now: Micros,
        bytes: usize,
        machine: &Machine,
        world: &mut World<'_, S>,
    );

    /// Takes a topic's snapshot, in as many pages as it has.
    fn snapshot(shelf: Shelf<'_>, topic: TopicId) -> impl Future<Output = Taken>;
}

/// How snapshots are asked for.
#[derive(Clone, Copy, Debug)]
pub struct Shelf<'a> {
    /// Where requests go.
    pub http: &'a Http,
    /// The token of the session there is.
    pub token: Option<&'a str>,
    /// The run's clock.
    pub clock: Clock,
}

/// A snapshot, or how the request for it ended.
#[derive(Debug)]
pub struct Taken {
    /// The requests for it, one a page, in order.
    pub pages: Vec<Page>,
    /// The snapshot; `None` of what is none of the topic.
    pub snapshot: Result<Option<Snapshot>, Outcome>,
}

/// A request for a page of a snapshot.
#[derive(Debug)]
pub struct Page {
    /// When it was asked for.
    pub start: Micros,
    /// When it was there, or would not come.
    pub done: Micros,
    /// How that ended.
    pub answer: Answer,
}

//! A machine with the dialect of today's lane, taken for one: told texts, it answers with texts, as the target
//! and the wire see them.

use std::ops::{Deref, DerefMut};
use std::rc::Rc;

use khala_evidence::record::{Micros, Outcome, Record};
use khala_wire::snapshot::Snapshot;
use khala_wire::topic::TopicId;

use crate::client::dialect::Dialect;
use crate::client::dialect::phoenix::Phoenix;
use crate::client::machine::spoken::{Ask, Came};
use crate::client::machine::{self, Brought, Machine, Settings};
use crate::client::world::World;

type Around<'a, 'b> = &'a mut World<'b, Vec<Record>>;

/// What to do next, as it is seen on the wire.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::client) enum Action {
    None,
    Connect,
    /// Send a text frame.
    Send(String),
    /// Send two, one after the other.
    SendBoth([String; 2]),
    Close,
    Bootstrap(Vec<TopicId>),
    Stop,
}

/// A client that speaks Phoenix.
pub(in crate::client) struct Speaker {
    machine: Machine,
    dialect: Phoenix,
}

impl Deref for Speaker {
    type Target = Machine;

    fn deref(&self) -> &Machine {
        &self.machine
    }
}

impl Speaker {
    pub(in crate::client) fn new(client: u32, settings: Rc<Settings>, arrival: Micros) -> Self {
        let dialect = Phoenix::new(client, Rc::clone(&settings));
        Self { machine: Machine::new(client, settings, arrival), dialect }
    }

    fn say(&mut self, ask: &Ask) -> String {
        self.dialect.say(ask).expect("Phoenix says all that is asked")
    }

    fn said(&mut self, action: machine::Action) -> Action {
        match action {
            machine::Action::None => Action::None,
            machine::Action::Connect => Action::Connect,
            machine::Action::Ask(ask) => Action::Send(self.say(&ask)),
            machine::Action::AskBoth(asks) => Action::SendBoth(asks.map(|ask| self.say(&ask))),
            machine::Action::Close => Action::Close,
            machine::Action::Bootstrap(topics) => Action::Bootstrap(topics),
            machine::Action::Stop => Action::Stop,
        }
    }

    pub(in crate::client) fn text(
        &mut self,
        read_at: Micros,
        now: Micros,
        text: &str,
        world: Around<'_, '_>,
    ) -> Action {
        let action = self.dialect.text(Came { read_at, now }, text, &mut self.machine, world);
        self.said(action)
    }

    pub(in crate::client) fn binary(&mut self, now: Micros, bytes: usize, world: Around<'_, '_>) {
        self.dialect.binary(now, bytes, &self.machine, world);
    }

    pub(in crate::client) fn speaks_for(&mut self, session: Option<Box<str>>) {
        self.dialect.speaks_for(session);
    }

    pub(in crate::client) fn tick(&mut self, now: Micros, world: Around<'_, '_>) -> Action {
        let action = self.machine.tick(now, world);
        self.said(action)
    }

    pub(in crate::client) fn minted(
        &mut self,
        start: Micros,
        done: Micros,
        outcome: Outcome,
        world: Around<'_, '_>,
    ) -> Action {
        let action = self.machine.minted(start, done, outcome, world);
        self.said(action)
    }

    pub(in crate::client) fn connect_failed(
        &mut self,
        start: Micros,
        done: Micros,
        outcome: Outcome,
        world: Around<'_, '_>,
    ) -> Action {
        let action = self.machine.connect_failed(start, done, outcome, world);
        self.said(action)
    }

    pub(in crate::client) fn connected(
        &mut self,
        start: Micros,
        done: Micros,
        world: Around<'_, '_>,
    ) -> Action {
        self.dialect.begin();
        let action = self.machine.connected(start, done, world);
        self.said(action)
    }

    pub(in crate::client) fn unsubscribe(
        &mut self,
        now: Micros,
        fault: u16,
        topics: &[TopicId],
        until: Micros,
    ) -> Action {
        let action = self.machine.unsubscribe(now, fault, topics, until);
        self.said(action)
    }

    pub(in crate::client) fn snapshot(
        &mut self,
        topic: TopicId,
        times: (Micros, Micros),
        taken: &Result<Option<Snapshot>, Outcome>,
        world: Around<'_, '_>,
    ) {
        let brought = taken.as_ref().map_err(|outcome| *outcome).map(|snapshot| {
            let snapshot = snapshot.as_ref()?;
            let (head, documents) = (snapshot.head_watermark, world.reader.held(snapshot));
            Some(Brought { head, documents })
        });
        self.machine.snapshot(topic, times, brought, world);
    }

    pub(in crate::client) fn bootstrapped(&mut self, now: Micros, world: Around<'_, '_>) -> Action {
        let action = self.machine.bootstrapped(now, world);
        self.said(action)
    }
}

impl DerefMut for Speaker {
    fn deref_mut(&mut self) -> &mut Machine {
        &mut self.machine
    }
}

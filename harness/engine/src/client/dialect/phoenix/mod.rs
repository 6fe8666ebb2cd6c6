//! Phoenix Channels, serializer V2, with the contract's events on one channel (section 3).
//!
//! One filter first, as the Phoenix clients have it: nothing that a real client drops is told to the machine; that
//! it came is recorded. Then pushes are compared with their twins, and replies are matched with what was asked.

mod asks;
mod batches;
mod beside;
mod joins;
mod pushes;
mod replies;
mod snapshot;
mod stands;
mod twins;

use std::rc::Rc;

use khala_evidence::record::{Addressee, Micros, OfflineCause, Record, Sink, Telling};
use khala_plan::model::Push;
use khala_wire::frame::{Frame, Vsn};
use khala_wire::message::event;
use khala_wire::payload::CODE_BAD_SUBSCRIPTION;
use khala_wire::shape::{self, Shape};
use khala_wire::topic::TopicId;
use khala_wire::{CHANNEL, PHOENIX_CHANNEL};
use serde_json::value::RawValue;

use self::asks::Asked;
use self::joins::{Address, Joins};
use self::stands::{Pushed, Stands};
use self::twins::{Errors, Twins};
use super::{Dialect, Shelf, Taken};
use crate::client::batch::Batch;
use crate::client::machine::spoken::{Ask, Came, Event, Manners};
use crate::client::machine::{Action, Machine, Settings};
use crate::client::world::World;
use crate::clock::micros;
use crate::said;

/// What one client speaks over its sockets.
#[derive(Debug)]
pub struct Phoenix {
    client: u32,
    settings: Rc<Settings>,
    next_ref: u64,
    /// The joins of the socket there is.
    joins: Joins,
    /// Refs of what has no answer yet.
    asked: Asked,
    twins: Twins,
    errors: Errors,
    stands: Stands,
    /// What came over the channel there is.
    pushed: Pushed,
    /// Topics of the client's that the reply to the join in force does not allow.
    barred: Vec<TopicId>,
    /// The session that the token of the socket there is was minted for, where that is known.
    session: Option<Box<str>>,
}

impl Dialect for Phoenix {
    const MANNERS: Manners = Manners {
        joins: true,
        heartbeats: true,
        pings: true,
        no_cursor: Some(CODE_BAD_SUBSCRIPTION),
    };

    fn new(client: u32, settings: Rc<Settings>) -> Self {
        Self {
            client,
            settings,
            next_ref: 1,
            joins: Joins::default(),
            asked: Asked::default(),
            twins: Twins::default(),
            errors: Errors::default(),
            stands: Stands::default(),
            pushed: Pushed::default(),
            barred: Vec::new(),
            session: None,
        }
    }

    fn speaks_for(&mut self, session: Option<Box<str>>) {
        self.session = session;
    }

    fn begin(&mut self) {
        self.joins = Joins::default();
        self.pushed = Pushed::default();
        self.asked = Asked::default();
        self.twins.clear();
        self.errors.clear();
    }

    fn say(&mut self, ask: &Ask) -> Option<String> {
        Some(self.encode(ask))
    }

    fn text<S: Sink>(
        &mut self,
        came: Came,
        text: &str,
        machine: &mut Machine,
        world: &mut World<'_, S>,
    ) -> Action {
        if !machine.hears() {
            return Action::None;
        }
        let frame = match Frame::parse(Vsn::V2, text) {
            Ok(frame) => frame,
            Err(error) => {
                world.malformed(self.client, came.read_at, said::error(&error));
                return Action::None;
            }
        };
        if !matches!(&*frame.event, event::FRAME | event::UPDATE_BATCH) {
            // Authority before all else, and whether the client takes it or not.
            let beside = beside::carried(frame.payload.get());
            machine.told(Event::Overheard(&beside), came, world);
        }
        if !self.takes(&frame, came.read_at, world) {
            return Action::None;
        }
        match &*frame.event {
            event::FRAME | event::UPDATE_BATCH => self.push(&frame, came, machine, world),
            event::REPLY => self.reply(&frame, came, machine, world),
            event::CLOSE | event::ERROR => {
                self.end();
                let may_rejoin = &*frame.event == event::ERROR;
                let cause = OfflineCause::ChannelClosed;
                machine.told(Event::Ended { cause, may_rejoin }, came, world)
            }
            event::SYNC_ERROR => {
                self.error_came(Push::UpdateBatch, frame.payload.get(), came, machine, world)
            }
            event::HEARTBEAT => {
                let what = "a sync:heartbeat";
                let (by, at) = (Telling::Heartbeat, came.read_at);
                if self.shaped(&shape::HEARTBEAT, what, frame.payload, at, world) {
                    let told = self.told(by, what, frame.payload, at, world);
                    let heads = told.unwrap_or_default().marks();
                    self.stand(by, &heads, at, world);
                    self.not_behind(what, &heads, at, world);
                }
                Action::None
            }
            other => {
                let message = format!("event `{}` on channel `{CHANNEL}`", said::word(other));
                world.finding(self.client, "unknown_event", came.read_at, message);
                Action::None
            }
        }
    }

    fn binary<S: Sink>(
        &mut self,
        now: Micros,
        bytes: usize,
        machine: &Machine,
        world: &mut World<'_, S>,
    ) {
        if machine.hears() {
            world.malformed(self.client, now, format!("a binary message of {bytes} bytes"));
        }
    }

    async fn snapshot(shelf: Shelf<'_>, topic: TopicId) -> Taken {
        snapshot::take(shelf, topic).await
    }
}

impl Phoenix {
    /// The channel has ended, and the socket stays.
    fn end(&mut self) {
        self.joins.end();
        self.asked.end();
        self.pushed = Pushed::default();
        self.twins.clear();
        self.errors.clear();
    }

    /// Whether a real client takes a message; records it if it should not have come.
    fn takes<S: Sink>(
        &mut self,
        frame: &Frame<'_>,
        read_at: Micros,
        world: &mut World<'_, S>,
    ) -> bool {
        let mine = frame.channel == CHANNEL;
        if frame.channel == PHOENIX_CHANNEL {
            let reference = frame.ref_number();
            match &*frame.event {
                event::REPLY if self.asked.asked_the_socket(reference) => return true,
                // To another request a real client hears nothing on this channel, whatever its ref.
                event::REPLY if !self.asked.asked_the_channel(reference) => return false,
                event::REPLY
                | event::FRAME
                | event::UPDATE_BATCH
                | event::SYNC_ERROR
                | event::HEARTBEAT => {}
                other => {
                    let other = said::word(other);
                    let message = format!("event `{other}` on channel `{PHOENIX_CHANNEL}`");
                    world.finding(self.client, "unknown_event", read_at, message);
                    return false;
                }
            }
        }
        let data = !matches!(&*frame.event, event::REPLY | event::CLOSE | event::ERROR);
        let settle_us = micros(self.settings.settle_within);
        let address = if !mine {
            Address::Wrong(Addressee::Channel)
        } else if frame.join_ref.is_some() && frame.join_ref_number().is_none() {
            Address::Wrong(Addressee::UnknownJoin)
        } else {
            self.joins.address(frame.join_ref_number(), data, read_at, settle_us)
        };
        match address {
            Address::Ours => true,
            Address::Dropped => {
                if let (event::CLOSE | event::ERROR, Some(join)) =
                    (&*frame.event, frame.join_ref_number())
                {
                    self.joins.closed(join);
                }
                false
            }
            Address::Wrong(to) => {
                let (client, event) = (self.client, said::word(&frame.event));
                world.sink.record(Record::Misaddressed { client, at: read_at, to, event });
                false
            }
        }
    }

    /// Records where topics are said to stand, as far as that is news.
    fn stand<S: Sink>(
        &mut self,
        by: Telling,
        heads: &[(TopicId, u64)],
        at: Micros,
        world: &mut World<'_, S>,
    ) {
        for &(topic, head) in heads {
            if self.stands.rises(topic, head) {
                let client = self.client;
                world.sink.record(Record::StandsAt { client, at, by, topic, head });
            }
        }
    }

    /// Records heads of a heartbeat that lie behind what the client had been sent long before it asked.
    fn not_behind<S: Sink>(
        &self,
        what: &str,
        heads: &[(TopicId, u64)],
        at: Micros,
        world: &mut World<'_, S>,
    ) {
        for &(topic, head) in heads {
            let sent = self.pushed.settled(topic, self.beats_of_grace());
            if let Some(sent) = sent.filter(|sent| head < *sent) {
                let name = topic.name();
                let why = format!(
                    "{what} says that {name} stands at {head}, and seq {sent} had been sent before \
                     an earlier heartbeat"
                );
                world.not_so(self.client, at, why);
            }
        }
    }

    /// How many heartbeats take at least the settle bound.
    fn beats_of_grace(&self) -> usize {
        let (bound, every) = (micros(self.settings.settle_within), micros(self.settings.heartbeat));
        usize::try_from(bound.div_ceil(every.max(1))).unwrap_or(usize::MAX).max(1)
    }

    /// Records heads of a replay that lie behind what had been seen by anybody when it was asked for.
    fn replay_reaches<S: Sink>(&self, batch: &Batch, at: Micros, world: &mut World<'_, S>) {
        let own = self.asked.subscribe.as_ref().and_then(|asked| asked.own.as_ref());
        let (Some(own), Some(last)) = (own, batch.facts.last()) else { return };
        let topic = last.topic;
        let of = |list: &[(TopicId, u64)]| list.iter().find(|(of, _)| *of == topic).map(|it| it.1);
        if let (Some(head), Some(seen)) = (of(&batch.stands), of(&own.seen))
            && head < seen
        {
            let name = topic.name();
            let message = format!(
                "a batch of a replay says that {name} stands at {head}; seq {seen} had been sent to clients \
                 before the replay was asked for"
            );
            world.finding(self.client, "replay_head_behind", at, message);
        }
    }

    /// Records how a payload differs from its shape; whether it has what it must have.
    fn shaped<S: Sink>(
        &self,
        shape: &Shape,
        what: &str,
        payload: &RawValue,
        read_at: Micros,
        world: &mut World<'_, S>,
    ) -> bool {
        let Some(difference) = shape.difference(payload.get()) else {
            world.malformed(self.client, read_at, format!("{what} is no object"));
            return false;
        };
        for name in &difference.unknown {
            let message = format!("field `{}` in {what}", said::word(name));
            world.finding(self.client, "unknown_field", read_at, message);
        }
        if let Some(missing) = difference.missing.first() {
            world.malformed(self.client, read_at, format!("{what} lacks `{missing}`"));
            return false;
        }
        true
    }
}

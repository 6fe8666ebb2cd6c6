//! Pushes: the two of a batch, compared, and errors.

use khala_evidence::record::{Micros, Place, Record, Sink, Telling};
use khala_plan::model::Push;
use khala_wire::frame::Frame;
use khala_wire::message::event;
use khala_wire::payload::{self, SlowConsumerSeen};
use khala_wire::shape;
use serde_json::value::RawValue;

use super::Phoenix;
use super::replies::stale;
use super::twins::Paired;
use crate::client::batch::Batch;
use crate::client::machine::spoken::{Came, Event, Heard, ToldOff};
use crate::client::machine::{Action, Machine};
use crate::client::world::World;

impl Phoenix {
    /// One of the two pushes of a batch: compared with its twin, and applied if it is the one.
    pub(super) fn push<S: Sink>(
        &mut self,
        frame: &Frame<'_>,
        came: Came,
        machine: &mut Machine,
        world: &mut World<'_, S>,
    ) -> Action {
        let (push, batch) = if &*frame.event == event::FRAME {
            (Push::Frame, world.reader.frame(frame.payload.get()))
        } else {
            (Push::UpdateBatch, world.reader.batch(frame.payload.get()))
        };
        let applied = push == self.settings.apply;
        let again = self.twins.told(push, batch.content);
        for fact in batch.facts.iter() {
            self.stands.rises(fact.topic, fact.seq);
            self.pushed.came(fact.topic, fact.seq);
        }
        self.stand(Telling::Heads, &batch.stands, came.read_at, world);
        if applied {
            self.replay_reaches(&batch, came.read_at, world);
            let (client, at) = (self.client, came.read_at);
            for &(worker, latest) in batch.latest.iter() {
                world.sink.record(Record::LatestTold { client, at, worker, latest });
            }
        }
        machine.told(Event::Heard(Heard { batch: &batch, again, applied }), came, world);
        if let Some(error) = &batch.error {
            return self.error_came(Push::Frame, error, came, machine, world);
        }
        if !machine.applies() {
            return Action::None;
        }
        self.compare(push, &batch, came, world);
        if applied {
            machine.told(Event::Delivered(&batch.facts), came, world);
        }
        Action::None
    }

    fn compare<S: Sink>(
        &mut self,
        push: Push,
        batch: &Batch,
        came: Came,
        world: &mut World<'_, S>,
    ) {
        // A frame of a reserved kind, or a batch without updates, has nothing to compare.
        let Some(last) = batch.facts.last() else { return };
        let Paired { torn, agree } = self.twins.pair(last.topic, push, batch.content);
        let (client, at, topic, seq) = (self.client, came.read_at, last.topic, last.seq);
        for agree in std::iter::repeat_n(false, torn).chain(agree) {
            world.sink.record(Record::PushesCompared { client, at, topic, seq, agree });
        }
        if agree == Some(true) && push == Push::UpdateBatch {
            let message = "a sync:frame came before its sync:update_batch".to_owned();
            world.finding(client, "frame_before_batch", at, message);
        }
    }

    /// An error, of which two copies come: a `sync:error`, and a frame that carries it.
    pub(super) fn error_came<S: Sink>(
        &mut self,
        push: Push,
        text: &str,
        came: Came,
        machine: &mut Machine,
        world: &mut World<'_, S>,
    ) -> Action {
        let at = came.read_at;
        let what = if push == Push::Frame { "an error frame" } else { "a sync:error" };
        let Ok(error) = serde_json::from_str::<&RawValue>(text) else {
            world.malformed(self.client, at, format!("{what} carries no JSON"));
            return Action::None;
        };
        let code = payload::error_code(error);
        if code.is_empty() {
            world.malformed(self.client, at, format!("{what} lacks `code`"));
            return Action::None;
        }
        let slow = serde_json::from_str::<SlowConsumerSeen>(text).ok();
        let slow = slow.filter(|slow| slow.code == payload::CODE_SLOW_CONSUMER);
        let action = slow.as_ref().map(|slow| &*slow.action);
        if !self.errors.first_copy(push, &code, action.unwrap_or_default()) {
            return Action::None;
        }
        if code == payload::CODE_SLOW_CONSUMER {
            self.shaped(&shape::SLOW_CONSUMER, "a slow_consumer", error, at, world);
        }
        world.word(self.client, at, self.place_of(&code, Place::Error, at, machine), &code);
        match (&*code, slow) {
            (_, Some(slow)) => {
                let (depth, limit) = (slow.queue_depth, slow.queue_limit);
                let told = ToldOff { last: slow.action == "disconnect", depth, limit };
                machine.told(Event::ToldOff(told), came, world)
            }
            // Of a subscribe that has no answer yet it comes again as the reply; now it is about what is subscribed.
            (payload::CODE_STALE_CURSOR, None) if machine.is_live() => match stale(error) {
                Ok(stale) if stale.topics.is_empty() => {
                    world.not_so(self.client, at, format!("{what} calls no topic stale"));
                    Action::None
                }
                Ok(stale) => machine.told(Event::Stale(stale), came, world),
                Err(why) => {
                    world.malformed(self.client, at, why);
                    Action::None
                }
            },
            // Others come again as the reply to what they answer.
            _ => Action::None,
        }
    }

    /// Where a word counts as said: that the session is no longer good needs a reason.
    pub(super) fn place_of(
        &self,
        code: &str,
        place: Place,
        at: Micros,
        machine: &Machine,
    ) -> Place {
        // Of a session that others may share nobody knows who has ended it.
        let unprovoked = code == payload::CODE_REAUTH_REQUIRED
            && self.session.is_some()
            && !machine.may_be_let_go(at);
        if unprovoked { Place::Unprovoked } else { place }
    }
}

//! Pushes: the two of a batch, compared, and errors.

use khala_evidence::record::{Place, Record, Sink};
use khala_plan::model::Push;
use khala_wire::frame::Frame;
use khala_wire::message::event;
use khala_wire::payload::{self, SlowConsumerSeen};
use khala_wire::shape;
use serde_json::value::RawValue;

use super::Phoenix;
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
        machine.told(Event::Heard(Heard { batch: &batch, again, applied }), came, world);
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
        // A frame without facts carries an error, and its twin is a `sync:error`.
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

    pub(super) fn sync_error<S: Sink>(
        &mut self,
        text: &str,
        came: Came,
        machine: &mut Machine,
        world: &mut World<'_, S>,
    ) -> Action {
        let at = came.read_at;
        if let Ok(error) = serde_json::from_str::<&RawValue>(text) {
            let code = payload::error_code(error);
            if code.is_empty() {
                world.malformed(self.client, at, "a sync:error lacks `code`");
                return Action::None;
            }
            if code == payload::CODE_SLOW_CONSUMER {
                self.shaped(&shape::SLOW_CONSUMER, "a slow_consumer", error, at, world);
            }
            world.word(self.client, at, Place::Error, &code);
        }
        // Other errors come again as the reply to what they answer.
        match serde_json::from_str::<SlowConsumerSeen>(text) {
            Ok(slow) if slow.code == payload::CODE_SLOW_CONSUMER => {
                let (depth, limit) = (slow.queue_depth, slow.queue_limit);
                let told = ToldOff { last: slow.action == "disconnect", depth, limit };
                machine.told(Event::ToldOff(told), came, world)
            }
            _ => Action::None,
        }
    }
}

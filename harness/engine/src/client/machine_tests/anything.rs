//! Whatever happens: any sequence of inputs, any text.

use khala_evidence::record::{OpKind, Record};
use khala_plan::surface::Surface;
use khala_wire::topic::{WORKER_EVENTS, WORKER_SUMMARIES};
use proptest::prelude::*;
use serde_json::json;

use super::inputs::{Answer, Input, inputs};
use super::rig::{
    Action, Rig, Sent, beats, events, refused, reply, sent, settings, snapshot_at, socket_beat,
    stale, subscribed, summaries,
};
use crate::client::machine::{Phase, Settings};

fn text_of(answer: &Answer, to: &Sent) -> String {
    match answer {
        Answer::Ok => subscribed(to, &json!([{"topic": WORKER_EVENTS, "watermark": 3}])),
        Answer::Stale => stale(to, &[WORKER_EVENTS]),
        Answer::StaleState => stale(to, &[WORKER_EVENTS, WORKER_SUMMARIES]),
        Answer::Refused(code) => refused(to, code),
        Answer::Garbage => reply(to, "ok", &json!(7)),
    }
}

/// The topics of a desktop client: with a snapshot and without.
fn desktop() -> Settings {
    Settings { topics: vec![events(), summaries()], ..settings(Surface::Desktop) }
}

impl Rig {
    /// Whether the client waits for snapshots.
    fn bootstraps(&self) -> bool {
        let about = |record: &&Record| {
            let refused = matches!(record, Record::SubscribeStale { .. });
            refused || matches!(record, Record::SubscribeSent { .. })
        };
        let last = self.records.iter().rev().find(about);
        self.machine.phase() == Phase::Online && matches!(last, Some(Record::SubscribeStale { .. }))
    }

    /// Whether a driver would give the machine this input now.
    fn expects(&self, input: &Input) -> bool {
        match input {
            Input::After(_)
            | Input::AtDeadline
            | Input::Cut
            | Input::CutSilently
            | Input::SentAway(_)
            | Input::Unsubscribe(_)
            | Input::Retire => true,
            Input::Minted(_) | Input::ConnectFailed(_) | Input::Connected => {
                self.machine.phase() == Phase::Connecting
            }
            Input::Bootstrapped(_) => self.bootstraps(),
            Input::Answer(_) | Input::Text(_) | Input::Closed(_) | Input::Broken => {
                self.machine.phase() == Phase::Online
            }
        }
    }

    fn apply(&mut self, input: &Input, last: Option<&Sent>) -> Action {
        match input {
            Input::After(time) => {
                self.now += time;
                self.tick()
            }
            Input::AtDeadline => self.wait_for_deadline(),
            Input::Minted(outcome) => {
                self.with(|machine, now, world| machine.minted(now, now, *outcome, world))
            }
            Input::ConnectFailed(outcome) => {
                self.with(|machine, now, world| machine.connect_failed(now, now, *outcome, world))
            }
            Input::Connected => self.with(|machine, now, world| machine.connected(now, now, world)),
            Input::Answer(answer) => match last {
                Some(to) => self.text(&text_of(answer, to)),
                None => Action::None,
            },
            Input::Text(text) => self.text(text),
            Input::Closed(code) => {
                self.with(|machine, now, world| machine.closed(now, *code, world));
                Action::None
            }
            Input::Broken => {
                self.broken();
                Action::None
            }
            Input::Cut => {
                self.cut(0, self.now);
                Action::None
            }
            Input::CutSilently => {
                self.with(|machine, now, world| machine.cut_silently(now, 0, now, world));
                Action::None
            }
            Input::SentAway(time) => {
                let until = self.now + time;
                self.with(|machine, now, world| machine.cut_until(now, 0, now, until, world));
                Action::None
            }
            Input::Unsubscribe(time) => {
                self.machine.unsubscribe(self.now, 0, &[events()], self.now + time)
            }
            Input::Bootstrapped(head) => self.with(|machine, now, world| {
                let taken = (*head).map(|head| head.map(|head| snapshot_at(head, vec![])));
                machine.snapshot(summaries(), (now, now), &taken, world);
                machine.bootstrapped(now, world)
            }),
            Input::Retire => {
                self.retire();
                Action::None
            }
        }
    }

    /// A driver that waits for the deadline and ticks must get somewhere, or it spins.
    fn wait_for_deadline(&mut self) -> Action {
        let (phase, deadline) = (self.machine.phase(), self.machine.deadline());
        if deadline == u64::MAX {
            return Action::None;
        }
        self.now = self.now.max(deadline);
        let action = self.tick();
        let moved = self.machine.phase() != phase || self.machine.deadline() > self.now;
        assert!(moved, "after a tick at {} it is still {phase:?}, due {deadline}", self.now);
        action
    }

    /// What an action promises of the phase.
    fn keeps_its_word(&self, action: &Action) {
        match action {
            Action::Send(_) | Action::SendBoth(_) | Action::Bootstrap(_) => {
                assert_eq!(self.machine.phase(), Phase::Online);
            }
            Action::Connect => assert_eq!(self.machine.phase(), Phase::Connecting),
            Action::Close => assert!(matches!(self.machine.phase(), Phase::Waiting(_))),
            Action::Stop => assert_eq!(self.machine.phase(), Phase::Stopped),
            Action::None => {}
        }
    }

    /// What every story of a client must look like, whatever happened.
    fn is_consistent(&self) {
        let (mut connected, mut retired, mut epoch, mut begun, mut ended) = (false, 0, 0, 0, 0);
        for record in &self.records {
            match record {
                Record::Connected { .. } | Record::Rejoining { .. } => {
                    assert!(!connected, "two sockets or channels at once");
                    connected = true;
                }
                Record::Offline { .. } => {
                    assert!(connected, "a socket that is not there was lost");
                    connected = false;
                }
                Record::Retired { connected: was, .. } => {
                    retired += 1;
                    assert_eq!(*was, connected);
                }
                Record::SubscribeSent { epoch: sent, .. } => {
                    assert!(connected, "a subscribe without a socket");
                    assert_eq!(*sent, epoch + 1, "epochs count the subscribes");
                    epoch = *sent;
                    begun += 1;
                }
                Record::SubscribeOk { epoch: answered, .. } => {
                    assert!(connected, "an answer without a socket");
                    assert_eq!(*answered, epoch);
                }
                Record::Delivered(_) => assert!(connected, "a delivery without a socket"),
                Record::Op(op) => {
                    assert!(op.intended <= op.start && op.start <= op.done, "{op:?}");
                    ended += u32::from(op.kind == OpKind::Subscribe);
                }
                _ => {}
            }
        }
        assert!(retired <= 1);
        let pending = u32::from(begun > ended);
        assert_eq!(begun, ended + pending, "a subscribe ends once");
        if retired == 1 || !matches!(self.machine.phase(), Phase::Online) {
            assert_eq!(pending, 0, "nothing is pending without a socket: {:?}", self.records);
        }
    }
}

/// What was asked last.
fn asked(action: Action) -> Sent {
    match action {
        // Half of them, so that either heartbeat is left without an answer now and then.
        Action::SendBoth(texts) => {
            let (channel, socket) = beats(Action::SendBoth(texts));
            let number: u64 = channel.msg_ref.parse().expect("a number");
            if number.is_multiple_of(2) { channel } else { socket }
        }
        Action::Send(text) if text.contains("phoenix") => socket_beat(Action::Send(text)),
        action => sent(action),
    }
}

proptest! {
    #[test]
    fn whatever_happens_in_order_the_story_is_consistent_and_nothing_spins(inputs in inputs()) {
        let mut rig = Rig::of(desktop());
        let mut last = None;
        for input in inputs.iter().chain([&Input::AtDeadline]) {
            if !rig.expects(input) {
                continue;
            }
            let before = rig.machine.phase();
            let action = rig.apply(input, last.as_ref());
            rig.keeps_its_word(&action);
            if let Action::Send(_) | Action::SendBoth(_) = action {
                last = Some(asked(action));
            }
            let revived = before == Phase::Stopped && rig.machine.phase() != Phase::Stopped;
            prop_assert!(!revived, "{input:?} revived a stopped client");
        }
        rig.is_consistent();
    }

    #[test]
    fn nothing_that_happens_out_of_order_makes_it_panic(inputs in inputs()) {
        let mut rig = Rig::of(desktop());
        let mut last = None;
        for input in &inputs {
            let action = rig.apply(input, last.as_ref());
            if let Action::Send(_) | Action::SendBoth(_) = action {
                last = Some(asked(action));
            }
            let machine = &rig.machine;
            prop_assert!(!machine.is_live() || machine.phase() == Phase::Online);
        }
    }
}

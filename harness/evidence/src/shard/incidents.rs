//! Requests that ended and sockets that are gone, as a shard takes them: what is an incident, and whose
//! doing it is.
//!
//! A planned fault answers for what befalls the clients that it hit until they are live again, or until
//! the bound of convergence has passed since they came back; a restart also for what befalls everybody
//! while it may take, a hook for what it says that it causes, sockets that must be closed in order among
//! that. A refusal is an answer: whose socket was merely
//! cut off, the target has to let in, so that a cut answers for none. The harness answers for what follows from its own stalls, from what it lacked, and
//! from heartbeats that it owed. Everything else is the target's. What the contract says of a healthy
//! target is no incident: a publish limit that is kept, a stale cursor, a topic without a snapshot.

use std::borrow::Cow;

use khala_plan::stability::{Consequence, Incident};
use khala_plan::units::micros;
use serde::{Deserialize, Serialize};

use super::Shard;
use super::stability::Blame;
use crate::record::{Answered, Cut, Limit, Micros, OfflineCause, Op, OpKind, Outcome, Request};

/// The shortest stall of the harness from which anything can follow.
const STALL_MIN_US: Micros = 500_000;
/// For how long after the settle bound a stall may still show.
const STALL_SHOWS_US: Micros = 3_000_000;
/// Without a heartbeat of the client for this long its channel is closed (contract, section 3).
const KEPT_ALIVE_FOR_US: Micros = 60_000_000;
/// How one is told that began again because something was not answered in time.
pub(super) const REJOIN_OF_THE_LATE: &str = "rejoin after a time-out";
/// How the end of a socket is told on which the target had not yet answered the join.
const BEFORE_THE_JOIN: &str = ", before its join was answered";
/// A socket that was open for less is not one of those that were open before.
const OPEN_FOR_US: Micros = 1_000_000;

/// What a planned fault did to a client, from which it has not recovered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hit {
    /// When it first connected again.
    pub back_since: Option<Micros>,
    /// Whether it may be refused something on its way back.
    pub invites_refusals: bool,
}

/// Whether a target said no, in whatever form, and was not merely away.
fn is_refusal(outcome: Outcome) -> bool {
    !matches!(outcome, Outcome::Timeout | Outcome::ConnectionFailed)
}

impl Shard {
    /// Whose doing it is that a client was refused something.
    fn blame_for_a_refusal(&self, what: Incident, client: u32, start: Micros, at: Micros) -> Blame {
        let invited = self
            .clients
            .get(&client)
            .is_some_and(|life| life.hit.is_some_and(|hit| hit.invites_refusals));
        let befell = self.context.is_befalling(Consequence::Incident(what), start, at);
        if invited || befell {
            return self.blame(what, client, start, at);
        }
        match self.follows_from_a_stall(self.context.thread_of(client), start, at) {
            true => Blame::Ours,
            false => Blame::Target,
        }
    }

    /// Whose doing it is that something went wrong for a client between two instants.
    fn blame(&self, what: Incident, client: u32, start: Micros, at: Micros) -> Blame {
        if self.is_planned(what, client, start, at) {
            Blame::Plan
        } else if self.follows_from_a_stall(self.context.thread_of(client), start, at) {
            Blame::Ours
        } else {
            Blame::Target
        }
    }

    /// The same of a command.
    fn blame_for_a_command(&self, what: Incident, start: Micros, at: Micros) -> Blame {
        if self.context.is_befalling(Consequence::Incident(what), start, at) {
            Blame::Plan
        } else if self.follows_from_a_stall(self.context.publisher_thread(), start, at) {
            Blame::Ours
        } else {
            Blame::Target
        }
    }

    fn is_planned(&self, what: Incident, client: u32, start: Micros, at: Micros) -> bool {
        let bound = micros(self.context.bounds().converge_within);
        let hit = |hit: Hit| hit.back_since.is_none_or(|since| at <= since.saturating_add(bound));
        let life = self.clients.get(&client);
        self.context.is_befalling(Consequence::Incident(what), start, at)
            || life.is_some_and(|life| life.slow.counts_as_slow(at) || life.hit.is_some_and(hit))
    }

    /// Whether a fault makes a client read slowly, or did until just now.
    pub(super) fn is_slow(&self, client: u32, at: Micros) -> bool {
        self.clients.get(&client).is_some_and(|life| life.slow.counts_as_slow(at))
    }

    /// Whether a thread of the harness stood still while it was under way, or shortly before.
    fn follows_from_a_stall(&self, thread: u16, start: Micros, at: Micros) -> bool {
        let shows = micros(self.context.bounds().settle_within).saturating_add(STALL_SHOWS_US);
        self.stalls.of(thread).shows(STALL_MIN_US, start.saturating_sub(shows), at)
    }

    /// Whether a client left its channel without a heartbeat for so long that the target had to close
    /// it.
    fn owed_a_heartbeat(&self, client: u32, at: Micros) -> bool {
        let kept = self.clients.get(&client).and_then(|life| life.kept_alive_at);
        kept.is_some_and(|kept| at.saturating_sub(kept) >= KEPT_ALIVE_FOR_US)
    }

    /// A request ended.
    pub(super) fn answered(&mut self, answered: &Answered) {
        if let Some(client) = answered.client
            && answered.outcome != Outcome::Interrupted
        {
            let life = self.clients.entry(client).or_default();
            life.timed_out_since = (answered.outcome == Outcome::Timeout).then_some(answered.start);
        }
        let asked_for = self.is_asked_for(answered) || is_tried_in_vain(answered);
        let incident = incident(answered);
        if let Some((kind, others)) = incident
            && answered.outcome != Outcome::Interrupted
        {
            let stability = &mut self.flow.stability;
            stability.occasion(kind);
            others.iter().for_each(|&other| stability.occasion(other));
        }
        let blamed = incident
            .filter(|_| !matches!(answered.outcome, Outcome::Interrupted | Outcome::Ok))
            .filter(|_| !asked_for && !is_documented(answered))
            .map(|(kind, _)| (kind, self.blame_for_an_answer(kind, answered)));
        let planned = asked_for || matches!(blamed, Some((_, Blame::Plan)));
        self.flow.stability.answered(answered, planned);
        let Some((kind, blame)) = blamed else { return };
        let Answered { client, start, at, .. } = *answered;
        let stability = &mut self.flow.stability;
        // It counts among another request's failures, and is told apart.
        let code = match answered.request {
            Request::Unsubscribe => Cow::Owned(format!("unsubscribe: {}", answered.status)),
            _ => Cow::Borrowed(&*answered.status),
        };
        let waited = answered.is_late().then_some((start, at));
        stability.incident(kind, blame, (&code, waited), at, client);
        if answered.request == Request::Connect && blame == Blame::Target {
            stability.refused(at, &answered.status);
        }
    }

    /// Whose doing it is that a request did not get what it asked for.
    fn blame_for_an_answer(&self, kind: Incident, answered: &Answered) -> Blame {
        let Answered { client, start, at, outcome, .. } = *answered;
        match (outcome, client) {
            (Outcome::Exhausted(_), _) => Blame::Ours,
            (_, Some(client)) if is_refusal(outcome) => {
                self.blame_for_a_refusal(kind, client, start, at)
            }
            (_, Some(client)) => self.blame(kind, client, start, at),
            (_, None) => self.blame_for_a_command(kind, start, at),
        }
    }

    /// Whether a command was refused for a size that is over the contract's limit on purpose: by whoever
    /// refuses it, in whatever words.
    fn is_asked_for(&self, answered: &Answered) -> bool {
        let mut sizes = self.context.payload_bytes().iter();
        answered.request == Request::Publish
            && answered.status.starts_with("413")
            && sizes.any(|size| u64::from(*size) > Limit::PublishBytes.most())
    }

    /// A command was never begun, because the target had left too many unanswered.
    pub(super) fn kept_back(&mut self, intended: Micros, at: Micros) {
        let blame = self.blame_for_a_command(Incident::PublishErrors, intended, at);
        let stability = &mut self.flow.stability;
        stability.occasion(Incident::PublishErrors);
        let code = "never begun: too many were unanswered";
        stability.incident(Incident::PublishErrors, blame, (code, Some((intended, at))), at, None);
    }

    /// A timed operation ended: what is no request of its own, and when the channel was last kept
    /// alive.
    pub(super) fn operated(&mut self, op: &Op) {
        let Op { client, kind, start, done, outcome, .. } = *op;
        let life = self.clients.entry(client).or_default();
        match (kind, outcome) {
            (OpKind::Heartbeat, Outcome::Ok) => {
                life.kept_alive_at = life.kept_alive_at.max(Some(start));
                self.flow.stability.occasion(Incident::HeartbeatTimeouts);
            }
            (OpKind::Subscribe, Outcome::Ok) => life.taken_in = true,
            (OpKind::Join, Outcome::Ok) => {
                life.kept_alive_at = life.kept_alive_at.max(Some(start));
                life.taken_in = true;
                let again = std::mem::replace(&mut life.joined, true);
                let blame = life.ended_by;
                let waited = life.waited;
                let told = (if waited.is_some() { REJOIN_OF_THE_LATE } else { "rejoin" }, waited);
                self.flow.stability.occasion(Incident::ChannelEnds);
                self.flow.stability.occasion(Incident::Rejoins);
                if let (true, Some(blame)) = (again, blame) {
                    let client = Some(client);
                    self.flow.stability.incident(Incident::Rejoins, blame, told, done, client);
                }
            }
            _ => {}
        }
    }

    /// A client's connect was begun.
    pub(super) fn came_back(&mut self, client: u32, at: Micros) {
        if let Some(hit) = &mut self.clients.entry(client).or_default().hit {
            hit.back_since.get_or_insert(at);
        }
    }

    /// A client has a channel to join again on the socket that it has kept.
    pub(super) fn reopened(&mut self, client: u32, at: Micros) {
        self.clients.entry(client).or_default().opened_at = Some(at);
        self.flow.stability.opened(at);
    }

    /// A client got a socket.
    pub(super) fn opened(&mut self, client: u32, at: Micros) {
        let life = self.clients.entry(client).or_default();
        life.opened_at = Some(at);
        life.kept_alive_at = Some(at);
        life.taken_in = false;
        self.flow.stability.opened(at);
        self.flow.stability.occasion(Incident::SocketEnds);
    }

    /// A client's socket is gone; to be told before its life is changed by it.
    pub(super) fn ended(&mut self, client: u32, at: Micros, cause: OfflineCause) {
        let end = End::of(cause);
        let (what, since) = (end.incident.unwrap_or(Incident::SocketEnds), end.since.unwrap_or(at));
        let overdue = end.for_silence && self.owed_a_heartbeat(client, at);
        // Who was cut off by a fault on the target has to come back as from any other cut.
        let befell = self.context.is_befalling(Consequence::Incident(what), since, at)
            || is_in_order(cause)
                && self.context.is_befalling(Consequence::SocketCloses, since, at);
        let blame = match cause {
            OfflineCause::Fault { .. } => Blame::Plan,
            _ if befell => Blame::Plan,
            _ if overdue && !self.is_planned(what, client, at, at) => Blame::Ours,
            _ => self.blame(what, client, since, at),
        };
        let life = self.clients.entry(client).or_default();
        // A connect that is taken and then dropped is another thing than a connection that breaks.
        let early = life.opened_at.is_some() && !life.taken_in && end.is_of_the_target;
        let opened_at = life.opened_at.take();
        let heard_at = life.flight.heard_at().filter(|heard| Some(*heard) >= opened_at);
        life.ended_by = Some(blame);
        // A heartbeat that is not answered was sent after the last that was.
        let silent_since = end.since.or(life.kept_alive_at).unwrap_or(at);
        let waited_since = match cause {
            OfflineCause::HeartbeatTimeout | OfflineCause::ChannelSilent { .. } => {
                Some(silent_since)
            }
            OfflineCause::GaveUp => life.timed_out_since,
            _ => None,
        };
        life.waited = waited_since.map(|since| (since, at));
        let waited = life.waited;
        let of_the_plan =
            matches!(cause, OfflineCause::Fault { .. }) || befell || life.slow.counts_as_slow(at);
        if of_the_plan {
            let invites_refusals = match cause {
                OfflineCause::Fault { id, .. } => self.context.invites_refusals(id),
                _ => befell,
            };
            life.hit = Some(Hit { back_since: None, invites_refusals });
        }
        let stability = &mut self.flow.stability;
        if let Some(incident) = end.incident {
            if incident == Incident::HeartbeatTimeouts {
                stability.occasion(incident);
            }
            let before = if early { BEFORE_THE_JOIN } else { "" };
            let code = format!("{}{before}", end.code);
            let waited = waited.filter(|_| incident == Incident::HeartbeatTimeouts);
            stability.incident(incident, blame, (&code, waited), at, Some(client));
            if let (Incident::SocketEnds, Some(heard)) = (incident, heard_at) {
                stability.was_silent(incident, blame, at.saturating_sub(heard));
            }
        }
        let open_for_long =
            opened_at.is_some_and(|opened| at.saturating_sub(opened) >= OPEN_FOR_US);
        // A channel that ends leaves its socket: whoever ends those of everybody is there.
        let of_a_socket = end.incident.is_some_and(|what| what != Incident::ChannelEnds);
        if blame == Blame::Target && of_a_socket && open_for_long {
            stability.ended(at, &end.code);
        } else {
            stability.left(at);
        }
    }
}

/// Whether a socket ended as a graceful stop ends it (contract, section 3, closes).
fn is_in_order(cause: OfflineCause) -> bool {
    matches!(cause, OfflineCause::ClosedByTarget { code: Some(1000 | 1012) })
}

/// How the end of a socket is told.
struct End {
    incident: Option<Incident>,
    code: String,
    /// Whether a client that sends no heartbeats comes to it.
    for_silence: bool,
    /// Since when something was amiss, if that is known.
    since: Option<Micros>,
    /// Whether the target, or what lies between, ended it, in whatever way.
    is_of_the_target: bool,
}

impl End {
    fn of(cause: OfflineCause) -> Self {
        let end = |incident, code: &str| Self {
            incident: Some(incident),
            code: code.to_owned(),
            for_silence: false,
            since: None,
            is_of_the_target: matches!(
                cause,
                OfflineCause::ClosedByTarget { .. } | OfflineCause::Broken { .. }
            ),
        };
        match cause {
            OfflineCause::ClosedByTarget { code: Some(code) } => Self {
                for_silence: matches!(code, 1000 | 1002),
                ..end(Incident::SocketEnds, &format!("close {code}"))
            },
            OfflineCause::ClosedByTarget { code: None } => {
                end(Incident::SocketEnds, "close without a code")
            }
            OfflineCause::Broken { how } => {
                Self { for_silence: how == Cut::Eof, ..end(Incident::SocketEnds, &how.to_string()) }
            }
            OfflineCause::ProtocolBroken { breach } => {
                end(Incident::SocketEnds, &format!("failed by the client for {breach}"))
            }
            OfflineCause::HeartbeatTimeout => {
                end(Incident::HeartbeatTimeouts, "the socket was silent")
            }
            OfflineCause::ChannelSilent { asked } => {
                let code = "the channel was silent";
                Self { since: Some(asked), ..end(Incident::HeartbeatTimeouts, code) }
            }
            OfflineCause::ChannelClosed => {
                Self { for_silence: true, ..end(Incident::ChannelEnds, "closed or crashed") }
            }
            // The planned cut, and what was refused or not answered, are told as what they are.
            OfflineCause::Fault { .. } | OfflineCause::GaveUp => {
                Self { incident: None, ..end(Incident::SocketEnds, "") }
            }
        }
    }
}

/// The incident that it would be if the request had failed, and others for which it was an occasion.
fn incident(answered: &Answered) -> Option<(Incident, &'static [Incident])> {
    let auth = answered.outcome == Outcome::RefusedAuth;
    Some(match answered.request {
        Request::Mint => (Incident::MintErrors, &[]),
        Request::Connect if auth => (Incident::AuthErrors, &[Incident::ConnectErrors]),
        Request::Connect => (Incident::ConnectErrors, &[Incident::AuthErrors]),
        Request::Join if auth => (Incident::AuthErrors, &[]),
        Request::Join => (Incident::JoinErrors, &[]),
        Request::Subscribe | Request::Unsubscribe => (Incident::SubscribeErrors, &[]),
        Request::Snapshot => (Incident::SnapshotErrors, &[]),
        Request::Publish => (Incident::PublishErrors, &[]),
        Request::CreateWorker
        | Request::StopWorker
        | Request::Metrics
        | Request::Revoke
        | Request::Trim
        | Request::TriedMint
        | Request::TriedConnect
        | Request::TriedJoin
        | Request::TriedSubscribe
        | Request::TriedHeartbeat
        | Request::TriedCommand => return None,
    })
}

/// Whether what a fault tries was refused, as it is to be: with an answer or, on a socket that it had, by the
/// socket's end. What is not answered, or cannot even be tried, is trouble.
fn is_tried_in_vain(answered: &Answered) -> bool {
    let on_a_socket = match answered.request {
        Request::TriedMint | Request::TriedConnect => false,
        Request::TriedJoin
        | Request::TriedSubscribe
        | Request::TriedHeartbeat
        | Request::TriedCommand => true,
        _ => return false,
    };
    match answered.outcome {
        Outcome::Ok | Outcome::Timeout | Outcome::Interrupted | Outcome::Exhausted(_) => false,
        Outcome::ConnectionFailed => on_a_socket,
        _ => true,
    }
}

/// Whether the contract has this answer of a target with which nothing is wrong, or the socket's end
/// tells the same.
fn is_documented(answered: &Answered) -> bool {
    match (answered.request, answered.outcome) {
        (Request::Subscribe, Outcome::StaleCursor) => true,
        (Request::Join | Request::Subscribe, Outcome::ConnectionFailed) => true,
        // That it was refused is a rule's to tell.
        (Request::Unsubscribe, outcome) => outcome != Outcome::Timeout,
        (Request::Publish, _) => {
            let (limit, size) =
                ("429 khala_publish_rate_limited", "413 khala_frame_payload_too_large");
            [limit, size].contains(&&*answered.status)
        }
        (Request::Snapshot, _) => &*answered.status == "404 snapshot_unsupported",
        _ => false,
    }
}

//! What a case is: the contract's sentence, what asking it does to the target, and how it is asked.

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use serde::Serialize;

use crate::ctx::Ctx;
use crate::outcome::Outcome;

/// One sentence of the contract, and how a runtime is asked whether it keeps it.
///
/// Cases know nothing of one another: each has users, sessions, devices and workers of its own.
pub struct Case {
    /// Its name: stable, since files of accepted deviations hold it.
    pub id: &'static str,
    /// What it is about.
    pub area: Area,
    /// What is asked, in a few words.
    pub title: &'static str,
    /// How binding the sentence is.
    pub level: Level,
    /// Where it stands in the contract.
    pub section: &'static str,
    /// The sentence, as it stands there.
    pub sentence: &'static str,
    /// What asking does to the target.
    pub does: Does,
    /// What has to be there.
    pub needs: &'static [Need],
    /// How long it may take.
    pub takes: Takes,
    /// Whether nothing else may go on meanwhile.
    pub alone: bool,
    /// What it was seen to catch.
    pub caught_by: &'static [Catch],
    /// How it is asked.
    pub ask: Ask,
}

/// How a case is asked; its future stays on the runner's thread.
pub type Ask = for<'a> fn(&'a Ctx) -> Asking<'a>;

/// A case under way.
pub type Asking<'a> = Pin<Box<dyn Future<Output = Outcome> + 'a>>;

impl Case {
    /// What most cases are: a MUST that is asked beside others, in a few seconds.
    pub const fn must(id: &'static str, area: Area, title: &'static str, ask: Ask) -> Self {
        Self {
            id,
            area,
            title,
            level: Level::Must,
            section: "",
            sentence: "",
            does: Does::Reads,
            needs: &[],
            takes: Takes::Moments,
            alone: false,
            caught_by: &[],
            ask,
        }
    }

    /// The sentence and its section.
    #[must_use]
    pub const fn says(mut self, section: &'static str, sentence: &'static str) -> Self {
        self.section = section;
        self.sentence = sentence;
        self
    }

    /// Of another level.
    #[must_use]
    pub const fn level(mut self, level: Level) -> Self {
        self.level = level;
        self
    }

    /// What it does to the target.
    #[must_use]
    pub const fn does(mut self, does: Does) -> Self {
        self.does = does;
        self
    }

    /// What it needs.
    #[must_use]
    pub const fn needs(mut self, needs: &'static [Need]) -> Self {
        self.needs = needs;
        self
    }

    /// It waits for something of the target's.
    #[must_use]
    pub const fn takes(mut self, takes: Takes) -> Self {
        self.takes = takes;
        self
    }

    /// Nothing else may go on meanwhile.
    #[must_use]
    pub const fn alone(mut self) -> Self {
        self.alone = true;
        self
    }

    /// What it was seen to catch.
    #[must_use]
    pub const fn caught_by(mut self, caught_by: &'static [Catch]) -> Self {
        self.caught_by = caught_by;
        self
    }
}

/// How binding a sentence is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    /// Who breaks it deviates.
    Must,
    /// Who breaks it is told so: a finding.
    Should,
    /// The contract does not say what must come: what came is told as a finding where it may surprise.
    Silent,
}

impl Level {
    /// As reports write it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Must => "MUST",
            Self::Should => "SHOULD",
            Self::Silent => "silent",
        }
    }
}

/// What asking does to the target; `--allow` names what may be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Does {
    /// Opens sockets, joins and subscribes; what it sends wrongly costs its own socket alone.
    Reads,
    /// Creates workers and publishes events, which others that are subscribed see.
    Writes,
    /// Revokes sessions and devices that it made up itself.
    Revokes,
    /// Publishes much, and does not read what comes.
    Abuses,
    /// Ends the target.
    Ends,
}

impl Does {
    /// All of them that can be allowed by name.
    pub const NAMED: [Self; 4] = [Self::Reads, Self::Writes, Self::Revokes, Self::Abuses];

    /// As `--allow` takes it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Reads => "reads",
            Self::Writes => "writes",
            Self::Revokes => "revokes",
            Self::Abuses => "abuses",
            Self::Ends => "ends",
        }
    }

    /// The flag that allows this beside what is allowed already. `--allow` says all that is allowed, so one that
    /// named this alone would rule out the rest.
    #[must_use]
    pub fn flag_beside(self, allowed: &[Self]) -> String {
        let all = Self::NAMED.into_iter().filter(|it| *it == self || allowed.contains(it));
        format!("--allow {}", all.map(Self::name).collect::<Vec<_>>().join(","))
    }
}

/// What a case needs beside an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// Tokens of its own users and scopes: not one that was made elsewhere.
    Minting,
    /// The key of sync tokens, to make bad ones.
    SigningKey,
    /// The key of session access tokens, to ask the control service.
    SessionKey,
    /// A token of the operators.
    AdminToken,
    /// The secret with which commands are signed.
    CommandSecret,
    /// A snapshot over HTTP.
    Snapshot,
    /// A way to stop the target.
    Stop,
}

/// How long a case may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Takes {
    /// No longer than answers take.
    Moments,
    /// The time after which a channel or a socket is idle, and a beat.
    Idle,
    /// So many seconds of waiting as well.
    Seconds(u64),
    /// As long as a revocation is waited for.
    Revoked,
}

/// The target's times that cases wait for; the contract's by default.
#[derive(Clone, Copy, Debug)]
pub struct Times {
    /// Between two of the server's heartbeats.
    pub beat: Duration,
    /// A channel without heartbeats is closed after this.
    pub channel_idle: Duration,
    /// A socket without traffic is closed after this.
    pub socket_idle: Duration,
    /// How often real clients' heartbeats come.
    pub client_beat: Duration,
    /// How long an answer, or an event on its way, may take before it is taken for missing.
    pub patience: Duration,
    /// How long an event may take that comes by itself, while nothing else goes on.
    pub settle: Duration,
    /// How long a steady flow is published.
    pub steady: Duration,
    /// How long is listened for what must not come.
    pub quiet: Duration,
    /// After this a revoked session is tried once more.
    pub revoked_still: Duration,
    /// Until then a revoked session is tried again, now and then. The contract's 900 s are longer than most wait.
    pub revoked_long: Duration,
}

/// How long a revocation is waited for at least, which is no longer than the heartbeats' time-outs take, and at most,
/// which is short of the contract's 900 s.
const REVOKED_LONG: (Duration, Duration) = (Duration::from_secs(70), Duration::from_secs(880));

/// How long cases may wait by default, as `--max-wait` has it.
pub const WAIT_MAX: Duration = Duration::from_secs(120);

impl Default for Times {
    fn default() -> Self {
        Self {
            beat: Duration::from_secs(15),
            channel_idle: Duration::from_secs(60),
            socket_idle: Duration::from_secs(60),
            client_beat: Duration::from_secs(20),
            patience: Duration::from_secs(10),
            settle: Duration::from_secs(3),
            steady: Duration::from_secs(5),
            quiet: Duration::from_millis(700),
            revoked_still: Duration::from_secs(6),
            revoked_long: REVOKED_LONG.0,
        }
    }
}

impl Times {
    /// The contract's. A revocation is waited for as long as cases may wait, if that is more than by default.
    #[must_use]
    pub fn within(wait_max: Duration) -> Self {
        let (least, most) = REVOKED_LONG;
        let revoked_long = if wait_max > WAIT_MAX { wait_max.min(most) } else { least };
        Self { revoked_long, ..Self::default() }
    }

    /// What a case waits for, beside answers.
    #[must_use]
    pub fn waits(&self, takes: Takes) -> Duration {
        match takes {
            Takes::Moments => Duration::ZERO,
            Takes::Idle => self.channel_idle.max(self.socket_idle) + self.beat,
            Takes::Seconds(seconds) => Duration::from_secs(seconds),
            Takes::Revoked => self.revoked_long,
        }
    }

    /// After which a case is given up.
    #[must_use]
    pub fn limit(&self, takes: Takes) -> Duration {
        2 * self.waits(takes) + 12 * self.patience
    }
}

/// What a case was seen to catch, each in a test.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Catch {
    /// A defect of the reference runtime, as `--defect` takes it.
    Defect(&'static str),
    /// A proxy before the reference runtime that deviates in this way.
    Proxy(&'static str),
}

/// What a case is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Area {
    /// The upgrade.
    Upgrade,
    /// Sync tokens.
    Tokens,
    /// The control service.
    Minting,
    /// Phoenix's messages.
    Framing,
    /// The channel: joins and ends.
    Channel,
    /// Which topics a token opens.
    Acl,
    /// Builds, protocols and schemas of clients.
    Compatibility,
    /// Subscribes and their refusals.
    Subscribe,
    /// Cursors at their bounds.
    Cursors,
    /// Replay of what was missed.
    Replay,
    /// What comes live, and in which form.
    Delivery,
    /// Commands over HTTP, and not over the socket.
    Commands,
    /// Unsubscribes.
    Unsubscribe,
    /// Heartbeats and time-outs.
    Heartbeat,
    /// What a client sends that means nothing.
    Malformed,
    /// Coming back after each kind of cut.
    Resume,
    /// Revoked sessions and devices, and tokens that expire.
    Revocation,
    /// Clients that do not keep up.
    Slow,
    /// Snapshots and the operators' view.
    Around,
    /// How the target stops.
    Stop,
}

impl Area {
    /// As pages write it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Upgrade => "upgrade",
            Self::Tokens => "tokens",
            Self::Minting => "minting",
            Self::Framing => "framing",
            Self::Channel => "channel",
            Self::Acl => "access to topics",
            Self::Compatibility => "compatibility",
            Self::Subscribe => "subscribe",
            Self::Cursors => "cursors",
            Self::Replay => "replay",
            Self::Delivery => "delivery",
            Self::Commands => "commands",
            Self::Unsubscribe => "unsubscribe",
            Self::Heartbeat => "heartbeats",
            Self::Malformed => "malformed input",
            Self::Resume => "resume",
            Self::Revocation => "revocation and expiry",
            Self::Slow => "slow consumers",
            Self::Around => "around the lane",
            Self::Stop => "stop",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Does;

    #[test]
    fn the_flag_that_is_named_keeps_what_is_allowed() {
        let allowed = [Does::Writes, Does::Reads];
        assert_eq!(Does::Revokes.flag_beside(&allowed), "--allow reads,writes,revokes");
        assert_eq!(Does::Writes.flag_beside(&[Does::Reads]), "--allow reads,writes");
    }
}

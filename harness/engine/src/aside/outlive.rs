//! Tokens that were good once: one that expires on a live socket, one whose device is revoked. The contract
//! is silent on what becomes of the socket, so that this is for a finding.

use std::time::Duration;

use khala_evidence::record::{BadToken, Micros, Record, Request, Sink, Step, TokenAnswer};
use khala_plan::estimate::{EXPIRES_AFTER, EXPIRES_AFTER_MAX};
use khala_plan::model::Mint;
use khala_plan::schedule::Identity;
use khala_wire::message::event;
use khala_wire::payload::Empty;

use super::{Asides, Revoked, Who};
use crate::answer::Answer;
use crate::clock::micros;
use crate::talk::{Answer as Said, Talk};

/// How much earlier than its life says a token may expire: claims are in whole seconds.
const EXPIRY_STEP: Duration = Duration::from_secs(1);

impl<S: Sink> Asides<S> {
    /// A socket whose token expires; whether the target answered when it had.
    pub(super) async fn expires(&self, who: &Who, identity: &Identity) -> bool {
        // The life of a token that is made elsewhere is not ours to choose.
        if matches!(self.around.plan.auth.mint, Mint::Static { .. }) {
            return false;
        }
        // A token that waits for its turn would expire meanwhile.
        let Ok(_permit) = self.permits.acquire().await else { return false };
        let start = self.now();
        let Some((token, life)) = self.mint_short(who, identity).await else { return false };
        // It was made between then and now.
        let earliest = (start + micros(life)).saturating_sub(micros(EXPIRY_STEP));
        let expired = self.now() + micros(life);
        let kind = BadToken::Expires;
        let answer = match self.enter(who, &token).await {
            Ok(talk) => self.outlives(who, talk, earliest, expired).await,
            Err(answer) => answer,
        };
        self.tried(who, start, kind, answer)
    }

    /// A token of a few seconds, with its life. One that lives too long is told, and not waited for.
    async fn mint_short(&self, who: &Who, identity: &Identity) -> Option<(String, Duration)> {
        let (plan, target, start) = (&self.around.plan, &self.around.target, self.now());
        let jti = format!("{}-{start}-expires", identity.session);
        let minter = &self.around.minter;
        let minted = minter.mint_for(EXPIRES_AFTER, plan, target, identity, &who.scopes, jti).await;
        let answer = match &minted {
            Ok(minted) => minted.status.map(Answer::ok),
            Err(answer) => (matches!(plan.auth.mint, Mint::Control { .. })).then(|| answer.clone()),
        };
        let refused = minted.as_ref().err().map(|answer| answer.status.to_string());
        if let Some(answer) = answer {
            self.answered(who, Request::TriedMint, start, answer);
        }
        let life = minted.as_ref().ok().and_then(|minted| minted.life);
        match (minted, life) {
            (Ok(minted), Some(life)) if life <= EXPIRES_AFTER_MAX => Some((minted.token, life)),
            (Ok(_), life) => {
                let life = life.unwrap_or_default();
                self.not_tried(who, &format!("the token that it got is good for {life:?}"));
                None
            }
            (Err(_), _) => {
                let why = refused.unwrap_or_default();
                self.not_tried(who, &format!("no such token was given ({why})"));
                None
            }
        }
    }

    fn not_tried(&self, who: &Who, why: &str) {
        let name = "expiry_not_tried".to_owned();
        let message = format!(
            "a token of {EXPIRES_AFTER:?} that expires on a live socket was not tried: {why}"
        );
        let (client, at) = (Some(who.client), self.now());
        self.record(Record::Finding { name, client, at, message });
    }

    /// A socket whose device is revoked, and a new join of it; whether the target answered.
    pub(super) async fn revoked_device(
        &self,
        who: &Who,
        mut identity: Identity,
        fault: u16,
    ) -> bool {
        if !self.around.plan.auth.mint.is_of_planned_identities() {
            return false;
        }
        // A target remembers for a quarter of an hour whom it has revoked: no other run has a device of that name.
        identity.device = format!("{}-revoked-{fault}", identity.session);
        identity.session = format!("{}-device-{fault}", identity.session);
        let kind = BadToken::RevokedDevice;
        let on_live = async {
            let Some(token) = self.mint(who, &identity, &who.scopes).await else { return false };
            let Ok(_permit) = self.permits.acquire().await else { return false };
            let start = self.now();
            // Good so far: refused, it says nothing of a revocation.
            let Ok(talk) = self.enter(who, &token).await else { return false };
            let revoked = Revoked::Device(identity.device.clone());
            let Some(at) = self.post_revocation(who.client, &identity, revoked).await else {
                return false;
            };
            let answer = self.outlives(who, talk, start, at).await;
            self.tried(who, start, kind, answer)
        };
        // Not revoked, its joins are good.
        on_live.await && self.try_token(who, &identity, kind).await
    }

    /// Whether a socket answers a heartbeat longer than the settle bound after its token is no longer good,
    /// which is at `over` at the latest. An end before `earliest` is of another cause.
    async fn outlives(
        &self,
        who: &Who,
        mut talk: Talk,
        earliest: Micros,
        over: Micros,
    ) -> TokenAnswer {
        let step = Step::Heartbeat;
        let due = over.saturating_add(micros(self.around.plan.oracle.settle_within));
        if !talk.listen(self.around.clock.instant(due)).await {
            return match self.now() < earliest {
                true => TokenAnswer::None { step },
                false => TokenAnswer::Refused { step },
            };
        }
        let asked = (Request::TriedHeartbeat, event::HEARTBEAT);
        match self.ask(who, &mut talk, asked, &Empty {}).await {
            Said::Ok => TokenAnswer::Lives,
            Said::Error(_) | Said::Ended => TokenAnswer::Refused { step },
            Said::None => TokenAnswer::None { step },
        }
    }

    /// Records what a token came to; whether the target answered.
    fn tried(&self, who: &Who, start: Micros, kind: BadToken, answer: TokenAnswer) -> bool {
        let (client, at) = (who.client, self.now());
        self.record(Record::TokenTried { client, start, at, kind, answer });
        !matches!(answer, TokenAnswer::None { .. })
    }
}

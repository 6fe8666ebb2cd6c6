//! A token before every connect, as the real clients do it.

use bytes::Bytes;
use khala_evidence::record::Outcome;
use khala_plan::model::{Mint, Plan};
use khala_plan::schedule::Identity;
use khala_wire::command::{Data, MintRequest, MintedToken, TOKEN_PATH};
use tokio::sync::Semaphore;

use crate::http::Http;
use crate::target::Target;

/// Token requests under way at once, per thread: each is a connection of its own.
pub const IN_FLIGHT_MAX: usize = 512;

/// Mints for the clients of a thread.
#[derive(Debug)]
pub struct Minter {
    http: Http,
    permits: Semaphore,
}

impl Minter {
    /// A minter that asks through `http` where it must ask.
    #[must_use]
    pub fn new(http: Http) -> Self {
        Self { http, permits: Semaphore::new(IN_FLIGHT_MAX) }
    }

    /// A token for one connect.
    ///
    /// # Errors
    /// How the request counts.
    pub async fn mint(
        &self,
        plan: &Plan,
        target: &Target,
        who: &Identity,
        scopes: &[String],
        jti: String,
    ) -> Result<String, Outcome> {
        match &plan.auth.mint {
            Mint::Hs256 { .. } => {
                let key = target.credentials.sync_key.as_ref().ok_or(Outcome::RefusedAuth)?;
                let ttl = plan.auth.ttl;
                let claims = target.credentials.claims(who, scopes.to_vec(), ttl, jti);
                key.sign(&claims).map_err(|_| Outcome::ProtocolError)
            }
            Mint::Static { .. } => {
                target.credentials.static_token.clone().ok_or(Outcome::RefusedAuth)
            }
            Mint::Control => self.ask(plan, target, who, scopes).await,
        }
    }

    async fn ask(
        &self,
        plan: &Plan,
        target: &Target,
        who: &Identity,
        scopes: &[String],
    ) -> Result<String, Outcome> {
        let _permit = self.permits.acquire().await.map_err(|_| Outcome::Interrupted)?;
        let request = MintRequest {
            device_id: Some(who.device.clone()),
            scopes: Some(scopes.to_vec()),
            topics: None,
            ttl_seconds: Some(plan.auth.ttl.as_secs()),
        };
        let body = serde_json::to_vec(&request).map_err(|_| Outcome::ProtocolError)?;
        let headers: Vec<_> = target.credentials.session_header(who, scopes).into_iter().collect();
        let minted: Data<MintedToken> = self
            .http
            .post(TOKEN_PATH, &headers, Bytes::from(body))
            .await
            .map_err(|error| error.outcome())?;
        Ok(minted.data.token)
    }
}

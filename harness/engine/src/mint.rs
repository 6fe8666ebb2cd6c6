//! A token before every connect, as the real clients do it.

use std::time::Duration;

use bytes::Bytes;
use khala_evidence::record::Outcome;
use khala_plan::model::{Mint, Plan};
use khala_plan::schedule::Identity;
use khala_wire::command::{MintRequest, TOKEN_PATH};
use khala_wire::lenient::or_default;
use serde::Deserialize;
use tokio::sync::Semaphore;

use crate::answer::Answer;
use crate::http::{Http, Reply};
use crate::target::Target;

/// Token requests under way at once, per thread: each is a connection of its own.
pub const IN_FLIGHT_MAX: usize = 512;

/// A token.
#[derive(Clone)]
pub struct Minted {
    /// It.
    pub token: String,
    /// The HTTP status with which it came; `None` where nobody was asked.
    pub status: Option<u16>,
    /// How long it is good from now; `None` where nobody says.
    pub life: Option<Duration>,
}

fn no_key() -> Answer {
    Answer::of(Outcome::RefusedAuth, "there is no key")
}

/// Mints for the clients of a thread.
#[derive(Debug)]
pub struct Minter {
    http: Http,
    permits: Semaphore,
}

/// What is needed of an answer: who leaves out the rest has minted a token all the same. The contract wraps
/// it in `data`; a target that does not is understood.
#[derive(Deserialize)]
struct Seen {
    data: Option<TokenSeen>,
    #[serde(flatten)]
    bare: TokenSeen,
}

#[derive(Default, Deserialize)]
struct TokenSeen {
    #[serde(default)]
    token: String,
    #[serde(default, deserialize_with = "or_default")]
    expires_in: Option<u64>,
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
    /// How the request ended.
    pub async fn mint(
        &self,
        plan: &Plan,
        target: &Target,
        who: &Identity,
        scopes: &[String],
        jti: String,
    ) -> Result<Minted, Answer> {
        self.mint_for(plan.auth.ttl, plan, target, who, scopes, jti).await
    }

    /// A token that is good for `ttl`, where whoever mints it gives such a one.
    ///
    /// # Errors
    /// How the request ended.
    pub async fn mint_for(
        &self,
        ttl: Duration,
        plan: &Plan,
        target: &Target,
        who: &Identity,
        scopes: &[String],
        jti: String,
    ) -> Result<Minted, Answer> {
        match &plan.auth.mint {
            Mint::Hs256 { .. } => {
                let key = target.credentials.sync_key.as_ref().ok_or_else(no_key)?;
                let claims = target.credentials.claims(who, scopes.to_vec(), ttl, jti);
                let token = key.sign(&claims);
                let token = token.map_err(|_| Answer::of(Outcome::ProtocolError, "not signed"))?;
                Ok(Minted { token, status: None, life: Some(ttl) })
            }
            Mint::Static { .. } => {
                let tokens = &target.credentials.static_tokens;
                let in_turn = tokens.iter().cycle().nth(who.number as usize % tokens.len().max(1));
                let token = in_turn.cloned().ok_or_else(no_key)?;
                Ok(Minted { token, status: None, life: None })
            }
            Mint::Control { .. } => self.ask(ttl, target, who, scopes).await,
        }
    }

    async fn ask(
        &self,
        ttl: Duration,
        target: &Target,
        who: &Identity,
        scopes: &[String],
    ) -> Result<Minted, Answer> {
        let interrupted = |_| Answer::of(Outcome::Interrupted, "interrupted");
        let _permit = self.permits.acquire().await.map_err(interrupted)?;
        let request = MintRequest {
            // A session that others began has its own device.
            device_id: target.credentials.session_token.is_none().then(|| who.device.clone()),
            scopes: Some(scopes.to_vec()),
            topics: None,
            ttl_seconds: Some(ttl.as_secs()),
        };
        let body = serde_json::to_vec(&request).expect("strings serialise");
        let headers: Vec<_> = target.credentials.session_header(who, scopes).into_iter().collect();
        let minted: Result<Reply<Seen>, _> =
            self.http.post_for_token(TOKEN_PATH, &headers, Bytes::from(body)).await;
        let Reply { status, document } = minted.map_err(|error| error.answer())?;
        let TokenSeen { token, expires_in } = document.data.unwrap_or(document.bare);
        if token.is_empty() {
            return Err(Answer::of(Outcome::ProtocolError, format!("{status}, without a token")));
        }
        let life = expires_in.map(Duration::from_secs);
        Ok(Minted { token, status: Some(status), life })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_all_that_is_needed_of_an_answer_wrapped_or_not() {
        let of = |text: &str| {
            let seen: Seen = serde_json::from_str(text).expect("an answer");
            let TokenSeen { token, expires_in } = seen.data.unwrap_or(seen.bare);
            (token, expires_in)
        };
        let whole = r#"{"data":{"token":"t","token_type":"Bearer","expires_in":60,"kid":"k"}}"#;
        assert_eq!(of(whole), ("t".to_owned(), Some(60)));
        assert_eq!(of(r#"{"data":{"token":"t"}}"#), ("t".to_owned(), None));
        assert_eq!(of(r#"{"token":"t","expires_in":60}"#), ("t".to_owned(), Some(60)));
        assert_eq!(of(r#"{"token":"t","expires_in":"an hour"}"#), ("t".to_owned(), None));
        assert_eq!(of("{}"), (String::new(), None));
    }
}

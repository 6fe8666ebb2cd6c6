//! The target of a run: where it is, which keys open it, and how its side is counted.

pub mod asked;
pub mod build;
pub mod builds;
pub mod child;
pub mod counters;
pub mod evictions;
pub mod extras;
pub mod keys;
pub mod lock;
pub mod renewal;
pub mod window;

use std::time::Duration;

use hyper::header::{AUTHORIZATION, HeaderName};
use khala_plan::model::{Mint, Plan};
use khala_plan::schedule::Identity;
use khala_wire::PROTOCOL_VERSION;
use khala_wire::metrics::{FanoutMetrics, METRICS_PATH};
use khala_wire::signature::{self, SIGNATURE_HEADER, SignedPayload};
use khala_wire::token::{CLAIMS_VERSION, Claims, Key};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Serialize;

use self::extras::Extras;
use crate::clock::unix_seconds;
use crate::http::{Header, Http, HttpError, Reply};
use crate::reach::Reach;

/// What is written as `%XX` in a query: all but the unreserved characters (RFC 3986, section 2.3), of which
/// signed tokens consist.
const NOT_IN_QUERIES: &AsciiSet =
    &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
/// Life of a command's signature, in seconds.
const SIGNATURE_TTL_S: i64 = 60;

/// A target that is ready.
#[derive(Clone, Debug)]
pub struct Target {
    /// `http://host:port`, or `https`.
    pub base_url: String,
    /// The way to it.
    pub reach: Reach,
    /// The way to its control service, which makes tokens.
    pub control: Reach,
    /// Path of the socket.
    pub socket_path: String,
    /// What opens it.
    pub credentials: Credentials,
    /// What every request carries beside its own.
    pub extras: Extras,
}

/// What opens a target. `Debug` shows no secret.
#[derive(Clone)]
pub struct Credentials {
    /// Key that sync tokens are signed with, when the harness mints.
    pub sync_key: Option<Key>,
    /// `iss` of sync tokens.
    pub issuer: String,
    /// `aud` of sync tokens.
    pub audience: String,
    /// Key that session access tokens are signed with, when the control service mints.
    pub session_key: Option<Key>,
    /// The session access token of all clients; else each has one that `session_key` signs.
    pub session_token: Option<String>,
    /// Tokens that were made elsewhere: clients take them in turn.
    pub static_tokens: Vec<String>,
    /// Secret of the command path's signature.
    pub signature_secret: Option<Vec<u8>>,
    /// Bearer of the operators' view.
    pub admin_token: Option<String>,
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Credentials(…)")
    }
}

/// Claims of a session access token of the control service.
#[derive(Serialize)]
struct SessionClaims<'a> {
    did: &'a str,
    exp: i64,
    iss: &'a str,
    org: &'a str,
    scopes: &'a [String],
    sid: &'a str,
    sub: &'a str,
}

/// `iss` of session access tokens.
const SESSION_ISSUER: &str = "khala-control";

impl Credentials {
    /// All that must not be shown.
    #[must_use]
    pub fn secrets(&self) -> Vec<Vec<u8>> {
        let keys = [&self.sync_key, &self.session_key].into_iter().flatten();
        let texts = self.session_token.iter().chain(&self.admin_token).chain(&self.static_tokens);
        let keys = keys.map(|key| key.secret().to_vec());
        let texts = texts.map(|text| text.clone().into_bytes());
        keys.chain(texts).chain(self.signature_secret.clone()).collect()
    }

    /// Claims of a client's sync token.
    #[must_use]
    pub fn claims(
        &self,
        who: &Identity,
        scopes: Vec<String>,
        ttl: Duration,
        jti: String,
    ) -> Claims {
        let now = unix_seconds();
        Claims {
            aud: self.audience.clone(),
            exp: now + i64::try_from(ttl.as_secs()).unwrap_or(i64::MAX / 2),
            iat: now,
            iss: self.issuer.clone(),
            jti,
            nbf: now,
            oa_claims_version: CLAIMS_VERSION.to_owned(),
            oa_client_build_id: None,
            oa_client_surface: who.surface.map(|surface| surface.name().to_owned()),
            oa_device_id: Some(who.device.clone()),
            oa_org_id: Some(who.org.clone()),
            oa_protocol_version: None,
            oa_schema_version: None,
            oa_session_id: Some(who.session.clone()),
            oa_sync_scopes: scopes,
            oa_user_id: Some(who.user.clone()),
            sub: format!("user:{}", who.user),
        }
    }

    /// Bearer header with the session access token that a client shows.
    #[must_use]
    pub fn session_header(&self, who: &Identity, scopes: &[String]) -> Option<Header> {
        if let Some(token) = &self.session_token {
            return Some((AUTHORIZATION, format!("Bearer {token}")));
        }
        let claims = SessionClaims {
            did: &who.device,
            exp: unix_seconds() + 3_600,
            iss: SESSION_ISSUER,
            org: &who.org,
            scopes,
            sid: &who.session,
            sub: &who.user,
        };
        let token = self.session_key.as_ref()?.sign(&claims).ok()?;
        Some((AUTHORIZATION, format!("Bearer {token}")))
    }

    /// Headers of the command path.
    #[must_use]
    pub fn command_headers(&self, user: &str, nonce: String) -> Vec<Header> {
        let mut headers =
            vec![(HeaderName::from_static(khala_wire::command::USER_ID_HEADER), user.to_owned())];
        if let Some(secret) = &self.signature_secret {
            let iat = unix_seconds();
            let exp = iat + SIGNATURE_TTL_S;
            let payload = SignedPayload { exp, iat, nonce, user_id: user.to_owned() };
            let name = HeaderName::from_static(SIGNATURE_HEADER);
            headers.push((name, signature::sign(secret, &payload)));
        }
        headers
    }
}

impl Target {
    /// What requests to the control service carry beside their own: what the runtime's own front wants is not
    /// told to others.
    #[must_use]
    pub fn extras_of_control(&self) -> Extras {
        match self.control.place().origin() == self.reach.place().origin() {
            true => self.extras.clone(),
            false => Extras::default(),
        }
    }

    /// The operators' view.
    ///
    /// # Errors
    /// When it cannot be read: not every target shows it.
    pub async fn metrics(&self, http: &Http) -> Result<Reply<FanoutMetrics>, HttpError> {
        http.get(&format!("{METRICS_PATH}?topic_limit=20"), &self.admin_headers()).await
    }

    /// Path and query of a socket, with a token, whatever characters it has, and the compatibility
    /// parameters.
    #[must_use]
    pub fn socket_query(&self, token: &str) -> String {
        self.socket_query_as("khala-harness", token)
    }

    /// The same, by a client of another name.
    #[must_use]
    pub fn socket_query_as(&self, client: &str, token: &str) -> String {
        let token = utf8_percent_encode(token, NOT_IN_QUERIES);
        let path_and_query = format!(
            "{}?token={token}&vsn=2.0.0&client={client}&client_build_id={}\
             &protocol_version={PROTOCOL_VERSION}&schema_version=1",
            self.socket_path,
            self.extras.client_build_id(),
        );
        self.extras.with_query(&path_and_query)
    }

    /// Headers of the operators' endpoints.
    #[must_use]
    pub fn admin_headers(&self) -> Vec<Header> {
        let bearer = |token: &String| (AUTHORIZATION, format!("Bearer {token}"));
        self.credentials.admin_token.iter().map(bearer).collect()
    }
}

/// Scopes that a client asks for: its topics.
#[must_use]
pub fn scopes(plan: &Plan, cohort: u16) -> Vec<String> {
    let cohort = &plan.fleet.cohorts[usize::from(cohort)];
    cohort.topics.iter().map(|topic| topic.name().to_owned()).collect()
}

/// `iss` and `aud` that the plan's tokens carry.
#[must_use]
pub fn token_names(plan: &Plan) -> (String, String) {
    match &plan.auth.mint {
        Mint::Hs256 { issuer, audience, .. } => (issuer.clone(), audience.clone()),
        Mint::Control { .. } | Mint::Static { .. } => (
            khala_wire::token::DEFAULT_ISSUER.to_owned(),
            khala_wire::token::DEFAULT_AUDIENCE.to_owned(),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(extras: Extras) -> Target {
        let credentials = Credentials {
            sync_key: None,
            issuer: String::new(),
            audience: String::new(),
            session_key: None,
            session_token: None,
            static_tokens: Vec::new(),
            signature_secret: None,
            admin_token: None,
        };
        let base_url = "http://127.0.0.1:4000".to_owned();
        let reach = Reach::here(&base_url).expect("on this machine");
        Target {
            base_url,
            control: reach.clone(),
            reach,
            socket_path: "/socket/websocket".to_owned(),
            credentials,
            extras,
        }
    }

    #[test]
    fn clients_say_the_build_of_the_scenario_or_else_the_harnesss_version() {
        let said = |target: Target| {
            let query = target.socket_query("t");
            let (_, after) = query.split_once("&client_build_id=").expect("it is said");
            after.split('&').next().map(str::to_owned).expect("a value")
        };
        assert_eq!(said(target(Extras::default())), env!("CARGO_PKG_VERSION"));
        let mut plan = crate::testing::plan(include_str!("../../../../scenarios/smoke.toml"));
        plan.target.client_build_id = Some("2026 a".to_owned());
        assert_eq!(said(target(Extras::of(&plan).expect("nothing is secret"))), "2026%20a");
    }

    #[test]
    fn a_token_keeps_its_characters_on_the_way_through_a_query() {
        let target = target(Extras::default());
        for (token, written) in [
            ("eyJ-_.~9", "eyJ-_.~9"),
            ("a+b/c==", "a%2Bb%2Fc%3D%3D"),
            ("x&vsn=1.0.0#%41 y", "x%26vsn%3D1.0.0%23%2541%20y"),
            ("\u{e9}\n", "%C3%A9%0A"),
        ] {
            let query = target.socket_query(token);
            let start = format!("/socket/websocket?token={written}&vsn=2.0.0&client=");
            assert!(query.starts_with(&start), "{query}");
            assert!(query.parse::<hyper::Uri>().is_ok(), "{query}");
        }
    }
}

//! The upgrade: a valid token with a session, a device and at least one known topic, or 403.
//!
//! Whatever the reason, the answer is the same empty 403: the code goes to the log, not to the
//! wire.

use std::sync::Arc;

use axum::extract::rejection::QueryRejection;
use axum::extract::ws::WebSocketUpgrade;
use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use khala_wire::Vsn;
use khala_wire::token::{Claims, Deny};
use khala_wire::topic::{KNOWN, WORKER_EVENTS, WORKER_SUMMARIES};

use super::connection::Connection;
use crate::http::AppState;
use crate::shared::Shared;
use crate::token;

/// `oa_client_surface` of the surface that may read no worker topic (contract, sections 4 and 6).
const SURFACE_ONYX: &str = "onyx";

/// Query of a connect as it stands: a parameter may come twice.
type Pairs = Query<Vec<(String, String)>>;

/// Query parameters of a connect.
#[derive(Debug, Default)]
struct ConnectParams {
    token: Option<String>,
    vsn: Option<String>,
    client_build_id: Option<String>,
    protocol_version: Option<String>,
    schema_version: Option<String>,
}

impl ConnectParams {
    /// Of a parameter that comes twice, the last counts.
    fn of(pairs: Vec<(String, String)>) -> Self {
        let mut params = Self::default();
        for (name, value) in pairs {
            let slot = match &*name {
                "token" => &mut params.token,
                "vsn" => &mut params.vsn,
                "client_build_id" => &mut params.client_build_id,
                "protocol_version" => &mut params.protocol_version,
                "schema_version" => &mut params.schema_version,
                _ => continue,
            };
            *slot = Some(value);
        }
        params
    }
}

/// Who a socket belongs to.
#[derive(Clone, Debug)]
pub struct Principal {
    /// `oa_session_id`
    pub session: String,
    /// `oa_device_id`
    pub device: String,
    /// `exp`, in unix seconds
    pub expires_unix_s: i64,
    /// Per known topic, whether the scopes open it.
    pub allowed: [bool; KNOWN.len()],
    /// What the client says of itself.
    pub client: ClientVersions,
}

impl Principal {
    /// Names of the topics that are open to it, in the order of [`KNOWN`].
    pub fn allowed_topics(&self) -> Vec<String> {
        let open = KNOWN.iter().zip(self.allowed).filter(|(_, allowed)| *allowed);
        open.map(|(topic, _)| topic.name.to_owned()).collect()
    }
}

/// The compatibility set: query parameters, with the token's claims as fall-backs.
#[derive(Clone, Debug, Default)]
pub struct ClientVersions {
    /// `client_build_id`
    pub build: Option<String>,
    /// `protocol_version`
    pub protocol: Option<String>,
    /// `schema_version`, as it was written
    pub schema: Option<String>,
}

/// `GET` of a socket path.
pub async fn upgrade(
    State(AppState { shared, tasks }): State<AppState>,
    params: Result<Pairs, QueryRejection>,
    ws: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Response {
    let params = params.map(|Query(pairs)| ConnectParams::of(pairs)).unwrap_or_default();
    shared.door.pass(&shared).await;
    let (principal, vsn) = match admit(&shared, params) {
        Ok(admitted) => admitted,
        Err(reason) => {
            tracing::info!(%reason, "socket refused");
            return StatusCode::FORBIDDEN.into_response();
        }
    };
    let ws = match ws {
        Ok(ws) => ws,
        Err(rejection) => return rejection.into_response(),
    };
    if shared.stopping() {
        return StatusCode::SERVICE_UNAVAILABLE.into_response();
    }
    let buffers = shared.config.buffers;
    // The token is taken here, so that a graceful stop waits for upgrades under way as well.
    let task = tasks.token();
    ws.read_buffer_size(buffers.read)
        .write_buffer_size(buffers.write)
        .max_write_buffer_size(buffers.write_max)
        .max_message_size(buffers.message_max)
        .max_frame_size(buffers.message_max)
        .on_upgrade(move |socket| async move {
            Connection::new(socket, Arc::clone(&shared), principal, vsn).run().await;
            drop(task);
        })
}

/// Why an upgrade is refused; for the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
enum Refusal {
    #[error("{0}")]
    Token(#[from] Deny),
    #[error("unsupported_vsn")]
    Vsn,
    #[error("missing_session_or_device")]
    Unbound,
    #[error("no_known_topic_in_scopes")]
    NoTopic,
}

fn admit(shared: &Shared, params: ConnectParams) -> Result<(Principal, Vsn), Refusal> {
    let vsn = Vsn::from_query(params.vsn.as_deref()).ok_or(Refusal::Vsn)?;
    let token = params.token.filter(|token| !token.is_empty()).ok_or(Deny::MissingToken)?;
    let claims = token::verify(&shared.config.sync_keys, &shared.defects, &token)?;
    let client = ClientVersions {
        build: params.client_build_id.or_else(|| claims.oa_client_build_id.clone()),
        protocol: params.protocol_version.or_else(|| claims.oa_protocol_version.clone()),
        schema: params
            .schema_version
            .or_else(|| claims.oa_schema_version.map(|version| version.to_string())),
    };
    Ok((principal(claims, client)?, vsn))
}

fn principal(claims: Claims, client: ClientVersions) -> Result<Principal, Refusal> {
    let bound = |id: Option<String>| id.filter(|id| !id.is_empty()).ok_or(Refusal::Unbound);
    let session = bound(claims.oa_session_id)?;
    let device = bound(claims.oa_device_id)?;
    // Onyx is limited: whatever its token's scopes say, worker topics stay closed to it.
    let expires_unix_s = claims.exp;
    let limited = claims.oa_client_surface.as_deref() == Some(SURFACE_ONYX);
    let allowed = KNOWN.map(|topic| {
        let worker_topic = topic.name == WORKER_EVENTS || topic.name == WORKER_SUMMARIES;
        claims.oa_sync_scopes.iter().any(|scope| scope == topic.name) && !(limited && worker_topic)
    });
    if !allowed.contains(&true) {
        return Err(Refusal::NoTopic);
    }
    Ok(Principal { session, device, expires_unix_s, allowed, client })
}

#[cfg(test)]
mod tests {
    use khala_wire::topic::{NOTIFICATIONS, RUN_SUMMARIES};

    use super::*;

    fn claims(surface: &str, scopes: &[&str]) -> Claims {
        Claims {
            aud: String::new(),
            exp: 0,
            iat: 0,
            iss: String::new(),
            jti: "j".to_owned(),
            nbf: 0,
            oa_claims_version: String::new(),
            oa_client_build_id: None,
            oa_client_surface: Some(surface.to_owned()),
            oa_device_id: Some("device".to_owned()),
            oa_org_id: None,
            oa_protocol_version: None,
            oa_schema_version: None,
            oa_session_id: Some("session".to_owned()),
            oa_sync_scopes: scopes.iter().map(|scope| (*scope).to_owned()).collect(),
            oa_user_id: None,
            sub: String::new(),
        }
    }

    #[test]
    fn onyx_gets_no_worker_topic_whatever_its_scopes_say() {
        let all = [RUN_SUMMARIES, WORKER_SUMMARIES, WORKER_EVENTS, NOTIFICATIONS];
        let topics = |surface: &str, scopes: &[&str]| {
            principal(claims(surface, scopes), ClientVersions::default())
                .map(|principal| principal.allowed_topics())
                .unwrap_or_default()
        };
        assert_eq!(topics("desktop", &all), all);
        assert_eq!(topics("onyx", &all), [RUN_SUMMARIES, NOTIFICATIONS]);
        assert_eq!(topics("onyx", &[WORKER_EVENTS]), Vec::<String>::new());
    }
}

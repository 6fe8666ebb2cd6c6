//! `POST /api/sync/token`: the control service's one endpoint that sync clients need.

use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::IntoResponse as _;
use khala_wire::command::{Data, GrantedTopic, MintRequest, MintedToken};
use khala_wire::token::{CLAIMS_VERSION, Claims};
use khala_wire::topic::TopicId;
use khala_wire::{PROTOCOL_VERSION, SCHEMA_VERSION};

use super::AppState;
use super::answer::{Answer, Refused, bearer, read_body};
use crate::clock;
use crate::config::Config;
use crate::session::{self, SessionClaims};

/// `POST /api/sync/token`
pub async fn mint(
    State(AppState { shared, .. }): State<AppState>,
    headers: HeaderMap,
    body: Bytes,
) -> Answer {
    let config = &shared.config;
    let key = config.session_key.as_ref().ok_or_else(unavailable)?;
    let now = clock::unix_s();
    let token = bearer(&headers).ok_or_else(|| Refused::unauthorized("missing_session_token"))?;
    let session =
        session::verify(key, token, now).map_err(|deny| Refused::unauthorized(deny.to_string()))?;
    // An empty body is a request for everything the session may have.
    let request = if body.is_empty() { MintRequest::default() } else { read_body(&body)? };
    let data = grant(config, &session, &request, now)?;
    Ok(Json(Data { data }).into_response())
}

fn unavailable() -> Refused {
    Refused::new(StatusCode::SERVICE_UNAVAILABLE, "sync_token_unavailable")
}

fn grant(
    config: &Config,
    session: &SessionClaims,
    request: &MintRequest,
    now: i64,
) -> Result<MintedToken, Refused> {
    let scopes = scopes(session, request)?;
    let ttl = request.ttl_seconds.unwrap_or(config.token_ttl_s_default);
    if !(1..=config.token_ttl_s_max).contains(&ttl) {
        return Err(Refused::new(StatusCode::BAD_REQUEST, "invalid_ttl"));
    }
    if request.device_id.as_ref().is_some_and(|device| *device != session.did) {
        return Err(Refused::new(StatusCode::FORBIDDEN, "device_mismatch"));
    }
    let key = config.sync_keys.current().ok_or_else(unavailable)?;
    let expires = now.saturating_add(i64::try_from(ttl).unwrap_or(i64::MAX));
    // Unique enough: the session, and a number that no other token of this process has.
    let token_id = format!("{}-{now}-{}", session.sid, next_token_number());
    let claims = Claims {
        aud: config.sync_keys.audience().to_owned(),
        exp: expires,
        iat: now,
        iss: config.sync_keys.issuer().to_owned(),
        jti: token_id.clone(),
        nbf: now,
        oa_claims_version: CLAIMS_VERSION.to_owned(),
        oa_client_build_id: None,
        oa_client_surface: None,
        oa_device_id: Some(session.did.clone()),
        oa_org_id: Some(session.org.clone()),
        oa_protocol_version: Some(PROTOCOL_VERSION.to_owned()),
        oa_schema_version: Some(SCHEMA_VERSION),
        oa_session_id: Some(session.sid.clone()),
        oa_sync_scopes: scopes.clone(),
        oa_user_id: Some(session.sub.clone()),
        sub: format!("user:{}", session.sub),
    };
    let token = key.sign(&claims).map_err(|_| unavailable())?;
    let topic = |scope: &String| {
        TopicId::of(scope).map(|topic| GrantedTopic {
            required_scope: scope.clone(),
            topic: topic.name().to_owned(),
        })
    };
    Ok(MintedToken {
        audience: claims.aud,
        claims_version: claims.oa_claims_version,
        device_id: session.did.clone(),
        expires_at: clock::rfc3339_of_unix(expires),
        expires_in: ttl,
        granted_topics: scopes.iter().filter_map(topic).collect(),
        issued_at: clock::rfc3339_of_unix(now),
        issuer: claims.iss,
        kid: key.kid().to_owned(),
        org_id: session.org.clone(),
        scopes,
        session_id: session.sid.clone(),
        subject: claims.sub,
        token,
        token_id,
        token_type: "Bearer".to_owned(),
    })
}

fn next_token_number() -> u64 {
    use std::sync::atomic::{AtomicU64, Ordering};
    static NEXT: AtomicU64 = AtomicU64::new(1);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

/// Scopes and topics asked for, each once; all of the session's when none is named.
fn scopes(session: &SessionClaims, request: &MintRequest) -> Result<Vec<String>, Refused> {
    let asked = [&request.scopes, &request.topics];
    if asked.iter().all(|list| list.is_none()) {
        return Ok(session.scopes.clone());
    }
    let mut scopes: Vec<String> = Vec::new();
    for scope in asked.into_iter().flatten().flatten() {
        if TopicId::of(scope).is_none() {
            return Err(Refused::new(StatusCode::BAD_REQUEST, "unknown_scope"));
        }
        if !session.scopes.contains(scope) {
            return Err(Refused::new(StatusCode::FORBIDDEN, "scope_not_granted"));
        }
        if !scopes.contains(scope) {
            scopes.push(scope.clone());
        }
    }
    if scopes.is_empty() {
        return Err(Refused::new(StatusCode::BAD_REQUEST, "empty_scopes"));
    }
    Ok(scopes)
}

#[cfg(test)]
mod tests {
    use khala_wire::topic::{NOTIFICATIONS, RUN_SUMMARIES, WORKER_EVENTS};

    use super::*;

    const NOW: i64 = 1_795_000_000;

    fn session() -> SessionClaims {
        SessionClaims {
            did: "d1".into(),
            exp: NOW + 10,
            iss: session::ISSUER.into(),
            org: "o1".into(),
            scopes: vec![RUN_SUMMARIES.into(), NOTIFICATIONS.into()],
            sid: "s1".into(),
            sub: "1".into(),
        }
    }

    fn ask(request: MintRequest) -> Result<MintedToken, Refused> {
        grant(&Config::default(), &session(), &request, NOW)
    }

    #[test]
    fn what_is_minted_opens_what_was_granted() {
        let topics = Some(vec![NOTIFICATIONS.to_owned()]);
        let minted = ask(MintRequest { topics, ttl_seconds: Some(60), ..MintRequest::default() })
            .expect("granted");
        let claims = Config::default().sync_keys.verify(&minted.token, NOW).expect("valid");
        assert_eq!(claims.oa_sync_scopes, [NOTIFICATIONS]);
        assert_eq!((claims.exp, claims.jti), (NOW + 60, minted.token_id));
        assert_eq!(minted.granted_topics[0].topic, NOTIFICATIONS);
        assert_eq!(ask(MintRequest::default()).expect("all").scopes, session().scopes);
    }

    #[test]
    fn each_refusal_has_a_request_that_earns_it() {
        let with = |edit: fn(&mut MintRequest)| {
            let mut request = MintRequest::default();
            edit(&mut request);
            ask(request).expect_err("refused").code().to_owned()
        };
        assert_eq!(with(|r| r.ttl_seconds = Some(0)), "invalid_ttl");
        assert_eq!(with(|r| r.ttl_seconds = Some(999_999)), "invalid_ttl");
        assert_eq!(with(|r| r.device_id = Some("d2".into())), "device_mismatch");
        assert_eq!(with(|r| r.scopes = Some(vec!["x".into()])), "unknown_scope");
        assert_eq!(with(|r| r.scopes = Some(vec![])), "empty_scopes");
        assert_eq!(with(|r| r.topics = Some(vec![WORKER_EVENTS.into()])), "scope_not_granted");
    }
}

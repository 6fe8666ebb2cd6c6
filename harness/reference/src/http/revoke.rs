//! `POST /internal/v1/sync/sessions/revoke`: live sockets go, joins are refused for a while.

use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::IntoResponse as _;
use khala_wire::command::{Data, Revoke, Revoked};

use super::AppState;
use super::answer::{Answer, Refused, read_body};
use super::command::signed;
use crate::clock;
use crate::defect::Kind;
use crate::revocation::Id;

/// `POST /internal/v1/sync/sessions/revoke`
pub async fn revoke(
    State(AppState { shared, .. }): State<AppState>,
    headers: HeaderMap,
    body: Bytes,
) -> Answer {
    signed(shared.config.signature_secret.as_deref(), &headers)?;
    let Revoke { device_ids, reason, session_ids } = read_body(&body)?;
    let sessions = session_ids.iter().cloned().map(Id::Session);
    let ids: Vec<_> = sessions.chain(device_ids.iter().cloned().map(Id::Device)).collect();
    if ids.is_empty() {
        return Err(Refused::new(StatusCode::UNPROCESSABLE_ENTITY, "nothing_to_revoke"));
    }
    if shared.defects.acts_every(Kind::RevocationIgnored) {
        shared.defects.note(Kind::RevocationIgnored);
    } else {
        let forgets = shared.defects.acts_every(Kind::RevocationForgotten);
        let memory = forgets.then_some(shared.config.defect_times.revocation_memory);
        // Joins first: a socket that is told to go must not slip back in before they are refused.
        shared.revocations.revoke(ids.iter().cloned(), &reason, clock::now(), memory);
        let evicted = shared.sockets.revoke(&ids, &reason);
        shared.store.ring();
        tracing::info!(evicted, "sessions revoked");
    }
    let revoked = Revoked {
        reason,
        revoked_at: clock::unix_s(),
        revoked_device_ids: device_ids,
        revoked_session_ids: session_ids,
    };
    Ok(Json(Data { data: revoked }).into_response())
}

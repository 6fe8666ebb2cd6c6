//! `GET /internal/v1/khala/topics/{topic}/snapshot`: the state of a summary topic at its head.

use std::sync::Mutex;
use std::time::Duration;

use axum::Json;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use khala_wire::canonical::payload_hash_of_canonical;
use khala_wire::payload::SNAPSHOT_FORMAT;
use khala_wire::poll::PollError;
use khala_wire::snapshot::{Document, Snapshot};
use khala_wire::token::Deny;
use khala_wire::topic::TopicId;

use super::AppState;
use super::answer::{Refused, bearer};
use crate::clock;
use crate::config::TOPICS;
use crate::defect::{Defects, Kind};
use crate::shared::Shared;
use crate::store::{Entry, Store, TopicLog, Window};
use crate::sync::lock;
use crate::token;

/// Defect `snapshot_ahead`: how far.
const AHEAD: u64 = 1_000;
/// Defect `snapshot_lags`: by how much.
const LAG: Duration = Duration::from_millis(500);

/// `GET /internal/v1/khala/topics/{topic}/snapshot`
pub async fn snapshot(
    State(AppState { shared, .. }): State<AppState>,
    Path(topic): Path<String>,
    headers: HeaderMap,
) -> Response {
    if let Err((status, reason_code)) = authorize(&shared, &topic, &headers) {
        let error = if status == StatusCode::FORBIDDEN { "forbidden" } else { "unauthorized" };
        let body = PollError {
            error: error.to_owned(),
            reason_code: Some(reason_code),
            ..PollError::default()
        };
        return (status, Json(body)).into_response();
    }
    let with_snapshot =
        TopicId::of(&topic).filter(|topic| topic.known().snapshot_cadence_s.is_some());
    let Some(topic) = with_snapshot else {
        return Refused::new(StatusCode::NOT_FOUND, "snapshot_unsupported").into_response();
    };
    match shared.snapshots.encoded(&shared.store, &shared.defects, topic) {
        Ok(body) => ([(header::CONTENT_TYPE, "application/json")], body).into_response(),
        Err(error) => {
            tracing::error!(%error, "a snapshot does not serialise");
            Refused::new(StatusCode::INTERNAL_SERVER_ERROR, "snapshot_failed").into_response()
        }
    }
}

fn authorize(
    shared: &Shared,
    topic: &str,
    headers: &HeaderMap,
) -> Result<(), (StatusCode, String)> {
    let unauthorized = |code: String| (StatusCode::UNAUTHORIZED, code);
    let token = bearer(headers).ok_or_else(|| unauthorized("missing_authorization".to_owned()))?;
    let claims = token::verify(&shared.config.sync_keys, &shared.defects, token).map_err(
        |deny| match deny {
            Deny::TokenExpired => unauthorized(deny.to_string()),
            _ => unauthorized("invalid_token".to_owned()),
        },
    )?;
    let session = claims.oa_session_id.as_deref().unwrap_or_default();
    let device = claims.oa_device_id.as_deref().unwrap_or_default();
    if shared.revoked(session, device).is_some() {
        return Err(unauthorized("token_revoked".to_owned()));
    }
    if claims.oa_sync_scopes.iter().any(|scope| scope == topic) {
        return Ok(());
    }
    if TopicId::of(topic).is_none() {
        return Err((StatusCode::FORBIDDEN, "forbidden_topic".to_owned()));
    }
    if shared.defects.acts_every(Kind::ScopeIgnored) {
        shared.defects.note(Kind::ScopeIgnored);
        return Ok(());
    }
    Err((StatusCode::FORBIDDEN, "missing_scope".to_owned()))
}

/// Encoded snapshots with their heads, per topic.
#[derive(Default)]
pub struct Snapshots([Mutex<Option<(u64, Bytes)>>; TOPICS]);

impl Snapshots {
    /// The snapshot's JSON, made once per head: after a trim, thousands ask for the same.
    fn encoded(
        &self,
        store: &Store,
        defects: &Defects,
        topic: TopicId,
    ) -> Result<Bytes, serde_json::Error> {
        let log = store.log(topic);
        let mut kept = lock(&self.0[topic.index()]);
        // What a defect may spoil is made for each request: each is an opportunity.
        let spoils =
            [Kind::SnapshotOld, Kind::SnapshotAhead, Kind::SnapshotWrongTopic, Kind::SnapshotLags];
        if let Some((head, body)) = &*kept
            && *head == log.head()
            && !spoils.into_iter().any(|kind| defects.armed(kind))
        {
            return Ok(body.clone());
        }
        let snapshot = of(log);
        if let Some(wrong) =
            lagging(log, defects, &snapshot).or_else(|| spoilt(store, defects, topic, &snapshot))
        {
            return serde_json::to_vec(&wrong).map(Bytes::from);
        }
        let body = Bytes::from(serde_json::to_vec(&snapshot)?);
        *kept = Some((snapshot.head_watermark, body.clone()));
        Ok(body)
    }
}

/// What defects give instead of a snapshot.
fn spoilt(store: &Store, defects: &Defects, topic: TopicId, right: &Snapshot) -> Option<Snapshot> {
    let log = store.log(topic);
    let with_head = |head_watermark| Snapshot { head_watermark, ..right.clone() };
    let mut wrong = None;
    if let Some(head) = too_old(log)
        && defects.acts_every(Kind::SnapshotOld)
    {
        defects.note(Kind::SnapshotOld);
        wrong = Some(with_head(head));
    }
    if defects.acts_every(Kind::SnapshotAhead) {
        defects.note(Kind::SnapshotAhead);
        wrong = Some(with_head(right.head_watermark + AHEAD));
    }
    let has_snapshot = |other: &&TopicLog| other.topic().known().snapshot_cadence_s.is_some();
    let mut others = store.logs().iter().filter(|other| other.topic() != topic);
    if let Some(other) = others.find(has_snapshot)
        && defects.acts_every(Kind::SnapshotWrongTopic)
    {
        defects.note(Kind::SnapshotWrongTopic);
        wrong = Some(of(other));
    }
    wrong
}

/// Defect `snapshot_lags`: the documents as they were a while ago, as far as the log still has them.
fn lagging(log: &TopicLog, defects: &Defects, right: &Snapshot) -> Option<Snapshot> {
    let then = clock::now().checked_sub(LAG)?;
    let Window { floor, head, .. } = log.window();
    let before = log.entries(floor + 1, head).unwrap_or_default();
    let as_of_then = |document: &Document| {
        let mut versions = before.iter().rev().filter(|entry| entry.at() <= then);
        let old = versions.find(|entry| entry.update.doc_key == document.doc_key);
        old.and_then(|entry| self::document(entry)).unwrap_or_else(|| document.clone())
    };
    let documents: Vec<Document> = right.documents.iter().map(as_of_then).collect();
    let is_older = |(old, new): (&Document, &Document)| old.doc_version < new.doc_version;
    let lags = documents.iter().zip(&right.documents).any(is_older);
    (lags && defects.acts_every(Kind::SnapshotLags)).then(|| {
        defects.note(Kind::SnapshotLags);
        Snapshot { documents, ..right.clone() }
    })
}

/// Defect `snapshot_old`: a watermark that cannot be resumed from, if there is one.
fn too_old(log: &TopicLog) -> Option<u64> {
    let Window { floor, head, .. } = log.window();
    let below_floor = floor.checked_sub(1);
    below_floor.or_else(|| head.checked_sub(log.limits().replay_budget_events + 1))
}

/// Every document at its latest version, and the head they belong to, read together.
fn of(log: &TopicLog) -> Snapshot {
    let (head_watermark, entries) = log.documents();
    Snapshot {
        documents: entries.iter().filter_map(|entry| document(entry)).collect(),
        format: SNAPSHOT_FORMAT.to_owned(),
        head_watermark,
        schema_version: khala_wire::SCHEMA_VERSION,
        topic: log.topic().name().to_owned(),
    }
}

/// A document; `None` in pointer mode, where there is no content to give.
fn document(entry: &Entry) -> Option<Document> {
    let payload = entry.update.payload.clone()?;
    let hash = entry.update.payload_hash.clone();
    Some(Document {
        doc_key: entry.update.doc_key.clone(),
        doc_version: entry.update.doc_version,
        payload_hash: hash.unwrap_or_else(|| payload_hash_of_canonical(payload.get())),
        payload,
    })
}

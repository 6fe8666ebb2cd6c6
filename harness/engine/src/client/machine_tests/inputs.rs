//! What can happen to a client, drawn at random: with sense, with some sense, and with none.

use khala_evidence::record::Outcome;
use khala_wire::topic::WORKER_EVENTS;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::rig::{SECOND, frame};

/// One thing that can happen to a client.
#[derive(Clone, Debug)]
pub(super) enum Input {
    /// Time passes, and the driver looks.
    After(u64),
    /// The driver waits for the deadline, when there is one.
    AtDeadline,
    Minted(Outcome),
    ConnectFailed(Outcome),
    Connected,
    /// The server answers what was sent last.
    Answer(Answer),
    Text(String),
    Closed(Option<u16>),
    Broken,
    Cut,
    CutSilently,
    SentAway(u64),
    Unsubscribe(u64),
    /// The snapshots that the client asked for are there, or will not come.
    Bootstrapped(Result<Option<u64>, Outcome>),
    Retire,
}

#[derive(Clone, Debug)]
pub(super) enum Answer {
    Ok,
    Stale,
    StaleState,
    Refused(&'static str),
    Garbage,
}

fn failure() -> impl Strategy<Value = Outcome> {
    prop::sample::select(vec![
        Outcome::Timeout,
        Outcome::RefusedAuth,
        Outcome::RefusedIncompatible,
        Outcome::ConnectionFailed,
        Outcome::ProtocolError,
        Outcome::Interrupted,
    ])
}

fn answer() -> impl Strategy<Value = Answer> {
    let codes =
        ["forbidden_topic", "reauth_required", "upgrade_required", "bad_subscription", "new_code"];
    prop_oneof![
        6 => Just(Answer::Ok),
        1 => Just(Answer::Stale),
        2 => Just(Answer::StaleState),
        1 => prop::sample::select(codes.to_vec()).prop_map(Answer::Refused),
        1 => Just(Answer::Garbage),
    ]
}

fn snapshot() -> impl Strategy<Value = Result<Option<u64>, Outcome>> {
    prop_oneof![any::<Option<u64>>().prop_map(Ok), failure().prop_map(Err)]
}

fn json_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        ".{0,12}".prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 16, 4, |inner| {
        let keys = "topic|seq|kind|payload_bytes|status|response|updates|watermark|code|.{0,4}";
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map(keys, inner, 0..4)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

/// Frames that are nearly right: the right shape with anything in it, or a right one cut short.
fn any_text() -> impl Strategy<Value = String> {
    let event = "phx_reply|phx_close|phx_error|sync:frame|sync:update_batch|sync:heartbeat|.{0,9}";
    let reference = prop_oneof![
        Just(Value::Null),
        (0_u64..12).prop_map(Value::from),
        (0_u64..12).prop_map(|n| Value::from(n.to_string())),
        json_value(),
    ];
    let shaped = (reference.clone(), reference, "sync:v1|phoenix|.{0,6}", event, json_value())
        .prop_map(|(join_ref, msg_ref, channel, event, payload)| {
            json!([join_ref, msg_ref, channel, event, payload]).to_string()
        });
    let batch = (prop::collection::vec(any::<u64>(), 0..4), any::<bool>(), 0_usize..400).prop_map(
        |(seqs, whole, cut)| {
            let text = frame(WORKER_EVENTS, &seqs);
            if whole { text } else { text.chars().take(cut).collect() }
        },
    );
    prop_oneof![2 => shaped, 2 => batch, 1 => ".{0,40}".prop_map(String::from)]
}

fn input() -> impl Strategy<Value = Input> {
    prop_oneof![
        3 => (0_u64..40 * SECOND).prop_map(Input::After),
        3 => Just(Input::AtDeadline),
        1 => failure().prop_map(Input::Minted),
        1 => failure().prop_map(Input::ConnectFailed),
        4 => Just(Input::Connected),
        6 => answer().prop_map(Input::Answer),
        3 => any_text().prop_map(Input::Text),
        1 => any::<Option<u16>>().prop_map(Input::Closed),
        1 => Just(Input::Broken),
        1 => Just(Input::Cut),
        1 => Just(Input::CutSilently),
        1 => (0_u64..40 * SECOND).prop_map(Input::SentAway),
        1 => (0_u64..40 * SECOND).prop_map(Input::Unsubscribe),
        3 => snapshot().prop_map(Input::Bootstrapped),
    ]
}

/// Few runs end by a retirement in the middle; every other one would be over too soon.
pub(super) fn inputs() -> impl Strategy<Value = Vec<Input>> {
    let all = prop::collection::vec(input(), 0..80);
    (all, prop::option::weighted(0.2, 0_usize..80)).prop_map(|(mut inputs, retire)| {
        if let Some(at) = retire {
            inputs.insert(at.min(inputs.len()), Input::Retire);
        }
        inputs
    })
}

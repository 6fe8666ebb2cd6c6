//! Batches cut, joined, repeated and mixed in other ways than the runtime does it.

rows![
    batches_of_one,
    batches_merged,
    batch_again_later,
    pushes_of_topics_mixed,
    frames_late,
    topics_apart,
    never_complete,
    states_skipped,
    states_by_pointer,
    hash_wrong,
    payload_changed,
    state_goes_back,
    event_twice,
    batch_of_two_topics,
];

/// Heartbeats that are answered so often that what is kept back until then is never late.
const BEATS: &[&str] = &["fleet.surface.desktop.heartbeat=400ms"];

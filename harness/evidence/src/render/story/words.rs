//! What befell a client, record by record, in words.

use serde::Serialize;

use super::seconds;
use crate::record::{
    Micros, OfflineCause, Outcome, PublishId, Record, Source, StaleTopic, SubscribedTopic,
};
use crate::render::units::duration;
use crate::shard::flight::Update;

/// An update, its numbers called what they are: of a stream a seq, of a state a version.
pub fn update_line(update: &Update) -> String {
    let Update { topic, seq, epoch, content, hash_fits, source, .. } = update;
    let what = match source {
        Source::Event { publish: PublishId::Planned(number), .. } => {
            format!("seq {seq}, publish {number}")
        }
        Source::Event { publish: PublishId::Lifecycle { worker, seq: own }, .. } => {
            format!("seq {seq}, event {own} of worker {worker} itself")
        }
        Source::Event { publish: PublishId::OverSession { client }, .. } => {
            format!("seq {seq}, the command that client {client} sent over its socket")
        }
        Source::State { worker, version } => {
            format!("version {version} of worker {worker}, watermark {seq}")
        }
        Source::Document { version, .. } => {
            format!("version {version} of somebody else's document, watermark {seq}")
        }
        Source::Foreign => format!("seq {seq}, of no publish of this run"),
    };
    let hash = if *hash_fits { "" } else { ", whose own hash does not fit" };
    format!("     {}: {what}, content {content:016x}{hash}, in subscribe {epoch}", topic.name())
}

/// The contract's or the record's own word for something, without underscores.
fn word(value: &impl Serialize) -> String {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(word)) => word.replace('_', " "),
        Ok(serde_json::Value::Object(fields)) => {
            let fields = fields.iter().map(|(name, value)| match value {
                serde_json::Value::String(value) => format!("{} {}", name, value),
                value => format!("{name} {}", word(value)),
            });
            fields.collect::<Vec<_>>().join(", ").replace('_', " ")
        }
        Ok(value) => value.to_string(),
        Err(_) => "something unknown".to_owned(),
    }
}

/// Why a session is gone, with times that people read.
fn why_away(cause: &OfflineCause) -> String {
    match cause {
        OfflineCause::Fault { id, intended } => {
            format!("cut by fault {id}, planned for {}", seconds(*intended))
        }
        OfflineCause::ChannelSilent { asked } => {
            format!("its channel was silent, asked at {}", seconds(*asked))
        }
        other => word(other),
    }
}

/// A record in a sentence, with its time.
pub fn happening(record: &Record) -> Option<(Micros, String)> {
    Some(match record {
        Record::Answered(answered) => {
            let (request, status) = (answered.request.name(), &answered.status);
            (answered.at, format!("{request} ended: {status}"))
        }
        Record::Rejoining { at, .. } => (*at, "joins again on the same socket".to_owned()),
        Record::ConnectBegun { at, attempt, .. } => {
            (*at, format!("connect begun, attempt {attempt}"))
        }
        Record::Connected { at, .. } => (*at, "connected".to_owned()),
        Record::Op(op) => {
            let took = std::time::Duration::from_micros(op.done.saturating_sub(op.start));
            let kind = word(&op.kind);
            let took = duration(u64::try_from(took.as_micros()).unwrap_or(u64::MAX));
            let how = match op.outcome {
                Outcome::Ok => "answered".to_owned(),
                other => format!("not answered as it should be ({})", word(&other)),
            };
            (op.done, format!("{kind} {how} after {took}"))
        }
        Record::SubscribeSent { at, epoch, topics, .. } => {
            let topics: Vec<_> = topics.iter().map(cursor).collect();
            (*at, format!("subscribe {epoch} sent: {}", topics.join(", ")))
        }
        Record::SubscribeOk { at, epoch, watermarks, .. } => {
            let marks: Vec<_> =
                watermarks.iter().map(|(topic, mark)| format!("{} {mark}", topic.name())).collect();
            (*at, format!("subscribe {epoch} answered: {}", marks.join(", ")))
        }
        Record::SubscribeStale { at, epoch, topics, .. } => {
            let topics: Vec<_> = topics.iter().map(refused).collect();
            (*at, format!("subscribe {epoch} refused as stale: {}", topics.join(", ")))
        }
        Record::SnapshotTaken { done, topic, outcome, head, .. } => {
            let head = head.map_or_else(|| "no watermark".to_owned(), |head| format!("at {head}"));
            (*done, format!("snapshot of {}: {}, {head}", topic.name(), word(outcome)))
        }
        Record::Unsubscribed { at, topics, .. } => {
            let names: Vec<_> = topics.iter().map(|topic| topic.name()).collect();
            (*at, format!("unsubscribed from {}", names.join(", ")))
        }
        Record::SlowConsumer { at, disconnect, queue_depth, queue_limit, .. } => {
            let what = if *disconnect { "evicted as" } else { "warned as" };
            (*at, format!("{what} a slow consumer, {queue_depth} waiting of {queue_limit}"))
        }
        Record::SlowBegan { at, .. } => (*at, "made slow by the harness".to_owned()),
        Record::SlowEnded { at, .. } => (*at, "reads at full speed again".to_owned()),
        Record::Offline { at, cause, .. } => (*at, format!("away: {}", why_away(cause))),
        Record::Word { at, place, word, .. } => (*at, format!("{place} said `{word}`")),
        Record::Named { at, topic, by, .. } => (*at, format!("{by} names topic `{topic}`")),
        Record::JoinedAs { at, session, by, .. } => {
            (*at, format!("{by} is for session `{session}`"))
        }
        Record::TokenTried { at, kind, answer, .. } => {
            (*at, format!("a bad token ({}) was tried: {}", kind.name(), word(answer)))
        }
        Record::Finding { name, at, message, .. } => (*at, format!("finding {name}: {message}")),
        Record::OverLimit { at, limit, size, .. } => (*at, limit.told(*size)),
        Record::BeyondHead { at, topic, cursor, first, .. } => {
            let came = first.map_or("nothing".to_owned(), |first| format!("seq {first} first"));
            let name = topic.name();
            (*at, format!("subscribed to {name} beyond head, after {cursor}: {came} came"))
        }
        Record::Revoked { at, .. } => (*at, "its session was revoked".to_owned()),
        Record::CommandSent { at, answer, .. } => {
            (*at, format!("a command over a socket: {}", word(answer)))
        }
        Record::PushesCompared { at, topic, seq, .. } => {
            (*at, format!("the two pushes of {} up to seq {seq} do not agree", topic.name()))
        }
        Record::Retired { at, .. } => (*at, "taken out of the run".to_owned()),
        _ => return None,
    })
}

/// A topic that was refused as stale, with what was said of it.
fn refused(stale: &StaleTopic) -> String {
    let (name, reason) = (stale.topic.name(), word(&stale.reason));
    let figures = [("floor", stale.floor), ("head", stale.head)].into_iter();
    let figures: String =
        figures.filter_map(|(name, figure)| Some(format!(", {name} {}", figure?))).collect();
    format!("{name} cursor {} ({reason}{figures})", stale.cursor)
}

fn cursor(topic: &SubscribedTopic) -> String {
    let name = topic.topic.name();
    topic
        .cursor
        .map_or_else(|| format!("{name} without a cursor"), |at| format!("{name} after {at}"))
}

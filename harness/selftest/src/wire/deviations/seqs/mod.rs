//! Seqs that another runtime would have given: with holes, or far up. What the client says goes back the
//! same way, so that runtime and clients each see their own.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use crate::wire::deviation::Step;
use crate::wire::http::{Answer, Purpose, Request};
use crate::wire::message::Message;

rows![seq_holes, seqs_beyond_32_bits,];

/// Each eleventh seq is a hole.
fn holed(seq: u64) -> u64 {
    seq + seq / 10
}

/// The numbers under these names, but for those inside of payloads, which have seqs of their own.
fn renumber(value: &mut Value, names: &[&str], map: fn(u64) -> u64) {
    match value {
        Value::Array(values) => {
            values.iter_mut().for_each(|value| renumber(value, names, map));
        }
        Value::Object(fields) => {
            for (name, value) in fields {
                match value.as_u64() {
                    Some(number) if names.contains(&name.as_str()) => *value = map(number).into(),
                    _ if name == "payload" => {}
                    _ => renumber(value, names, map),
                }
            }
        }
        _ => {}
    }
}

/// A message with the seqs that clients shall see.
fn seen(mut message: Message, map: fn(u64) -> u64) -> Option<Vec<Step>> {
    renumber(&mut message.payload, &["watermark", "seq"], map);
    if message.event == "sync:frame" {
        let carried = STANDARD.decode(message.payload["payload_bytes"].as_str()?).ok()?;
        let mut carried: Value = serde_json::from_slice(&carried).ok()?;
        renumber(&mut carried, &["watermark"], map);
        message.payload["payload_bytes"] = STANDARD.encode(carried.to_string()).into();
    }
    Some(vec![(&message).into()])
}

/// The metrics with the same seqs.
fn metrics(request: &Request, answer: Answer, map: fn(u64) -> u64) -> Option<Vec<Step>> {
    (request.purpose == Purpose::Metrics).then_some(())?;
    let names = ["oldest_sequence", "head_sequence"];
    let answer = answer.edited(|document| renumber(document, &names, map));
    Some(vec![Step::Send(answer?.bytes())])
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn seqs_inside_of_payloads_stay_as_they_are() {
        let mut batch = json!({"updates": [{"watermark": 20, "payload": {"seq": 20}}], "seq": 9});
        renumber(&mut batch, &["watermark", "seq"], holed);
        let wanted = json!({"updates": [{"watermark": 22, "payload": {"seq": 20}}], "seq": 9});
        assert_eq!(batch, wanted);
    }
}

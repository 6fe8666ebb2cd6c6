//! JSON in other words: the same document, written as RFC 8259 lets anybody write it.

use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::wire::deviation::{Socket, Step};
use crate::wire::deviations::LATER;
use crate::wire::frame::Frame;
use crate::wire::message::Message;

rows![
    json_white_space,
    json_key_order,
    json_escapes,
    json_odd_numbers,
    json_deep,
    json_bom,
    json_nan,
    json_two_in_one,
];

/// How a document is written.
#[derive(Clone, Copy)]
enum Way {
    Spaced,
    Reversed,
    Escaped,
}

impl Way {
    fn write(self, value: &Value, text: &mut String) {
        let gap = if matches!(self, Self::Spaced) { " \r\n\t" } else { "" };
        match value {
            Value::Array(values) => {
                text.push('[');
                for (index, value) in values.iter().enumerate() {
                    text.push_str(if index == 0 { gap } else { "," });
                    self.write(value, text);
                    text.push_str(gap);
                }
                text.push(']');
            }
            Value::Object(fields) => {
                text.push('{');
                let mut fields: Vec<_> = fields.iter().collect();
                if matches!(self, Self::Reversed) {
                    fields.reverse();
                }
                for (index, (name, value)) in fields.into_iter().enumerate() {
                    text.push_str(if index == 0 { gap } else { "," });
                    self.string(name, text);
                    text.push_str(gap);
                    text.push(':');
                    text.push_str(gap);
                    self.write(value, text);
                }
                text.push('}');
            }
            Value::String(string) => self.string(string, text),
            other => text.push_str(&other.to_string()),
        }
    }

    fn string(self, string: &str, text: &mut String) {
        if !matches!(self, Self::Escaped) {
            text.push_str(&Value::from(string).to_string());
            return;
        }
        text.push('"');
        for unit in string.encode_utf16() {
            // Writing to a string cannot fail.
            let _ = write!(text, "\\u{unit:04X}");
        }
        text.push('"');
    }

    fn text(self, value: &Value) -> String {
        let mut text = String::new();
        self.write(value, &mut text);
        text
    }

    /// The whole message in this way, and what a frame carries, too: it is byte for byte what stands in
    /// the batch (contract, section 3, delivery).
    fn rewritten(self, mut message: Message) -> Option<Vec<Step>> {
        if message.event == "sync:frame" {
            let carried = STANDARD.decode(message.payload["payload_bytes"].as_str()?).ok()?;
            let carried: Value = serde_json::from_slice(&carried).ok()?;
            message.payload["payload_bytes"] = STANDARD.encode(self.text(&carried)).into();
        }
        let Message { join, reference, channel, event, payload } = message;
        let whole = json!([join, reference, channel, event, payload]);
        Some(vec![Frame::text(self.text(&whole)).into()])
    }
}

/// A heartbeat push with one more field of this text.
fn heartbeat_with(socket: &Socket, message: &Message, field: &str) -> Option<Vec<Step>> {
    let text = format!(
        "[null,null,\"sync:v1\",\"sync:heartbeat\",{{\"watermarks\":[],\"more\":{field}}}]"
    );
    (socket.frames == LATER).then(|| vec![message.into(), Frame::text(text).into()])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_way_is_the_same_document() {
        let value = json!({"a": [1, {"b": "\u{1f600}\"\u{0}"}], "c": null, "d": {}, "e": []});
        for way in [Way::Spaced, Way::Reversed, Way::Escaped] {
            let text = way.text(&value);
            assert_ne!(text, value.to_string());
            assert_eq!(serde_json::from_str::<Value>(&text).ok(), Some(value.clone()), "{text}");
        }
    }
}

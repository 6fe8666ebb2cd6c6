//! JSON in other words: the same document, written as RFC 8259 lets anybody write it.

use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::LATER;
use crate::wire::deviation::{Deviation, Socket, Step};
use crate::wire::frame::Frame;
use crate::wire::message::Message;
use crate::wire::row::Row;

pub const ROWS: &[Row] = &[
    Row::go("json_white_space", Deviation::message(json_white_space)),
    Row::go("json_key_order", Deviation::message(json_key_order)),
    Row::go("json_escapes", Deviation::message(json_escapes)),
    Row::told("json_odd_numbers", Deviation::message(json_odd_numbers), "unknown_field"),
    Row::told("json_deep", Deviation::message(json_deep), "unknown_field"),
    Row::no_go("json_bom", Deviation::frame(json_bom), "malformed_message", "contract"),
    Row::no_go("json_nan", Deviation::message(json_nan), "malformed_message", "contract"),
    Row::no_go(
        "json_two_in_one",
        Deviation::frame(json_two_in_one),
        "malformed_message",
        "contract",
    ),
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

/// White space wherever it may stand (RFC 8259, section 2): a server that prints prettily.
fn json_white_space(_: &mut Socket, message: Message) -> Option<Vec<Step>> {
    Way::Spaced.rewritten(message)
}

/// Names in another order (RFC 8259, section 4: objects are unordered), as Erlang's maps beyond 32 keys
/// and Go's structs give them. Hashes are of the canonical form, and stay.
fn json_key_order(_: &mut Socket, message: Message) -> Option<Vec<Step>> {
    Way::Reversed.rewritten(message)
}

/// Every character as an escape (RFC 8259, section 7: "any character may be escaped"), events and topics
/// among them.
fn json_escapes(_: &mut Socket, message: Message) -> Option<Vec<Step>> {
    Way::Escaped.rewritten(message)
}

/// A heartbeat push with one more field of this text.
fn heartbeat_with(socket: &Socket, message: &Message, field: &str) -> Option<Vec<Step>> {
    let text = format!(
        "[null,null,\"sync:v1\",\"sync:heartbeat\",{{\"watermarks\":[],\"more\":{field}}}]"
    );
    (socket.frames == LATER).then(|| vec![message.into(), Frame::text(text).into()])
}

/// Numbers of every shape (RFC 8259, section 6) in a field that nobody knows: beyond 2^53, with an
/// exponent, minus zero.
fn json_odd_numbers(socket: &mut Socket, message: Message) -> Option<Vec<Step>> {
    heartbeat_with(socket, &message, "[1e3,1E+2,-0,0.1e-7,18446744073709551615,-9007199254740993]")
}

/// Arrays in arrays, sixty deep, in a field that nobody knows.
fn json_deep(socket: &mut Socket, message: Message) -> Option<Vec<Step>> {
    let deep = ["[".repeat(60), "]".repeat(60)].concat();
    heartbeat_with(socket, &message, &deep)
}

/// A byte order mark before the text (RFC 8259, section 8.1: must not be added), as .NET's `UTF8Encoding`
/// writes it; `JSON.parse` throws.
fn json_bom(socket: &mut Socket, frame: &Frame) -> Option<Vec<Step>> {
    let payload = [b"\xef\xbb\xbf", &frame.payload[..]].concat();
    (socket.frames == LATER).then(|| vec![Frame::text(payload).into()])
}

/// `NaN` where a number belongs (RFC 8259, section 6), as Python's `json.dumps` writes it.
fn json_nan(socket: &mut Socket, message: Message) -> Option<Vec<Step>> {
    heartbeat_with(socket, &message, "NaN")
}

/// Two documents in one message, one a line: a server that takes the socket for a stream.
fn json_two_in_one(socket: &mut Socket, frame: &Frame) -> Option<Vec<Step>> {
    let payload = [&frame.payload[..], b"\n", &frame.payload[..]].concat();
    (socket.frames == LATER).then(|| vec![Frame::text(payload).into()])
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

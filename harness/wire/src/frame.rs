//! Phoenix serializers V1 and V2: one text frame on the socket, taken apart without copying.
//!
//! Refs are kept as raw JSON, because a runtime echoes them as they came: strings, numbers, null.
//! The payload stays raw as well; who needs it reads it with a type from [`crate::payload`].

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

/// The serializer that the `vsn` query parameter selects.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Vsn {
    /// `1.0.0`, and what a socket without `vsn` speaks: JSON objects.
    V1,
    /// `2.0.0`: JSON arrays of five.
    V2,
}

impl Vsn {
    /// Reads the query parameter; `None` for a version that no runtime serves.
    #[must_use]
    pub fn from_query(vsn: Option<&str>) -> Option<Self> {
        match vsn {
            None | Some("1.0.0") => Some(Self::V1),
            Some("2.0.0") => Some(Self::V2),
            Some(_) => None,
        }
    }

    /// The value of the query parameter.
    #[must_use]
    pub fn as_query(self) -> &'static str {
        match self {
            Self::V1 => "1.0.0",
            Self::V2 => "2.0.0",
        }
    }
}

/// A text frame is not a frame of its serializer.
#[derive(Debug, thiserror::Error)]
#[error("not a Phoenix {} frame: {source}", vsn.as_query())]
pub struct FrameError {
    vsn: Vsn,
    #[source]
    source: serde_json::Error,
}

/// One frame, borrowed from the text that was read.
#[derive(Clone, Debug)]
pub struct Frame<'a> {
    /// Raw JSON of the join ref; `None` is `null`.
    pub join_ref: Option<&'a RawValue>,
    /// Raw JSON of the message ref; `None` is `null`, as in every push from the server.
    pub msg_ref: Option<&'a RawValue>,
    /// The channel (Phoenix calls it topic), such as `sync:v1`.
    pub channel: Cow<'a, str>,
    /// The event name, such as `phx_join` or `sync:frame`.
    pub event: Cow<'a, str>,
    /// The payload as it stands on the wire.
    pub payload: &'a RawValue,
}

#[derive(Deserialize)]
struct V2<'a>(
    #[serde(borrow)] Option<&'a RawValue>,
    #[serde(borrow)] Option<&'a RawValue>,
    #[serde(borrow)] Cow<'a, str>,
    #[serde(borrow)] Cow<'a, str>,
    #[serde(borrow)] &'a RawValue,
);

#[derive(Deserialize)]
struct V1<'a> {
    #[serde(borrow)]
    topic: Cow<'a, str>,
    #[serde(borrow)]
    event: Cow<'a, str>,
    #[serde(borrow)]
    payload: &'a RawValue,
    #[serde(borrow, default, rename = "ref")]
    msg_ref: Option<&'a RawValue>,
    #[serde(borrow, default)]
    join_ref: Option<&'a RawValue>,
}

impl<'a> Frame<'a> {
    /// Takes one text frame apart.
    ///
    /// # Errors
    /// When the text is not JSON, or not of the serializer's shape; a runtime closes such a socket
    /// with 1011.
    pub fn parse(vsn: Vsn, text: &'a str) -> Result<Self, FrameError> {
        let error = |source| FrameError { vsn, source };
        Ok(match vsn {
            Vsn::V2 => {
                let V2(join_ref, msg_ref, channel, event, payload) =
                    serde_json::from_str(text).map_err(error)?;
                Self { join_ref, msg_ref, channel, event, payload }
            }
            Vsn::V1 => {
                let V1 { topic, event, payload, msg_ref, join_ref } =
                    serde_json::from_str(text).map_err(error)?;
                Self { join_ref, msg_ref, channel: topic, event, payload }
            }
        })
    }

    /// The message ref as the counter that our clients put into it; `None` for pushes and for refs
    /// that are not ours.
    #[must_use]
    pub fn ref_number(&self) -> Option<u64> {
        self.msg_ref.and_then(number)
    }

    /// Whether a Phoenix client that joined `channel` with `join_ref` takes the frame: it carries the
    /// channel, and that join_ref or none.
    #[must_use]
    pub fn is_for(&self, channel: &str, join_ref: u64) -> bool {
        self.channel == channel
            && (self.join_ref.is_none() || self.join_ref_number() == Some(join_ref))
    }

    /// The join ref as a number, like [`Frame::ref_number`].
    #[must_use]
    pub fn join_ref_number(&self) -> Option<u64> {
        self.join_ref.and_then(number)
    }
}

/// A ref as the counter that it was. Any character of a string may be escaped (RFC 8259, section 7).
fn number(reference: &RawValue) -> Option<u64> {
    let text = reference.get();
    if text.contains('\\') {
        serde_json::from_str::<String>(text).ok()?.parse().ok()
    } else {
        text.trim_matches('"').parse().ok()
    }
}

// In alphabetical order, as a real runtime writes it.
#[derive(Serialize)]
struct V1Out<'a, P> {
    event: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    join_ref: Option<&'a RawValue>,
    payload: &'a P,
    #[serde(rename = "ref")]
    msg_ref: Option<&'a RawValue>,
    topic: &'a str,
}

/// Writes a frame with any payload.
///
/// V1 frames carry `join_ref` only when there is one: a real runtime's V1 replies leave it out.
///
/// # Panics
/// Never for the payload types of this crate: their serialisation has no failing path.
#[must_use]
pub fn encode<P: Serialize>(
    vsn: Vsn,
    join_ref: Option<&RawValue>,
    msg_ref: Option<&RawValue>,
    channel: &str,
    event: &str,
    payload: &P,
) -> String {
    match vsn {
        Vsn::V2 => serde_json::to_string(&(join_ref, msg_ref, channel, event, payload)),
        Vsn::V1 => {
            serde_json::to_string(&V1Out { topic: channel, event, payload, msg_ref, join_ref })
        }
    }
    .expect("payload types serialise without a failing path")
}

/// A ref as Phoenix's JavaScript client writes it: a number in a string.
///
/// # Panics
/// Never: digits in quotes are JSON.
#[must_use]
pub fn string_ref(number: u64) -> Box<RawValue> {
    RawValue::from_string(format!("\"{number}\"")).expect("digits in quotes are JSON")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ref_is_the_number_that_it_was_however_it_is_written() {
        for (text, number) in [
            (r#"["1","12","c","e",{}]"#, Some((1, 12))),
            (r#"[1,12,"c","e",{}]"#, Some((1, 12))),
            (r#"["\u0031","1\u0032","c","e",{}]"#, Some((1, 12))),
            (r#"["\u0061","\n","c","e",{}]"#, None),
        ] {
            let frame = Frame::parse(Vsn::V2, text).expect("a frame");
            let found = frame.join_ref_number().zip(frame.ref_number());
            assert_eq!(found, number, "{text}");
            assert_eq!(frame.is_for("c", 1), number.is_some(), "{text}");
        }
    }

    #[test]
    fn refs_are_echoed_as_they_came() {
        let text = r#"[1,"2","sync:v1","phx_join",{}]"#;
        let frame = Frame::parse(Vsn::V2, text).expect("a frame");
        assert_eq!((frame.join_ref_number(), frame.ref_number()), (Some(1), Some(2)));
        let payload: &RawValue = frame.payload;
        let again =
            encode(Vsn::V2, frame.join_ref, frame.msg_ref, &frame.channel, &frame.event, &payload);
        assert_eq!(again, text);
    }

    #[test]
    fn a_frame_is_for_whoever_joined_with_its_join_ref_or_for_all_without_one() {
        for (join_ref, taken) in [("null", true), ("\"1\"", true), ("1", true), ("\"2\"", false)] {
            let text = format!(r#"[{join_ref},null,"sync:v1","sync:frame",{{}}]"#);
            let frame = Frame::parse(Vsn::V2, &text).expect("a frame");
            assert_eq!(frame.is_for("sync:v1", 1), taken, "{text}");
            assert!(!frame.is_for("sync:v2", 1));
        }
    }

    #[test]
    fn wrong_shapes_are_errors_that_say_which_serializer() {
        for text in ["{nope", r#"["1","1","sync:v1","phx_join"]"#, r#"{"topic":"sync:v1"}"#] {
            let error = Frame::parse(Vsn::V2, text).expect_err(text);
            assert!(error.to_string().starts_with("not a Phoenix 2.0.0 frame"), "{error}");
        }
    }

    #[test]
    fn other_versions_are_refused() {
        assert_eq!(Vsn::from_query(None), Some(Vsn::V1));
        assert_eq!(Vsn::from_query(Some("9.0.0")), None);
    }
}

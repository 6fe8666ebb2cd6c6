//! What the recorder sent on purpose that no client may send, line by line.
//!
//! Must name lines, never patterns: a frame that becomes unreadable by a mistake in the codec must
//! not find shelter here.

/// How a sent frame is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Garbage {
    /// Text that is not JSON.
    NotJson,
    /// A V1 object on a V2 socket.
    WrongSerializer,
    /// A JSON array of four.
    WrongArity,
    /// A binary frame, which the recorder writes as `BIN` and hexadecimal digits.
    Binary,
    /// A channel that is not served.
    UnknownChannel,
    /// An event that the channel does not know.
    UnknownEvent,
    /// A payload without its event's shape.
    BadPayload,
}

/// All of it, by line number.
pub const GARBAGE: [(usize, Garbage); 15] = [
    (71, Garbage::BadPayload),       // subscribe {}
    (75, Garbage::BadPayload),       // topics is a string
    (81, Garbage::BadPayload),       // a cursor of -1
    (83, Garbage::BadPayload),       // a cursor in a string
    (85, Garbage::BadPayload),       // resume_after is a number
    (87, Garbage::BadPayload),       // subscribe []
    (89, Garbage::BadPayload),       // unsubscribe {}
    (105, Garbage::UnknownEvent),    // sync:bogus
    (114, Garbage::UnknownChannel),  // sync:v2
    (116, Garbage::UnknownChannel),  // nope
    (119, Garbage::UnknownChannel),  // sync:v7
    (124, Garbage::NotJson),         // {nope
    (128, Garbage::WrongSerializer), // a V1 join
    (132, Garbage::WrongArity),      // a join without payload
    (136, Garbage::Binary),          // 00 01 02
];

/// Subscribes that have the right shape and are refused for what they say: no topics, or topics
/// that nobody knows. They are *not* garbage.
pub const REFUSED_FOR_THEIR_CONTENT: [usize; 3] = [73, 77, 79];

/// How the frame on a line is wrong, if it is.
pub fn at(line: usize) -> Option<Garbage> {
    GARBAGE.iter().find(|(number, _)| *number == line).map(|&(_, kind)| kind)
}

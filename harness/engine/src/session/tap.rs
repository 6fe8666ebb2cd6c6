//! Reads along: the frames of RFC 6455 as they stand on the wire, beside the WebSocket library.
//!
//! The library answers for the messages; it forgives some things, rewrites close codes, and names what
//! it refuses in its own words. The tap looks at each header, keeps the payload of a close frame, and
//! skips the rest, so it costs a few instructions a frame. It never changes a byte.

use khala_evidence::record::Breach;

use super::Close;

/// Bytes of the longest header: two, eight of length, four of mask.
const HEADER_MAX: usize = 14;
/// Longest payload of a control frame (section 5.5).
const CONTROL_MAX: u64 = 125;

const CONTINUATION: u8 = 0x0;
const TEXT: u8 = 0x1;
const BINARY: u8 = 0x2;
const CLOSE: u8 = 0x8;
const PING: u8 = 0x9;
const PONG: u8 = 0xA;

/// What was seen of one direction of one connection.
#[derive(Debug)]
pub struct Tap {
    header: [u8; HEADER_MAX],
    have: usize,
    /// Bytes of the payload still to come.
    left: u64,
    /// Whether the payload to come is that of a close frame.
    closing: bool,
    payload: Vec<u8>,
    /// Length so far of the message that is being put together, if one is.
    message: Option<u64>,
    message_max: u64,
    /// Whether the payload to come is the last of a message.
    ends: bool,
    /// Messages that are whole, up to a breach.
    whole: u64,
    close: Option<Close>,
    breach: Option<Breach>,
}

impl Tap {
    /// Nothing seen yet; messages longer than `message_max` bytes are a breach.
    #[must_use]
    pub fn new(message_max: u64) -> Self {
        Self {
            header: [0; HEADER_MAX],
            have: 0,
            left: 0,
            closing: false,
            payload: Vec::new(),
            message: None,
            message_max,
            ends: false,
            whole: 0,
            close: None,
            breach: None,
        }
    }

    /// The first breach seen.
    #[must_use]
    pub fn breach(&self) -> Option<Breach> {
        self.breach
    }

    /// How many messages were whole before the breach, or so far.
    #[must_use]
    pub fn whole(&self) -> u64 {
        self.whole
    }

    /// The first close frame, once it is whole.
    #[must_use]
    pub fn close(&self) -> Option<&Close> {
        self.close.as_ref()
    }

    /// Takes what was read next. After a breach or a close frame nothing is looked at: what follows
    /// means nothing any more.
    pub fn feed(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() && self.breach.is_none() && self.close.is_none() {
            if self.left > 0 {
                let part = usize::try_from(self.left).unwrap_or(usize::MAX).min(bytes.len());
                if self.closing {
                    self.payload.extend_from_slice(&bytes[..part]);
                }
                self.left -= part as u64;
                bytes = &bytes[part..];
                if self.left == 0 {
                    self.arrived();
                }
                continue;
            }
            let missing = self.header_len() - self.have;
            let part = missing.min(bytes.len());
            self.header[self.have..self.have + part].copy_from_slice(&bytes[..part]);
            self.have += part;
            bytes = &bytes[part..];
            if self.have == self.header_len() {
                if let Err(breach) = self.begun() {
                    self.breach = Some(breach);
                }
                self.have = 0;
            }
        }
    }

    /// Length of the header as far as its first two bytes tell.
    fn header_len(&self) -> usize {
        if self.have < 2 {
            return 2;
        }
        let length = match self.header[1] & 0x7F {
            126 => 2,
            127 => 8,
            _ => 0,
        };
        let mask = if self.header[1] & 0x80 == 0 { 0 } else { 4 };
        2 + length + mask
    }

    /// A header is whole.
    fn begun(&mut self) -> Result<(), Breach> {
        let [first, second] = [self.header[0], self.header[1]];
        let (fin, opcode) = (first & 0x80 != 0, first & 0x0F);
        let length = match second & 0x7F {
            126 => u64::from(u16::from_be_bytes([self.header[2], self.header[3]])),
            127 => u64::from_be_bytes(self.header[2..10].try_into().unwrap_or([0xFF; 8])),
            short => u64::from(short),
        };
        if first & 0x70 != 0 {
            return Err(Breach::ReservedBits);
        }
        if second & 0x80 != 0 {
            return Err(Breach::Masked);
        }
        // RFC 6455, section 5.2: the fewest bytes that hold the length, and its highest bit is 0.
        let shortest = match second & 0x7F {
            126 => length > 125,
            127 => length > 0xFFFF && length < 1 << 63,
            _ => true,
        };
        if !shortest {
            return Err(Breach::Length);
        }
        match opcode {
            TEXT | BINARY if self.message.is_some() => return Err(Breach::Fragmentation),
            TEXT | BINARY => self.part(length, fin)?,
            CONTINUATION if self.message.is_none() => return Err(Breach::Fragmentation),
            CONTINUATION => self.part(length, fin)?,
            CLOSE | PING | PONG if !fin || length > CONTROL_MAX => {
                return Err(Breach::ControlFrame);
            }
            CLOSE => self.closing = true,
            PING | PONG => {}
            _ => return Err(Breach::ReservedOpcode),
        }
        self.left = length;
        if length == 0 {
            self.arrived();
        }
        Ok(())
    }

    /// A frame is whole.
    fn arrived(&mut self) {
        self.whole += u64::from(std::mem::take(&mut self.ends));
        if self.closing {
            self.closed();
        }
    }

    /// A part of a message begins.
    fn part(&mut self, length: u64, fin: bool) -> Result<(), Breach> {
        let whole = self.message.take().unwrap_or_default().saturating_add(length);
        if whole > self.message_max {
            return Err(Breach::TooLong);
        }
        if !fin {
            self.message = Some(whole);
        }
        self.ends = fin;
        Ok(())
    }

    /// A close frame is whole.
    fn closed(&mut self) {
        let (code, reason) = match self.payload[..] {
            [] => (None, &[][..]),
            [_] => {
                self.breach = Some(Breach::CloseFrame);
                (None, &[][..])
            }
            [high, low, ref reason @ ..] => (Some(u16::from_be_bytes([high, low])), reason),
        };
        if code.is_some_and(|code| !may_be_sent(code)) || std::str::from_utf8(reason).is_err() {
            self.breach = Some(Breach::CloseFrame);
        }
        self.close = Some(Close { code, reason: String::from_utf8_lossy(reason).into_owned() });
    }
}

/// Whether an endpoint may put a code into a close frame (RFC 6455, section 7.4, and the IANA registry
/// of WebSocket close codes, which has 1012 to 1014).
fn may_be_sent(code: u16) -> bool {
    matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn seen(bytes: &[u8]) -> (Option<Breach>, Option<Close>) {
        let mut tap = Tap::new(1_000);
        tap.feed(bytes);
        (tap.breach(), tap.close().cloned())
    }

    fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
        let mut frame = vec![first];
        match payload.len() {
            short @ 0..126 => frame.push(u8::try_from(short).expect("short")),
            long @ 126..65_536 => {
                frame.push(126);
                frame.extend_from_slice(&u16::try_from(long).expect("long").to_be_bytes());
            }
            longer => {
                frame.push(127);
                frame.extend_from_slice(&(longer as u64).to_be_bytes());
            }
        }
        frame.extend_from_slice(payload);
        frame
    }

    fn close(body: &[u8]) -> Vec<u8> {
        frame(0x88, body)
    }

    #[test]
    fn messages_are_counted_up_to_a_breach() {
        let mut tap = Tap::new(1_000);
        let (first, rest) = (frame(0x01, b"x"), frame(0x80, b"y"));
        tap.feed(&[frame(0x81, b"a"), frame(0x89, b"p"), first, rest, frame(0x81, b"")].concat());
        assert_eq!((tap.whole(), tap.breach()), (3, None));
        tap.feed(&[&frame(0x81, b"b")[..], &[0x81, 126, 0, 1, b'x'], &frame(0x81, b"c")].concat());
        assert_eq!((tap.whole(), tap.breach()), (4, Some(Breach::Length)));
    }

    #[test]
    fn a_length_takes_the_fewest_bytes_that_hold_it() {
        for (bytes, breach) in [
            (&[0x81, 126, 0, 125][..], Some(Breach::Length)),
            (&[0x81, 126, 0, 126], None),
            (&[0x81, 127, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF], Some(Breach::Length)),
            (&[0x81, 127, 0x80, 0, 0, 0, 0, 0, 0, 0], Some(Breach::Length)),
            (&[0x89, 126, 0, 5], Some(Breach::Length)),
        ] {
            assert_eq!(seen(bytes).0, breach, "{bytes:?}");
        }
    }

    #[test]
    fn every_breach_of_a_frame_is_told_by_its_kind() {
        for (bytes, breach) in [
            (vec![0x81, 0x80, 1, 2, 3, 4], Breach::Masked),
            (frame(0xC1, b"x"), Breach::ReservedBits),
            (frame(0x83, b"x"), Breach::ReservedOpcode),
            (frame(0x8B, b"x"), Breach::ReservedOpcode),
            (frame(0x80, b"x"), Breach::Fragmentation),
            ([frame(0x01, b"x"), frame(0x81, b"y")].concat(), Breach::Fragmentation),
            (frame(0x89, &[0; 126]), Breach::ControlFrame),
            (frame(0x09, b"x"), Breach::ControlFrame),
            (close(b"x"), Breach::CloseFrame),
            (close(&[0x03, 0xE8, 0xFF]), Breach::CloseFrame),
            (close(&1005_u16.to_be_bytes()), Breach::CloseFrame),
            (close(&999_u16.to_be_bytes()), Breach::CloseFrame),
            (close(&5000_u16.to_be_bytes()), Breach::CloseFrame),
            (frame(0x81, &[b'x'; 1_001]), Breach::TooLong),
            ([frame(0x01, &[b'x'; 600]), frame(0x80, &[b'x'; 401])].concat(), Breach::TooLong),
        ] {
            assert_eq!(seen(&bytes).0, Some(breach), "{bytes:02x?}");
        }
    }

    #[test]
    fn what_the_rfc_allows_is_no_breach() {
        for bytes in [
            frame(0x89, &[b'p'; 125]),
            frame(0x8A, b"unasked"),
            [frame(0x01, b"a"), frame(0x89, b"between"), frame(0x00, b""), frame(0x80, b"b")]
                .concat(),
            frame(0x81, &[b'x'; 1_000]),
            frame(0x82, b"binary"),
            frame(0x81, b""),
        ] {
            assert_eq!(seen(&bytes), (None, None), "{bytes:02x?}");
        }
    }

    #[test]
    fn a_close_is_kept_as_it_stands_with_a_code_or_without() {
        let with = |code: u16, reason: &[u8]| close(&[&code.to_be_bytes()[..], reason].concat());
        for (bytes, code, reason) in [
            (close(b""), None, ""),
            (with(1000, b"bye"), Some(1000), "bye"),
            (with(1014, b""), Some(1014), ""),
            (with(4001, "\u{1b}[31m".as_bytes()), Some(4001), "\u{1b}[31m"),
        ] {
            assert_eq!(seen(&bytes), (None, Some(Close { code, reason: reason.to_owned() })));
        }
        let first = [with(1011, b""), with(1000, b"")].concat();
        assert_eq!(seen(&first).1.and_then(|close| close.code), Some(1011), "the first counts");
    }

    proptest! {
        /// However the bytes are cut up, the same is seen.
        #[test]
        fn the_cuts_between_reads_change_nothing(
            frames in prop::collection::vec(
                (prop::sample::select(vec![0x81_u8, 0x01, 0x80, 0x89, 0x8A, 0x82, 0x88, 0xC1]), 0_usize..300),
                1..8,
            ),
            cuts in prop::collection::vec(1_usize..40, 1..200),
        ) {
            let bytes: Vec<u8> =
                frames.iter().flat_map(|&(first, len)| frame(first, &vec![b'a'; len])).collect();
            let mut tap = Tap::new(1_000);
            let mut rest = &bytes[..];
            for cut in cuts.iter().cycle() {
                if rest.is_empty() {
                    break;
                }
                let (part, then) = rest.split_at((*cut).min(rest.len()));
                tap.feed(part);
                rest = then;
            }
            prop_assert_eq!((tap.breach(), tap.close().cloned()), seen(&bytes));
        }
    }
}

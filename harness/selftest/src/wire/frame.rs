//! Frames of RFC 6455 as bytes: read from either side, and written as right or as wrong as wanted.

use std::io::{Error, ErrorKind};

use tokio::io::{AsyncRead, AsyncReadExt};

/// Longest payload that is read; twice the contract's largest batch, as base64, and some.
const PAYLOAD_MAX: u64 = 16 * 1024 * 1024;

/// The last part of a message, or all of it.
pub const FIN: u8 = 0x80;
/// A part after the first.
pub const CONTINUATION: u8 = 0x0;
/// A text message, or its first part.
pub const TEXT: u8 = 0x1;
/// A binary message, or its first part.
pub const BINARY: u8 = 0x2;
/// The end of the conversation.
pub const CLOSE: u8 = 0x8;
/// A question.
pub const PING: u8 = 0x9;
/// Its answer.
pub const PONG: u8 = 0xA;

/// One frame, without its mask.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// FIN, the reserved bits and the opcode, as they stand on the wire.
    pub first: u8,
    /// The payload.
    pub payload: Vec<u8>,
}

impl Frame {
    /// A whole message or control frame.
    pub fn whole(opcode: u8, payload: impl Into<Vec<u8>>) -> Self {
        Self { first: FIN | opcode, payload: payload.into() }
    }

    /// A whole text message.
    pub fn text(payload: impl Into<Vec<u8>>) -> Self {
        Self::whole(TEXT, payload)
    }

    /// A close frame.
    pub fn close(code: u16, reason: &[u8]) -> Self {
        Self::whole(CLOSE, [&code.to_be_bytes()[..], reason].concat())
    }

    /// What the frame is.
    pub fn opcode(&self) -> u8 {
        self.first & 0x0F
    }

    /// As a server must send it.
    pub fn bytes(&self) -> Vec<u8> {
        self.encoded(None)
    }

    /// As a client must send it.
    pub fn masked(&self, key: [u8; 4]) -> Vec<u8> {
        self.encoded(Some(key))
    }

    fn encoded(&self, mask: Option<[u8; 4]>) -> Vec<u8> {
        let len = self.payload.len();
        let bit = if mask.is_some() { 0x80 } else { 0 };
        let mut bytes = Vec::with_capacity(len + 14);
        bytes.push(self.first);
        match (u8::try_from(len), u16::try_from(len)) {
            (Ok(short @ ..126), _) => bytes.push(bit | short),
            (_, Ok(long)) => {
                bytes.push(bit | 126);
                bytes.extend_from_slice(&long.to_be_bytes());
            }
            _ => {
                bytes.push(bit | 127);
                bytes.extend_from_slice(&(len as u64).to_be_bytes());
            }
        }
        match mask {
            None => bytes.extend_from_slice(&self.payload),
            Some(key) => {
                bytes.extend_from_slice(&key);
                let masked = self.payload.iter().zip(key.iter().cycle());
                bytes.extend(masked.map(|(byte, key)| byte ^ key));
            }
        }
        bytes
    }
}

/// Reads one frame and takes its mask off.
///
/// # Errors
/// When the connection ends, or the frame is longer than any that either side has reason to send.
pub async fn read<R: AsyncRead + Unpin>(from: &mut R) -> std::io::Result<Frame> {
    let (first, second) = (from.read_u8().await?, from.read_u8().await?);
    let len = match second & 0x7F {
        126 => u64::from(from.read_u16().await?),
        127 => from.read_u64().await?,
        short => u64::from(short),
    };
    if len > PAYLOAD_MAX {
        return Err(Error::new(ErrorKind::InvalidData, "a frame is too long"));
    }
    let mut key = [0; 4];
    if second & 0x80 != 0 {
        from.read_exact(&mut key).await?;
    }
    let len = usize::try_from(len).map_err(|_| ErrorKind::InvalidData)?;
    let mut payload = vec![0; len];
    from.read_exact(&mut payload).await?;
    payload.iter_mut().zip(key.iter().cycle()).for_each(|(byte, key)| *byte ^= key);
    Ok(Frame { first, payload })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_is_written_is_read_with_a_mask_and_without() {
        for len in [0, 1, 125, 126, 65_535, 65_536] {
            let frame = Frame::text(vec![b'x'; len]);
            for bytes in [frame.bytes(), frame.masked([1, 2, 3, 4])] {
                let found = read(&mut &bytes[..]).await.expect("a frame");
                assert_eq!(found, frame, "{len}");
            }
        }
        let masked = Frame::text("a").masked([0xFF; 4]);
        assert_eq!(masked, [0x81, 0x81, 0xFF, 0xFF, 0xFF, 0xFF, !b'a']);
    }

    #[tokio::test]
    async fn a_frame_beyond_reason_is_not_waited_for() {
        let endless = [0x81, 127, 0, 0, 1, 0, 0, 0, 0, 0];
        let error = read(&mut &endless[..]).await.expect_err("too long");
        assert_eq!(error.kind(), ErrorKind::InvalidData);
    }
}

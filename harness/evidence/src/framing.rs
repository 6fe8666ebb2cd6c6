//! Frames: how what a run writes as it happens lies in a file, so that a torn or damaged one shows.
//!
//! A file is a head, which says what it is, and frames. A frame is the length of its payload (4 bytes,
//! little endian), the payload's XXH3 (8 bytes, little endian), and the payload, deflated (zlib). A run
//! that is killed leaves a file whose last frame may be torn; everything before it stands. No file is
//! opened here: callers bring readers and take bytes.

use std::io::{self, Read, Write};

use flate2::Compression;
use flate2::read::ZlibDecoder;
use flate2::write::ZlibEncoder;
use khala_wire::canonical::digest64;

/// Largest payload that is read: a damaged length must not ask for more.
const PAYLOAD_MAX: usize = 1 << 28;

/// A frame of some content.
///
/// # Errors
/// When the content is too long for a frame.
pub fn frame(content: &[u8]) -> io::Result<Vec<u8>> {
    // All at once: a writer of JSON makes tiny writes, and each would cost a call of the compressor.
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(content)?;
    let payload = encoder.finish()?;
    let length = u32::try_from(payload.len()).map_err(io::Error::other)?;
    let mut frame = Vec::with_capacity(payload.len() + 12);
    frame.write_all(&length.to_le_bytes())?;
    frame.write_all(&digest64(&payload).to_le_bytes())?;
    frame.write_all(&payload)?;
    Ok(frame)
}

/// Why a file cannot be read on.
#[derive(Debug, thiserror::Error)]
pub enum FrameError {
    /// It is another kind of file.
    #[error("it does not begin as such a file does")]
    WrongHead,
    /// It is this kind of file, but of another version.
    #[error("it is of version {found}, and this build reads version {known}")]
    OtherVersion {
        /// Its version.
        found: u64,
        /// The version that is read.
        known: u64,
    },
    /// The last frame was not written to its end.
    #[error("its last entry, at byte {at}, was not written to its end")]
    Torn {
        /// Where the frame begins.
        at: u64,
    },
    /// A frame is not what was written.
    #[error("the entry at byte {at} is damaged: {why}")]
    Damaged {
        /// Where the frame begins.
        at: u64,
        /// What is wrong with it.
        why: String,
    },
    /// The reader failed.
    #[error("it cannot be read: {0}")]
    Io(#[from] io::Error),
}

/// The frames of a file, one after another; ends after the first error.
#[derive(Debug)]
pub struct Frames<R> {
    reader: R,
    at: u64,
    ended: bool,
}

impl<R: Read> Frames<R> {
    /// Reads the head.
    ///
    /// # Errors
    /// When the file does not begin with it.
    pub fn of(reader: R, head: &[u8]) -> Result<Self, FrameError> {
        Self::of_any(reader, &[head])
    }

    /// Reads the head, which may be any of some versions', the latest first.
    ///
    /// # Errors
    /// When the file begins with none of them.
    pub fn of_any(mut reader: R, heads: &[&[u8]]) -> Result<Self, FrameError> {
        let longest = heads.iter().map(|head| head.len()).max().unwrap_or(0);
        let mut found = Vec::with_capacity(longest);
        let mut byte = [0];
        // No further than the head goes: what follows is the first frame.
        while found.len() < longest && found.last() != Some(&b'\n') {
            if fill(&mut reader, &mut byte)? == 0 {
                break;
            }
            found.push(byte[0]);
        }
        if !heads.contains(&&*found) {
            let another = heads.iter().find_map(|head| another_version(&found, head));
            return Err(another.unwrap_or(FrameError::WrongHead));
        }
        Ok(Self { reader, at: found.len() as u64, ended: false })
    }

    /// The next frame, as `parse` reads what was deflated.
    fn read<T>(
        &mut self,
        parse: impl FnOnce(&[u8]) -> Result<T, String>,
    ) -> Result<Option<T>, FrameError> {
        let at = self.at;
        let damaged =
            |why: &dyn std::fmt::Display| FrameError::Damaged { at, why: why.to_string() };
        let mut prefix = [0; 12];
        match fill(&mut self.reader, &mut prefix)? {
            0 => return Ok(None),
            12 => {}
            _ => return Err(FrameError::Torn { at }),
        }
        let (length, digest) = prefix.split_at(4);
        let length = u32::from_le_bytes(length.try_into().unwrap_or_default()) as usize;
        let digest = u64::from_le_bytes(digest.try_into().unwrap_or_default());
        if length > PAYLOAD_MAX {
            return Err(damaged(&"its length cannot be right"));
        }
        let mut payload = vec![0; length];
        if fill(&mut self.reader, &mut payload)? < length {
            return Err(FrameError::Torn { at });
        }
        if digest64(&payload) != digest {
            return Err(damaged(&"its checksum does not fit"));
        }
        let mut content = Vec::new();
        ZlibDecoder::new(&*payload).read_to_end(&mut content).map_err(|error| damaged(&error))?;
        let parsed = parse(&content).map_err(|why| damaged(&why))?;
        self.at += 12 + length as u64;
        Ok(Some(parsed))
    }

    /// The next frame; nothing after the last one, and nothing after an error.
    pub fn next_as<T>(
        &mut self,
        parse: impl FnOnce(&[u8]) -> Result<T, String>,
    ) -> Option<Result<T, FrameError>> {
        if self.ended {
            return None;
        }
        let read = self.read(parse).transpose();
        self.ended = !matches!(read, Some(Ok(_)));
        read
    }
}

/// That a file is of this kind, but of another version.
fn another_version(found: &[u8], head: &[u8]) -> Option<FrameError> {
    let ((kind, found), (expected, known)) = (named(found)?, named(head)?);
    (kind == expected && found != known).then_some(FrameError::OtherVersion { found, known })
}

/// Kind and version of a head: `khala-journal 1`. A longer number than the expected one's is cut.
fn named(head: &[u8]) -> Option<(&str, u64)> {
    let (kind, version) = std::str::from_utf8(head).ok()?.trim_end().rsplit_once(' ')?;
    Some((kind, version.parse().ok()?))
}

/// Reads until the buffer is full or nothing more comes; how much came.
fn fill(reader: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match reader.read(&mut buffer[filled..]) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

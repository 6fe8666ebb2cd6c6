//! The text of a file that somebody names: a scenario, what it includes, a target's profile, a rollout and its files, an
//! allow file, a list of deviations, a key. Callers open it; what is endless or no text is refused here.

use std::io::{self, ErrorKind, Read};

/// Bytes that such a file may have. Nobody writes one of a hundredth; `/dev/zero` has no end.
pub const TEXT_MAX_MIB: u64 = 16;

/// The text of a file that was opened, or why it could not be.
///
/// # Errors
/// When it could not be opened or read, is larger than [`TEXT_MAX_MIB`], or is not UTF-8: a clause that follows the
/// file's name.
pub fn text(file: io::Result<impl Read>) -> io::Result<String> {
    let max = TEXT_MAX_MIB << 20;
    let mut bytes = Vec::new();
    let read = file?.take(max + 1).read_to_end(&mut bytes)?;
    if read as u64 > max {
        let why = format!("it is larger than {TEXT_MAX_MIB} MiB, which no file of this kind is");
        return Err(io::Error::new(ErrorKind::FileTooLarge, why));
    }
    String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        let why = format!("it is no text file: byte {} is not UTF-8", at + 1);
        io::Error::new(ErrorKind::InvalidData, why)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(bytes: &[u8]) -> Result<String, String> {
        text(Ok(bytes)).map_err(|error| error.to_string())
    }

    #[test]
    fn a_text_is_read_and_what_is_none_is_told_with_its_first_byte() {
        assert_eq!(of("a µ".as_bytes()), Ok("a µ".to_owned()));
        assert_eq!(of(b"ab\xff\xfe"), Err("it is no text file: byte 3 is not UTF-8".to_owned()));
        let none: io::Result<&[u8]> = Err(ErrorKind::NotFound.into());
        assert_eq!(text(none).expect_err("is not there").kind(), ErrorKind::NotFound);
    }

    #[test]
    fn what_has_no_end_is_given_up() {
        let error = text(Ok(io::repeat(b'\n'))).expect_err("it has no end");
        assert_eq!(error.to_string(), "it is larger than 16 MiB, which no file of this kind is");
        let whole = "\n".repeat(16 << 20);
        assert_eq!(of(whole.as_bytes()).map(|it| it.len()), Ok(16 << 20), "as large as may be");
    }
}

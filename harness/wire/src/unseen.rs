//! Characters that must not stand for themselves where people read a text of somebody else's: they are not seen, or
//! they change how others are.

/// Whether a character is not seen itself, or changes how others are: controls, marks of direction and width, what has
/// no shape of its own. It is told by its number.
#[must_use]
pub fn is_unseen(c: char) -> bool {
    let point = u32::from(c);
    let invisible = matches!(
        point,
        0xAD | 0x61C | 0x115F..=0x1160 | 0x17B4..=0x17B5 | 0x180B..=0x180F | 0x200B..=0x200F
            | 0x2028..=0x202E | 0x2060..=0x206F | 0x3164 | 0xFE00..=0xFE0F | 0xFEFF | 0xFFA0
            | 0xFFF0..=0xFFFC | 0xE000..=0xF8FF | 0xE0000..=0x10FFFF
    ) || point & 0xFFFE == 0xFFFE;
    c.is_control() || invisible
}

/// A character that is not seen, by its number.
#[must_use]
pub fn number(c: char) -> String {
    format!("\\u{{{:x}}}", u32::from(c))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_seen_or_changes_others_is_told_by_its_number() {
        for c in ['\0', '\n', '\u{1b}', '\u{ad}', '\u{202e}', '\u{fffc}', '\u{ffff}', '\u{e000}'] {
            assert!(is_unseen(c), "{}", number(c));
        }
        for c in ['a', ' ', 'ü', '漢', '\u{fffd}'] {
            assert!(!is_unseen(c), "{c}");
        }
        assert_eq!(number('\u{202e}'), "\\u{202e}");
    }
}

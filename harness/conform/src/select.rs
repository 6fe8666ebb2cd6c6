//! Which cases are run: `--only`.

use crate::case::Case;
use crate::cases;

/// The cases that fit one of the patterns, all without one, with their places in the registry.
///
/// A pattern is a part of an id, or has `*` for any run of characters and is then all of it.
///
/// # Errors
/// The first pattern that fits no case, in a sentence.
pub fn select(patterns: &[String]) -> Result<Vec<(usize, &'static Case)>, String> {
    let all = cases::all();
    for pattern in patterns {
        if !all.iter().any(|case| fits(pattern, case.id)) {
            return Err(format!(
                "there is no case that `{}` fits; `khala-harness conform --list` names them",
                pattern.escape_debug()
            ));
        }
    }
    let chosen = |case: &Case| patterns.is_empty() || patterns.iter().any(|it| fits(it, case.id));
    Ok(all.iter().copied().enumerate().filter(|(_, case)| chosen(case)).collect())
}

fn fits(pattern: &str, id: &str) -> bool {
    if !pattern.contains('*') {
        return id.contains(pattern);
    }
    let parts: Vec<_> = pattern.split('*').collect();
    let (Some(first), Some(last)) = (parts.first(), parts.last()) else { return false };
    let Some(mut rest) = id.strip_prefix(first) else { return false };
    for part in &parts[1..parts.len() - 1] {
        let Some(at) = rest.find(part) else { return false };
        rest = &rest[at + part.len()..];
    }
    rest.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_is_a_part_or_has_stars() {
        assert!(fits("cursor", "cursor_at_head"));
        assert!(fits("cursor_*", "cursor_at_head"));
        assert!(fits("*_at_*d", "cursor_at_head"));
        assert!(!fits("at_*", "cursor_at_head"));
        assert!(!fits("cursor_at_head*head", "cursor_at_head"));
        assert!(!fits("xyz", "cursor_at_head"));
    }

    #[test]
    fn a_pattern_that_fits_nothing_is_said() {
        assert!(select(&["no such thing".to_owned()]).is_err());
        assert_eq!(select(&[]).expect("all").len(), cases::all().len());
    }
}

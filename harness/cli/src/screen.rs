//! Tables of `check` and `list` on a screen: no line wider than it, and what goes on stands below its column.

/// Columns that a cell has at the least; one that would have fewer goes on at the left.
const CELL_MIN: usize = 24;
/// Where such a cell goes on, from the start of its line.
const HANG: usize = 4;

/// A text whose lines fit into so many columns. Columns of a table are what two spaces part; of a line that is
/// too wide, words of the last column go on below it. What has no space stays whole.
pub fn fitted(text: &str, width: usize) -> String {
    let mut out = String::new();
    for line in text.lines() {
        if line.chars().count() <= width {
            out.push_str(line);
        } else {
            out.push_str(&broken(line, width));
        }
        out.push('\n');
    }
    out
}

fn broken(line: &str, width: usize) -> String {
    let start = line.len() - line.trim_start().len();
    let column = line.rfind("  ").map_or(0, |at| at + 2).max(start);
    let column = line[..column].chars().count();
    let hang = if column + CELL_MIN <= width { column } else { start + HANG };
    let mut lines = Vec::new();
    let mut current = String::new();
    // With the spaces before it, so that columns keep their places.
    let mut rest = line;
    while !rest.is_empty() {
        let spaces = rest.len() - rest.trim_start_matches(' ').len();
        let end = rest[spaces..].find(' ').map_or(rest.len(), |at| spaces + at);
        let word = &rest[..end];
        let is_first = current.trim().is_empty();
        if is_first || current.chars().count() + word.chars().count() <= width {
            current.push_str(word);
        } else {
            lines.push(std::mem::replace(&mut current, " ".repeat(hang)));
            current.push_str(word.trim_start());
        }
        rest = &rest[end..];
    }
    lines.push(current);
    lines.iter().map(|line| line.trim_end()).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_column_goes_on_below_itself() {
        let text =
            "  gap    No seq of a stream is missing between cursor and head.\n  short  One word.\n";
        assert_eq!(
            fitted(text, 40),
            "  gap    No seq of a stream is missing\n         between cursor and head.\n  short  One word.\n"
        );
        assert_eq!(fitted(text, 200), text);
    }

    #[test]
    fn on_a_narrow_screen_it_goes_on_at_the_left_and_no_line_is_wider() {
        let text = "    time_to_recovered desktop    p(80) < 6s           30 samples expected, 14 needed\n";
        // Wide enough for the longest word where it stands.
        for width in [21, 30, 40, 60] {
            let fitted = fitted(text, width);
            assert!(fitted.lines().all(|line| line.chars().count() <= width), "{width}:\n{fitted}");
            let words = |text: &str| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
            assert_eq!(words(&fitted), words(text), "nothing is lost");
        }
    }

    #[test]
    fn what_has_no_space_stays_whole() {
        assert_eq!(
            fitted("  a/very/long/path/that/is/one/word\n", 10),
            "  a/very/long/path/that/is/one/word\n"
        );
    }
}

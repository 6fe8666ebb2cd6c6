//! Lines no wider than the reader's screen.
//!
//! A line breaks between words, and goes on indented. A figure and its unit stay together, and so does what
//! is longer than a line: a path that is broken is no path. A command that is broken goes on after a
//! backslash, so that a shell takes it as it stands.

use super::units::is_unit;

/// Narrowest screen that is written for, in columns.
pub const WIDTH_MIN: usize = 30;
/// Widest: longer lines are hard to read.
pub const WIDTH_MAX: usize = 120;

/// Text that is written line by line.
#[derive(Debug)]
pub struct Page {
    out: String,
    width: usize,
}

impl Page {
    /// An empty page of so many columns, within [`WIDTH_MIN`] and [`WIDTH_MAX`].
    pub fn new(width: usize) -> Self {
        Self { out: String::new(), width: width.clamp(WIDTH_MIN, WIDTH_MAX) }
    }

    /// Columns of a line.
    pub fn width(&self) -> usize {
        self.width
    }

    /// What was written.
    pub fn into_text(self) -> String {
        self.out
    }

    /// How much was written: where the next line will begin, for [`Page::repaint`].
    pub fn len(&self) -> usize {
        self.out.len()
    }

    /// Puts a painted word in place of the same one, the first from `from` on. Paint takes no columns.
    pub fn repaint(&mut self, from: usize, word: &str, painted: &str) {
        let new = self.out.split_off(from);
        self.out += &new.replacen(word, painted, 1);
    }

    /// How many lines were written.
    pub fn lines(&self) -> usize {
        self.out.lines().count()
    }

    /// An empty line.
    pub fn gap(&mut self) {
        self.out.push('\n');
    }

    /// A line as it is.
    pub fn raw(&mut self, line: &str) {
        self.out.push_str(line.trim_end());
        self.out.push('\n');
    }

    /// A text, indented; what does not fit goes on two columns further in.
    pub fn text(&mut self, indent: usize, text: &str) {
        self.hung(indent, indent + 2, text);
    }

    /// A word, two blanks, and a text that goes on two columns further in.
    pub fn headed(&mut self, indent: usize, word: &str, text: &str) {
        let column = indent + chars(word) + 2;
        let mut lines = wrap(text, self.width, column, indent + 2).into_iter();
        let first = lines.next().unwrap_or_default();
        self.raw(&format!("{}{word}  {}", " ".repeat(indent), first.trim_start()));
        lines.for_each(|line| self.raw(&line));
    }

    /// A text whose first line is indented by `indent`, and those after it by `hang`.
    pub fn hung(&mut self, indent: usize, hang: usize, text: &str) {
        for line in wrap(text, self.width, indent, hang) {
            self.raw(&line);
        }
    }

    /// A word, and beside it a text that goes on under itself where there is room for that.
    pub fn beside(&mut self, indent: usize, word: &str, column: usize, text: &str) {
        let hang = if column + 30 > self.width { indent + 2 } else { column };
        let lines = wrap(text, self.width, column, hang);
        let mut lines = lines.iter();
        let first = lines.next().map_or("", |line| line.trim_start());
        let gap = column.saturating_sub(indent + chars(word)).max(1);
        self.raw(&format!("{}{word}{}{first}", " ".repeat(indent), " ".repeat(gap)));
        lines.for_each(|line| self.raw(line));
    }

    /// Cells in columns of these widths, if all columns fit in a line; one after the other where they do
    /// not, so that all rows of a table look alike.
    pub fn row(&mut self, indent: usize, cells: &[(String, usize)]) {
        let wanted: usize = cells.iter().map(|(cell, width)| chars(cell).max(*width) + 2).sum();
        let parts = cells.iter().filter(|(_, width)| *width > 0).map(|(cell, width)| {
            let room = width.saturating_sub(chars(cell));
            format!("{cell}{}", " ".repeat(room))
        });
        let line = format!("{}{}", " ".repeat(indent), parts.collect::<Vec<_>>().join("  "));
        if indent + wanted <= self.width + 2 {
            return self.raw(&line);
        }
        let cells: Vec<_> = cells.iter().map(|(cell, _)| &**cell).collect();
        self.hung(indent, indent + 4, &cells.join("  "));
    }

    /// A command that can be copied as it stands.
    pub fn command(&mut self, indent: usize, command: &str) {
        let (mut line, mut fresh) = (" ".repeat(indent), true);
        for word in shell_words(command) {
            if !fresh && chars(&line) + 1 + chars(&word) + 2 > self.width {
                self.raw(&format!("{line} \\"));
                (line, fresh) = (" ".repeat(indent + 2), true);
            }
            if !fresh {
                line.push(' ');
            }
            line += &word;
            fresh = false;
        }
        self.raw(&line);
    }
}

/// Columns of a text: one for each character, which is right for what the harness itself says.
pub fn chars(text: &str) -> usize {
    text.chars().count()
}

/// Words, a figure with its unit as one.
fn words(text: &str) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        let bare = word.trim_end_matches([',', ';', ':', '.', ')']);
        let figure = |before: &&mut String| before.ends_with(|c: char| c.is_ascii_digit());
        match words.last_mut().filter(|_| is_unit(bare)).filter(figure) {
            Some(before) => *before = format!("{before} {word}"),
            None => words.push(word.to_owned()),
        }
    }
    words
}

fn wrap(text: &str, width: usize, indent: usize, hang: usize) -> Vec<String> {
    let (mut lines, mut line, mut at) = (Vec::new(), " ".repeat(indent), indent);
    let mut fresh = true;
    for word in words(text) {
        let takes = chars(&word);
        if !fresh && at + 1 + takes > width {
            lines.push(std::mem::replace(&mut line, " ".repeat(hang)));
            (at, fresh) = (hang, true);
        }
        if !fresh {
            line.push(' ');
            at += 1;
        }
        line += &word;
        (at, fresh) = (at + takes, false);
    }
    lines.push(line);
    lines
}

/// The words of a command; blanks in single quotes part none.
fn shell_words(command: &str) -> Vec<String> {
    let (mut words, mut word, mut quoted) = (Vec::new(), String::new(), false);
    for c in command.chars() {
        quoted ^= c == '\'';
        if c == ' ' && !quoted {
            words.push(std::mem::take(&mut word));
        } else {
            word.push(c);
        }
    }
    words.push(word);
    words.retain(|word| !word.is_empty());
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(width: usize, write: impl Fn(&mut Page)) -> Vec<String> {
        let mut page = Page::new(width);
        write(&mut page);
        page.into_text().lines().map(str::to_owned).collect()
    }

    #[test]
    fn lines_break_between_words_and_figures_keep_their_units() {
        let text = "the run was over after no more than 12.5 ms, says the clock of it";
        let lines = page(38, |page| page.text(2, text));
        let expected =
            ["  the run was over after no more than", "    12.5 ms, says the clock of it"];
        assert_eq!(lines, expected);
        let path = "x".repeat(50);
        let lines = page(30, |page| page.text(0, &format!("in {path} it is")));
        assert_eq!(lines, ["in", &format!("  {path}"), "  it is"], "a path stays whole");
    }

    #[test]
    fn a_command_that_is_broken_is_one_that_a_shell_takes() {
        let lines =
            page(30, |page| page.command(2, "khala-harness explain 'a b/c d/e f' 17 --json"));
        assert_eq!(lines, ["  khala-harness explain \\", "    'a b/c d/e f' 17 --json"]);
    }

    #[test]
    fn cells_stand_in_columns_where_they_fit() {
        let cells = [("one".to_owned(), 5), ("two".to_owned(), 5), ("three".to_owned(), 5)];
        assert_eq!(page(80, |page| page.row(1, &cells)), [" one    two    three"]);
        let long = [(("a ".repeat(20)), 40), ("b".to_owned(), 5)];
        assert!(page(30, |page| page.row(1, &long)).iter().all(|line| line.len() <= 30));
        let lines = page(80, |page| page.beside(2, "Next", 9, "this and that"));
        assert_eq!(lines, ["  Next   this and that"]);
    }
}

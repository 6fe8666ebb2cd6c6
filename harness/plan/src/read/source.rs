//! Texts that a plan is read from, and places in them.
//!
//! A flag is a text like a file is: `--set fleet.clients=0` is underlined just as a line of the
//! scenario would be.

use std::ops::Range;

/// A file or a flag.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Source {
    /// The file's path; `None` for a flag, whose text says what it is.
    pub path: Option<String>,
    /// The file's text, or the flag as typed.
    pub text: String,
    /// Bytes that no rendering may show: secrets written where they must not be.
    pub masks: Vec<Range<usize>>,
}

/// Number of a source in its [`SourceMap`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct SourceId(usize);

/// Where a value comes from: every diagnostic has one.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Place {
    /// The text.
    pub source: SourceId,
    /// Bytes of the text.
    pub span: Range<usize>,
    /// Environment variables that went into the value.
    pub variables: Vec<String>,
    /// Whether any part of the value was filled in, by a variable or its default.
    pub filled: bool,
    /// Whether it is part of a profile.
    pub in_profile: bool,
}

impl Place {
    /// A place that no environment variable is part of.
    pub fn new(source: SourceId, span: Range<usize>) -> Self {
        Self { source, span, variables: Vec::new(), filled: false, in_profile: false }
    }
}

/// All texts of one load.
#[derive(Clone, Debug, Default)]
pub(crate) struct SourceMap {
    sources: Vec<Source>,
}

impl SourceMap {
    /// How late a place is laid over the scenario: its own text, a profile of it, another file, a flag.
    pub fn layer(&self, place: &Place) -> u8 {
        match self.sources.get(place.source.0) {
            Some(Source { path: None, .. }) => 3,
            _ if place.source.0 > 0 => 2,
            _ => place.in_profile.into(),
        }
    }

    /// Adds a file.
    pub fn file(&mut self, path: &str, text: &str) -> SourceId {
        self.add(Some(path.to_owned()), text.to_owned())
    }

    /// Adds a flag, such as `--set fleet.clients=0`.
    pub fn flag(&mut self, text: String) -> SourceId {
        self.add(None, text)
    }

    fn add(&mut self, path: Option<String>, text: String) -> SourceId {
        let masks = super::mask::secret_lines(&text);
        self.sources.push(Source { path, text, masks });
        SourceId(self.sources.len() - 1)
    }

    /// The source of this number.
    pub fn get(&self, id: SourceId) -> &Source {
        &self.sources[id.0]
    }

    /// Every source as it may be shown.
    pub fn shown(&self) -> Shown {
        let shown = self.sources.iter().map(|source| {
            let text = source.shown();
            (Lines::of(&text), text)
        });
        Shown(shown.collect())
    }

    /// The path of the first file.
    pub fn first_path(&self) -> Option<&str> {
        self.sources.iter().find_map(|source| source.path.as_deref())
    }

    /// Hides the bytes of a place in every rendering.
    pub fn mask(&mut self, place: &Place) {
        self.sources[place.source.0].masks.push(place.span.clone());
    }

    /// The text of a place, as it stands in the source.
    pub fn text(&self, place: &Place) -> &str {
        self.get(place.source).text.get(place.span.clone()).unwrap_or("")
    }

    /// The part `range` of the string value `value` that stands at `place`; the whole place where
    /// the source spells the value otherwise (escapes, environment variables).
    pub fn part(&self, place: &Place, value: &str, range: Range<usize>) -> Place {
        let raw = self.text(place);
        let lead = match raw.strip_prefix(value) {
            Some("") => 0,
            _ if raw.len() == value.len() + 2 && raw[1..].starts_with(value) => 1,
            _ => return place.clone(),
        };
        let start = place.span.start + lead;
        Place { span: start + range.start..start + range.end, ..place.clone() }
    }

    /// `path:line:column`, both from 1 and in characters, or the flag.
    pub fn describe(&self, place: &Place) -> String {
        let source = self.get(place.source);
        match &source.path {
            Some(path) => {
                let (line, column) = line_column(&source.text, place.span.start);
                format!("{path}:{line}:{column}")
            }
            None => source.shown(),
        }
    }
}

impl Source {
    /// The text with its secrets replaced by as many asterisks, so that spans stay true.
    pub fn shown(&self) -> String {
        let mut bytes = self.text.clone().into_bytes();
        for mask in &self.masks {
            let end = mask.end.min(bytes.len());
            for byte in bytes.get_mut(mask.start..end).unwrap_or_default() {
                if *byte != b'\n' {
                    *byte = b'*';
                }
            }
        }
        String::from_utf8(bytes).unwrap_or_else(|_| "(hidden)".to_owned())
    }
}

/// The texts of a [`SourceMap`] with their secrets hidden.
pub(crate) struct Shown(Vec<(Lines, String)>);

/// The lines of a text on which a place is, so that nobody has to look through the others.
pub(crate) struct Excerpt<'a> {
    pub text: &'a str,
    /// Number of its first line, from 1.
    pub line: usize,
    /// The place, in bytes of the excerpt.
    pub span: Range<usize>,
}

impl Shown {
    /// The lines on which a place is.
    pub fn at(&self, place: &Place) -> Excerpt<'_> {
        let (lines, text) = &self.0[place.source.0];
        let (from, to) = (place.span.start.min(text.len()), place.span.end.min(text.len()));
        let line = lines.line(from);
        let begin = lines.begin(line);
        let end = text[to.max(from)..].find('\n').map_or(text.len(), |at| to.max(from) + at);
        let (text, span) = (&text[begin..end], from - begin..to.max(from) - begin);
        Excerpt { text, line, span }
    }
}

/// Where the lines of a text begin, so that a byte's line is found without reading the text again.
pub(crate) struct Lines(Vec<usize>);

impl Lines {
    pub fn of(text: &str) -> Self {
        let newlines = text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n');
        Self(std::iter::once(0).chain(newlines.map(|(at, _)| at + 1)).collect())
    }

    /// The first byte of a line.
    fn begin(&self, line: usize) -> usize {
        self.0.get(line.saturating_sub(1)).copied().unwrap_or_default()
    }

    /// The line of a byte, from 1.
    pub fn line(&self, at: usize) -> usize {
        self.0.partition_point(|start| *start <= at)
    }
}

/// Line and column of a byte, both from 1, the column in characters.
pub(crate) fn line_column(text: &str, at: usize) -> (usize, usize) {
    let mut end = at.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    let before = &text[..end];
    let start = before.rfind('\n').map_or(0, |newline| newline + 1);
    (before.matches('\n').count() + 1, before[start..].chars().count() + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_and_columns_count_from_one_in_characters() {
        let text = "a = 1\nµ = 'é' x";
        let at = |needle| line_column(text, text.find(needle).unwrap());
        assert_eq!((at("a"), at("µ"), at("x")), ((1, 1), (2, 1), (2, 9)));
        assert_eq!(line_column(text, 999), (2, 10));
    }

    #[test]
    fn parts_of_strings_are_found_where_the_source_spells_them_alike() {
        let mut sources = SourceMap::default();
        let text = "a = \"p(x) < 1s\"\nb = \"\\u0070 < 1s\"";
        let id = sources.file("f", text);
        let quoted = Place::new(id, 4..15);
        let part = sources.part(&quoted, "p(x) < 1s", 2..3);
        assert_eq!(sources.text(&part), "x");
        let escaped = Place::new(id, 20..text.len());
        assert_eq!(sources.part(&escaped, "p < 1s", 0..1), escaped);
        let flag = sources.flag("--set a=p(x)".to_owned());
        let part = sources.part(&Place::new(flag, 8..12), "p(x)", 2..3);
        assert_eq!(sources.text(&part), "x");
    }

    #[test]
    fn of_a_place_its_own_lines_are_shown_and_no_others() {
        let mut sources = SourceMap::default();
        let text = "a = 1\nb = [\n2]\n\nc = 3";
        let id = sources.file("f", text);
        let shown = sources.shown();
        let at = |span: Range<usize>| {
            let excerpt = shown.at(&Place::new(id, span));
            (excerpt.line, excerpt.text.to_owned(), excerpt.span)
        };
        assert_eq!(at(0..1), (1, "a = 1".to_owned(), 0..1));
        assert_eq!(at(10..14), (2, "b = [\n2]".to_owned(), 4..8));
        assert_eq!(at(15..15), (4, String::new(), 0..0));
        assert_eq!(at(20..21), (5, "c = 3".to_owned(), 4..5));
        assert_eq!(at(99..100), (5, "c = 3".to_owned(), 5..5));
    }

    #[test]
    fn masked_bytes_are_never_shown() {
        let mut sources = SourceMap::default();
        let id = sources.file("f", "key = \"hunter2 é\" # fine");
        sources.mask(&Place::new(id, 6..18));
        assert_eq!(sources.get(id).shown(), "key = ************ # fine");
    }
}

//! A report as a document, from which each rendering is made: the same words in the same order.

/// A part of a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Span {
    /// Words.
    Text(String),
    /// A name, a command, a path.
    Code(String),
    /// What matters most.
    Strong(String),
}

/// A line.
pub type Line = Vec<Span>;

/// A part of the document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Block {
    /// A heading, of level 1 or 2.
    Heading(u8, Line),
    /// A paragraph.
    Para(Line),
    /// A list; numbered or not.
    List(bool, Vec<Line>),
    /// A table: its head, its rows.
    Table(Vec<&'static str>, Vec<Vec<Line>>),
    /// Text as it stands, to be copied.
    Verbatim(String),
    /// What few readers want: a line that tells what it is, and the rest, which opens on request.
    Folded(String, Vec<Block>),
}

/// Words in which names stand in backticks.
pub fn prose(text: &str) -> Line {
    let parts = text.split('`').zip([false, true].into_iter().cycle());
    let spans = parts.filter(|(part, _)| !part.is_empty()).map(|(part, is_code)| match is_code {
        true => Span::Code(part.to_owned()),
        false => Span::Text(part.to_owned()),
    });
    spans.collect()
}

/// Words of others, in which a backtick is no more than that.
pub fn text(text: impl Into<String>) -> Line {
    vec![Span::Text(text.into())]
}

/// A name, a command, a path.
pub fn code(text: impl Into<String>) -> Line {
    vec![Span::Code(text.into())]
}

/// What matters most.
pub fn strong(text: impl Into<String>) -> Line {
    vec![Span::Strong(text.into())]
}

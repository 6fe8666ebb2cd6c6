//! TOML text to a [`Node`] tree, syntax errors and all.
//!
//! The parser recovers from an error and goes on, so one slip of the pen does not hide the mistakes
//! in the rest of the file. What stands on a line with a syntax error is poisoned.

use std::collections::BTreeSet;
use std::ops::Range;

use toml::de::{DeTable, DeValue};

use super::diagnostic::Diagnostic;
use super::source::{Lines, Place, SourceId, line_column};
use super::tree::{Node, Table, Value};

/// Syntax errors shown of one file: the tenth is a consequence of the first.
const SYNTAX_ERRORS_MAX: usize = 8;

/// Reads a document; the errors are syntax errors.
pub(crate) fn document(source: SourceId, text: &str) -> (Node, Vec<Diagnostic>) {
    let (table, errors) = DeTable::parse_recoverable(text);
    let mut errors = worth_showing(text, &errors, unclosed(text, table.get_ref()));
    let lines = Lines::of(text);
    let homeless = of_broken_headers(text, &errors);
    if let Some(first) = homeless.iter().map(|lines| lines.start).min() {
        // A table of it that comes later is no second one.
        errors.retain(|(span, message)| message != DUPLICATE || lines.line(span.start) < first);
    }
    let broken_lines = errors.iter().map(|(span, _)| lines.line(span.start)).collect();
    let reader = Reader { source, text, lines, broken_lines, homeless };
    let root = Node {
        value: Value::Table(reader.table(table.get_ref())),
        place: Place::new(source, 0..0),
    };
    let diagnostics = errors.into_iter().map(|(span, message)| {
        let first = first_header(text, &span).or_else(|| first_of(text, table.get_ref(), &span));
        let first = first.filter(|_| message == DUPLICATE);
        let diagnostic = Diagnostic::error(&Place::new(source, span), message);
        match first {
            Some(first) => {
                let (line, column) = line_column(text, first);
                let note = format!("the first one is at line {line}, column {column}");
                diagnostic.label("given twice").note(note).help("remove one of them")
            }
            None => diagnostic.help("see https://toml.io for how TOML is written"),
        }
    });
    (root, diagnostics.collect())
}

/// The lines, from 1, of each header that is broken and of what stands below it, up to the next one: what belongs to which
/// table nobody knows there.
fn of_broken_headers(text: &str, errors: &[(Range<usize>, String)]) -> Vec<Range<usize>> {
    let header = |line: &str| line.trim_start().starts_with('[');
    let (starts, lines) = (Lines::of(text), text.lines().collect::<Vec<_>>());
    let broken = errors.iter().filter(|(_, message)| message != DUPLICATE);
    let broken = broken.map(|(span, _)| starts.line(span.start));
    let broken = broken.filter(|n| lines.get(*n - 1).is_some_and(|line| header(line)));
    let below = |n: usize| lines.iter().skip(n).take_while(|line| !header(line)).count();
    broken.map(|n| n..n + 1 + below(n)).collect()
}

/// The parser's word for a key or a table that is given twice.
const DUPLICATE: &str = "duplicate key";

/// Where the table was begun first whose header stands at `again` as well; of it the parser knows the second alone.
fn first_header(text: &str, again: &Range<usize>) -> Option<usize> {
    let begins = text.get(..again.start)?.rfind('\n').map_or(0, |at| at + 1);
    let header = text[begins..].lines().next()?.trim();
    let mut at = 0;
    let first = text[..begins].split_inclusive('\n').find_map(|line| {
        let here = at;
        at += line.len();
        (line.trim() == header).then_some(here)
    });
    header.starts_with('[').then_some(first? + (again.start - begins))
}

/// Where the key was given first that stands at `again` as well: the last of its name before it, in a table
/// that is not closed by then.
fn first_of(text: &str, table: &DeTable<'_>, again: &Range<usize>) -> Option<usize> {
    // Of a table the header is underlined.
    let name = text.get(again.clone())?.trim_matches(['"', '\'', '[', ']', ' ']);
    let known = table.iter().flat_map(|(key, value)| {
        let here =
            (key.get_ref() == name && key.span().end <= again.start).then(|| key.span().start);
        // What stands in brackets of its own is closed, unless the second one stands in it too.
        let is_value = key.span().end <= value.span().start;
        let is_open = !is_value || value.span().contains(&again.start);
        let inside = match value.get_ref() {
            DeValue::Table(inner) if is_open => first_of(text, inner, again),
            DeValue::Array(items) if !is_value => {
                let tables = items.iter().filter_map(|item| item.get_ref().as_table());
                tables.filter_map(|inner| first_of(text, inner, again)).max()
            }
            _ => None,
        };
        here.into_iter().chain(inside)
    });
    known.max()
}

/// Reads the value of a flag, which stands at `offset` of the flag's text: as TOML when it is TOML,
/// else as a string.
pub(crate) fn flag_value(source: SourceId, text: &str, offset: usize) -> Node {
    let place = Place::new(source, offset..offset + text.len());
    let value = match DeValue::parse(text) {
        Ok(value) => {
            let (lines, broken_lines, homeless) = (Lines::of(text), BTreeSet::new(), Vec::new());
            let reader = Reader { source, text, lines, broken_lines, homeless };
            let mut node = reader.node(value.get_ref(), value.span());
            shift(&mut node, offset);
            node.value
        }
        Err(_) => Value::String(text.to_owned()),
    };
    Node { value, place }
}

fn shift(node: &mut Node, offset: usize) {
    let moved = |place: &Place| {
        Place::new(place.source, place.span.start + offset..place.span.end + offset)
    };
    node.place = moved(&node.place);
    match &mut node.value {
        Value::Array(items) => items.iter_mut().for_each(|item| shift(item, offset)),
        Value::Table(table) => {
            let mut shifted = Table::default();
            for (key, place, item) in table.iter() {
                let mut item = item.clone();
                shift(&mut item, offset);
                shifted.insert(key, moved(place), item);
            }
            *table = shifted;
        }
        _ => {}
    }
}

/// The opening bracket of the first value that runs on to the end of the text.
fn unclosed(text: &str, table: &DeTable<'_>) -> Option<usize> {
    let runs_on = table.iter().filter_map(|(key, value)| {
        // The span of a table with a header is the header, in which the key is.
        let is_value = key.span().end <= value.span().start;
        let to_the_end = value.span().end >= text.trim_end().len();
        match value.get_ref() {
            DeValue::Array(_) | DeValue::Table(_) if is_value => {
                to_the_end.then_some(value.span().start)
            }
            DeValue::Table(inner) => unclosed(text, inner),
            DeValue::Array(items) => {
                items.iter().filter_map(|item| unclosed(text, item.get_ref().as_table()?)).min()
            }
            _ => None,
        }
    });
    runs_on.min()
}

/// One error a line, and none of those that only follow from a bracket that was never closed.
fn worth_showing(
    text: &str,
    errors: &[toml::de::Error],
    unclosed: Option<usize>,
) -> Vec<(Range<usize>, String)> {
    let mut errors: Vec<(Range<usize>, String)> = errors
        .iter()
        .map(|error| (in_text(text, error.span().unwrap_or(0..0)), sentence(error.message())))
        .collect();
    // Stable: of two errors on one spot the parser's first is the better one.
    errors.sort_by_key(|(span, _)| span.start);
    if let Some(bracket) = unclosed
        && errors.iter().any(|(_, message)| message.starts_with("unclosed"))
    {
        errors.retain(|(span, _)| span.start < bracket);
        errors.push((bracket..bracket + 1, "the bracket is never closed".to_owned()));
    }
    let (starts, mut lines) = (Lines::of(text), BTreeSet::new());
    errors.retain(|(span, _)| lines.insert(starts.line(span.start)));
    errors.truncate(SYNTAX_ERRORS_MAX);
    errors
}

fn in_text(text: &str, span: Range<usize>) -> Range<usize> {
    let floor = |mut at: usize| {
        while !text.is_char_boundary(at) {
            at -= 1;
        }
        at
    };
    let end = floor(span.end.min(text.len()));
    floor(span.start.min(end))..end
}

/// The parser's message as ours are written; its most frequent one in the words of the reader.
fn sentence(message: &str) -> String {
    match message {
        "string values must be quoted, expected literal string" => {
            "a value is missing, or a string lacks its quotes".to_owned()
        }
        other => other.to_owned(),
    }
}

struct Reader<'a> {
    source: SourceId,
    text: &'a str,
    lines: Lines,
    broken_lines: BTreeSet<usize>,
    /// Lines whose keys belong to no table that is known.
    homeless: Vec<Range<usize>>,
}

impl Reader<'_> {
    fn place(&self, span: Range<usize>) -> Place {
        Place::new(self.source, in_text(self.text, span))
    }

    fn table(&self, table: &DeTable<'_>) -> Table {
        let mut out = Table::default();
        for (key, value) in table {
            let mut node = self.node(value.get_ref(), value.span());
            let line = self.lines.line(key.span().start);
            let homeless = |line: usize| self.homeless.iter().any(|lines| lines.contains(&line));
            let is_homeless = homeless(line);
            // The table of a broken header is there: what is in it nobody knows.
            let is_header = self.text[..in_text(self.text, key.span()).start].ends_with('[');
            if is_homeless && !is_header {
                continue;
            }
            let is_table = matches!(node.value, Value::Table(_));
            // The parser may take a broken header for that of a table which has one of its own below.
            let begins_homeless = is_table && homeless(self.lines.line(value.span().start));
            if is_homeless || begins_homeless || (self.broken_lines.contains(&line) && !is_table) {
                node.value = Value::Poison;
            }
            out.insert(key.get_ref(), self.place(key.span()), node);
        }
        out
    }

    fn node(&self, value: &DeValue<'_>, span: Range<usize>) -> Node {
        let place = self.place(span.clone());
        let line = self.lines.line(span.start);
        let value = match value {
            DeValue::Array(items) => Value::Array(
                items.iter().map(|item| self.node(item.get_ref(), item.span())).collect(),
            ),
            DeValue::Table(table) => Value::Table(self.table(table)),
            _ if self.broken_lines.contains(&line) => Value::Poison,
            DeValue::String(text) => Value::String(text.clone().into_owned()),
            DeValue::Integer(integer) => {
                let digits = integer.as_str();
                match i64::from_str_radix(digits, integer.radix()) {
                    Ok(value) => Value::Integer(value),
                    Err(_) => Value::Huge(digits.to_owned()),
                }
            }
            DeValue::Float(float) => Value::Float(float.as_str().parse().unwrap_or(f64::INFINITY)),
            DeValue::Boolean(boolean) => Value::Boolean(*boolean),
            DeValue::Datetime(_) => Value::Datetime,
        };
        Node { value, place }
    }
}

//! The matrix of surfaces: which topics each surface has, as a Markdown table says it, and what differs from it.
//!
//! The matrix is the first table whose head names surfaces and topics. A surface's row is the one whose cell is its
//! name, or has it as a word: `desktop` is one of `apps/autopilot-desktop`. Topics stand as code; those after
//! "optional" or "optionally" may be subscribed to, and a row that says "same as NAME" has that one's.

use std::collections::{BTreeMap, BTreeSet};

use pulldown_cmark::{Event, Options, Parser, Tag, TagEnd};

/// A matrix, as it was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Matrix {
    /// What stands for a surface, and its topics.
    rows: Vec<(String, String)>,
}

/// Topics of a surface.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Topics {
    /// Those that it subscribes to.
    pub always: BTreeSet<String>,
    /// Those that it may subscribe to.
    pub optional: BTreeSet<String>,
}

/// What a surface of the harness asks for, and what it is granted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Asked {
    /// Topics of its clients as they are built in.
    pub built_in: BTreeSet<String>,
    /// Those in the stage's scenarios.
    pub scenarios: BTreeSet<String>,
    /// Topics that a join allowed with a token for these and for the matrix's.
    pub granted: BTreeSet<String>,
}

/// What differs, a sentence each.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Differences {
    /// Between what the runtime grants and what it is to grant.
    pub granted: Vec<String>,
    /// Between the matrix and the surfaces that there are: what of it nobody could ask for.
    pub unasked: Vec<String>,
    /// Rows of the matrix for which nothing was asked.
    pub left_out: Vec<String>,
}

impl Matrix {
    /// Reads a Markdown text.
    ///
    /// # Errors
    /// Where there is no such table, in a sentence.
    pub fn read(text: &str) -> Result<Self, String> {
        let matrix = tables(text).iter().find_map(|table| Self::of(table));
        let matrix = matrix.ok_or("it has no table whose head names surfaces and topics")?;
        if matrix.rows.is_empty() { Err("its table has no row".to_owned()) } else { Ok(matrix) }
    }

    fn of(table: &[Vec<String>]) -> Option<Self> {
        let (head, rows) = table.split_first()?;
        let column = |word: &str| head.iter().position(|cell| cell.to_lowercase().contains(word));
        let (surface, topics) = (column("surface")?, column("topic")?);
        let cell =
            |row: &[String], at: usize| row.get(at).map_or("", |cell| cell.trim()).to_owned();
        let rows = rows.iter().map(|row| (cell(row, surface), cell(row, topics)));
        Some(Self { rows: rows.filter(|(surface, _)| !surface.is_empty()).collect() })
    }

    /// The topics of a surface; `None` where no row is of it.
    ///
    /// # Errors
    /// Where it cannot be known which they are, in a sentence.
    pub fn topics_of(&self, name: &str) -> Result<Option<Topics>, String> {
        let mut asked = vec![name.to_lowercase()];
        loop {
            let name = asked.last().map_or("", String::as_str);
            let Some(cell) = self.row(name)? else {
                return match &asked[..] {
                    [_] => Ok(None),
                    all => Err(format!(
                        "`{}` has the same as `{name}`, and no row is of that",
                        all[all.len() - 2]
                    )),
                };
            };
            match self.same_as(cell) {
                Some(other) if asked.contains(&other) => {
                    return Err(format!(
                        "`{name}` has the same as `{other}`, which has the same as it"
                    ));
                }
                Some(other) => asked.push(other),
                None => return Ok(Some(Topics::of(cell))),
            }
        }
    }

    /// The topics' cell of a surface's row.
    fn row(&self, name: &str) -> Result<Option<&str>, String> {
        let of_it = |is: fn(&str, &str) -> bool| {
            let rows =
                self.rows.iter().filter(move |(surface, _)| is(&surface.to_lowercase(), name));
            rows.map(|(_, topics)| topics.as_str()).collect::<Vec<_>>()
        };
        let mut rows = of_it(|surface, name| surface.trim_matches('`') == name);
        if rows.is_empty() {
            rows = of_it(has_word);
        }
        match rows[..] {
            [] => Ok(None),
            [one] => Ok(Some(one)),
            _ => Err(format!("{} rows are of `{name}`", rows.len())),
        }
    }

    /// The surface whose topics a row has: of the words behind "same as" the first that a row is of.
    fn same_as(&self, cell: &str) -> Option<String> {
        let cell = cell.to_lowercase();
        let (_, rest) = cell.split_once("same as ")?;
        let is_of_a_name = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_' | '/');
        let words = || rest.split(|c| !is_of_a_name(c)).filter(|word| !word.is_empty());
        let known = words().find(|word| matches!(self.row(word), Ok(Some(_))));
        known.or_else(|| words().next()).map(str::to_owned)
    }

    /// What stands for surfaces that are none of these.
    #[must_use]
    pub fn others(&self, names: &[&str]) -> Vec<&str> {
        let is_known = |surface: &str| {
            let surface = surface.to_lowercase();
            names.iter().any(|name| has_word(&surface, name))
        };
        let rows = self.rows.iter().map(|(surface, _)| surface.as_str());
        rows.filter(|surface| !is_known(surface)).collect()
    }

    /// What differs between the matrix and what surfaces ask for and are granted, by their names.
    #[must_use]
    pub fn differences(&self, surfaces: &BTreeMap<String, Asked>) -> Differences {
        let mut found = Differences::default();
        for (name, asked) in surfaces {
            match self.topics_of(name) {
                Ok(Some(topics)) => topics.differences(name, asked, &mut found),
                Ok(None) => found.unasked.push(format!(
                    "no row is of `{name}`, which is granted {}",
                    list(&asked.granted)
                )),
                Err(why) => found.unasked.push(why),
            }
        }
        let names: Vec<&str> = surfaces.keys().map(String::as_str).collect();
        let others = self.others(&names).into_iter().map(|other| other.replace('`', ""));
        found.left_out.extend(others);
        found
    }
}

impl Topics {
    fn of(cell: &str) -> Self {
        let mut topics = Self::default();
        let mut optional = false;
        // What stands between backquotes is every other part.
        for (number, part) in cell.split('`').enumerate() {
            if number % 2 == 0 {
                optional |= part.to_lowercase().contains("optional");
            } else if optional {
                topics.optional.insert(part.trim().to_owned());
            } else {
                topics.always.insert(part.trim().to_owned());
            }
        }
        topics
    }

    /// All of them.
    #[must_use]
    pub fn all(&self) -> BTreeSet<String> {
        self.always.union(&self.optional).cloned().collect()
    }

    fn differences(&self, name: &str, asked: &Asked, found: &mut Differences) {
        let Asked { built_in, scenarios, granted } = asked;
        let (all, wants) = (self.all(), built_in | scenarios);
        let say =
            |to: &mut Vec<String>, topics: BTreeSet<String>, what: &dyn Fn(String) -> String| {
                if !topics.is_empty() {
                    to.push(what(list(&topics)));
                }
            };
        let more = granted - &all;
        // What nobody asks for but a scenario is no word of the runtime's.
        let of_scenarios = &(&more & scenarios) - built_in;
        say(&mut found.granted, &all - granted, &|topics| {
            format!("`{name}` is to have {topics} and is not granted it")
        });
        say(&mut found.granted, &more - &of_scenarios, &|topics| {
            format!("`{name}` is granted {topics}, which the matrix does not have")
        });
        say(&mut found.granted, &(&wants - granted) - &all, &|topics| {
            format!("`{name}` asks for {topics} and is not granted it, nor does the matrix have it")
        });
        say(&mut found.unasked, of_scenarios, &|topics| {
            format!(
                "`{name}` has {topics} in the stage's scenarios and is granted it, and the matrix does not have it"
            )
        });
        say(&mut found.unasked, &self.always - &wants, &|topics| {
            format!("`{name}` is to have {topics}, and its clients here do not ask for it")
        });
    }
}

/// Topics as they are told.
#[must_use]
pub fn list(topics: &BTreeSet<String>) -> String {
    match topics.is_empty() {
        true => "nothing".to_owned(),
        false => topics.iter().map(|topic| format!("`{topic}`")).collect::<Vec<_>>().join(", "),
    }
}

/// Whether a text has a name as a word: `desktop` is one of `apps/autopilot-desktop`.
fn has_word(text: &str, name: &str) -> bool {
    text.match_indices(name).any(|(at, _)| {
        let before = text[..at].chars().next_back();
        let after = text[at + name.len()..].chars().next();
        let ends = |c: Option<char>| c.is_none_or(|c| !c.is_alphanumeric());
        ends(before) && ends(after)
    })
}

/// The tables of a Markdown text, as rows of cells; the first row is the head. Cells keep the backquotes of what
/// stands in them as code.
fn tables(text: &str) -> Vec<Vec<Vec<String>>> {
    let mut tables: Vec<Vec<Vec<String>>> = Vec::new();
    let mut cell: Option<String> = None;
    for event in Parser::new_ext(text, Options::ENABLE_TABLES) {
        match event {
            Event::Start(Tag::Table(_)) => tables.push(Vec::new()),
            Event::Start(Tag::TableHead | Tag::TableRow) => {
                if let Some(table) = tables.last_mut() {
                    table.push(Vec::new());
                }
            }
            Event::Start(Tag::TableCell) => cell = Some(String::new()),
            Event::End(TagEnd::TableCell) => {
                let row = tables.last_mut().and_then(|table| table.last_mut());
                if let (Some(row), Some(cell)) = (row, cell.take()) {
                    row.push(cell);
                }
            }
            Event::Text(text) => cell.iter_mut().for_each(|cell| cell.push_str(&text)),
            Event::Code(text) => {
                cell.iter_mut().for_each(|cell| cell.push_str(&format!("`{text}`")))
            }
            _ => {}
        }
    }
    tables
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "\
# Surfaces

Some words | that are no table.

| no | table of ours |
| --- | --- |
| a | b |

| Surface | Owner | Topic scopes |
| --- | :-: | --- |
| `apps/web-shell` | web | `runtime.a`, optionally `runtime.b` |
| desktop | apps | `runtime.c` |
| **ios** | apps | same as the `desktop`. |
| onyx | | – |

| Surface | Topics |
| --- | --- |
| later | `runtime.z` |
";

    fn matrix(rows: &str) -> Matrix {
        Matrix::read(&format!("| surface | topics |\n| --- | --- |\n{rows}")).expect("a matrix")
    }

    fn set(topics: &[&str]) -> BTreeSet<String> {
        topics.iter().map(|topic| (*topic).to_owned()).collect()
    }

    fn asked(surfaces: &[(&str, &[&str], &[&str])]) -> BTreeMap<String, Asked> {
        let of = |&(name, wants, granted): &(&str, &[&str], &[&str])| {
            let (built_in, granted) = (set(wants), set(granted));
            (name.to_owned(), Asked { built_in, scenarios: BTreeSet::new(), granted })
        };
        surfaces.iter().map(of).collect()
    }

    #[test]
    fn the_table_with_surfaces_and_topics_is_read() {
        let matrix = Matrix::read(TEXT).expect("a matrix");
        let of = |name: &str| matrix.topics_of(name);
        let topics = |always: &[&str], optional: &[&str]| {
            Ok(Some(Topics { always: set(always), optional: set(optional) }))
        };
        assert_eq!(of("web-shell"), topics(&["runtime.a"], &["runtime.b"]));
        assert_eq!(of("desktop"), topics(&["runtime.c"], &[]));
        assert_eq!(of("ios"), topics(&["runtime.c"], &[]));
        assert_eq!(of("onyx"), topics(&[], &[]));
        assert_eq!(of("later"), Ok(None));
        assert_eq!(matrix.others(&["web-shell", "desktop", "ios"]), ["onyx"]);
    }

    #[test]
    fn a_text_without_one_is_told() {
        for (text, says) in [
            ("", "no table"),
            ("| surface | scopes |\n| --- | --- |\n| a | b |", "no table"),
            ("| surface | topics |\n| a | `b` |\n", "no table"),
            ("| surface | topics |\n| --- | --- |\n", "no row"),
        ] {
            assert!(Matrix::read(text).expect_err(text).contains(says), "{text}");
        }
    }

    #[test]
    fn a_row_that_cannot_be_known_is_told() {
        for (rows, says) in [
            ("| a | `b` |\n| `a` | `c` |\n", "2 rows are of `a`"),
            ("| x-a | `b` |\n| y-a | `c` |\n", "2 rows are of `a`"),
            ("| a | same as b |\n", "no row is of that"),
            ("| a | same as a |\n", "which has the same as it"),
            (
                "| a | same as b |\n| b | same as c |\n| c | same as a |\n",
                "which has the same as it",
            ),
        ] {
            let why = matrix(rows).topics_of("a").expect_err(rows);
            assert!(why.contains(says), "{rows}: {why}");
            let found = matrix(rows).differences(&asked(&[("a", &["b"], &["b"])]));
            assert_eq!((found.granted.len(), found.unasked.as_slice()), (0, &[why][..]));
        }
        let exact = matrix("| x-a | `b` |\n| a | `c` |\n").topics_of("a").expect("its own row");
        assert_eq!(exact.expect("a row").always, set(&["c"]));
    }

    #[test]
    fn what_differs_is_told_both_ways() {
        let rows = "| a | `x`, `y`, optionally `o` |\n| b | `z` |\n";
        let same = asked(&[("a", &["x", "y"], &["o", "x", "y"]), ("b", &["z"], &["z"])]);
        assert_eq!(matrix(rows).differences(&same), Differences::default());
        let optional = asked(&[("a", &["o", "x", "y"], &["o", "x", "y"]), ("b", &["z"], &["z"])]);
        assert_eq!(matrix(rows).differences(&optional), Differences::default());
        let other = asked(&[
            ("a", &["x", "z"], &["x", "z"]),
            ("b", &["z", "q"], &["z"]),
            ("c", &["x"], &["x"]),
        ]);
        let found = matrix(&format!("{rows}| `d` | `x` |\n")).differences(&other);
        assert_eq!(
            found.granted,
            [
                "`a` is to have `o`, `y` and is not granted it",
                "`a` is granted `z`, which the matrix does not have",
                "`b` asks for `q` and is not granted it, nor does the matrix have it",
            ]
        );
        assert_eq!(
            found.unasked,
            [
                "`a` is to have `y`, and its clients here do not ask for it",
                "no row is of `c`, which is granted `x`",
            ]
        );
        assert_eq!(found.left_out, ["d"]);
    }
}

//! A document as Markdown: what is text stays text.

use khala_evidence::render::escape;

use crate::doc::{Block, Line, Span};

pub fn render(blocks: &[Block]) -> String {
    let mut out = rendered(blocks);
    out.truncate(out.trim_end().len());
    out.push('\n');
    out
}

fn rendered(blocks: &[Block]) -> String {
    let mut out = String::new();
    for block in blocks {
        match block {
            Block::Heading(level, words) => {
                out.push_str(&"#".repeat(usize::from(*level)));
                out.push(' ');
                out.push_str(&line(words));
                out.push('\n');
            }
            Block::Para(words) => {
                out.push_str(&line(words));
                out.push('\n');
            }
            Block::List(numbered, items) => {
                for (number, item) in (1..).zip(items) {
                    let mark = if *numbered { format!("{number}.") } else { "-".to_owned() };
                    out.push_str(&format!("{mark} {}\n", line(item)));
                }
            }
            Block::Table(head, rows) => {
                out.push_str(&format!(
                    "| {} |\n|{}\n",
                    head.join(" | "),
                    " --- |".repeat(head.len())
                ));
                for row in rows {
                    let cells: Vec<_> = row.iter().map(line).collect();
                    out.push_str(&format!("| {} |\n", cells.join(" | ")));
                }
            }
            Block::Verbatim(text) => {
                let fence = "`".repeat(fence(text));
                let text = escape::terminal(text.trim_end());
                out.push_str(&format!("{fence}text\n{text}\n{fence}\n"));
            }
            Block::Folded(what, blocks) => {
                let mut summary = String::new();
                escape::html(&mut summary, what);
                let inside = rendered(blocks);
                out.push_str(&format!(
                    "<details><summary>{summary}</summary>\n\n{inside}</details>\n"
                ));
            }
        }
        out.push('\n');
    }
    out
}

/// A fence longer than any run of backticks in a text.
fn fence(text: &str) -> usize {
    let longest = text.split(|c| c != '`').map(str::len).max().unwrap_or(0);
    (longest + 1).max(3)
}

fn line(spans: &Line) -> String {
    spans.iter().map(span).collect()
}

fn span(span: &Span) -> String {
    match span {
        Span::Text(text) => escape::markdown(text),
        Span::Code(text) => escape::markdown_code(text),
        Span::Strong(text) => format!("**{}**", escape::markdown(text)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doc::{code, prose, strong};

    #[test]
    fn what_is_folded_is_markdown_still() {
        let table = Block::Table(vec!["x"], vec![vec![code("a")]]);
        assert_eq!(
            render(&[Block::Folded("1 & <b>".to_owned(), vec![table])]),
            "<details><summary>1 &amp; &lt;b&gt;</summary>\n\n| x |\n| --- |\n| `a` |\n\n</details>\n"
        );
    }

    #[test]
    fn text_stays_text() {
        let blocks = [
            Block::Heading(1, prose("A `b_c` *d*")),
            Block::Table(vec!["x", "y"], vec![vec![code("a|b"), strong("<i>")]]),
            Block::List(true, vec![prose("one\ntwo")]),
            Block::Verbatim("```\nx\n```".to_owned()),
        ];
        assert_eq!(
            render(&blocks),
            "# A `b_c` \\*d\\*\n\n| x | y |\n| --- | --- |\n| a\\|b | **\\<i\\>** |\n\n1. one two\n\n\
             ````text\n```\nx\n```\n````\n"
        );
    }
}

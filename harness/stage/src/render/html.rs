//! A document as one static page: no script, nothing from elsewhere, every text escaped.

use khala_evidence::render::escape;

use crate::doc::{Block, Line, Span};

/// Says the browser the same as a strict server would.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'";
const STYLE: &str = "body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;\
                     color:#1a1a1a;background:#fff}table{border-collapse:collapse;margin:1rem 0;display:block;\
                     overflow-x:auto}th,td{border:1px solid #bbb;padding:.3rem .6rem;text-align:left;\
                     vertical-align:top}th{background:#f2f2f2}code,pre{font:14px/1.45 ui-monospace,monospace;\
                     background:#f6f6f6}pre{padding:.8rem;overflow-x:auto;border:1px solid #ddd}\
                     h2{margin-top:2rem;border-bottom:1px solid #ddd}";

pub fn render(title: &str, blocks: &[Block]) -> String {
    let mut out = format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"{POLICY}\">\n\
         <title>{}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n",
        text(title)
    );
    blocks.iter().for_each(|block| out.push_str(&of(block)));
    out.push_str("</body>\n</html>\n");
    out
}

fn of(block: &Block) -> String {
    match block {
        Block::Heading(level, words) => format!("<h{level}>{}</h{level}>\n", line(words)),
        Block::Para(words) => format!("<p>{}</p>\n", line(words)),
        Block::List(numbered, items) => {
            let list = if *numbered { "ol" } else { "ul" };
            let items: String =
                items.iter().map(|item| format!("<li>{}</li>\n", line(item))).collect();
            format!("<{list}>\n{items}</{list}>\n")
        }
        Block::Table(head, rows) => {
            let head: String = head.iter().map(|name| format!("<th>{}</th>", text(name))).collect();
            let rows: String = rows
                .iter()
                .map(|row| {
                    let cells: String =
                        row.iter().map(|cell| format!("<td>{}</td>", line(cell))).collect();
                    format!("<tr>{cells}</tr>\n")
                })
                .collect();
            format!("<table>\n<thead><tr>{head}</tr></thead>\n<tbody>\n{rows}</tbody>\n</table>\n")
        }
        Block::Verbatim(verbatim) => format!("<pre>{}</pre>\n", text(verbatim)),
    }
}

fn line(spans: &Line) -> String {
    let span = |span: &Span| match span {
        Span::Text(words) => text(words),
        Span::Code(words) => format!("<code>{}</code>", text(words)),
        Span::Strong(words) => format!("<strong>{}</strong>", text(words)),
    };
    spans.iter().map(span).collect()
}

/// Text that is text alone.
fn text(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    escape::html(&mut out, text);
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doc::{code, prose};

    #[test]
    fn nothing_that_is_told_becomes_markup() {
        let bad = "<script>alert('x')</script>";
        let blocks = [
            Block::Heading(1, prose(bad)),
            Block::Para(code(bad)),
            Block::List(false, vec![prose(bad)]),
            Block::Table(vec!["<b>"], vec![vec![prose(bad)]]),
            Block::Verbatim(bad.to_owned()),
        ];
        let page = render(bad, &blocks);
        assert!(!page.contains("<script") && !page.contains("<b>"), "{page}");
        assert_eq!(page.matches("&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt;").count(), 6);
    }
}

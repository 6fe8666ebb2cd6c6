//! A document as one static page: no script, nothing from elsewhere, every text escaped.

use khala_evidence::render::escape;

use crate::doc::{Block, Line, Span};

/// Says the browser the same as a strict server would.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'";
/// Wide tables scroll by themselves; the page never does.
const STYLE: &str = ":root{color-scheme:light dark;--ink:#1a1a1a;--paper:#fff;--line:#bbb;--soft:#f2f2f2;\
                     --pass:#0b6b2e;--fail:#b00020;--hold:#8a5300}\
                     @media(prefers-color-scheme:dark){:root{--ink:#e6e6e6;--paper:#16181b;--line:#4a4f55;\
                     --soft:#23272c;--pass:#6fd08c;--fail:#ff8a8a;--hold:#f0b45a}}\
                     body{font:16px/1.5 system-ui,sans-serif;max-width:72rem;margin:2rem auto;padding:0 1rem;\
                     color:var(--ink);background:var(--paper);overflow-wrap:anywhere}\
                     .wide{overflow-x:auto;margin:1rem 0}table{border-collapse:collapse;width:100%}\
                     th,td{border:1px solid var(--line);padding:.25rem .5rem;text-align:left;vertical-align:top;\
                     min-width:4.5rem;overflow-wrap:anywhere}th{background:var(--soft);overflow-wrap:normal}\
                     code,pre{font:14px/1.45 ui-monospace,monospace;background:var(--soft)}\
                     pre{padding:.8rem;border:1px solid var(--line);white-space:pre-wrap}\
                     h2{margin-top:2rem;border-bottom:1px solid var(--line)}summary{cursor:pointer;padding:.3rem 0}\
                     .pass{color:var(--pass)}.fail{color:var(--fail)}.hold{color:var(--hold)}\
                     @media(max-width:40rem){body{margin:1rem auto;padding:0 .5rem}th,td{padding:.2rem .3rem;\
                     font-size:14px}}\
                     @media print{body{max-width:none;margin:0}.wide{overflow:visible}tr,pre{break-inside:avoid}\
                     h2{break-after:avoid}}";

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
            format!(
                "<div class=\"wide\"><table>\n<thead><tr>{head}</tr></thead>\n<tbody>\n{rows}</tbody>\n</table></div>\n"
            )
        }
        Block::Folded(what, blocks) => {
            let inside: String = blocks.iter().map(of).collect();
            format!("<details><summary>{}</summary>\n{inside}</details>\n", text(what))
        }
        Block::Verbatim(verbatim) => format!("<pre>{}</pre>\n", text(verbatim)),
    }
}

fn line(spans: &Line) -> String {
    let span = |span: &Span| match span {
        Span::Text(words) => text(words),
        Span::Code(words) => format!("<code>{}</code>", text(words)),
        Span::Strong(words) => match colour(words) {
            Some(class) => format!("<strong class=\"{class}\">{}</strong>", text(words)),
            None => format!("<strong>{}</strong>", text(words)),
        },
    };
    spans.iter().map(span).collect()
}

/// The class of a line that begins with a verdict or a decision: the word says it, the colour only shows it.
fn colour(words: &str) -> Option<&'static str> {
    let first = words.split([' ', ':', ',']).next().unwrap_or_default();
    match first {
        "GO" | "PASS" => Some("pass"),
        "NO-GO" | "FAIL" => Some("fail"),
        "HOLD" | "INCONCLUSIVE" | "WARN" => Some("hold"),
        _ => None,
    }
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
    fn a_verdict_has_a_colour_beside_its_word_and_other_words_have_none() {
        let shown = |words: &str| of(&Block::Para(crate::doc::strong(words)));
        assert_eq!(
            shown("NO-GO for stage 0"),
            "<p><strong class=\"fail\">NO-GO for stage 0</strong></p>\n"
        );
        assert!(shown("PASS").contains("class=\"pass\"") && shown("HOLD").contains("\"hold\""));
        assert_eq!(shown("GOING on"), "<p><strong>GOING on</strong></p>\n");
    }

    #[test]
    fn nothing_that_is_told_becomes_markup() {
        let bad = "<script>alert('x')</script>";
        let blocks = [
            Block::Heading(1, prose(bad)),
            Block::Para(code(bad)),
            Block::List(false, vec![prose(bad)]),
            Block::Table(vec!["<b>"], vec![vec![prose(bad)]]),
            Block::Verbatim(bad.to_owned()),
            Block::Folded(bad.to_owned(), vec![Block::Para(prose(bad))]),
        ];
        let page = render(bad, &blocks);
        assert!(!page.contains("<script") && !page.contains("<b>"), "{page}");
        assert_eq!(page.matches("&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt;").count(), 8);
    }
}

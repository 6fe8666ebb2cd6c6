//! Texts of others on their way into what people read: nothing in them is markup, and nothing in them changes how what
//! stands around them looks.

use khala_wire::unseen::{is_unseen, number};

/// A text for a terminal: its lines stay, and nothing in it is obeyed.
#[must_use]
pub fn terminal(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    text.chars().for_each(|c| seen(&mut out, c));
    out
}

/// A text in HTML, as the content of an element or the value of an attribute.
pub fn html(out: &mut String, text: &str) {
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c => seen(out, c),
        }
    }
}

/// A text in a line of Markdown, a table's cell included.
#[must_use]
pub fn markdown(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\\' | '`' | '*' | '_' | '[' | ']' | '<' | '>' | '|' | '#' | '&' | '~' => {
                out.push('\\');
                out.push(c);
            }
            '\n' | '\r' | '\t' => out.push(' '),
            c => seen(&mut out, c),
        }
    }
    out
}

/// A line of Markdown of our own, in which what we mark stays marked: it breaks neither its line nor the cell of a table.
/// Texts of others in it have been made harmless where they entered.
#[must_use]
pub fn markdown_line(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '|' => out.push_str("\\|"),
            '\n' | '\r' | '\t' => out.push(' '),
            c => seen(&mut out, c),
        }
    }
    out
}

/// A text in a line of Markdown that stands as code.
#[must_use]
pub fn markdown_code(text: &str) -> String {
    // A backtick would end it, and a bar the cell of a table even here.
    match text {
        "" => String::new(),
        text if text.contains(['`', '|']) => markdown(text),
        text => {
            let line = text.replace(['\n', '\r', '\t'], " ");
            format!("`{}`", terminal(&line))
        }
    }
}

/// A character, where the line and the tab are the only ones that need not be seen.
fn seen(out: &mut String, c: char) {
    match c {
        '\n' | '\t' => out.push(c),
        c if is_unseen(c) => out.push_str(&number(c)),
        c => out.push(c),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use pulldown_cmark::{Event, Options, Parser};

    use super::*;

    const EVIL: &str =
        "\u{1b}[1A\u{202e}<b>&#x202e;`*_x_*`|~~y~~\r\n# [z](http://z) \u{200b}\u{e0041}";

    #[test]
    fn what_changes_how_others_look_is_told_by_its_number() {
        assert_eq!(terminal("\u{1b}[1A\u{202e}GO\nü"), "\\u{1b}[1A\\u{202e}GO\nü");
        let mut page = String::new();
        html(&mut page, "<a href='x'>&\"\u{202e}\u{0}\n");
        assert_eq!(page, "&lt;a href=&#39;x&#39;&gt;&amp;&quot;\\u{202e}\\u{0}\n");
        assert_eq!(markdown("a\nb|`c`"), "a b\\|\\`c\\`");
        assert_eq!(markdown_line("a\r\nb|`c`\u{202e}\u{fffc}"), "a  b\\|`c`\\u{202e}\\u{fffc}");
        assert_eq!(markdown_code("a\u{202e}"), "`a\\u{202e}`");
        assert_eq!((markdown_code("a`b").as_str(), markdown_code("").as_str()), ("a\\`b", ""));
    }

    /// What a reader of Markdown sees of a paragraph; panics where there is any markup in it.
    fn read(text: &str, may_be_code: bool) -> String {
        let options = Options::ENABLE_TABLES
            | Options::ENABLE_STRIKETHROUGH
            | Options::ENABLE_FOOTNOTES
            | Options::ENABLE_GFM;
        let mut words = String::new();
        for event in Parser::new_ext(text, options) {
            match event {
                Event::Text(text) => words.push_str(&text),
                Event::Code(text) if may_be_code => words.push_str(&text),
                Event::Start(pulldown_cmark::Tag::Paragraph)
                | Event::End(pulldown_cmark::TagEnd::Paragraph) => {}
                other => panic!("{other:?} in {text:?}"),
            }
        }
        words
    }

    /// The text as a line without what is not seen.
    fn line(text: &str) -> String {
        terminal(&text.replace(['\n', '\r', '\t'], " "))
    }

    fn texts() -> impl Strategy<Value = String> {
        let evil = proptest::sample::select(EVIL.chars().collect::<Vec<_>>());
        let part = prop_oneof![3 => evil.prop_map(String::from), 1 => any::<char>().prop_map(String::from)];
        proptest::collection::vec(part, 0..60).prop_map(|parts| parts.concat())
    }

    proptest! {
        #[test]
        fn a_text_in_markdown_is_read_as_it_stood(text in texts()) {
            // It stands behind a word, as it does in every rendering.
            prop_assert_eq!(read(&format!("by x{}x.", markdown(&text)), false), format!("by x{}x.", line(&text)));
            prop_assert_eq!(read(&format!("by x {} x.", markdown_code(&text)), true).replace(' ', ""),
                format!("by x {} x.", line(&text)).replace(' ', ""));
        }

        #[test]
        fn nothing_of_a_text_is_obeyed(text in texts()) {
            let mut page = String::new();
            html(&mut page, &text);
            prop_assert!(!page.contains(['<', '>', '"', '\'']));
            let line = markdown_line(&text);
            for shown in [page, terminal(&text), markdown(&text), markdown_code(&text), line] {
                prop_assert!(!shown.chars().any(|c| is_unseen(c) && !matches!(c, '\n' | '\t')), "{:?}", shown);
            }
        }
    }
}

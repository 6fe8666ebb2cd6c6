//! HTML that is well-formed by how it is written, with text that is text alone.
//!
//! Names of elements and attributes are the program's own (`&'static str`); whatever else goes into the page is
//! escaped on its way. Nothing but what this build carries is written as it stands.

use khala_wire::unseen::is_unseen;

use crate::render::escape;

/// Attributes of an element.
pub type Attrs<'a> = &'a [(&'static str, &'a str)];

/// Elements that begin a line of the source.
const OWN_LINE: [&str; 15] = [
    "section", "h2", "h3", "table", "tr", "figure", "svg", "p", "ul", "li", "dl", "dt", "details",
    "script", "style",
];

/// A page that is being written.
#[derive(Debug, Default)]
pub struct Html {
    out: String,
}

impl Html {
    /// A document's beginning.
    pub fn document() -> Self {
        Self { out: "<!DOCTYPE html>".to_owned() }
    }

    /// What was written.
    pub fn into_text(mut self) -> String {
        self.out.push('\n');
        self.out
    }

    fn start(&mut self, name: &'static str, attrs: Attrs<'_>) {
        if OWN_LINE.contains(&name) {
            self.out.push('\n');
        }
        self.out.push('<');
        self.out.push_str(name);
        for (attr, value) in attrs {
            self.out.push(' ');
            self.out.push_str(attr);
            self.out.push_str("=\"");
            escape::html(&mut self.out, value);
            self.out.push('"');
        }
    }

    /// An element with what `inside` writes.
    pub fn tag(&mut self, name: &'static str, attrs: Attrs<'_>, inside: impl FnOnce(&mut Self)) {
        self.start(name, attrs);
        self.out.push('>');
        inside(self);
        self.out.push_str("</");
        self.out.push_str(name);
        self.out.push('>');
    }

    /// An element that holds a text.
    pub fn leaf(&mut self, name: &'static str, attrs: Attrs<'_>, text: &str) {
        self.tag(name, attrs, |html| html.text(text));
    }

    /// An element that HTML leaves open (`br`, `meta`), or one of SVG that holds nothing.
    pub fn void(&mut self, name: &'static str, attrs: Attrs<'_>) {
        self.start(name, attrs);
        self.out.push_str("/>");
    }

    /// Text.
    pub fn text(&mut self, text: &str) {
        escape::html(&mut self.out, text);
    }

    /// A figure for people, with the number that it stands for. The number is that of `run.json`.
    pub fn datum(&mut self, value: impl std::fmt::Display, shown: &str) {
        self.leaf("data", &[("value", &value.to_string())], shown);
    }

    /// A script or style of this build's own.
    pub fn own(&mut self, name: &'static str, parts: &[&'static str]) {
        self.tag(name, &[], |html| {
            for part in parts {
                html.out.push('\n');
                html.out.push_str(part);
            }
        });
    }

    /// Data for the page's scripts: JSON in which no `<` stands, so that nothing in it ends the element.
    pub fn json(&mut self, id: &'static str, json: &serde_json::Value) {
        let attrs: Attrs<'_> = &[("type", "application/json"), ("id", id)];
        let text = json.to_string();
        self.tag("script", attrs, |html| {
            for c in text.chars() {
                match c {
                    '\n' | '\t' => html.out.push(c),
                    // In JSON they stand in strings alone.
                    c if matches!(c, '<' | '>' | '&') || is_unseen(c) => {
                        for unit in c.encode_utf16(&mut [0; 2]) {
                            html.out.push_str(&format!("\\u{unit:04x}"));
                        }
                    }
                    c => html.out.push(c),
                }
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(write: impl FnOnce(&mut Html)) -> String {
        let mut html = Html::default();
        write(&mut html);
        html.out
    }

    #[test]
    fn text_and_attributes_are_no_markup() {
        let text = "</script><b a='x'>&\"\u{202e}\u{0}\n";
        let expected =
            "&lt;/script&gt;&lt;b a=&#39;x&#39;&gt;&amp;&quot;\\u{202e}\\u{0}\n".to_owned();
        assert_eq!(written(|html| html.text(text)), expected);
        assert_eq!(
            written(|html| html.leaf("b", &[("title", text)], "x")),
            format!("<b title=\"{expected}\">x</b>")
        );
    }

    #[test]
    fn nothing_in_data_ends_its_element_and_all_of_it_comes_back() {
        let data = serde_json::json!({ "a</script><!--": "\u{202e}\u{2028}\u{e0041} & <b>" });
        let text = written(|html| html.json("data", &data));
        let inside = text.trim().strip_prefix("<script type=\"application/json\" id=\"data\">");
        let inside = inside.and_then(|text| text.strip_suffix("</script>")).expect("one element");
        assert!(!inside.contains(['<', '>', '&', '\u{202e}', '\u{2028}']), "{inside}");
        assert_eq!(serde_json::from_str::<serde_json::Value>(inside).expect("JSON"), data);
    }
}

//! The HTML that stands in a page of Markdown, as far as links are concerned: its tags with their attributes.

/// A tag that opens something.
#[derive(Debug, PartialEq, Eq)]
pub struct Opening<'a> {
    /// Where it begins, in bytes.
    pub at: usize,
    /// Its name as it is written.
    pub name: &'a str,
    /// Its attributes, without their quotes; one without a value has an empty one.
    pub attributes: Vec<(&'a str, &'a str)>,
}

impl Opening<'_> {
    /// What it leads to or shows.
    pub fn links(&self) -> Vec<String> {
        let mut links = Vec::new();
        for &(name, value) in &self.attributes {
            let name = name.to_ascii_lowercase();
            match (self.name.to_ascii_lowercase().as_str(), name.as_str()) {
                ("a" | "area" | "link", "href")
                | ("img" | "source" | "video" | "audio" | "track" | "iframe" | "embed", "src")
                | ("video", "poster") => links.push(unescaped(value)),
                // Each of several is a URL, and after a blank for which screen it is.
                ("img" | "source", "srcset") => {
                    let urls = value.split(',').filter_map(|one| one.split_whitespace().next());
                    links.extend(urls.map(unescaped));
                }
                _ => {}
            }
        }
        links
    }

    /// What a link's `#` may name it by.
    pub fn anchors(&self) -> impl Iterator<Item = String> {
        let names = |name: &str| {
            let is_name = name.eq_ignore_ascii_case("name") && self.name.eq_ignore_ascii_case("a");
            name.eq_ignore_ascii_case("id") || is_name
        };
        self.attributes.iter().filter(move |(name, _)| names(name)).map(|(_, it)| unescaped(it))
    }
}

/// The opening tags of a piece of HTML; nothing of what a comment says.
pub fn openings(html: &str) -> Vec<Opening<'_>> {
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(begins) = html[at..].find('<').map(|more| at + more) {
        let rest = &html[begins + 1..];
        if rest.starts_with("!--") {
            let Some(ends) = rest.find("-->") else { break };
            at = begins + 1 + ends;
        } else if rest.starts_with(|c: char| c.is_ascii_alphabetic()) {
            let name = word(rest, |c| c.is_whitespace() || "/>".contains(c));
            let (attributes, ends) = attributes(html, begins + 1 + name.len());
            found.push(Opening { at: begins, name, attributes });
            at = ends;
        } else {
            at = begins + 1;
        }
    }
    found
}

/// The attributes that stand from there on, and where the tag ends.
fn attributes(html: &str, mut at: usize) -> (Vec<(&str, &str)>, usize) {
    let mut attributes = Vec::new();
    loop {
        let rest = &html[at..];
        at += rest.len() - rest.trim_start_matches(|c: char| c.is_whitespace() || c == '/').len();
        let rest = &html[at..];
        if rest.is_empty() || rest.starts_with('>') {
            return (attributes, at);
        }
        // What begins with `=` is a name, as browsers read it; without that this would not go on.
        let name = word(rest, |c| c.is_whitespace() || "/>=".contains(c));
        let name = if name.is_empty() { &rest[..1] } else { name };
        at += name.len();
        let rest = html[at..].trim_start();
        let Some(rest) = rest.strip_prefix('=').map(str::trim_start) else {
            attributes.push((name, ""));
            continue;
        };
        let quote = rest.chars().next().filter(|c| matches!(c, '"' | '\''));
        let value = match quote {
            Some(quote) => word(&rest[1..], |c| c == quote),
            None => word(rest, |c| c.is_whitespace() || c == '>'),
        };
        let quotes = usize::from(quote.is_some());
        let ends = html.len() - rest.len() + quotes + value.len();
        at = (ends + quotes).min(html.len());
        attributes.push((name, value));
    }
}

/// The text up to what ends it.
fn word(text: &str, ends: impl Fn(char) -> bool) -> &str {
    &text[..text.find(ends).unwrap_or(text.len())]
}

/// A value without the escapes that URLs have.
fn unescaped(value: &str) -> String {
    let value = value.trim().replace("&quot;", "\"").replace("&#39;", "'");
    value.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(html: &str) -> (Vec<String>, Vec<String>) {
        let openings = openings(html);
        let links = openings.iter().flat_map(Opening::links).collect();
        (links, openings.iter().flat_map(Opening::anchors).collect())
    }

    #[test]
    fn links_are_read_however_they_are_quoted() {
        for (html, link) in [
            ("<a href=\"b.md\">", "b.md"),
            ("<A HREF='b.md' class=x>", "b.md"),
            ("<a href=b.md>", "b.md"),
            ("<a\n  class=\"x>y\"\n  href = \"b.md\"\n>", "b.md"),
            ("<img alt=\"a < b\" src=\"e.png\"/>", "e.png"),
            ("<img src=\"a.png?b=1&amp;c=2\">", "a.png?b=1&c=2"),
            ("</p><a disabled href=\"b.md\">", "b.md"),
            ("<a href=\"ä b.md\">ö</a>", "ä b.md"),
        ] {
            assert_eq!(read(html).0, [link], "{html}");
        }
        let picture = "<source srcset=\"a.png, b.png 2x\"><img src=\"c.png\">";
        assert_eq!(read(picture).0, ["a.png", "b.png", "c.png"]);
    }

    #[test]
    fn what_is_no_link_is_none() {
        for html in [
            "<!-- <a href=\"b.md\"> -->",
            "<p data-href=\"b.md\" href=\"b.md\">",
            "a < b href=\"b.md\"",
            "<a name=\"b.md\">",
            "</a href=\"b.md\">",
        ] {
            assert_eq!(read(html).0, [""; 0], "{html}");
        }
        assert_eq!(read("<a name=\"n\"><p id='i' name=\"x\"><!-- <a id=\"c\"> -->").1, ["n", "i"]);
    }

    #[test]
    fn a_torn_tag_ends_with_the_text() {
        let whole = "<a =x \"ä' href='ö' <b id=\"i\"> <!-- <img src= \"";
        for (end, _) in whole.char_indices() {
            let _ = openings(&whole[..end]);
        }
        assert_eq!(read("<img src=\"e.png").0, ["e.png"]);
    }
}

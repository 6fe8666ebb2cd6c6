//! What the gate reads of a page of Markdown: its links and its anchors.

use std::collections::{BTreeMap, BTreeSet};

use pulldown_cmark::{Event, Options, Parser, Tag, TagEnd};

/// A page.
#[derive(Debug, Default)]
pub struct Page {
    /// Where its links and images lead, with the line in which each stands.
    pub links: Vec<(usize, String)>,
    /// What a link's `#` may name in it.
    pub anchors: BTreeSet<String>,
}

impl Page {
    /// Reads a page.
    pub fn of(text: &str) -> Self {
        let mut reader = Reader { page: Self::default(), slugs: BTreeMap::new(), heading: None };
        let options = Options::ENABLE_TABLES | Options::ENABLE_HEADING_ATTRIBUTES;
        for (event, range) in Parser::new_ext(text, options).into_offset_iter() {
            let line = || text[..range.start].matches('\n').count() + 1;
            reader.take(event, line);
        }
        reader.page
    }
}

struct Reader {
    page: Page,
    /// How often each slug was given: the second of the same gets a number.
    slugs: BTreeMap<String, usize>,
    heading: Option<String>,
}

impl Reader {
    fn take(&mut self, event: Event<'_>, line: impl Fn() -> usize) {
        match event {
            Event::Start(Tag::Link { dest_url, .. } | Tag::Image { dest_url, .. }) => {
                self.page.links.push((line(), dest_url.into_string()));
            }
            Event::Start(Tag::Heading { id, .. }) => {
                self.page.anchors.extend(id.map(|id| id.into_string()));
                self.heading = Some(String::new());
            }
            Event::End(TagEnd::Heading(_)) => {
                if let Some(heading) = self.heading.take() {
                    let anchor = self.anchor(&heading);
                    self.page.anchors.insert(anchor);
                }
            }
            Event::Text(text) | Event::Code(text) => {
                if let Some(heading) = &mut self.heading {
                    heading.push_str(&text);
                }
            }
            Event::Html(html) | Event::InlineHtml(html) => self.page.anchors.extend(ids(&html)),
            _ => {}
        }
    }

    /// The anchor that GitHub gives a heading: lower case, blanks as `-`, without punctuation, and a number where
    /// it was given before.
    fn anchor(&mut self, heading: &str) -> String {
        let kept = |c: &char| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_');
        let slug: String = heading.trim().to_lowercase().chars().filter(kept).collect();
        let slug = slug.replace(' ', "-");
        let count = self.slugs.entry(slug.clone()).or_default();
        *count += 1;
        match *count {
            1 => slug,
            again => format!("{slug}-{}", again - 1),
        }
    }
}

/// What a piece of HTML may be named by: `id="…"` and `name="…"`.
fn ids(html: &str) -> Vec<String> {
    let of = |attribute: &str| {
        let parts = html.split(attribute).skip(1);
        parts.filter_map(|rest| rest.split('"').next()).map(str::to_owned).collect::<Vec<_>>()
    };
    [of(" id=\""), of(" name=\"")].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_and_anchors_are_read() {
        let page = Page::of(
            "# What it *is*\n\nSee [a](b.md#c), ![d](e.png)\nand [f][g], not `[x](y)`.\n\n[g]: h.md\n\n\
             ## The `run` command: 1st\n## Same\n## Same\n<a id=\"here\"></a>\n\n\
             ```\n[no](link.md)\n```\n\n| a | b |\n| --- | --- |\n| `c` | d, [h](i.md) |\n",
        );
        let links: Vec<_> = page.links.iter().map(|(line, to)| (*line, to.as_str())).collect();
        assert_eq!(links, [(3, "b.md#c"), (3, "e.png"), (4, "h.md"), (17, "i.md")]);
        let anchors: Vec<_> = page.anchors.iter().map(String::as_str).collect();
        assert_eq!(anchors, ["here", "same", "same-1", "the-run-command-1st", "what-it-is"]);
    }
}

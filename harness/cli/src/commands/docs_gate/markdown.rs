//! What the gate reads of a page of Markdown: its links and its anchors.

use std::collections::{BTreeMap, BTreeSet};

use pulldown_cmark::{BrokenLink, CowStr, Event, LinkType, Options, Parser, Tag, TagEnd};

use super::html;

/// A page.
#[derive(Debug, Default)]
pub struct Page {
    /// Where its links and images lead, those of its HTML too, with the line in which each stands.
    pub links: Vec<(usize, String)>,
    /// Labels that links name and nothing defines, with the line in which each stands.
    pub undefined: Vec<(usize, String)>,
    /// What a link's `#` may name in it.
    pub anchors: BTreeSet<String>,
}

impl Page {
    /// Reads a page.
    pub fn of(text: &str) -> Self {
        let mut reader =
            Reader { page: Self::default(), slugs: BTreeMap::new(), heading: None, html: None };
        let line = |at: usize| text[..at].matches('\n').count() + 1;
        let mut undefined = Vec::new();
        let broken = |link: BrokenLink<'_>| {
            if is_meant(&link, text) {
                undefined.push((line(link.span.start), link.reference.to_string()));
            }
            None::<(CowStr<'_>, CowStr<'_>)>
        };
        let options = Options::ENABLE_TABLES | Options::ENABLE_HEADING_ATTRIBUTES;
        let parser = Parser::new_with_broken_link_callback(text, options, Some(broken));
        for (event, range) in parser.into_offset_iter() {
            reader.take(event, range.start, line);
        }
        let mut page = reader.page;
        page.undefined = undefined;
        page
    }
}

/// Whether what nothing defines was meant as a link: `[text][label]` or `[label][]`. Brackets alone are brackets, and
/// after a word they are an index, as in `a[0][1]`; a label with `^` is a footnote's.
fn is_meant(link: &BrokenLink<'_>, text: &str) -> bool {
    let before = text[..link.span.start].chars().next_back();
    let is_index = before.is_some_and(|c| c.is_alphanumeric() || matches!(c, '_' | ')' | ']'));
    let form = matches!(link.link_type, LinkType::Reference | LinkType::Collapsed);
    form && !is_index && !link.reference.starts_with('^')
}

struct Reader {
    page: Page,
    /// How often each slug was given: the second of the same gets a number.
    slugs: BTreeMap<String, usize>,
    heading: Option<String>,
    /// A block of HTML, and where it begins.
    html: Option<(usize, String)>,
}

impl Reader {
    fn take(&mut self, event: Event<'_>, at: usize, line: impl Fn(usize) -> usize) {
        match event {
            Event::Start(Tag::Link { dest_url, .. } | Tag::Image { dest_url, .. }) => {
                self.page.links.push((line(at), dest_url.into_string()));
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
            // It comes line by line, and a tag may take several.
            Event::Start(Tag::HtmlBlock) => self.html = Some((at, String::new())),
            Event::Html(html) => {
                if let Some((_, block)) = &mut self.html {
                    block.push_str(&html);
                }
            }
            Event::End(TagEnd::HtmlBlock) => {
                if let Some((at, block)) = self.html.take() {
                    self.html(&block, line(at));
                }
            }
            Event::InlineHtml(html) => self.html(&html, line(at)),
            _ => {}
        }
    }

    /// Takes a piece of HTML that begins in this line.
    fn html(&mut self, html: &str, line: usize) {
        for opening in html::openings(html) {
            let line = line + html[..opening.at].matches('\n').count();
            self.page.links.extend(opening.links().into_iter().map(|link| (line, link)));
            self.page.anchors.extend(opening.anchors());
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
        assert_eq!(links, [(3, "b.md#c"), (3, "e.png"), (4, "h.md"), (19, "i.md")]);
        let anchors: Vec<_> = page.anchors.iter().map(String::as_str).collect();
        assert_eq!(anchors, ["here", "same", "same-1", "the-run-command-1st", "what-it-is"]);
    }

    #[test]
    fn links_of_html_are_read_in_blocks_and_in_lines() {
        let page = Page::of(
            "# A\n\n<p align=\"center\">\n  <a\n  href=\"a.md\"><img src='b.png'></a>\n</p>\n\n\
             Text <a href=\"c.md#d\">c</a>\nand <img\nsrc=\"e.png\">.\n\n<!--\n<a href=\"no.md\">\n-->\n\n\
             `<a href=\"no.md\">`\n\n```\n<a href=\"no.md\">\n```\n\n> <div><a href=\"f.md\"></div>\n",
        );
        let links: Vec<_> = page.links.iter().map(|(line, to)| (*line, to.as_str())).collect();
        assert_eq!(links, [(4, "a.md"), (5, "b.png"), (8, "c.md#d"), (9, "e.png"), (22, "f.md")]);
    }

    #[test]
    fn a_label_that_nothing_defines_is_told_where_a_link_was_meant() {
        let page = Page::of(
            "[a][b], [c][], ![d][e]\nand [f][g], [h], [ ] [x], m[0][1], [i][^1], `[no][no]`.\n\n[g]: g.md\n",
        );
        let undefined: Vec<_> =
            page.undefined.iter().map(|(line, to)| (*line, to.as_str())).collect();
        assert_eq!(undefined, [(1, "b"), (1, "c"), (1, "e")]);
        assert_eq!(page.links, [(2, "g.md".to_owned())]);
    }
}

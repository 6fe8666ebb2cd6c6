//! What is wrong with a scenario: what, where, and what to do about it.

use annotate_snippets::{AnnotationKind, Element, Level, Renderer, Snippet};

use super::source::{Place, Shown, SourceMap};

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// The scenario cannot be run.
    Error,
    /// It can, but something will not come out as its author thinks.
    Warning,
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    severity: Severity,
    what: String,
    place: Place,
    label: String,
    help: Option<String>,
    notes: Vec<String>,
    /// Whether it is a guess at what a target by URL is asked for before the load.
    asked: bool,
}

impl Diagnostic {
    pub(crate) fn error(place: &Place, what: impl Into<String>) -> Self {
        Self {
            severity: Severity::Error,
            what: what.into(),
            place: place.clone(),
            label: String::new(),
            help: None,
            notes: Vec::new(),
            asked: false,
        }
    }

    pub(crate) fn warning(place: &Place, what: impl Into<String>) -> Self {
        Self { severity: Severity::Warning, ..Self::error(place, what) }
    }

    /// A word or two under the offending text.
    pub(crate) fn label(mut self, label: impl Into<String>) -> Self {
        self.label = label.into();
        self
    }

    /// What to do about it.
    pub(crate) fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// Something to know.
    pub(crate) fn note(mut self, note: impl Into<String>) -> Self {
        self.notes.push(note.into());
        self
    }

    /// Whether it is a guess at what a target by URL is asked for before the load.
    pub(crate) fn asked(self, asked: bool) -> Self {
        Self { asked, ..self }
    }

    /// Error or warning.
    #[must_use]
    pub fn severity(&self) -> Severity {
        self.severity
    }

    /// What is wrong, in a sentence without a full stop.
    #[must_use]
    pub fn what(&self) -> &str {
        &self.what
    }

    /// What to do about it.
    #[must_use]
    pub fn help_text(&self) -> Option<&str> {
        self.help.as_deref()
    }

    /// Which text it is about, and how severe it is.
    pub(crate) fn at(&self) -> (Severity, Place) {
        (self.severity, self.place.clone())
    }
}

/// Most errors that are told of a scenario, and as many warnings: who has mended a hundred asks again. Each is rendered with
/// its text, so that the work is this many times the text and no more, however much is wrong.
pub const TOLD_MAX: usize = 100;

/// Everything that is wrong with a scenario, in the order of the texts, as far as it is told.
#[derive(Clone, Debug, Default)]
pub struct Diagnostics {
    sources: SourceMap,
    list: Vec<Diagnostic>,
    /// How many errors and warnings are not in the list.
    left_out: LeftOut,
}

/// How many were not told, beyond [`TOLD_MAX`].
#[derive(Clone, Copy, Debug, Default)]
struct LeftOut {
    errors: usize,
    warnings: usize,
}

impl Diagnostics {
    pub(crate) fn new(sources: SourceMap, mut list: Vec<Diagnostic>) -> Self {
        list.sort_by_key(|d| (d.severity, d.place.source, d.place.span.start, d.place.span.end));
        let mut left_out = LeftOut::default();
        let (mut errors, mut warnings) = (0, 0);
        list.retain(|diagnostic| {
            let (told, left_out) = match diagnostic.severity {
                Severity::Error => (&mut errors, &mut left_out.errors),
                Severity::Warning => (&mut warnings, &mut left_out.warnings),
            };
            let is_told = *told < TOLD_MAX;
            *(if is_told { told } else { left_out }) += 1;
            is_told
        });
        Self { sources, list, left_out }
    }

    /// These without the guesses at what the target is asked for before the load: for who asks it.
    #[must_use]
    pub fn without_guesses(mut self) -> Self {
        self.list.retain(|diagnostic| !diagnostic.asked);
        self
    }

    /// Each of them.
    pub fn iter(&self) -> impl Iterator<Item = &Diagnostic> {
        self.list.iter()
    }

    /// How many are told.
    #[must_use]
    pub fn len(&self) -> usize {
        self.list.len()
    }

    /// That more of this severity was found than is told; nothing where all of it is.
    #[must_use]
    pub fn more(&self, severity: Severity) -> Option<String> {
        let (more, mend) = match severity {
            Severity::Error => (self.left_out.errors, "mistakes are not listed: mend these first"),
            Severity::Warning => (self.left_out.warnings, "warnings are not listed"),
        };
        (more > 0).then(|| format!("{more} more {mend}"))
    }

    /// Whether nothing is wrong.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// Where one of them is: `file:line:column`, or the flag as typed.
    #[must_use]
    pub fn location(&self, diagnostic: &Diagnostic) -> String {
        self.sources.describe(&diagnostic.place)
    }

    /// All of them for machines: `errors` and `warnings`, each with `at`, `what`, `help` and `notes`.
    #[must_use]
    pub fn to_json(&self) -> String {
        let of = |severity| {
            let those = self.list.iter().filter(move |diagnostic| diagnostic.severity == severity);
            let told = those.map(|diagnostic| {
                serde_json::json!({
                    "at": self.location(diagnostic),
                    "what": diagnostic.what,
                    "help": diagnostic.help,
                    "notes": diagnostic.notes,
                })
            });
            let file = self.sources.first_path().unwrap_or_default();
            let more = self.more(severity).map(
                |what| serde_json::json!({ "at": file, "what": what, "help": null, "notes": [] }),
            );
            told.chain(more).collect::<Vec<_>>()
        };
        let (errors, warnings) = (of(Severity::Error), of(Severity::Warning));
        let document = serde_json::json!({ "version": 1, "errors": errors, "warnings": warnings });
        format!("{document:#}\n")
    }

    /// All of them for a terminal, the offending text underlined, a blank line between.
    #[must_use]
    pub fn render(&self, color: bool) -> String {
        let renderer = if color { Renderer::styled() } else { Renderer::plain() };
        let shown = self.sources.shown();
        let mut rendered = Vec::new();
        for severity in [Severity::Error, Severity::Warning] {
            let those = self.list.iter().filter(|diagnostic| diagnostic.severity == severity);
            rendered.extend(those.map(|diagnostic| self.render_one(&renderer, &shown, diagnostic)));
            let more = self.more(severity).map(|what| {
                renderer
                    .render(&[level(severity).primary_title(what).elements([] as [Element<'_>; 0])])
            });
            rendered.extend(more);
        }
        rendered.join("\n\n")
    }

    /// One of them; `shown` are the sources as they may be shown.
    fn render_one(&self, renderer: &Renderer, shown: &Shown, diagnostic: &Diagnostic) -> String {
        let level = level(diagnostic.severity);
        let place = &diagnostic.place;
        let source = self.sources.get(place.source);
        let excerpt = shown.at(place);
        let annotation = AnnotationKind::Primary
            .span(excerpt.span)
            .label((!diagnostic.label.is_empty()).then_some(diagnostic.label.as_str()));
        // A flag has neither a path nor lines: its text names it.
        let snippet = Snippet::source(excerpt.text)
            .line_start(excerpt.line)
            .path(source.path.as_deref())
            .line_numbering(source.path.is_some())
            .annotation(annotation);
        let variables = place.variables.iter().map(|name| {
            let note = format!("the value comes from the environment variable `{name}`");
            Level::NOTE.message(note)
        });
        let notes = diagnostic.notes.iter().map(|note| Level::NOTE.message(note.as_str()));
        let help = diagnostic.help.iter().map(|help| Level::HELP.message(help.as_str()));
        let messages = variables.chain(notes).chain(help).map(Element::from);
        let group =
            level.primary_title(diagnostic.what.as_str()).element(snippet).elements(messages);
        renderer.render(&[group])
    }
}

fn level(severity: Severity) -> Level<'static> {
    match severity {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
    }
}

impl std::fmt::Display for Diagnostics {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.render(false))
    }
}

impl std::error::Error for Diagnostics {}

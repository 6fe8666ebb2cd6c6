//! What is wrong with a scenario: what, where, and what to do about it.

use annotate_snippets::{AnnotationKind, Element, Level, Renderer, Snippet};

use super::source::{Place, SourceMap};

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

/// Everything that is wrong with a scenario, in the order of the texts.
#[derive(Clone, Debug, Default)]
pub struct Diagnostics {
    sources: SourceMap,
    list: Vec<Diagnostic>,
}

impl Diagnostics {
    pub(crate) fn new(sources: SourceMap, mut list: Vec<Diagnostic>) -> Self {
        list.sort_by_key(|d| (d.severity, d.place.source, d.place.span.start, d.place.span.end));
        Self { sources, list }
    }

    /// Each of them.
    pub fn iter(&self) -> impl Iterator<Item = &Diagnostic> {
        self.list.iter()
    }

    /// How many.
    #[must_use]
    pub fn len(&self) -> usize {
        self.list.len()
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
            told.collect::<Vec<_>>()
        };
        let (errors, warnings) = (of(Severity::Error), of(Severity::Warning));
        let document = serde_json::json!({ "version": 1, "errors": errors, "warnings": warnings });
        format!("{document:#}\n")
    }

    /// All of them for a terminal, the offending text underlined, a blank line between.
    #[must_use]
    pub fn render(&self, color: bool) -> String {
        let renderer = if color { Renderer::styled() } else { Renderer::plain() };
        let rendered: Vec<String> =
            self.list.iter().map(|diagnostic| self.render_one(&renderer, diagnostic)).collect();
        rendered.join("\n\n")
    }

    fn render_one(&self, renderer: &Renderer, diagnostic: &Diagnostic) -> String {
        let level = match diagnostic.severity {
            Severity::Error => Level::ERROR,
            Severity::Warning => Level::WARNING,
        };
        let place = &diagnostic.place;
        let source = self.sources.get(place.source);
        let shown = source.shown();
        let annotation = AnnotationKind::Primary
            .span(place.span.clone())
            .label((!diagnostic.label.is_empty()).then_some(diagnostic.label.as_str()));
        // A flag has neither a path nor lines: its text names it.
        let snippet = Snippet::source(shown.as_str())
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

impl std::fmt::Display for Diagnostics {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.render(false))
    }
}

impl std::error::Error for Diagnostics {}

//! `docs-gate`: whether a repository's docs are consistent, the rollout runbook's docs gate. Links lead somewhere,
//! what is printed by this program is as this build prints it, kept bundles are what their runs wrote, and the
//! matrix of surfaces is that of the surfaces that are built in.
//!
//! Reads files of one folder, and nothing else: what lies on other hosts is not looked at.

mod bundles;
mod html;
mod links;
mod markdown;
mod pages;
mod surfaces;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use serde::Serialize;

use crate::args::DocsGate;
use crate::exit::{Exit, Failure};
use crate::{output, scenario};

/// Folders that hold what others wrote, or what is made anew by each build.
const FOREIGN: [&str; 3] = ["target", "node_modules", "vendor"];
/// Files that are looked at; a folder with more is not one repository.
const FILES_MAX: usize = 100_000;
/// The largest page that is read, in bytes.
const PAGE_MAX: u64 = 8 * 1024 * 1024;

/// What was found.
#[derive(Debug, Default, Serialize)]
struct Found {
    version: u32,
    /// Pages of Markdown that were read.
    pages: usize,
    /// Links that were followed.
    links: usize,
    /// Pages that this program prints.
    generated: usize,
    /// Bundles that were verified.
    bundles: usize,
    /// Surfaces whose row was compared.
    surfaces: usize,
    /// What is not as it should be, a sentence each, that begins with the file.
    problems: Vec<String>,
    /// What could not be looked at.
    notes: Vec<String>,
}

/// A repository's files.
struct Repository {
    root: PathBuf,
    /// Files by path in it, in order.
    files: BTreeSet<PathBuf>,
}

/// Looks at a repository.
pub fn run(gate: &DocsGate) -> Result<Exit, Failure> {
    let repository = Repository::read(&gate.dir, &gate.skip)?;
    let help = "name a page with the matrix of surfaces and their topics";
    let named = gate
        .surfaces
        .as_deref()
        .map(|file| Ok::<_, Failure>((file, scenario::text_of("--surfaces", file, help)?)));
    let named = named.transpose()?;
    let mut found = Found { version: 1, ..Found::default() };
    let pages = repository.markdown(&mut found);
    links::check(&repository, &pages, &mut found);
    pages::check(&repository, &mut found);
    bundles::check(&repository, &mut found);
    surfaces::check(&repository, named, &mut found);
    let text = match gate.json {
        true => serde_json::to_string_pretty(&found).context("cannot print what was found")? + "\n",
        false => rendered(&found),
    };
    output::verdict(text.as_bytes());
    Ok(match (found.problems.is_empty(), found.is_nothing()) {
        (false, _) => Exit::NoGo,
        // What was not looked at is not found to be right.
        (true, true) => Exit::Hold,
        (true, false) => Exit::Go,
    })
}

impl Found {
    /// Whether there was nothing to look at.
    fn is_nothing(&self) -> bool {
        self.pages + self.generated + self.bundles + self.surfaces == 0
    }
}

fn rendered(found: &Found) -> String {
    let Found { pages, links, generated, bundles, surfaces, problems, notes, .. } = found;
    let lines = problems.iter().cloned().chain(notes.iter().map(|note| format!("note: {note}")));
    let lines: String = lines.map(|line| line + "\n").collect();
    let ending = match problems.len() {
        0 if found.is_nothing() => {
            "nothing was checked, for there is no page in it: name the folder of a repository"
                .to_owned()
        }
        0 => "nothing is wrong".to_owned(),
        1 => "1 problem".to_owned(),
        some => format!("{some} problems"),
    };
    format!(
        "{lines}{pages} pages, {links} links, {generated} pages of ours, {bundles} bundles, {surfaces} surfaces: {ending}\n"
    )
}

impl Repository {
    fn read(root: &Path, skip: &[String]) -> Result<Self, Failure> {
        let mut repository = Self { root: root.to_owned(), files: BTreeSet::new() };
        let told = |error| Failure::new(Exit::Setup, format!("{}: {error}", root.display()));
        repository.walk(Path::new(""), skip).map_err(told)?;
        Ok(repository)
    }

    /// Takes the files of a folder. Links are not followed, so that none leads round in a circle.
    fn walk(&mut self, folder: &Path, skip: &[String]) -> std::io::Result<()> {
        for entry in fs::read_dir(self.root.join(folder))? {
            let entry = entry?;
            let name = entry.file_name();
            let shown = name.to_string_lossy();
            let path = folder.join(&name);
            let kind = entry.file_type()?;
            if kind.is_dir() {
                let foreign = FOREIGN.contains(&&*shown) || skip.iter().any(|skip| *skip == shown);
                // What a checkout keeps for itself; `.github` has pages for people.
                let hidden = shown.starts_with('.') && shown != ".github";
                if !foreign && !hidden {
                    self.walk(&path, skip)?;
                }
            } else if kind.is_file() {
                if self.files.len() >= FILES_MAX {
                    let why = format!("it holds more than {FILES_MAX} files: name one repository");
                    return Err(std::io::Error::other(why));
                }
                self.files.insert(path);
            }
        }
        Ok(())
    }

    /// Its pages of Markdown, with what this gate reads of them.
    fn markdown(&self, found: &mut Found) -> Vec<(PathBuf, markdown::Page)> {
        let is_page = |path: &&PathBuf| path.extension().is_some_and(|it| it == "md");
        let mut pages = Vec::new();
        for path in self.files.iter().filter(is_page) {
            match self.text(path) {
                Ok(text) => {
                    found.pages += 1;
                    pages.push((path.clone(), markdown::Page::of(&text)));
                }
                Err(why) => found.problems.push(format!("{}: {why}", path.display())),
            }
        }
        pages
    }

    /// The text of one of its files.
    fn text(&self, path: &Path) -> Result<String, String> {
        let whole = self.root.join(path);
        let size = fs::metadata(&whole).map_err(|error| error.to_string())?.len();
        if size > PAGE_MAX {
            return Err(format!("it is larger than {PAGE_MAX} bytes: nobody reads that"));
        }
        fs::read_to_string(&whole).map_err(|error| error.to_string())
    }
}

//! Whether a folder of stages is still what they wrote, and whether its decisions follow from it.

use std::collections::BTreeSet;
use std::path::Path;

use anyhow::Context as _;
use khala_bundle::seal::{PublicKey, check_file};
use khala_bundle::{Bundle, Verified, manifest::has_own_digest, names::SIGNATURE as SIGNED};
use khala_stage::entry::Ended;
use khala_stage::folder::{self, ENDS, LATEST};
use khala_stage::history::{Attempt, History};
use khala_stage::journal::{Head, Journal, sha256};
use khala_stage::manifest::Manifest;

use super::kept::Kept;
use super::sealed::{names, signature, statement};
use super::store::{HEAD, JOURNAL, found};
use super::{again, runs, witness};
use crate::exit::Failure;

/// The lock of a stage that is under way, or that was killed.
const LOCK: &str = ".writing";
/// What keeps the folder in a repository.
const OF_GIT: [&str; 3] = [".gitkeep", ".gitignore", ".gitattributes"];
/// End of the name of an attempt's manifest.
const MANIFEST: &str = ".manifest.json";

/// Whether it is a folder of stages, or what is left of one.
pub fn is_folder(dir: &Path) -> bool {
    let there = |name: &str| dir.join(name).symlink_metadata().is_ok();
    !there(khala_bundle::names::MANIFEST) && [JOURNAL, HEAD, LATEST].iter().any(|name| there(name))
}

/// Whether it is the manifest of an attempt.
pub fn is_manifest(path: &Path) -> bool {
    let name = path.file_name().and_then(|name| name.to_str());
    path.is_file() && name.is_some_and(|name| name.ends_with(MANIFEST))
}

/// Verifies a folder of stages, or one attempt by its manifest. With a key every attempt must be signed by that one.
///
/// # Errors
/// When it cannot be read at all.
pub fn verify(at: &Path, key: Option<&PublicKey>) -> Result<Verified, Failure> {
    let mut of = match at.parent().filter(|_| is_manifest(at)) {
        Some(dir) => {
            let dir = if dir.as_os_str().is_empty() { Path::new(".") } else { dir };
            let name = at.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            let mut of = Looking::at(dir, key);
            let report = name.trim_end_matches(MANIFEST).to_owned();
            let manifest = of.sealed(&report);
            of.found.decision = manifest.as_ref().map(|manifest| manifest.decision.to_string());
            manifest.iter().for_each(|manifest| of.alone(manifest));
            of
        }
        None => {
            std::fs::read_dir(at).with_context(|| format!("cannot list {}", at.display()))?;
            let mut of = Looking::at(at, key);
            of.folder()?;
            of
        }
    };
    let mut told = BTreeSet::new();
    of.found.problems.retain(|problem| told.insert(problem.clone()));
    Ok(of.found)
}

struct Looking<'a> {
    dir: &'a Path,
    key: Option<&'a PublicKey>,
    /// The journal's text, as far as it can be read.
    text: Vec<u8>,
    found: Verified,
    /// Names of files that were held against something.
    known: BTreeSet<String>,
}

impl<'a> Looking<'a> {
    fn at(dir: &'a Path, key: Option<&'a PublicKey>) -> Self {
        let text = std::fs::read(dir.join(JOURNAL)).unwrap_or_default();
        Self { dir, key, text, found: Verified::default(), known: BTreeSet::new() }
    }

    fn problem(&mut self, what: String) {
        self.found.problems.push(what);
    }

    /// Counts a file that is what it should be, or tells that it is not.
    fn held(&mut self, name: &str, is_it: bool) {
        self.known.insert(name.to_owned());
        match is_it {
            true => self.found.unchanged += 1,
            false if self.dir.join(name).exists() => {
                self.problem(format!("{name} is not what was written"));
            }
            false => self.problem(format!("{name} is missing")),
        }
    }

    fn is(&self, name: &str, digest: &str) -> bool {
        std::fs::read(self.dir.join(name)).is_ok_and(|content| sha256(&content) == digest)
    }

    fn folder(&mut self) -> Result<(), Failure> {
        let Some((journal, history)) = self.journal() else {
            // What the journal knows is not known: what the manifests say of themselves is.
            for file in found(self.dir)? {
                if let Some(report) = file.name.strip_suffix(MANIFEST) {
                    self.sealed(report);
                }
            }
            return Ok(());
        };
        if let Some(why) = witness::missing((&journal, &history), None) {
            self.problem(format!("{JOURNAL} {why}"));
        }
        for attempt in &history.attempts {
            self.samples(attempt);
            if let Some((ended, _)) = &attempt.ended {
                self.decided(ended);
                self.drawn((&journal, &history), attempt);
            }
        }
        if let Some((last, _)) = history.decided().next_back() {
            self.found.decision = Some(last.decided.decision.to_string());
            self.held(LATEST, self.is(LATEST, &last.report_sha256));
        }
        if let Some(why) = folder::unaccounted(&history, &found(self.dir)?) {
            let named = self.found.problems.iter().any(|told| {
                why.split([' ', ',']).next().is_some_and(|name| told.starts_with(name))
            });
            if !named {
                self.problem(why);
            }
        }
        self.others();
        Ok(())
    }

    /// What the attempt of a manifest comes to, drawn again, as far as the journal can be read.
    fn alone(&mut self, manifest: &Manifest) {
        let journal = std::str::from_utf8(&self.text).ok().and_then(|it| Journal::read(it).ok());
        let history = journal.as_ref().and_then(|journal| History::of(journal).ok());
        let Some((journal, history)) = journal.zip(history) else { return };
        if let Some(attempt) = history.attempts.get((manifest.attempt as usize).wrapping_sub(1)) {
            self.drawn((&journal, &history), attempt);
        }
    }

    /// What an attempt comes to, drawn again.
    fn drawn(&mut self, lines: (&Journal, &History), attempt: &Attempt) {
        let found = again::drawn(self.dir, lines, attempt);
        self.found.problems.extend(found.problems);
        self.found.notes.extend(found.notes);
    }

    /// Reads the journal, and its head.
    fn journal(&mut self) -> Option<(Journal, History)> {
        let is_there = self.dir.join(JOURNAL).exists();
        self.known.extend([JOURNAL, HEAD].map(str::to_owned));
        if !is_there {
            self.problem(format!("{JOURNAL} is missing"));
            return None;
        }
        let read = std::str::from_utf8(&self.text)
            .map_err(|error| format!("is damaged: {error}"))
            .and_then(|text| Journal::read(text).map_err(|error| format!("is damaged: {error}")));
        let journal = match read {
            Ok(journal) => journal,
            Err(why) => {
                self.problem(format!("{JOURNAL} {why}"));
                return None;
            }
        };
        if journal.whole < self.text.len() {
            let what = "has a last line that was not written to its end: whoever wrote it was killed, or it was cut";
            self.found.notes.push(format!("{JOURNAL} {what}"));
        }
        match head(&self.dir.join(HEAD)) {
            Err(why) => self.problem(format!("{HEAD} {why}")),
            Ok(head) => match journal.follows(head.as_ref()) {
                Ok(()) => self.found.unchanged += 2,
                Err(why) => {
                    self.problem(format!("{JOURNAL} {why}, by {HEAD}"));
                    self.problem(unfit(HEAD, JOURNAL));
                }
            },
        }
        match History::of(&journal) {
            Ok(history) => Some((journal, history)),
            Err(error) => {
                self.problem(format!("{JOURNAL} is damaged: {error}"));
                None
            }
        }
    }

    /// The samples of the build that an attempt's hold was told.
    fn samples(&mut self, attempt: &Attempt) {
        let [samples, head_of_it] = Kept::names(attempt.begun.attempt);
        let kept = Kept::of(self.dir, attempt);
        self.known.extend([samples.clone(), head_of_it.clone()]);
        if let Err(why) = head(&self.dir.join(&head_of_it)) {
            self.problem(format!("{head_of_it} {why}"));
        } else if let Some(why) = kept.amiss() {
            // It begins with where the file lies.
            let why =
                why.strip_prefix(&format!("{}/", self.dir.display())).unwrap_or(&why).to_owned();
            self.problem(why);
            self.problem(unfit(&head_of_it, &samples));
        } else {
            let there = [&samples, &head_of_it].into_iter().filter(|it| self.dir.join(it).exists());
            self.found.unchanged += there.count();
        }
    }

    /// An attempt that was decided.
    fn decided(&mut self, ended: &Ended) {
        let name = &ended.report;
        let json = format!("{name}.json");
        self.held(&json, self.is(&json, &ended.report_sha256));
        let [manifest, _] = names(name);
        if self.dir.join(&manifest).exists() {
            let Some(manifest) = self.sealed(name) else { return };
            if (manifest.attempt, manifest.decision) != (ended.attempt, ended.decided.decision) {
                let what = format!(
                    "{name}{MANIFEST} is of attempt {}, {}, and the journal has {}, {}",
                    manifest.attempt, manifest.decision, ended.attempt, ended.decided.decision
                );
                self.problem(what);
            }
            return;
        }
        for end in ["md", "html"] {
            let name = format!("{name}.{end}");
            if !self.dir.join(&name).exists() {
                self.problem(format!("{name} is missing"));
            }
            self.known.insert(name);
        }
        // What there is of a seal is of no manifest.
        if self.key.is_some() || names(name).iter().any(|it| self.dir.join(signature(it)).exists())
        {
            self.problem(format!("{manifest} is missing: nobody signed attempt {}", ended.attempt));
        } else {
            self.found.notes.push(format!(
                "attempt {} has no manifest, which `seal` makes: nobody vouches for {name}",
                ended.attempt
            ));
        }
    }

    /// What an attempt's manifest names, and what vouches for it. The manifest, where it is what was written.
    fn sealed(&mut self, report: &str) -> Option<Manifest> {
        let [name, stated] = names(report);
        let seals = [&name, &stated].map(|name| (name.clone(), signature(name)));
        for (file, signature) in &seals {
            self.known.extend([file.clone(), signature.clone()]);
            check_file(self.dir, (file, signature), self.key, &mut self.found);
        }
        let text = std::fs::read(self.dir.join(&name)).unwrap_or_default();
        let read = serde_json::from_slice::<Manifest>(&text).ok();
        let Some(manifest) = read.filter(|it| has_own_digest(&text, &it.manifest_sha256)) else {
            self.problem(format!("{name} is not what was written"));
            return None;
        };
        self.found.unchanged += 1;
        if !manifest.begins(&self.text) {
            let lines = manifest.journal.lines;
            self.problem(format!(
                "{JOURNAL} is not what was written up to line {lines}, by {name}"
            ));
        }
        for (file, written) in &manifest.files {
            self.held(file, self.is(file, &written.sha256));
        }
        for end in ENDS {
            let file = format!("{report}.{end}");
            if !manifest.files.contains_key(&file) {
                self.problem(format!("{file} is not named by {name}"));
            }
        }
        for (bundle, written) in &manifest.runs {
            self.run(bundle, written.as_deref());
        }
        if self.dir.join(&stated).exists() {
            let given = statement(self.dir, &manifest, &text, report).ok();
            let there = std::fs::read(self.dir.join(&stated)).ok();
            match given.is_some() && given == there {
                true => self.found.unchanged += 1,
                false => {
                    self.problem(format!("{stated} is not what {name} and the report give"));
                }
            }
        }
        Some(manifest)
    }

    /// The evidence of a run.
    fn run(&mut self, bundle: &str, manifest: Option<&str>) {
        let dir = Path::new(bundle);
        if manifest.is_none() {
            match Bundle::open(dir) {
                Ok(_) => self
                    .found
                    .notes
                    .push(format!("{bundle} is of a run that was killed: nothing vouches for it")),
                Err(error) => self.problem(format!("{bundle} is not what was written: {error}")),
            }
            return;
        }
        if runs::digest(dir).as_deref() != manifest {
            let what =
                if dir.exists() { "manifest.json is not what was written" } else { "is missing" };
            self.problem(format!("{bundle} {what}"));
        }
        // By whom it is signed, where it is: the manifest vouches for it in any case.
        let key = self.key.filter(|_| dir.join(SIGNED).exists());
        match khala_bundle::verify(dir, key) {
            Ok(found) => {
                self.found.unchanged += found.unchanged;
                let problems = found.problems.into_iter().map(|why| format!("{bundle}: {why}"));
                self.found.problems.extend(problems);
            }
            Err(error) => self.problem(format!("{bundle} cannot be read: {error}")),
        }
    }

    /// What lies there and is of no attempt.
    fn others(&mut self) {
        let listed = std::fs::read_dir(self.dir).into_iter().flatten().flatten();
        let mut names: Vec<(String, bool)> = listed
            .map(|entry| {
                let is_link = entry.file_type().is_ok_and(|it| it.is_symlink());
                (entry.file_name().to_string_lossy().into_owned(), is_link)
            })
            .collect();
        names.sort_unstable();
        for (name, is_link) in names {
            let ours = name.ends_with(".minisig") || name.starts_with("builds-");
            if is_link {
                self.problem(format!("{name} is a symbolic link, which no stage leaves"));
            } else if self.known.contains(&name) || name == LOCK || OF_GIT.contains(&name.as_str())
            {
                continue;
            } else if name.starts_with('.') {
                self.problem(format!("{name} is hidden, which nothing is that a stage leaves"));
            } else if ours {
                self.problem(format!("{name} is of no attempt that the journal knows"));
            } else {
                self.found.notes.push(format!("{name} is none of the stages' files"));
            }
        }
    }
}

/// What is said of a head.
fn unfit(head: &str, of: &str) -> String {
    format!("{head} does not fit {of}: one of the two is not what was written")
}

/// A head, which has to be as it is written; `None` where none is there.
fn head(path: &Path) -> Result<Option<Head>, String> {
    let text = match std::fs::read(path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(format!("cannot be read: {error}")),
    };
    let head = serde_json::from_slice::<Head>(&text).ok();
    match head.as_ref().and_then(|head| serde_json::to_vec(head).ok()) {
        Some(written) if written == text => Ok(head),
        _ => Err("is not what was written".to_owned()),
    }
}

//! Links that lead nowhere. Those to other hosts are not followed.

use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};

use percent_encoding::percent_decode_str;

use super::markdown::Page;
use super::{Found, Repository};

pub fn check(repository: &Repository, pages: &[(PathBuf, Page)], found: &mut Found) {
    let by_path: BTreeMap<&Path, &Page> =
        pages.iter().map(|(path, page)| (path.as_path(), page)).collect();
    for (path, page) in pages {
        for (line, link) in &page.links {
            if is_elsewhere(link) {
                continue;
            }
            found.links += 1;
            if let Some(why) = dead(repository, &by_path, path, link) {
                found.problems.push(format!("{}:{line}: {link} {why}", path.display()));
            }
        }
        for (line, label) in &page.undefined {
            found.links += 1;
            let what = format!("{}:{line}: nothing defines the link [{label}]", path.display());
            found.problems.push(what);
        }
    }
}

/// Whether a link names a scheme or another host.
fn is_elsewhere(link: &str) -> bool {
    let scheme = link.split_once(':').map(|(scheme, _)| scheme);
    let is_scheme = |text: &str| {
        text.len() > 1 && text.chars().all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c))
    };
    link.starts_with("//") || scheme.is_some_and(is_scheme)
}

/// Why a link leads nowhere, in a clause, if it does.
fn dead(
    repository: &Repository,
    pages: &BTreeMap<&Path, &Page>,
    from: &Path,
    link: &str,
) -> Option<String> {
    let (to, anchor) = link.split_once('#').unwrap_or((link, ""));
    let to = to.split('?').next().unwrap_or_default();
    let decoded = percent_decode_str(to).decode_utf8_lossy();
    let path = match decoded.as_ref() {
        "" => from.to_owned(),
        // GitHub takes it from the repository's own folder.
        absolute if absolute.starts_with('/') => plain(Path::new(absolute))?,
        relative => {
            let folder = from.parent().unwrap_or(Path::new(""));
            match plain(&folder.join(relative)) {
                Some(path) => path,
                None => return Some("leads out of the repository".to_owned()),
            }
        }
    };
    if !repository.root.join(&path).exists() {
        return Some("is not there".to_owned());
    }
    let page = pages.get(path.as_path())?;
    if anchor.is_empty() {
        return None;
    }
    let anchor = percent_decode_str(anchor).decode_utf8_lossy();
    // Lines of a file, as GitHub names them.
    let is_line =
        anchor.strip_prefix('L').is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()));
    let known = is_line || page.anchors.contains(anchor.as_ref());
    (!known).then(|| format!("names a heading that {} has not", path.display()))
}

/// A path in the repository without `.` and `..`; `None` where it leaves it.
fn plain(path: &Path) -> Option<PathBuf> {
    let mut plain = PathBuf::new();
    for component in path.components() {
        match component {
            Component::Normal(name) => plain.push(name),
            Component::ParentDir => {
                if !plain.pop() {
                    return None;
                }
            }
            Component::CurDir | Component::RootDir | Component::Prefix(_) => {}
        }
    }
    Some(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scheme_or_a_host_is_elsewhere() {
        for link in ["https://example.com/a", "mailto:a@example.com", "//example.com/a"] {
            assert!(is_elsewhere(link), "{link}");
        }
        for link in ["a.md", "a/b.md#c", "#c", "/a.md", "../a.md", "a b.md"] {
            assert!(!is_elsewhere(link), "{link}");
        }
    }

    #[test]
    fn a_path_is_kept_in_the_repository() {
        let of = |path: &str| plain(Path::new(path)).map(|path| path.display().to_string());
        assert_eq!(of("a/../b/./c.md").as_deref(), Some("b/c.md"));
        assert_eq!(of("/a.md").as_deref(), Some("a.md"));
        assert_eq!(of("a/../../b.md"), None);
    }
}

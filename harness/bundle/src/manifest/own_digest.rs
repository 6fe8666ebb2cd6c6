//! The manifest's digest of itself: the SHA-256 of its text with the digest's own value left empty.
//!
//! Whoever has no tool of ours checks it with
//! `sed -E 's/("manifest_sha256": ")[0-9a-f]{64}"/\1"/' manifest.json | sha256sum`. It shows a byte that was
//! changed by accident; who changes one on purpose can make it anew, and not the signature.

use sha2::{Digest as _, Sha256};

use super::{Manifest, hex};

/// The version of the format since which every manifest has one.
pub(super) const SINCE: u32 = 3;

/// The manifest's text, with its digest, which the manifest gets too.
pub(super) fn sealed(manifest: &mut Manifest) -> serde_json::Result<Vec<u8>> {
    manifest.manifest_sha256 = Some(String::new());
    manifest.manifest_sha256 = Some(hex(&Sha256::digest(text(manifest)?)));
    text(manifest)
}

fn text(manifest: &Manifest) -> serde_json::Result<Vec<u8>> {
    let mut json = serde_json::to_vec_pretty(manifest)?;
    json.push(b'\n');
    Ok(json)
}

/// Why a manifest's text is not what was written, in a clause, if it is not.
pub(super) fn doubt(text: &[u8], manifest: &Manifest) -> Option<String> {
    let Some(digest) = &manifest.manifest_sha256 else {
        let lacks = "is not what was written, for it has no digest of itself (manifest_sha256)";
        return (manifest.format_version >= SINCE).then(|| lacks.to_owned());
    };
    (!fits(text, digest)).then(|| {
        "is not what was written, for its digest of itself (manifest_sha256) is another".to_owned()
    })
}

/// Whether a text in which its own digest stands as `manifest_sha256` has this one.
#[must_use]
pub fn fits(text: &[u8], digest: &str) -> bool {
    emptied(text, digest).is_some_and(|is| is == *digest)
}

/// The digest of a text in which this value of the digest is left out; `None` where it does not stand there.
fn emptied(text: &[u8], digest: &str) -> Option<String> {
    let written = format!("\"manifest_sha256\": \"{digest}\"");
    let at = text.windows(written.len()).position(|window| window == written.as_bytes())?;
    let mut hasher = Sha256::new();
    hasher.update(&text[..at]);
    hasher.update(b"\"manifest_sha256\": \"\"");
    hasher.update(&text[at + written.len()..]);
    Some(hex(&hasher.finalize()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifest::{Entry, Target};

    fn manifest() -> Manifest {
        let entry = Entry { bytes: 3, sha256: "00".repeat(32) };
        Manifest {
            format_version: SINCE,
            manifest_sha256: None,
            tool_version: "1.0.0".to_owned(),
            tool_commit: None,
            run_id: "00000001".to_owned(),
            scenario: "small".to_owned(),
            seed: 1,
            started_at: "2026-11-29T04:46:13Z".to_owned(),
            host: khala_evidence::journal::Host::default(),
            target: Target {
                url: "http://127.0.0.1:1".to_owned(),
                kind: "url".to_owned(),
                build: None,
            },
            decision: "GO".to_owned(),
            defects: Vec::new(),
            only_clients: Vec::new(),
            files: [("run.json".to_owned(), entry)].into(),
            made_afterwards: None,
            remade: Vec::new(),
            replaced: false,
        }
    }

    /// What is wrong with a text, if anything is.
    fn wrong(text: &[u8]) -> Option<String> {
        match serde_json::from_slice::<Manifest>(text) {
            Ok(manifest) => doubt(text, &manifest),
            Err(error) => Some(error.to_string()),
        }
    }

    #[test]
    fn no_byte_can_be_another() {
        let text = sealed(&mut manifest()).expect("is serialised");
        assert_eq!(wrong(&text), None);
        for at in 0..text.len() {
            for bit in 0..8 {
                let mut flipped = text.clone();
                flipped[at] ^= 1 << bit;
                assert!(wrong(&flipped).is_some(), "byte {at}, bit {bit}");
            }
        }
        assert!(wrong(&[&text[..], b"\n"].concat()).is_some(), "one more");
        assert!(wrong(&text[..text.len() - 1]).is_some(), "one less");
    }

    #[test]
    fn a_manifest_of_before_needs_none() {
        let mut manifest = manifest();
        manifest.format_version = SINCE - 1;
        let text = text(&manifest).expect("is serialised");
        assert_eq!(wrong(&text), None);
    }

    #[test]
    fn it_is_made_anew_and_not_carried_on() {
        let mut manifest = manifest();
        let text = sealed(&mut manifest).expect("is serialised");
        assert_eq!(sealed(&mut manifest).expect("is serialised"), text);
    }
}

//! What vouches for a manifest: a signature in [minisign's format](https://jedisct1.github.io/minisign/), and the
//! run as an in-toto statement.
//!
//! The manifest has the digest of every file, so that who signs it signs the bundle. Keys and signatures are
//! those of the stock tools: `minisign -Vm manifest.json -p KEY.pub` verifies as well. Nobody is ever asked for a
//! password here: one that is needed and not given is an error.

use std::fmt;
use std::fs;
use std::io::Cursor;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use khala_evidence::report::RunReport;
use minisign::{PublicKeyBox, SecretKeyBox, SignatureBox};

use crate::manifest::{self, Manifest};
use crate::names::{MANIFEST, SIGNATURE, STATEMENT, STATEMENT_SIGNATURE};
use crate::verify::Verified;
use crate::{Error, files, statement};

/// The first line of our signatures, which is not signed itself.
const COMMENT: &str = "signature from khala-harness";
/// What the signed comment of our signatures begins with.
const TRUSTED: &str = "khala-harness ";
/// Characters of an Ed25519 signature in base64.
const SIGNATURE_BASE64: usize = 88;

/// Why a key cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// It is something else.
    #[error("it is no secret key in minisign's format, as `minisign -G` makes one")]
    NotSecret,
    /// It is something else.
    #[error("it is no public key in minisign's format, as `minisign -G` makes one")]
    NotPublic,
    /// It is protected by a password that was not given.
    #[error("it is protected by a password, which was not given")]
    Locked,
    /// The password is another, or the key is damaged.
    #[error("its password is another, or it is damaged")]
    WrongPassword,
}

/// A key to sign with. It is in no `Debug`.
pub struct SigningKey(minisign::SecretKey);

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SigningKey({})", id(self.0.keynum()))
    }
}

impl SigningKey {
    /// The key that a file in minisign's format holds; `password` opens it where it is protected.
    ///
    /// # Errors
    /// As [`KeyError`] says.
    pub fn parse(text: &str, password: Option<&str>) -> Result<Self, KeyError> {
        let encoded = text.lines().nth(1).ok_or(KeyError::NotSecret)?;
        // It begins with `Ed`, and `Sc` where scrypt protects it; the stock tool gives one without a password no
        // checksum, which the crate would want to see.
        let bytes = BASE64.decode(encoded.trim()).map_err(|_| KeyError::NotSecret)?;
        let key = match bytes.get(..4) {
            Some(b"EdSc") => {
                let password = password.ok_or(KeyError::Locked)?.to_owned();
                let boxed = SecretKeyBox::from(text.to_owned());
                boxed.into_secret_key(Some(password)).map_err(|_| KeyError::WrongPassword)?
            }
            Some(b"Ed\0\0") => {
                minisign::SecretKey::from_bytes(&bytes).map_err(|_| KeyError::NotSecret)?
            }
            _ => return Err(KeyError::NotSecret),
        };
        // Before a run, and not when it has ended.
        let public = minisign::PublicKey::from_secret_key(&key).map_err(|_| KeyError::NotSecret)?;
        let tried = minisign::sign(Some(&public), &key, Cursor::new(b""), None, None);
        tried.map_err(|_| KeyError::NotSecret)?;
        Ok(Self(key))
    }

    /// The key that verifies what this one signs.
    ///
    /// # Errors
    /// [`KeyError::NotSecret`] where it has none, which no whole key does.
    pub fn public(&self) -> Result<PublicKey, KeyError> {
        let key = minisign::PublicKey::from_secret_key(&self.0);
        key.map(PublicKey).map_err(|_| KeyError::NotSecret)
    }
}

/// A key to verify with.
#[derive(Clone, Debug)]
pub struct PublicKey(minisign::PublicKey);

impl PublicKey {
    /// The key that a file in minisign's format holds, or its second line alone.
    ///
    /// # Errors
    /// [`KeyError::NotPublic`].
    pub fn parse(text: &str) -> Result<Self, KeyError> {
        let bare = text.trim();
        let key = match bare.contains('\n') {
            true => PublicKeyBox::from(text.to_owned()).into_public_key(),
            false => minisign::PublicKey::from_base64(bare),
        };
        key.map(Self).map_err(|_| KeyError::NotPublic)
    }

    /// Its id, as minisign prints it.
    #[must_use]
    pub fn id(&self) -> String {
        id(self.0.keynum())
    }
}

/// What is to be made for a bundle whose manifest is written.
#[derive(Clone, Copy, Debug, Default)]
pub struct Seal<'a> {
    /// Whether the run is told as an in-toto statement.
    pub statement: bool,
    /// The key that signs.
    pub key: Option<&'a SigningKey>,
}

impl Seal<'_> {
    /// Makes it for the bundle `dir`, whose report is `report`.
    ///
    /// # Errors
    /// [`Error::Manifest`] where the manifest is not what was written, [`Error::Unsigned`], and [`Error::File`].
    pub fn write(&self, dir: &Path, report: &RunReport) -> Result<(), Error> {
        let wrong = |why| Error::Manifest { dir: dir.to_owned(), why };
        let manifest = manifest::read(dir).map_err(wrong)?;
        if self.statement {
            files::write(dir, STATEMENT, &statement::of(dir, &manifest, report)?)?;
        }
        let Some(key) = self.key else { return Ok(()) };
        sign(dir, MANIFEST, SIGNATURE, &manifest, key)?;
        if dir.join(STATEMENT).is_file() {
            sign(dir, STATEMENT, STATEMENT_SIGNATURE, &manifest, key)?;
        }
        Ok(())
    }
}

fn sign(
    dir: &Path,
    file: &str,
    signature: &str,
    manifest: &Manifest,
    key: &SigningKey,
) -> Result<(), Error> {
    let Manifest { run_id, scenario, started_at, decision, .. } = manifest;
    let of = format!("run {run_id} ({scenario}, {started_at}): {decision}");
    sign_file(dir, file, signature, &of, key)
}

/// Signs the file `file` of a folder, into `signature` beside it; `of` says in its signed comment what it is of.
///
/// # Errors
/// [`Error::Unsigned`] and [`Error::File`].
pub fn sign_file(
    dir: &Path,
    file: &str,
    signature: &str,
    of: &str,
    SigningKey(key): &SigningKey,
) -> Result<(), Error> {
    let path = dir.join(file);
    let text = fs::read(&path).map_err(Error::read(&path))?;
    let trusted = format!("{TRUSTED}{file} of {of}");
    let unsigned = |error: minisign::PError| Error::Unsigned { path, why: error.to_string() };
    let public = minisign::PublicKey::from_secret_key(key);
    let signed = public.and_then(|public| {
        minisign::sign(Some(&public), key, Cursor::new(text), Some(&trusted), Some(COMMENT))
    });
    files::write(dir, signature, &signed.map_err(unsigned)?.to_bytes())
}

/// Holds the signatures of a bundle, and its statement, against the manifest; with a key, against that too.
pub(crate) fn check(dir: &Path, key: Option<&PublicKey>, found: &mut Verified) {
    for (file, signature) in [(MANIFEST, SIGNATURE), (STATEMENT, STATEMENT_SIGNATURE)] {
        check_file(dir, (file, signature), key, found);
    }
}

/// Holds the signature of a file of a folder against the file; with a key, against that too, and it has to be there.
pub fn check_file(
    dir: &Path,
    (file, signature): (&str, &str),
    key: Option<&PublicKey>,
    found: &mut Verified,
) {
    let (there, signed) = (dir.join(signature).is_file(), dir.join(file).is_file());
    let wanted = key.is_some() && signed;
    if !there && wanted {
        found.problems.push(format!("{signature} is missing: nobody signed {file}"));
    }
    if there && !signed {
        found.problems.push(format!("{signature} is of {file}, which is missing"));
    } else if there {
        match checked(dir, file, signature, key) {
            Ok(()) => found.unchanged += usize::from(key.is_some()),
            Err(why) => found.problems.push(format!("{signature} {why}")),
        }
        if key.is_none() {
            let told = format!(
                "{signature} is held against nothing: --public-key names whose it should be"
            );
            found.notes.push(told);
        }
    }
}

/// Whether a signature is one, and of this file and key; else why not, in a clause.
fn checked(dir: &Path, file: &str, signature: &str, key: Option<&PublicKey>) -> Result<(), String> {
    let text = fs::read_to_string(dir.join(signature))
        .map_err(|error| format!("is not what was written, for it cannot be read: {error}"))?;
    let none = || "is not what was written: it is no signature in minisign's format".to_owned();
    let signed = SignatureBox::from_string(&text).map_err(|_| none())?;
    let comment = signed.untrusted_comment().map_err(|_| none())?;
    let trusted = signed.trusted_comment().map_err(|_| none())?;
    // Its first line is not signed: of our own it is known.
    let ours = trusted.starts_with(TRUSTED);
    // The crate takes for granted that the signature of the comment is as long as one.
    let whole = text.lines().nth(3).is_some_and(|line| line.len() == SIGNATURE_BASE64);
    if !whole || signed.to_string() != text || (ours && comment != COMMENT) {
        return Err("is not what was written".to_owned());
    }
    let Some(PublicKey(public)) = key else { return Ok(()) };
    if signed.keynum() != public.keynum() {
        let (by, not) = (id(signed.keynum()), id(public.keynum()));
        return Err(format!("is by another key, {by}, and not by the one that was given, {not}"));
    }
    let content = fs::read(dir.join(file)).map_err(|error| format!("is of {file}: {error}"))?;
    // One of the stock tool's `-l` too, which is of the file itself and not of its hash.
    minisign::verify(public, &signed, Cursor::new(content), true, false, true)
        .map_err(|_| format!("does not fit {file}: one of the two is not what was signed"))
}

/// The number of a key, as minisign prints it.
fn id(keynum: &[u8]) -> String {
    keynum.iter().rev().map(|byte| format!("{byte:02X}")).collect()
}

#[cfg(test)]
mod tests;

//! Keys and signatures, of ours and of the stock tool's.

use std::path::PathBuf;

use minisign::KeyPair;
use tempfile::TempDir;

use super::*;

/// What `minisign` 0.11 made: a key without a password, its public key, and two signatures of `hello\n`, one as it
/// makes them and a legacy one (`-S -l`).
const STOCK: &str = include_str!("stock.txt");

fn part(number: usize) -> String {
    STOCK.split("--\n").nth(number).expect("a part").to_owned()
}

/// A folder with a file and its signature, both under the names of a bundle.
fn signed(content: &[u8], signature: &str) -> (TempDir, PathBuf) {
    let dir = TempDir::new().expect("a folder");
    fs::write(dir.path().join(MANIFEST), content).expect("is written");
    fs::write(dir.path().join(SIGNATURE), signature).expect("is written");
    let path = dir.path().to_owned();
    (dir, path)
}

fn problems(dir: &Path, key: Option<&PublicKey>) -> Vec<String> {
    let mut found = Verified::default();
    check(dir, key, &mut found);
    found.problems
}

#[test]
fn what_the_stock_tool_signed_is_verified_in_its_legacy_form_too() {
    let key = PublicKey::parse(&part(1)).expect("its public key");
    for signature in [part(2), part(3)] {
        let (_dir, dir) = signed(b"hello\n", &signature);
        assert_eq!(problems(&dir, Some(&key)), [""; 0]);
        fs::write(dir.join(MANIFEST), "hullo\n").expect("is written");
        let found = problems(&dir, Some(&key));
        assert!(found[0].contains("does not fit manifest.json"), "{found:?}");
        fs::write(dir.join(MANIFEST), "hello\n").expect("is written");
        // The form stands in the second byte of the signature, which is not signed itself.
        let other =
            ["RUSS", "RWSS"].map(|form| signature.replacen(&signature_form(&signature), form, 1));
        for other in other.iter().filter(|other| **other != signature) {
            fs::write(dir.join(SIGNATURE), other).expect("is written");
            assert_eq!(problems(&dir, Some(&key)).len(), 1, "{other}");
        }
    }
}

/// The first characters of a signature: its form, and of its key's number.
fn signature_form(signature: &str) -> String {
    signature.lines().nth(1).expect("a signature").chars().take(4).collect()
}

#[test]
fn a_key_is_its_file_or_its_line() {
    let (_dir, dir) = signed(b"hello\n", &part(2));
    let key = PublicKey::parse(&part(1)).expect("its public key");
    let second_line = part(1).lines().nth(1).expect("two lines").to_owned();
    let bare = PublicKey::parse(&second_line).expect("a line of it is enough");
    assert_eq!((problems(&dir, Some(&bare)), bare.id()), (Vec::new(), key.id()));
}

#[test]
fn a_signature_of_what_is_not_there_is_told() {
    let (_dir, dir) = signed(b"hello\n", &part(2));
    fs::copy(dir.join(SIGNATURE), dir.join(STATEMENT_SIGNATURE)).expect("is written");
    let found = problems(&dir, None);
    assert_eq!(found, ["statement.json.minisig is of statement.json, which is missing"]);
}

#[test]
fn a_key_of_the_stock_tool_signs() {
    let key = SigningKey::parse(&part(0), None).expect("a key without a password");
    let public = PublicKey::parse(&part(1)).expect("its public key");
    assert_eq!(key.public().expect("has one").id(), public.id());
    assert_eq!(format!("{key:?}"), format!("SigningKey({})", public.id()));
}

#[test]
fn a_key_that_is_protected_takes_its_password_and_asks_nobody() {
    let pair = KeyPair::generate_encrypted_keypair(Some("open".to_owned())).expect("a key");
    let text = pair.sk.to_box(None).expect("a box").into_string();
    let error = |password| SigningKey::parse(&text, password).expect_err("cannot be opened");
    assert_eq!(error(None), KeyError::Locked);
    assert_eq!(error(Some("closed")), KeyError::WrongPassword);
    assert!(SigningKey::parse(&text, Some("open")).is_ok());
}

#[test]
fn what_is_no_key_is_said() {
    for text in ["", "\n", "a key", "a\nb\n", "untrusted comment: x\nRWRTY\n", &part(1)] {
        assert_eq!(SigningKey::parse(text, None).err(), Some(KeyError::NotSecret), "{text:?}");
    }
    for text in ["", "a key", "a\nb\n", &part(0), &part(2)] {
        assert_eq!(PublicKey::parse(text).err(), Some(KeyError::NotPublic), "{text:?}");
    }
}

#[test]
fn no_byte_of_a_signature_of_ours_can_be_another() {
    let pair = KeyPair::generate_unencrypted_keypair().expect("a key");
    let trusted = format!("{TRUSTED}of a test");
    let made = minisign::sign(
        Some(&pair.pk),
        &pair.sk,
        Cursor::new(b"hello\n"),
        Some(&trusted),
        Some(COMMENT),
    );
    let text = made.expect("signs").to_string();
    let (_dir, dir) = signed(b"hello\n", &text);
    let key = PublicKey(pair.pk);
    assert_eq!(problems(&dir, Some(&key)), [""; 0]);
    assert_eq!(problems(&dir, None), [""; 0], "nobody says whose it should be");
    for at in 0..text.len() {
        let mut flipped = text.clone().into_bytes();
        flipped[at] ^= 1;
        fs::write(dir.join(SIGNATURE), &flipped).expect("is written");
        let found = problems(&dir, Some(&key));
        assert!(found.iter().any(|what| what.starts_with(SIGNATURE)), "byte {at}: {found:?}");
    }
    for at in 0..text.len() {
        fs::write(dir.join(SIGNATURE), &text[..at]).expect("is written");
        assert_eq!(problems(&dir, Some(&key)).len(), 1, "cut at {at}");
    }
    fs::remove_file(dir.join(SIGNATURE)).expect("can be removed");
    let found = problems(&dir, Some(&key));
    assert_eq!(found, ["manifest.json.minisig is missing: nobody signed manifest.json"]);
}

#[test]
fn a_signature_by_somebody_else_is_none() {
    let (_dir, dir) = signed(b"hello\n", &part(2));
    let other = PublicKey(KeyPair::generate_unencrypted_keypair().expect("a key").pk);
    let found = problems(&dir, Some(&other));
    assert!(
        found[0].contains("is by another key, ") && found[0].contains(&other.id()),
        "{found:?}"
    );
}

//! Signatures and statements, and that no byte of a bundle can be another without `verify` naming the file.

use std::path::Path;
use std::process::Command;
use std::sync::OnceLock;

use crate::support::keys::{KEYS, Keys};
use crate::support::{Ended, Harness, exit};
use serde_json::{Value, json};

fn verify(bundle: &Path, key: &Path) -> Harness {
    Harness::new("verify").arg(bundle).arg("--public-key").arg(key)
}

/// A run that is sealed with all there is; one for all tests.
fn sealed() -> &'static Ended {
    static SEALED: OnceLock<Ended> = OnceLock::new();
    SEALED.get_or_init(|| {
        let keys = Keys::new();
        let run = Harness::tiny().arg("--sign-key").arg(keys.secret()).arg("--statement").ended();
        run.exits(exit::GO)
    })
}

#[test]
fn one_flipped_byte_in_any_file_is_named() {
    let keys = Keys::new();
    let run = sealed();
    let seals = ["manifest.json.minisig", "statement.json", "statement.json.minisig"];
    assert!(seals.iter().all(|name| run.files.contains_key(*name)), "{:?}", run.names());
    let (_dir, bundle) = run.restored(|_| true);
    verify(&bundle, &keys.public()).ended_plain().exits(exit::GO);
    for (name, bytes) in &run.files {
        // The first, the last, and one between; of an empty file, one more.
        for at in [0, bytes.len() / 2, bytes.len().saturating_sub(1)] {
            let mut flipped = bytes.clone();
            match flipped.get_mut(at) {
                Some(byte) => *byte ^= 1,
                None => flipped.push(0),
            }
            std::fs::write(bundle.join(name), flipped).expect("is written");
            let found = verify(&bundle, &keys.public()).ended_plain().exits(exit::HOLD);
            let named = found.stdout.lines().any(|line| line.starts_with(name.as_str()));
            assert!(named, "{name}, byte {at}: {}", found.stdout);
        }
        // Whose a signature should be is what the key says; all else is found without one.
        if !name.ends_with(".minisig") {
            let found = Harness::new("verify").arg(&bundle).ended_plain().exits(exit::HOLD);
            let named = found.stdout.lines().any(|line| line.starts_with(name.as_str()));
            assert!(named, "{name}, without a key: {}", found.stdout);
        }
        std::fs::write(bundle.join(name), bytes).expect("is written");
    }
    verify(&bundle, &keys.public()).ended_plain().exits(exit::GO);
}

/// Makes something at a path.
type Make<'a> = &'a dyn Fn(&Path);

#[test]
fn whatever_no_manifest_names_is_told_whatever_its_name() {
    use std::fs;
    use std::os::unix::fs::symlink;
    let keys = Keys::new();
    let plain = Harness::tiny().ended().exits(exit::GO);
    let (_dir, bundle) = plain.restored(|_| true);
    let file = |path: &Path| fs::write(path, "mine").expect("is written");
    let folder = |path: &Path| fs::create_dir_all(path).expect("is made");
    let full = |path: &Path| {
        folder(path);
        file(&path.join("inner"));
    };
    let link = |path: &Path| symlink("/etc/hostname", path).expect("is linked");
    let dangling = |path: &Path| symlink("nowhere", path).expect("is linked");
    let made: [(&str, Make<'_>, &str); 15] = [
        (".hidden", &file, "is hidden"),
        ("metrics/.hidden", &file, "is hidden"),
        (".folder", &full, "is hidden"),
        (".empty", &folder, "is hidden"),
        ("empty", &folder, "is an empty folder"),
        ("metrics/empty", &folder, "is an empty folder"),
        ("nested/empty", &folder, "is an empty folder"),
        (".writing", &file, "is the lock of a process"),
        (".run.json.part", &file, "is a file that was begun"),
        (".link", &link, "is a symbolic link to /etc/hostname"),
        ("metrics/.dangling", &dangling, "is a symbolic link to nowhere"),
        ("statement.json.minisig", &folder, "is an empty folder"),
        ("new", &file, "was not there when the run ended"),
        ("altered/new", &file, "was not there when the run ended"),
        ("altered/.hidden", &file, "is hidden"),
    ];
    let verify = |keyed: bool| {
        let verify = Harness::new("verify").arg(&bundle);
        if keyed { verify.arg("--public-key").arg(keys.public()) } else { verify }.ended_plain()
    };
    for keyed in [false, true] {
        if keyed {
            let seal = Harness::new("seal").arg(&bundle).arg("--sign-key").arg(keys.secret());
            seal.ended_plain().exits(exit::GO);
        }
        for (path, make, what) in made {
            let at = bundle.join(path);
            fs::create_dir_all(at.parent().expect("has one")).expect("is made");
            make(&at);
            let found = verify(keyed).exits(exit::HOLD).stdout;
            assert!(found.contains(&format!("{path} {what}")), "{path}: {found}");
            let removed = if at.is_dir() { fs::remove_dir_all(&at) } else { fs::remove_file(&at) };
            removed.expect("is removed");
            for parent in ["nested", "altered"] {
                let _ = fs::remove_dir(bundle.join(parent));
            }
        }
        verify(keyed).exits(exit::GO);
    }
}

#[test]
fn without_a_key_a_flipped_manifest_is_named_too() {
    let run = sealed();
    let (_dir, bundle) = run.restored(|_| true);
    let manifest = run.file("manifest.json");
    for at in (0..manifest.len()).step_by(manifest.len() / 12) {
        let mut flipped = manifest.to_vec();
        flipped[at] ^= 2;
        std::fs::write(bundle.join("manifest.json"), flipped).expect("is written");
        let found = Harness::new("verify").arg(&bundle).ended_plain().exits(exit::HOLD).stdout;
        assert!(found.contains("manifest.json is"), "byte {at}: {found}");
    }
}

#[test]
fn a_missing_or_other_signature_is_a_hold() {
    let keys = Keys::new();
    let run = Harness::tiny().ended().exits(exit::GO);
    let (_dir, bundle) = run.restored(|_| true);
    let found = verify(&bundle, &keys.public()).ended_plain().exits(exit::HOLD).stdout;
    assert!(found.contains("manifest.json.minisig is missing: nobody signed"), "{found}");

    // Sealed afterwards, with the key given as text.
    let seal = || Harness::new("seal").arg(&bundle);
    seal().arg("--sign-key").arg(keys.secret()).ended_plain().exits(exit::GO);
    let key = KEYS.split("--\n").nth(1).and_then(|part| part.lines().nth(1)).expect("a key");
    Harness::new("verify").arg(&bundle).arg("--public-key").arg(key).ended_plain().exits(exit::GO);
    let noted = Harness::new("verify").arg(&bundle).ended_plain().exits(exit::GO).stdout;
    assert!(noted.contains("--public-key names whose it should be"), "{noted}");

    // A report that is made again is the same, and so is what was signed.
    Harness::new("report").arg(&bundle).ended_plain().exits(exit::GO);
    verify(&bundle, &keys.public()).ended_plain().exits(exit::GO);

    // Another key, and none.
    let other = key.replace(&key[10..14], "AAAA");
    let by_other = Harness::new("verify").arg(&bundle).arg("--public-key").arg(&other);
    by_other.ended_plain().exits(exit::HOLD);
    let none = Harness::new("verify").arg(&bundle).arg("--public-key").arg("none");
    let none = none.ended_plain().exits(exit::SETUP);
    assert!(none.stderr.contains("no public key in minisign's format"), "{}", none.stderr);

    // A bundle that is not what its run wrote is not sealed.
    std::fs::write(bundle.join("summary.md"), "mine").expect("is written");
    let refused = seal().arg("--sign-key").arg(keys.secret()).ended_plain().exits(exit::HOLD);
    assert!(refused.stdout.contains("nothing was sealed"), "{}", refused.stdout);
    seal().ended_plain().exits(exit::USAGE);
}

#[test]
fn a_key_that_cannot_be_used_is_said_before_anything_is_sent() {
    let keys = Keys::new();
    for (key, why) in
        [(keys.public(), "no secret key in minisign's format"), (keys.none(), "No such file")]
    {
        let run = Harness::tiny().arg("--sign-key").arg(&key).ended().exits(exit::SETUP);
        assert!(run.stderr.contains(why) && run.out_dir_is_empty, "{}", run.stderr);
    }
}

#[test]
fn the_stock_tool_verifies_what_was_signed() {
    let there = Command::new("minisign").arg("-v").output().is_ok_and(|it| it.status.success());
    if !there {
        // Our crate is held against signatures of the stock tool in its own tests, everywhere.
        return;
    }
    let keys = Keys::new();
    let run = sealed();
    let (_dir, bundle) = run.restored(|_| true);
    for file in ["manifest.json", "statement.json"] {
        let mut minisign = Command::new("minisign");
        minisign.arg("-Vm").arg(bundle.join(file)).arg("-p").arg(keys.public());
        let told = minisign.output().expect("it runs");
        assert!(told.status.success(), "{}", String::from_utf8_lossy(&told.stderr));
    }
}

/// The statement of a run.
fn statement(run: &Ended) -> Value {
    serde_json::from_slice(run.file("statement.json")).expect("JSON")
}

/// SHA-256 as `sha256sum` says it.
fn sha256(run: &Ended, name: &str) -> String {
    let (_dir, bundle) = run.restored(|_| true);
    let told = Command::new("sha256sum").arg(bundle.join(name)).output().expect("it runs");
    let text = String::from_utf8(told.stdout).expect("text");
    text.split_whitespace().next().expect("a digest").to_owned()
}

#[test]
fn a_go_is_passed_and_what_it_is_of_is_named() {
    let run = sealed();
    let told = statement(run);
    assert_eq!(told["_type"], "https://in-toto.io/Statement/v1");
    assert_eq!(told["predicateType"], "https://in-toto.io/attestation/test-result/v0.1");
    assert_eq!(told["subject"][0]["digest"], json!({ "sha256": sha256(run, "manifest.json") }));
    let predicate = &told["predicate"];
    let configuration = &predicate["configuration"][0];
    assert_eq!(configuration["name"], "scenario.resolved.toml");
    let scenario = json!({ "sha256": sha256(run, "scenario.resolved.toml") });
    assert_eq!(configuration["digest"], scenario);
    assert_eq!((&predicate["result"], &predicate["failedTests"]), (&"PASSED".into(), &json!([])));
    let passed = predicate["passedTests"].as_array().expect("a list");
    let is_there = |name: &str| passed.iter().any(|test| test.as_str() == Some(name));
    assert!(is_there("reconnect: unrecovered_clients count == 0 during storm"), "{passed:?}");
}

#[test]
fn a_hold_is_failed_and_nothing_of_it_is_warned() {
    // The looser claim holds, the stricter does not; and one that has too few samples for either.
    for more in ["warn = \"p(50) < 301ms\"", "min_samples = 100000"] {
        let claim = format!(
            "gate.reconnect.objective=[{{ metric = \"time_to_recovered\", during = [\"storm\"], \
             require = \"p(50) < 40s\", {more} }}]"
        );
        let run = Harness::tiny().set(&claim).arg("--statement").ended().exits(exit::HOLD);
        let predicate = &statement(&run)["predicate"];
        assert_eq!(
            (&predicate["result"], &predicate["warnedTests"]),
            (&"FAILED".into(), &json!([]))
        );
        let failed = predicate["failedTests"].as_array().expect("a list");
        let named = "reconnect: time_to_recovered p(50) < 40s during storm";
        assert!(failed.iter().any(|test| test.as_str() == Some(named)), "{more}: {failed:?}");
    }
}

#[test]
fn a_no_go_is_failed_by_what_failed() {
    let strict = "gate.reconnect.objective=[{ metric = \"time_to_recovered\", during = [\"storm\"], \
                  require = \"p(50) < 301ms\" }]";
    let run = Harness::tiny().set(strict).arg("--statement").ended().exits(exit::NO_GO);
    let predicate = &statement(&run)["predicate"];
    assert_eq!(predicate["result"], "FAILED");
    let failed = predicate["failedTests"].as_array().expect("a list");
    let named = "reconnect: time_to_recovered p(50) < 301ms during storm";
    assert!(failed.iter().any(|test| test.as_str() == Some(named)), "{failed:?}");
}

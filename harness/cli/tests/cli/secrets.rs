//! A secret is planted wherever one may be met, and looked for in everything that is written and said: as it is,
//! percent-encoded, in base64, as the text of a JSON string.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;

use crate::support;
use crate::support::by_hand::reference_opened_by;
use crate::support::indiscreet::{
    ADMIN, BODY, DASHBOARD, KEY, LOCATION, TELLS_ALL, answer, edge, indiscreet_control,
    indiscreet_runtime, indiscreet_webhook, opened, session_token,
};
use crate::support::search::{AWKWARD, Search, base64, percent};
use crate::support::{Harness, eventually, exit, read_folder, scenario};
use percent_encoding::NON_ALPHANUMERIC;
use tempfile::TempDir;

#[test]
fn no_secret_is_in_a_file_a_line_or_a_page() {
    let target = reference_opened_by(KEY, ADMIN);
    let (runtime, control) =
        (edge(&target.url, indiscreet_runtime), edge(&target.url, indiscreet_control));
    let session = session_token();
    let hook = format!(
        "[\"sh\", \"-c\", 'echo said $MY_TOKEN; echo said $MY_TOKEN >&2; {}; exit 1']",
        TELLS_ALL
    );
    let faults = format!(
        "phase.storm.fault=[{{ type = \"disconnect\", at = \"500ms\", mode = \"all\", attributes = {{ style = \
         \"close\" }} }}, {{ type = \"hook\", at = \"600ms\", attributes = {{ command = {hook} }} }}]"
    );
    let run = opened(Harness::run(scenario("elsewhere.toml")), &session)
        .env("KHALA_TEST_URL", &runtime.url)
        .set(&format!("target.control_url=\"{}\"", control.url))
        .set("auth.mint=control")
        .set("auth.session_token={ env = \"KHALA_TEST_SESSION\" }")
        .set(&faults)
        .arg("--allow-hooks")
        .arg("--record")
        .arg("--statement")
        .env("KHALA_HARNESS_WEBHOOK", &format!("{}/canary-7f3a", support::servers::nobody()))
        .ended();
    assert!(run.files.contains_key("run.json"), "{}", run.stderr);
    let report = run.report();
    // All of it was met: refused tokens, requests that were sent elsewhere, a hook that told all it knew.
    let requests = report["requests"].to_string();
    for met in ["\"mint\"", "\"500\"", "\"302\""] {
        assert!(requests.contains(met), "no {met} in {requests}");
    }
    let told = report["faults"][1]["commands"][0]["stdout"].as_str().expect("text");
    assert!(told.contains("said [redacted]"), "{told}");
    let mut search = Search(0);
    search.of("run", &run);

    let (dir, bundle) = run.restored(|_| true);
    let beside = |command: &str| opened(Harness::new(command), &session).arg(&bundle);
    search.of("report", &beside("report").ended_plain());
    search.of("explain", &beside("explain").arg("0").ended_plain());
    search.of("verify", &beside("verify").arg("--json").ended_plain());
    for (name, bytes) in read_folder(dir.path()) {
        search.in_bytes(&format!("report: {name}"), &bytes);
    }
    assert!(search.0 > 30, "{} texts were looked at", search.0);
}

#[test]
fn no_secret_is_in_what_is_said_of_a_target_that_does_not_open() {
    let target = reference_opened_by(KEY, ADMIN);
    let control = edge(&target.url, |_, _| Some(answer("403 Forbidden", LOCATION, BODY)));
    let session = session_token();
    let by_control = |command: Harness| {
        opened(command, &session)
            .set(&format!("target.control_url=\"{}\"", control.url))
            .set("auth.mint=control")
            .set("auth.session_token={ env = \"KHALA_TEST_SESSION\" }")
    };
    let mut search = Search(0);
    let run =
        by_control(Harness::run(scenario("elsewhere.toml"))).env("KHALA_TEST_URL", &target.url);
    let run = run.ended().exits(exit::SETUP);
    assert!(run.stderr.contains("403"), "{}", run.stderr);
    search.of("run", &run);
    let doctor = by_control(Harness::new("doctor")).arg(scenario("elsewhere.toml").as_os_str());
    let doctor = doctor.env("KHALA_TEST_URL", &target.url).ended_plain().exits(exit::SETUP);
    search.of("doctor", &doctor);
    // A key that does not open the target, and one that is in the wrong place.
    let other = reference_opened_by("another-key-0123456789abcdef01234567", ADMIN);
    let refused = opened(Harness::run(scenario("elsewhere.toml")), &session);
    let refused = refused.env("KHALA_TEST_URL", &other.url).ended().exits(exit::SETUP);
    search.of("run with another key", &refused);
    let clear = opened(Harness::run(scenario("elsewhere.toml")), &session)
        .env("KHALA_TEST_URL", &target.url)
        .set(&format!("auth.secret=\"{KEY}\""));
    search.of("run with a key in clear", &clear.ended().exits(exit::INVALID_SCENARIO));
}

#[test]
fn no_secret_is_in_a_report_on_conformance() {
    let target = reference_opened_by(KEY, ADMIN);
    let dir = TempDir::new().expect("a folder");
    let file = |name: &str| dir.path().join(name);
    let runtime = edge(&target.url, indiscreet_runtime);
    let conform = opened(Harness::new("conform"), "").arg("--target").arg(&runtime.url);
    let conform =
        conform.set("auth.secret.env=KHALA_TEST_KEY").arg("--only").arg("token").arg("--all");
    let conform = ["json", "junit", "markdown", "html"]
        .iter()
        .fold(conform, |conform, form| conform.arg(format!("--{form}")).arg(file(form)));
    let ended = conform.ended_plain();
    let mut search = Search(0);
    search.of("conform", &ended);
    let files = read_folder(Path::new(dir.path()));
    assert_eq!(files.len(), 4, "{}", ended.stderr);
    for (name, bytes) in files {
        search.in_bytes(&format!("conform: {name}"), &bytes);
    }
}

#[test]
fn no_secret_is_on_the_page_in_the_stream_or_in_the_metrics_of_a_run() {
    let target = reference_opened_by(KEY, ADMIN);
    let (runtime, control) =
        (edge(&target.url, indiscreet_runtime), edge(&target.url, indiscreet_control));
    let session = session_token();
    let (_server, webhook) = indiscreet_webhook();
    let said = tempfile::NamedTempFile::new().expect("a file");
    let stderr = std::fs::File::options().append(true).open(said.path()).expect("opens");
    let hook = format!("[\"sh\", \"-c\", '{TELLS_ALL}; exit 1']");
    let faults = format!(
        "phase.storm.fault=[{{ type = \"hook\", at = \"600ms\", attributes = {{ command = {hook} }} }}]"
    );
    let run = opened(Harness::run(scenario("elsewhere.toml")), &session)
        .env("KHALA_TEST_URL", &runtime.url)
        .set(&format!("target.control_url=\"{}\"", control.url))
        .set("auth.mint=control")
        .set("auth.session_token={ env = \"KHALA_TEST_SESSION\" }")
        .set(&faults)
        .arg("--allow-hooks")
        .arg("--dashboard")
        .env("KHALA_HARNESS_WEBHOOK", &webhook)
        .stderr(stderr)
        .start();
    let address = eventually("the dashboard's address", || {
        let text = std::fs::read_to_string(said.path()).expect("text");
        let line = text.lines().find_map(|line| line.strip_prefix("dashboard: http://"));
        line.filter(|_| text.contains('\n')).map(str::to_owned)
    });
    let address = address.split('/').next().expect("host and port").to_owned();
    let ask = |line: &str| {
        let mut stream = TcpStream::connect(&address).ok()?;
        let bearer = format!("Authorization: Bearer {DASHBOARD}");
        write!(stream, "{line} HTTP/1.0\r\nHost: {address}\r\n{bearer}\r\n\r\n").ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).ok().map(|_| answer)
    };
    // The stream is read to its end, beside which the metrics are asked for as they go.
    let mut metrics = Vec::new();
    let events = std::thread::scope(|scope| {
        let events = scope.spawn(|| ask("GET /events").expect("the stream"));
        metrics.push(ask("GET /").expect("the page"));
        while !events.is_finished() {
            metrics.extend(ask("GET /metrics"));
            std::thread::sleep(std::time::Duration::from_millis(200));
        }
        events.join().expect("nobody panics")
    });
    let ended = run.ended();
    let mut search = Search(0);
    search.of("run", &ended);
    search.in_texts("dashboard", [("events", events.as_str())]);
    for (number, answer) in metrics.iter().enumerate() {
        search.in_texts("dashboard", [(format!("answer {number}").as_str(), answer.as_str())]);
    }
    let said = std::fs::read_to_string(said.path()).expect("text");
    search.in_texts("run", [("stderr", said.as_str())]);
    // All of it was met.
    assert!(events.contains("event: "), "{events}");
    assert!(metrics.iter().any(|it| it.contains("khala_harness_")), "{metrics:?}");
    assert!(said.contains("the webhook at http://127.0.0.1"), "{said}");
    let hook = ended.report()["faults"][0]["commands"][0]["stdout"].as_str().map(str::to_owned);
    assert!(hook.as_ref().is_some_and(|hook| hook.contains("[redacted]")), "{hook:?}");
}

#[test]
fn no_secret_is_in_what_doctor_and_conform_say_of_commands_that_tell_too_much() {
    let target = reference_opened_by(KEY, ADMIN);
    let dir = TempDir::new().expect("a folder");
    std::fs::write(dir.path().join("tells"), format!("{TELLS_ALL}\nexit 1\n")).expect("is written");
    let profile = dir.path().join("target.toml");
    let text = format!(
        "[target]\nkind = \"url\"\nurl = \"{}\"\nexclusive = true\nbuild_command = [\"sh\", \"tells\", \
         \"${{AWKWARD_TOKEN}}\"]\n[auth]\nmint = \"hs256\"\nsecret = {{ command = [\"sh\", \"tells\", \
         \"${{AWKWARD_TOKEN}}\"] }}\n",
        target.url
    );
    std::fs::write(&profile, text).expect("is written");
    let mut search = Search(0);
    for allowed in [true, false] {
        let asked = |command: &str| {
            let command = opened(Harness::new(command), "").in_folder(dir.path());
            if allowed { command.arg("--allow-hooks") } else { command }
        };
        let conform = asked("conform").arg("--target").arg(&profile).arg("--json");
        let conform = conform.arg(dir.path().join("report.json")).ended_plain();
        search.of("conform", &conform);
        let doctor = asked("doctor").arg(scenario("tiny.toml").as_os_str()).arg("--target");
        let doctor = doctor.arg(&profile).ended_plain();
        search.of("doctor", &doctor);
        for ended in [conform, doctor] {
            assert_ne!(ended.code, Some(exit::GO), "{}", ended.said());
        }
        for (name, bytes) in read_folder(dir.path()) {
            if name == "report.json" {
                search.in_bytes("conform: report.json", &bytes);
            }
        }
    }
}

/// A scenario that has secrets where nothing but their values tells what they are: in the words of commands, by
/// variables and as they are, in headers and parameters, in a text.
fn indiscreet_scenario(command: Harness, folder: &Path) -> Harness {
    const EDGE: &str = "canary-7f3a-edge";
    let edge = folder.join("edge");
    std::fs::write(&edge, format!("{EDGE}\n")).expect("is written");
    // What is run is what was written: the words are as long as they should be.
    let words = |script: &str| {
        format!(
            "[\"sh\", \"-c\", '{script}', \"${{INNOCENT}}\", \"--edge={EDGE}\", \"-u=${{DATABASE}}\"]"
        )
    };
    let lengths = "test ${#0} = 16 && test ${#1} = 23 && test ${#2} = 46";
    let (does, undoes) = (words(lengths), words("echo $0 $1 $2"));
    let hook = format!(
        "phase.storm.fault=[{{ type = \"hook\", at = \"600ms\", duration = \"500ms\", attributes = {{ command = {does}, \
         check = {does}, undo = {undoes} }} }}]"
    )
    .replace("${#", "$${#");
    command
        .env("INNOCENT", "canary-7f3a-hook")
        .env("DATABASE", "postgres://me:canary-7f3a-base@127.0.0.1/it")
        .set(&hook)
        .set("description=\"of ${INNOCENT}\"")
        .set("target.headers={ x-way = \"${INNOCENT}\", x-plain = \"canary-7f3a-edge\" }")
        .set(&format!("target.query={{ way = \"${{INNOCENT}}\", edge = {{ file = {edge:?} }} }}"))
        .set("target.client_build_id=\"${INNOCENT}\"")
        .set("target.build_command=[\"sh\", \"-c\", \"echo 7\", \"${INNOCENT}\"]")
}

#[test]
fn no_secret_is_in_what_is_told_of_a_scenario_that_has_some_in_its_words() {
    let target = reference_opened_by(KEY, ADMIN);
    let folder = TempDir::new().expect("a folder");
    let told = |command: Harness| {
        let command = indiscreet_scenario(opened(command, ""), folder.path());
        command.env("KHALA_TEST_URL", &target.url)
    };
    let mut search = Search(0);
    let elsewhere = || scenario("elsewhere.toml");
    for flag in ["--strict", "--json"] {
        let check = told(Harness::check(elsewhere())).arg(flag).ended_plain();
        assert!(check.stdout.contains("[redacted]"), "{flag}: {}", check.said());
        search.of(&format!("check {flag}"), &check);
    }
    let dry = told(Harness::run(elsewhere())).arg("--allow-hooks").arg("--dry-run").ended();
    assert!(dry.stdout.contains("--edge=[redacted]"), "{}", dry.said());
    search.of("run --dry-run", &dry);
    search.of("run without leave", &told(Harness::run(elsewhere())).ended().exits(exit::USAGE));
    let profile = folder.path().join("profile.toml");
    let doctor = told(Harness::new("doctor")).arg(elsewhere().as_os_str()).arg("--write-profile");
    let doctor = doctor.arg(&profile).ended_plain();
    assert!(
        doctor.stderr.contains("would hold a secret") && !profile.exists(),
        "{}",
        doctor.said()
    );
    search.of("doctor", &doctor);
    // What is wrong with a scenario is told with the value that is wrong.
    let wrong = told(Harness::check(elsewhere())).set("auth.mint=\"${INNOCENT}\"").ended_plain();
    assert!(wrong.stderr.contains("[redacted]"), "{}", wrong.said());
    search.of("check of a wrong value", &wrong.exits(exit::INVALID_SCENARIO));

    let run = told(Harness::run(elsewhere())).arg("--allow-hooks").ended();
    search.of("run", &run);
    let report = run.report();
    let commands = report["faults"][0]["commands"].as_array().expect("commands");
    assert_eq!(commands.len(), 3, "{commands:?}");
    for command in commands {
        assert_eq!(command["end"]["code"], 0, "it was given what it should be: {command}");
    }
    let resolved = String::from_utf8_lossy(&run.files["scenario.resolved.toml"]);
    assert!(resolved.matches("[redacted]").count() >= 10, "{resolved}");
    // The evidence is whole: what is made from it again is the same.
    let (dir, bundle) = run.restored(|_| true);
    for command in ["report", "verify"] {
        let again = opened(Harness::new(command), "").arg(&bundle).ended_plain();
        assert_ne!(again.code, Some(exit::INVALID_SCENARIO), "{}", again.said());
        search.of(command, &again);
    }
    for (name, bytes) in read_folder(dir.path()) {
        search.in_bytes(&format!("report: {name}"), &bytes);
    }
}

/// What a command tells is a secret as what a variable or a file holds: in each of the three ways the key stands where
/// nothing but its value says what it is.
#[test]
fn no_secret_is_in_what_is_kept_of_a_run_whether_a_variable_a_file_or_a_command_tells_it() {
    const OTHER: &str = "canary-7f3a-key-of-a-keyring-0123456789";
    let folder = TempDir::new().expect("a folder");
    let kept = folder.path().join("kept");
    std::fs::write(&kept, format!("{OTHER}\n")).expect("is written");
    let target = reference_opened_by(OTHER, ADMIN);
    for source in [
        "{ env = \"INNOCENT\" }".to_owned(),
        format!("{{ file = {kept:?} }}"),
        format!("{{ command = [\"cat\", {kept:?}] }}"),
    ] {
        let words = format!(
            "[\"sh\", \"-c\", \"cat {}; echo $0; exit 1\", \"--key={OTHER}\"]",
            kept.display()
        );
        let hook = format!(
            "phase.storm.fault=[{{ type = \"hook\", at = \"600ms\", attributes = {{ command = {words} }} }}]"
        );
        let run = Harness::run(scenario("elsewhere.toml"))
            .env("KHALA_TEST_URL", &target.url)
            .env("KHALA_TEST_KEY", "of-no-use-0123456789abcdef0123456789")
            .env("KHALA_LOG", "trace")
            .set(&format!("auth.secret={source}"))
            .set(&hook)
            .set(&format!("description=\"of {OTHER}\""))
            .set(&format!("target.headers={{ x-way = \"{OTHER}\" }}"))
            .set(&format!("target.client_build_id=\"{OTHER}\""))
            .set(&format!("target.build_command=[\"sh\", \"-c\", \"echo 7\", \"{OTHER}\"]"))
            .arg("--allow-hooks");
        let run = if source.contains("INNOCENT") { run.env("INNOCENT", OTHER) } else { run };
        let run = run.ended();
        assert!(run.files.contains_key("run.json"), "{source}: {}", run.stderr);
        let told = run.report()["faults"][0]["commands"][0]["stdout"].to_string();
        assert!(told.starts_with("\"[redacted]\\n--key=[redacted]"), "{source}: {told}");
        let resolved = String::from_utf8_lossy(&run.files["scenario.resolved.toml"]);
        assert!(resolved.matches("[redacted]").count() >= 5, "{source}: {resolved}");
        let mut search = Search(0);
        search.of(&source, &run);
        assert!(search.0 > 10, "{source}: {} texts were looked at", search.0);
    }
}

/// What a bug says that quotes whatever it has at hand: told by the test below in a process of its own.
#[test]
#[ignore = "it panics, in a process that the test below begins"]
fn a_bug_that_quotes_all_it_has() {
    std::panic::set_hook(Box::new(khala_console::output::bug));
    let kept = std::env::var("KEPT").expect("the other test names it");
    let target = format!(
        "kind = \"url\"\nurl = \"http://127.0.0.1:9\"\nexclusive = true\nadmin_token = {{ file = {kept:?} }}"
    );
    let tiny = std::fs::read_to_string(scenario("tiny.toml")).expect("is there");
    let text = tiny
        .replace("kind = \"reference\"", &target)
        .replace("mint = \"hs256\"", "mint = \"hs256\"\nsecret = { env = \"INNOCENT\" }");
    let loader = |_: &str| Err("there is none".to_owned());
    let options = khala_plan::Options {
        profile: None,
        set: Vec::new(),
        defects: Vec::new(),
        seed: None,
        target: None,
        defect: &|_| Ok(()),
        env: &|_| None,
    };
    let sources = khala_plan::Sources { path: "tiny.toml", text: &text, loader: &loader };
    let plan = khala_plan::load(&sources, &options);
    let plan = plan.unwrap_or_else(|wrong| panic!("{}", wrong.render(false))).plan;
    // As a run does before it begins.
    assert!(khala_engine::target::keys::missing(&plan).is_empty(), "each is there");
    let of = |name: &str| std::env::var(name).expect("it is set");
    let token = session_token();
    let all = [
        of("INNOCENT"),
        of("AWKWARD_TOKEN"),
        std::fs::read_to_string(kept).expect("is there"),
        token,
    ];
    let quoted = all.clone();
    let joined = std::thread::spawn(move || panic!("BUG of a thread: {quoted:?}")).join();
    assert!(joined.is_err());
    panic!("BUG of what was at hand: {} with Bearer canary-7f3a-bearer", all.join(" and "));
}

#[test]
fn no_secret_is_in_what_a_panic_says_however_it_came_to_know_it() {
    let folder = TempDir::new().expect("a folder");
    let kept = folder.path().join("kept");
    std::fs::write(&kept, "canary-7f3a-of-a-file\n").expect("is written");
    let me = std::env::current_exe().expect("its own file");
    let bug = std::process::Command::new(me)
        .args(["--exact", "secrets::a_bug_that_quotes_all_it_has", "--ignored", "--nocapture"])
        .env("KEPT", &kept)
        .env("INNOCENT", "canary-7f3a-of-a-variable")
        .env("AWKWARD_TOKEN", AWKWARD)
        .env("RUST_BACKTRACE", "full")
        .output()
        .expect("it runs");
    let (stdout, stderr) =
        (String::from_utf8_lossy(&bug.stdout), String::from_utf8_lossy(&bug.stderr));
    let bugs = stderr.matches("error: a bug in khala-harness").count();
    assert_eq!(bugs, 2, "the thread's and its own:\n{stdout}\n{stderr}");
    for says in
        ["BUG of a thread: ", "BUG of what was at hand: ", "[redacted]", "secrets.rs", "   0: "]
    {
        assert!(stderr.contains(says), "{says}: {stderr}");
    }
    Search(0).in_texts("a bug", [("stdout", &*stdout), ("stderr", &*stderr)]);
}

#[test]
fn a_secret_would_be_found_in_each_form() {
    let forms = [
        percent(AWKWARD.as_bytes(), NON_ALPHANUMERIC),
        percent(AWKWARD.as_bytes(), NON_ALPHANUMERIC).to_ascii_lowercase(),
        base64(AWKWARD.as_bytes()),
        base64(format!("u:{AWKWARD}").as_bytes()),
        base64(format!("me:{AWKWARD}").as_bytes()),
        serde_json::to_string(AWKWARD).expect("a string"),
        AWKWARD.to_owned(),
    ];
    for form in forms {
        let found = std::panic::catch_unwind(|| Search(0).in_bytes("a text", form.as_bytes()));
        assert!(found.is_err(), "{form} is not found");
    }
}

#[test]
#[should_panic(expected = "a file has canary-7f3a: …a canary-7f3a-key")]
fn what_is_looked_for_would_be_found() {
    Search(0).in_bytes("a file", format!("a {KEY}").as_bytes());
}

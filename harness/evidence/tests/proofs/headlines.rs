//! What a headline says of a run that is no GO: what happened, in words that somebody who decides and somebody who mends
//! it can both act on.

use khala_evidence::judge::Decision;
use khala_evidence::record::{
    Breach, CommandAnswer, Cut, Flaw, Micros, OfflineCause, OpKind, Outcome, PublishId, Record,
    Request,
};
use khala_evidence::render::terminal::{self, Colour};
use khala_evidence::report::RunReport;

use crate::support::incidents::{S, at_home, fault, fleet};
use crate::support::plans::edited;
use crate::support::reading::{flat, reader, summary, ten_lines};
use crate::support::records;
use crate::support::trial::Trial;

/// A run of twelve clients in which this happened too.
fn trial_of(text: &str, more: Vec<Record>) -> Trial {
    let mut list = fleet(12);
    list.extend(more);
    list.sort_by_key(Record::at);
    Trial::of(text, list)
}

fn report_of(text: &str, more: Vec<Record>) -> RunReport {
    trial_of(text, more).report()
}

/// A report of a run in which updates came.
fn with_updates(mut report: RunReport) -> RunReport {
    report.oracle.deliveries = 12;
    report
}

fn no_go(report: &RunReport, headline: &str) -> String {
    assert_eq!(report.decision, Decision::NoGo, "{:?}", report.reasons);
    let told = ten_lines(report);
    assert!(told.contains(&format!("Do not go on: {headline}")), "no {headline} in: {told}");
    told
}

fn breached(clients: std::ops::Range<u32>, at: Micros, breach: Breach) -> Vec<Record> {
    let of = |client| {
        let at = at + u64::from(client) * 5_000;
        [
            Record::Breached { client, at, breach },
            records::offline(client, at, OfflineCause::ProtocolBroken { breach }),
        ]
    };
    clients.flat_map(of).collect()
}

#[test]
fn a_breach_of_the_protocol_is_named_and_not_called_a_time_in_which_the_target_was_away() {
    for (breach, headline) in [
        (
            Breach::Masked,
            "browsers drop the connection, because what comes over it is no valid WebSocket traffic: a masked frame \
             (12 of 12 clients).",
        ),
        (
            Breach::TooLong,
            "apps drop the connection, because more is sent at once than they take: a message beyond the size that \
             the client takes (12 of 12 clients).",
        ),
    ] {
        // All at once: it looks as if everybody were cut off, and they hung up themselves.
        let report = report_of(&at_home(""), breached(0..12, 300 * S, breach));
        assert!(!report.target.absences.is_empty(), "{breach}");
        let told = no_go(&report, headline);
        assert!(told.contains("build the service: khala-harness explain runs/one 0"), "{told}");
    }
    // One after another: the headline is the same.
    let one = |n: u32| breached(n..n + 1, 300 * S + u64::from(n) * 9 * S, Breach::Length);
    let some: Vec<_> = (0..3).flat_map(one).collect();
    let headline = "browsers drop the connection, because what comes over it is no valid WebSocket traffic: a length \
                    in more bytes than it needs (3 of 12 clients).";
    no_go(&report_of(&at_home(""), some), headline);
    // Who was cut off before anything was breached was cut off.
    let mut cut: Vec<_> = (0..12)
        .map(|client| records::offline(client, 60 * S, OfflineCause::Broken { how: Cut::Eof }))
        .collect();
    cut.push(Record::Breached { client: 1, at: 400 * S, breach: Breach::Masked });
    no_go(&report_of(&at_home(""), cut), "everybody who was connected was cut off at 60.0 s");
}

#[test]
fn a_message_that_is_none_of_the_contracts_is_named() {
    let malformed = |client, at, why: &str| {
        let (flaw, why) = (Flaw::Shape, why.into());
        Record::Malformed { client, at, flaw, why }
    };
    let mut list: Vec<_> =
        (0..4).map(|client| malformed(client, 300 * S, "a batch lacks `topic`")).collect();
    let headline = |more: &str| {
        format!(
            "apps cannot read what they are sent, and drop it or fail: a batch lacks topic (4 of 12 clients{more})."
        )
        .replace("lacks topic", "lacks `topic`")
    };
    no_go(&report_of(&at_home(""), list.clone()), &headline(""));
    list.push(malformed(7, 310 * S, "a binary message"));
    no_go(&report_of(&at_home(""), list), &headline(", and another kind"));
}

#[test]
fn what_closed_idle_connections_is_named_with_what_mends_it() {
    let idle = |apart: Micros| -> Vec<Record> {
        let of = |client: u32| {
            let heard = 300 * S + u64::from(client) * apart;
            let (sent, bytes, excerpt) = (false, 2, "[]".into());
            [
                Record::Frame { client, at: heard, sent, bytes, excerpt },
                records::op(client, OpKind::Heartbeat, heard, heard + 10, Outcome::Ok),
                records::offline(client, heard + 25 * S, OfflineCause::Broken { how: Cut::Eof }),
            ]
        };
        (0..12).flat_map(of).collect()
    };
    // All at once, or each in its time.
    for (apart, absences) in [(1_000, 1), (2 * S, 0)] {
        let report = report_of(&at_home(""), idle(apart));
        assert_eq!(report.target.absences.len(), absences);
        let told = no_go(
            &report,
            "connections over which nothing comes for 25.0 s are closed, by the service or by something before it \
             (12 of 12 clients): an idle time-out that is shorter than the heartbeat.",
        );
        assert!(told.contains("Raise the idle time-out of the service, or of the proxy"), "{told}");
    }
}

#[test]
fn what_befell_the_run_is_named_by_its_kind_and_how_it_showed() {
    let how = OfflineCause::Broken { how: Cut::Reset };
    let resets = (0..6).map(|n| records::offline(n, (300 + 7 * u64::from(n)) * S, how)).collect();
    let told = no_go(
        &report_of(&at_home(""), resets),
        "connections break although nobody meant them to (socket ends: was reset ×6; 6 of 12 clients).",
    );
    assert!(!told.contains("Nothing wrong"), "{told}");
}

/// A command of the load that came to this.
fn published(n: u32, outcome: Outcome, status: &str) -> Vec<Record> {
    let (start, at) = (100 * S + u64::from(n), 101 * S + u64::from(n));
    let status_of_http = (outcome == Outcome::ProtocolError).then_some(503);
    let id = PublishId::Planned(n);
    vec![
        records::answered(Request::Publish, None, [start, at], (outcome, status)),
        records::not_published(id, start, at, outcome, status_of_http),
    ]
}

#[test]
fn commands_without_an_http_status_are_told_by_what_came_instead() {
    let list = || {
        let mut list = Vec::new();
        let mut n = 0;
        for (times, outcome, status) in [
            (180, Outcome::ConnectionFailed, "connection refused"),
            (90, Outcome::Timeout, "timeout"),
            (60, Outcome::ConnectionFailed, "connection reset"),
            (30, Outcome::ProtocolError, "503"),
        ] {
            for _ in 0..times {
                list.extend(published(n, outcome, status));
                n += 1;
            }
        }
        list
    };
    let told = "180 connection refused, 90 timeout, 60 connection reset, 30 HTTP 503";
    // As what befell the run.
    no_go(
        &report_of(&at_home(""), list()),
        "changes are not accepted (publish errors: connection refused ×180, timeout ×90, …).",
    );
    // As a claim of a gate, where stability decides nothing.
    let claim = "[[gate.objective]]\nmetric = \"publish_errors\"\nrequire = \"proportion <= 1%\"\n\n[[gate]]\n\
                 name = \"stability\"\nadvisory = true\n\n[oracle]";
    let mut records = list();
    records.extend([15, 300].map(|second| records::lag(second * S, 50)));
    let report = report_of(&edited(&at_home(""), &[("[oracle]", claim)]), records);
    no_go(&report, &format!("too many changes are not accepted ({told})."));
    let objective = report.gates.iter().flat_map(|gate| &gate.objectives);
    let mut objective = objective.filter(|one| one.metric == "publish_errors");
    let reason = &objective.next().expect("it is judged").reason;
    assert!(reason.contains(&format!("; over the whole run: {told}")), "{reason}");
}

/// A reconnect storm in which each connect is taken and reset before the join has its answer.
fn reset_behind_the_upgrade() -> Vec<Record> {
    let of = |client: u32| {
        let mut list = vec![records::cut(client, 90 * S, 0, 90 * S)];
        for attempt in 1..=5 {
            let at = 90 * S + u64::from(attempt) * 4 * S + u64::from(client);
            let answered = |request, outcome, status: &str| {
                records::answered(request, Some(client), [at, at + 20], (outcome, status))
            };
            list.push(records::connect_begun(client, at, attempt));
            list.push(answered(Request::Connect, Outcome::Ok, "101"));
            list.push(records::connected(client, at + 20));
            list.push(answered(Request::Join, Outcome::ConnectionFailed, "its socket was reset"));
            let how = OfflineCause::Broken { how: Cut::Reset };
            list.push(records::offline(client, at + 20, how));
        }
        list.push(records::retired(client, 600 * S, false));
        list
    };
    (0..12).flat_map(of).collect()
}

#[test]
fn a_reset_just_behind_the_upgrade_is_named_where_it_keeps_clients_away() {
    let storm = at_home(&fault("disconnect", "mode = \"all\""));
    let report = with_updates(report_of(&storm, reset_behind_the_upgrade()));
    assert_eq!(report.decision, Decision::Hold, "{:?}", report.reasons);
    let told = ten_lines(&report);
    let what = "12 of 12 clients were not connected at the end (most often they met join: its socket was reset ×60)";
    assert!(told.contains(what), "no {what} in: {told}");
    // It is no connect that broke later, and the plan did not ask for it.
    let whole = flat(&terminal::render(&report, Colour::Never));
    let line = "of clients that a fault had hit: socket_ends 60 (was reset, before its join was answered ×60), clients: 12";
    assert!(whole.contains(line), "no {line} in: {whole}");
    assert!(!whole.contains("as planned: socket_ends"), "{whole}");
    // Without a fault it is the target's doing, in the same words.
    let list: Vec<_> = reset_behind_the_upgrade();
    let list: Vec<_> = list
        .into_iter()
        .filter(|record| {
            !matches!(record, Record::Offline { cause: OfflineCause::Fault { .. }, .. })
        })
        .collect();
    let report = report_of(&at_home(""), list);
    let late = report.oracle.violations.get("no_convergence");
    assert!(late.is_some_and(|late| *late > 0), "they are late for it: {late:?}");
    no_go(
        &report,
        "connections break although nobody meant them to (socket ends: was reset, before its join was answered ×60; \
         12 of 12 clients).",
    );
}

#[test]
fn commands_that_the_target_never_answers_hold_with_what_did_not_come_and_how_often() {
    let sent = (0..12).map(|client| {
        let answer = CommandAnswer::None;
        Record::CommandSent { client, at: 100 * S, answer }
    });
    let text = at_home(&fault("command_over_socket", "mode = \"all\""));
    let mut trial = trial_of(&text, sent.collect());
    trial.facts.faults[0].effective = Some(0);
    let report = with_updates(trial.report());
    assert_eq!(report.decision, Decision::Hold, "{:?}", report.reasons);
    let told = ten_lines(&report);
    let why = "a disturbance that belongs to the test did not happen as planned: fault 0 (command_over_socket in \
               steady) hit 0 of 12 clients planned";
    assert!(told.contains(why), "no {why} in: {told}");
    let next = "happen as planned: Have the service answer a command over the socket as the contract wants it: by an \
                error reply";
    assert!(told.contains(next), "no {next} in: {told}");
    let objectives = report.gates.iter().flat_map(|gate| &gate.objectives);
    let mut rule = objectives.filter(|one| one.selector == "rule=command_accepted");
    let rule = rule.next().expect("it was put to the test");
    let reason = &rule.reason;
    assert!(
        reason.starts_with("12 cases, and every one is undecided: neither a refusal"),
        "{reason}"
    );
}

#[test]
fn the_last_line_says_by_what_a_run_fails_where_the_headline_has_no_room() {
    let last = |report: &RunReport| {
        let shown = terminal::render_short(report, &reader(80, true));
        shown.lines().last().unwrap_or_default().to_owned()
    };
    let rule = report_of(&at_home(""), breached(0..5, 300 * S, Breach::Masked));
    assert_eq!(last(&rule), "NO-GO  elsewhere: ws_protocol, 5 times, 5 of 12 clients");
    let how = OfflineCause::Broken { how: Cut::Reset };
    let resets = (0..6).map(|n| records::offline(n, (300 + 7 * u64::from(n)) * S, how)).collect();
    let incident = report_of(&at_home(""), resets);
    assert_eq!(last(&incident), "NO-GO  elsewhere: socket_ends, 6 times");
}

#[test]
fn a_run_without_an_end_says_who_had_not_come_back_when_it_ended() {
    let (all, mut report) =
        (" clients were not connected, or not up to date, when the run ended.", {
            Trial::storm(&[]).report()
        });
    assert!(summary(&report).contains("After being cut off, the slowest client was up to date in"));
    report.fleet.clients_live_at_end -= 1;
    for (finished, interrupted) in [(false, false), (true, true)] {
        (report.finished, report.interrupted) = (finished, interrupted);
        let told = summary(&report);
        assert!(
            told.contains("After being cut off, the slowest client that came back was up"),
            "{told}"
        );
        assert!(
            told.contains(&format!("; 1 of {}{all}", report.fleet.clients.values().sum::<u64>())),
            "{told}"
        );
    }
}

/// Subscribes of some clients that are refused.
fn refused_subscribes(clients: std::ops::Range<u32>) -> Vec<Record> {
    let of = |client: u32| {
        let at = (300 + 7 * u64::from(client)) * S;
        let how = (Outcome::RefusedTopic, "forbidden_topic");
        records::answered(Request::Subscribe, Some(client), [at, at + 20], how)
    };
    clients.map(of).collect()
}

#[test]
fn every_no_go_says_since_when_on_the_clock_and_whom_it_befell() {
    let how = OfflineCause::Broken { how: Cut::Reset };
    let reset = |n: u32, at| records::offline(n, at, how);
    let resets = |clients: u32, apart: Micros| -> Vec<Record> {
        (0..clients).map(|n| reset(n, 300 * S + apart * u64::from(n))).collect()
    };
    let commands = || (0..400).flat_map(|n| published(n, Outcome::Timeout, "timeout")).collect();
    let claim = "[[gate.objective]]\nmetric = \"publish_errors\"\nrequire = \"proportion <= 1%\"\n\n[[gate]]\n\
                 name = \"stability\"\nadvisory = true\n\n[oracle]";
    let claimed = edited(&at_home(""), &[("[oracle]", claim)]);
    let mut late: Vec<Record> = commands();
    late.extend([15, 300].map(|second| records::lag(second * S, 50)));
    for (what, text, list, told) in [
        (
            "refused subscribes",
            at_home(""),
            refused_subscribes(0..4),
            "Since 300.0 s (03:09:05 UTC) until 321.0 s (03:09:26 UTC): hit 4 of 12 desktop.",
        ),
        (
            "resets",
            at_home(""),
            resets(6, 7 * S),
            "Since 300.0 s (03:09:05 UTC) until 335.0 s (03:09:40 UTC): hit 6 of 12 desktop.",
        ),
        (
            "an absence",
            at_home(""),
            resets(12, 1_000),
            "Since 300.0 s (03:09:05 UTC) until the end: hit everybody who was there (desktop).",
        ),
        (
            "a rule",
            at_home(""),
            breached(0..5, 300 * S, Breach::Masked),
            "Since 300.0 s (03:09:05 UTC): hit 5 of 12 desktop.",
        ),
        (
            "commands",
            at_home(""),
            commands(),
            "Since 101.0 s (03:05:46 UTC): it is of the service, and of no client by itself.",
        ),
        (
            "a claim",
            claimed,
            late,
            "Since 10.0 s (03:04:15 UTC) on, in all of steady (a claim has no moment): the load's commands.",
        ),
    ] {
        let report = report_of(&text, list);
        assert_eq!(report.decision, Decision::NoGo, "{what}: {:?}", report.reasons);
        let shown = ten_lines(&report);
        assert!(shown.contains(told), "{what}: no {told} in {shown}");
        let told = told.trim_start_matches("Since ");
        let head: Vec<_> = summary(&report).lines().take(10).map(str::to_owned).collect();
        let line = format!("- **Since when, and whom it befell.** {told}");
        assert!(head.contains(&line), "{what}: no {line} in {head:?}");
        assert!(flat(&terminal::render(&report, Colour::Never)).contains(told), "{what}");
    }
    // Nothing is to be said of what is none.
    let go = report_of(&at_home(""), Vec::new());
    assert!(!summary(&go).contains("Since when") && !ten_lines(&go).contains("Since"));
}

#[test]
fn what_never_was_is_said_beside_what_there_was_all_the_same() {
    let trouble = |report: &RunReport| {
        let page = crate::page::without_script(&crate::page::page(report));
        crate::page::words(crate::page::part(&crate::page::parsed(&page), "trouble"))
    };
    let report = report_of(&at_home(""), refused_subscribes(0..4));
    no_go(&report, "apps connect, and what they ask for then is refused or not answered");
    let told = trouble(&report);
    for said in [
        "0 in every second of the run: errors, violations, sockets ended unplanned.",
        "What befell the run, in all: unplanned: subscribe_errors 4 (forbidden_topic ×4), clients: 4, first at 300.00 s.",
        "The run is a NO-GO by: stability: unplanned_ends [subscribe_errors].",
    ] {
        assert!(told.contains(said), "no `{said}` in {told}");
    }
    assert!(!told.contains("None"), "{told}");
    let go = Trial::storm(&[]).report();
    assert_eq!(go.decision, Decision::Go);
    assert!(!trouble(&go).contains("The run is a"), "{}", trouble(&go));
}

#[test]
fn a_go_of_a_target_that_was_broken_on_purpose_says_that_the_defect_was_not_found() {
    let mut report = Trial::storm(&[]).report();
    let next = "The defect drop_nth,0.02,after=1 was not found: ";
    assert!(report.decision == Decision::Go && !ten_lines(&report).contains(next));
    report.target.defects = vec!["drop_nth,0.02,after=1".to_owned()];
    let told = ten_lines(&report);
    let page = "harness/reference/DEFECTS.md says which scenario shows it.";
    assert!(told.contains(&format!("Next {next}")) && told.contains(page), "{told}");
}

#[test]
fn a_run_without_an_end_says_so_in_the_title_of_its_summary() {
    let mut report = Trial::storm(&[]).report();
    let title = |report: &RunReport| summary(report).lines().next().unwrap_or_default().to_owned();
    let whole = title(&report);
    for (finished, interrupted, how) in
        [(false, false, "unfinished"), (true, true, "interrupted"), (false, true, "unfinished")]
    {
        (report.finished, report.interrupted) = (finished, interrupted);
        assert_eq!(title(&report), format!("{whole} ({how})"));
        let told = summary(&report);
        let headline = told.lines().nth(2).unwrap_or_default();
        assert!(headline.starts_with("**") && headline.ends_with(".**"), "{headline}");
    }
}

//! What becomes of answers: their status, their code, their `Retry-After`, and what is kept of their bodies.

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use super::*;
use crate::answer::answer_to;
use crate::reach::Reach;

const SECRET: &str = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJ1c2VyOjEifQ.c2lnbmF0dXJl";

/// A client of a server that answers every request with these bytes, and then closes the connection.
async fn answering(answer: String) -> Http {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let url = format!("http://{}", listener.local_addr().expect("its address"));
    tokio::spawn(async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            let answer = answer.clone();
            tokio::spawn(async move {
                let _ = socket.read(&mut [0; 4096]).await;
                let _ = socket.write_all(answer.as_bytes()).await;
                let _ = socket.shutdown().await;
            });
        }
    });
    Http::new(&here(&url), "test", Duration::from_secs(5))
}

fn here(url: &str) -> Reach {
    Reach::here(url).expect("on this machine")
}

fn refusal(status: &str, headers: &str, body: &str) -> String {
    format!("HTTP/1.1 {status}\r\n{headers}Content-Length: {}\r\n\r\n{body}", body.len())
}

/// How a publish ended that was answered so.
async fn published(answer: String) -> Answer {
    let http = answering(answer).await;
    answer_to(&http.post::<serde_json::Value>("/publish", &[], Bytes::new()).await)
}

#[test]
fn a_request_is_named_by_whom_the_agents_comment_names() {
    for (agent, by) in [
        ("khala-harness/0.1.0 (run 1a2b3c4d)", "1a2b3c4d-"),
        ("khala-harness/0.1.0 (stage)", "stage-"),
        ("test", "test-"),
    ] {
        let id = request_id(agent);
        let number = id.strip_prefix(by).map(str::parse::<u64>);
        assert!(matches!(number, Some(Ok(_))), "{id} of {agent}");
    }
}

#[tokio::test]
async fn a_refusal_keeps_its_status_its_code_its_retry_after_and_the_start_of_its_body() {
    let body = r#"{"error":"khala_publish_rate_limited","retry_after_ms":500}"#;
    let answer = published(refusal("429 Slow", "Retry-After: 7\r\n", body)).await;
    assert_eq!(&*answer.status, "429 khala_publish_rate_limited");
    assert_eq!(answer.retry_after.as_deref(), Some("7"));
    assert_eq!(answer.example.as_deref(), Some(body));
    assert_eq!(answer.outcome, Outcome::ProtocolError);

    let html = format!("<h1>Down</h1>\u{1b}[2J|{}", "x".repeat(5_000));
    let answer = published(refusal("503 Down", "Retry-After: soon\t|\r\n", &html)).await;
    assert_eq!((&*answer.status, answer.retry_after.as_deref()), ("503", Some("soon\\t\\u{7c}")));
    let example = answer.example.expect("the start of the body");
    assert!(example.starts_with("<h1>Down</h1>\\u{1b}[2J\\u{7c}xxx"), "{example}");
    assert!(example.chars().count() <= 161, "{example}");
}

#[tokio::test]
async fn what_is_no_code_of_the_contract_stays_out_of_the_status() {
    for body in ["", "[]", r#"{"error":""}"#, r#"{"error":{"a":1}}"#, r#"{"error":"two words"}"#] {
        let answer = published(refusal("400 Bad", "", body)).await;
        assert_eq!(&*answer.status, "400", "{body}");
    }
    let long = format!(r#"{{"error":"{}"}}"#, "e".repeat(CODE_MAX + 1));
    assert_eq!(&*published(refusal("400 Bad", "", &long)).await.status, "400");
}

#[tokio::test]
async fn nothing_of_a_body_of_the_token_endpoint_is_kept() {
    for answer in [
        refusal(
            "503 Down",
            "Retry-After: 3\r\n",
            &format!(r#"{{"error":"{SECRET}","x":"hunter2"}}"#),
        ),
        refusal("200 OK", "", &format!(r#"["{SECRET}","hunter2"]"#)),
        refusal("200 OK", "", &format!("{SECRET} hunter2")),
    ] {
        let http = answering(answer).await;
        let ended = http.post_for_token::<u32>("/token", &[], Bytes::new()).await;
        let error = ended.expect_err("it is refused, or no number");
        let told = format!("{error} {error:?} {:?}", error.answer());
        assert!(!told.contains(SECRET) && !told.contains("hunter2"), "{told}");
    }
}

#[tokio::test]
async fn what_came_in_an_answers_stead_has_a_name() {
    assert_eq!(&*published(String::new()).await.status, CLOSED_EARLY);
    assert_eq!(&*published("HTTP/1.1 200 OK\r\nContent-Le".to_owned()).await.status, CLOSED_EARLY);
    let short = "HTTP/1.1 202 OK\r\nContent-Length: 40\r\n\r\n{}".to_owned();
    assert_eq!(&*published(short).await.status, CLOSED_EARLY);
    let answer = published(refusal("202 Accepted", "", "{")).await;
    assert_eq!(&*answer.status, "202, and not of the contract");
    let answer = published("SSH-2.0-OpenSSH_9.6\r\n".to_owned()).await;
    assert_eq!((&*answer.status, answer.outcome), (NOT_HTTP, Outcome::ProtocolError));
    assert_eq!(
        &*published(refusal("503 Down", "Retry-After: \u{1}\r\n", "")).await.status,
        NOT_HTTP
    );

    let gone = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let url = format!("http://{}", gone.local_addr().expect("its address"));
    drop(gone);
    let http = Http::new(&here(&url), "test", Duration::from_secs(5));
    let refused = http.get::<u32>("/", &[]).await.expect_err("nobody listens");
    assert_eq!(&*refused.answer().status, "connection refused");
    assert_eq!(refused.outcome(), Outcome::ConnectionFailed);

    // No name of this machine, nor of any other: what a look-up makes of it is the generator's.
    let allowed = "[[host]]\nname = \"no-such-host.invalid\"\naddresses = [\"192.0.2.0/24\"]\nclients = 1\n\
                   connects_per_second = 1\nmessages_per_second = 1\nowner = \"jo\"\nexpires = \"2999-12-31\"\n";
    let guard = crate::reach::guard::Guard::parse(allowed).expect("an allow file");
    let mut target = crate::testing::plan(include_str!("../../../../scenarios/smoke.toml")).target;
    target.way.clear_text = true;
    let nowhere = Reach::of("http://no-such-host.invalid:1", &target, &guard).expect("allowed");
    let http = Http::new(&nowhere, "test", Duration::from_secs(5));
    let unknown = http.get::<u32>("/", &[]).await.expect_err("nobody has the name");
    assert_eq!(unknown.outcome(), Outcome::Exhausted(Resource::Names), "{unknown}");
}

#[tokio::test(start_paused = true)]
async fn what_does_not_answer_in_time_is_a_timeout() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let url = format!("http://{}", listener.local_addr().expect("its address"));
    let http = Http::new(&here(&url), "test", Duration::from_secs(5));
    let error = http.get::<u32>("/", &[]).await.expect_err("nobody answers");
    assert_eq!((&*error.answer().status, error.outcome()), ("timeout", Outcome::Timeout));
}

use super::*;

#[test]
fn a_malformed_message_of_which_no_kind_is_told_has_no_shape() {
    let told = r#"{"record":"malformed","client":1,"at":2,"why":"a batch lacks `topic`"}"#;
    let record: Record = serde_json::from_str(told).expect("it is read");
    let Record::Malformed { flaw, .. } = &record else { panic!("{record:?}") };
    assert_eq!(*flaw, Flaw::Shape);
    assert_eq!(serde_json::to_string(&record).expect("it is written"), told);
    let told = r#"{"record":"malformed","client":1,"at":2,"flaw":"content","why":"it stopped"}"#;
    let record: Record = serde_json::from_str(told).expect("it is read");
    assert!(matches!(record, Record::Malformed { flaw: Flaw::Content, .. }), "{record:?}");
    assert_eq!(serde_json::to_string(&record).expect("it is written"), told);
}

/// Recordings and journals of earlier builds are read, so their words stay whatever the names are.
#[test]
fn what_has_another_name_than_in_recordings_is_written_and_read_by_the_old_word() {
    let over_session = PublishId::OverSession { client: 3 };
    for (value, word) in [
        (serde_json::to_value(Request::Connect), serde_json::json!("upgrade")),
        (serde_json::to_value(Request::TriedConnect), serde_json::json!("tried_upgrade")),
        (serde_json::to_value(Place::Connect), serde_json::json!("upgrade")),
        (serde_json::to_value(Step::Connect), serde_json::json!("upgrade")),
        (serde_json::to_value(Heard::NoSession), serde_json::json!("no_socket")),
        (serde_json::to_value(over_session), serde_json::json!({"over_socket": {"client": 3}})),
    ] {
        assert_eq!(value.expect("it is written"), word);
    }
    let told = r#"{"record":"slow_ended","client":1,"at":2,"same_socket":true}"#;
    let record: Record = serde_json::from_str(told).expect("it is read");
    assert_eq!(record, Record::SlowEnded { client: 1, at: 2, same_session: true });
    assert_eq!(serde_json::to_string(&record).expect("it is written"), told);
}

#[test]
fn figures_of_a_stale_topic_are_read_as_they_were_always_written_and_may_be_missing() {
    let told = r#"{"record":"subscribe_stale","client":1,"epoch":2,"at":3,"topics":[{"topic":2,"reason":"retention_floor","cursor":4,"floor":5,"head":9,"budget":100,"lag":5}]}"#;
    let record: Record = serde_json::from_str(told).expect("it is read");
    let Record::SubscribeStale { topics, .. } = &record else { panic!("{record:?}") };
    let [said] = topics[..] else { panic!("{topics:?}") };
    let figures = (said.floor, said.head, said.budget, said.lag);
    assert_eq!(figures, (Some(5), Some(9), Some(100), Some(5)));
    assert_eq!(serde_json::to_string(&record).expect("it is written"), told);
    let bare = r#"{"topic":2,"reason":"unsaid","cursor":4}"#;
    let said: StaleTopic = serde_json::from_str(bare).expect("it is read");
    assert_eq!((said.floor, said.head, said.budget, said.lag), (None, None, None, None));
    assert_eq!((said.reason, said.figures()), (StaleReason::Unsaid, String::new()));
}

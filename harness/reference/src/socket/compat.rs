//! The compatibility gate on a join.

use khala_wire::PROTOCOL_VERSION;
use khala_wire::payload::CompatibilityFailure;

use super::upgrade::ClientVersions;
use crate::config::Compatibility;

/// Why a client may not join, if so: the first of the contract's codes that applies.
pub fn check(gate: &Compatibility, client: &ClientVersions) -> Option<CompatibilityFailure> {
    let (code, message) = failure(gate, client)?;
    Some(CompatibilityFailure {
        code: code.to_owned(),
        max_client_build_id: gate.max_client_build_id.clone(),
        max_schema_version: gate.max_schema_version,
        message: message.to_owned(),
        min_client_build_id: gate.min_client_build_id.clone(),
        min_schema_version: gate.min_schema_version,
        protocol_version: PROTOCOL_VERSION.to_owned(),
        retryable: false,
        surface: "khala_websocket".to_owned(),
        upgrade_required: true,
    })
}

fn failure(gate: &Compatibility, client: &ClientVersions) -> Option<(&'static str, &'static str)> {
    let build = client.build.as_deref().filter(|build| {
        !build.is_empty() && build.bytes().all(|byte| byte.is_ascii_alphanumeric())
    });
    let Some(build) = build else {
        return Some(("invalid_client_build", "client build id is missing or malformed"));
    };
    if client.protocol.as_deref() != Some(PROTOCOL_VERSION) {
        return Some(("unsupported_protocol_version", "protocol version is not served"));
    }
    let schema: Option<u32> = client.schema.as_deref().and_then(|schema| schema.parse().ok());
    let served = gate.min_schema_version..=gate.max_schema_version;
    if !schema.is_some_and(|schema| served.contains(&schema)) {
        return Some(("unsupported_schema_version", "schema version is not served"));
    }
    if gate.min_client_build_id.as_deref().is_some_and(|min| build < min) {
        return Some(("upgrade_required", "client build is older than the oldest served"));
    }
    if gate.max_client_build_id.as_deref().is_some_and(|max| build > max) {
        return Some(("unsupported_client_build", "client build is newer than the newest served"));
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_code_has_a_client_that_earns_it() {
        let gate = Compatibility {
            min_client_build_id: Some("20260221T130000Z".into()),
            max_client_build_id: Some("20261231T000000Z".into()),
            min_schema_version: 1,
            max_schema_version: 1,
        };
        let client = |build: &str, protocol: &str, schema: &str| ClientVersions {
            build: Some(build.into()),
            protocol: Some(protocol.into()),
            schema: Some(schema.into()),
        };
        let code = |client: &ClientVersions| check(&gate, client).map(|failure| failure.code);
        assert_eq!(code(&client("20260301T000000Z", "khala.ws.v1", "1")), None);
        for (client, expected) in [
            (ClientVersions::default(), "invalid_client_build"),
            (client("2026-02", "khala.ws.v1", "1"), "invalid_client_build"),
            (client("20260301T000000Z", "khala.ws.v0", "1"), "unsupported_protocol_version"),
            (client("20260301T000000Z", "khala.ws.v1", "2"), "unsupported_schema_version"),
            (client("20260101T000000Z", "khala.ws.v1", "1"), "upgrade_required"),
            (client("20270101T000000Z", "khala.ws.v1", "1"), "unsupported_client_build"),
        ] {
            assert_eq!(code(&client).as_deref(), Some(expected), "{client:?}");
        }
    }
}

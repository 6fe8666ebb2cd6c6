//! The time of day, as a bundle writes it.

/// UTC now, RFC 3339, to the second.
#[must_use]
pub fn utc_now() -> String {
    jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

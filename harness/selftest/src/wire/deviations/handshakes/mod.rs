//! Answers to upgrades that are valid, as servers and proxies write them.

use crate::wire::deviation::Step;
use crate::wire::http::Head;

rows![
    up_no_reason,
    up_odd_reason,
    up_white_space,
    up_cookies,
    up_values_in_case,
    up_reversed,
    up_connection_lines,
    up_long_header,
    up_late,
    up_with_first_frames,
    up_one_503,
    up_to_h2c,
    up_body_behind,
];

/// The answer, changed as it is.
fn send(head: &Head) -> Vec<Step> {
    vec![Step::Send(head.bytes())]
}

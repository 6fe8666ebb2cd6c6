//! Cookies of a balancer's stickiness (AWS ALB sets two), and what edges add: a header may come twice
//! where it is a list, and Set-Cookie always may (RFC 6265, section 3).

use super::send;
use crate::wire::deviation::{Deviation, Step};
use crate::wire::http::Head;
use crate::wire::row::Row;

pub(super) const ROW: Row = Row::go(Deviation::accepted(up_cookies));

fn up_cookies(head: Head) -> Vec<Step> {
    let expires = "Expires=Thu, 01 Jan 2026 00:00:00 GMT; Path=/";
    let head = head.and("Set-Cookie", &format!("AWSALB=a; {expires}"));
    let head = head.and("Set-Cookie", &format!("AWSALBCORS=a; {expires}; SameSite=None; Secure"));
    let head = head.and("Date", "Thu, 01 Jan 2026 00:00:00 GMT").and("Server", "envoy");
    let head = head.and("Via", "1.1 varnish").and("Via", "1.1 vegur").and("Vary", "Origin");
    let head = head.and("Keep-Alive", "timeout=5").and("Alt-Svc", "h3=\":443\"; ma=86400");
    send(&head.and("Strict-Transport-Security", "max-age=31536000"))
}

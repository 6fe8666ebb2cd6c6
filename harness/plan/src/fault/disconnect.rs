//! `disconnect`: cuts sockets at an instant; each client then comes back by its own back-off.

use super::FaultType;
use crate::model::{DisconnectStyle, FaultKind};
use crate::read::diagnostic::Diagnostic;
use crate::read::fields::Fields;

/// The registry's line.
pub const TYPE: FaultType = FaultType {
    name: "disconnect",
    summary: "Cuts the sockets of its targets at one instant.",
    attributes: &[
        ("style", "`close`: a close frame, then FIN (default); `reset`: RST and nothing else"),
        ("close_code", "code of the close frame, 1000 (default) to 4999; for `close` only"),
    ],
    read,
};

const CLOSE_CODE: u32 = 1000;
/// Codes that RFC 6455, section 7.4, lets an endpoint put into a close frame.
const SENDABLE: [std::ops::RangeInclusive<u32>; 3] = [1000..=1003, 1007..=1014, 3000..=4999];

fn read(attributes: &mut Fields<'_>) -> Option<FaultKind> {
    let cx = attributes.cx;
    if let Some(node) = attributes.node("style").filter(|node| node.as_str() == Some("half_open")) {
        let what = "a half-open disconnect is not yet served";
        cx.report(Diagnostic::error(&node.place, what).help("use `close` or `reset`"));
        let _ = attributes.node("close_code");
        return None;
    }
    let reset = attributes.keyword_or("style", false, &[("close", false), ("reset", true)]);
    if reset == Some(true) {
        attributes.no_effect("close_code", "with `style = \"reset\"`: a reset has no close frame");
        return Some(FaultKind::Disconnect { style: DisconnectStyle::Reset });
    }
    let code = attributes.within("close_code", 1000..=4999).unwrap_or(CLOSE_CODE);
    if !SENDABLE.iter().any(|range| range.contains(&code))
        && let Some(node) = attributes.node("close_code")
    {
        let what = format!("no endpoint may send the close code {code}");
        let help = "use 1000 to 1003, 1007 to 1014, or 3000 to 4999 (RFC 6455, section 7.4)";
        cx.report(Diagnostic::error(&node.place, what).help(help));
    }
    let code = u16::try_from(code).ok()?;
    reset.map(|_| FaultKind::Disconnect { style: DisconnectStyle::Close { code } })
}

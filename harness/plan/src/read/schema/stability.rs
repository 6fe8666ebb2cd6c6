//! `[stability]` and `[target.stability]`.

use super::shape::Shape;
use super::table::{Key, Table};
use crate::read::stability::ABSENCES;
use crate::stability::{ABSENCE, Incident};
use crate::units::format_duration;

/// Both tables.
pub(super) fn table() -> Table {
    let absence = format!(
        "For how long the target may answer nobody although it is asked. Default: `{}`, which is an \
         assumption.",
        format_duration(ABSENCE)
    );
    let mut keys = vec![
        Key::new("absence", Shape::Duration(ABSENCES), absence),
        Key::new(
            "limit",
            Shape::Limit,
            "How many unplanned incidents of each kind that is not named a run may have: a number, a \
             share of the occasions such as `1%`, a rate such as `0.05/s`, or a share of the clients \
             an hour such as `0.1%/h`.",
        ),
    ];
    keys.extend(Incident::ALL.iter().map(|incident| {
        let mut doc = format!("Limit of this kind. {}", incident.definition());
        if let Some(allowance) = incident.contract() {
            doc.push_str(&format!(" Default: `{allowance}` (contract, section 7)."));
        }
        Key::new(incident.name(), Shape::Limit, doc)
    }));
    let doc = "How much of what nobody planned is too much; what is not said here is the target's \
               word, else the contract's, else none for the embedded runtime and for another 0.1 % \
               of the clients an hour, at least 1.";
    Table::new("stability", doc, keys)
}

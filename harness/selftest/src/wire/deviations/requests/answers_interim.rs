//! 100 and 103 before the answer (RFC 9110, section 15.2: a client must be able to parse them even if it
//! does not expect one).

use super::of_run;
use crate::wire::deviation::{Deviation, Step};
use crate::wire::http::{Answer, Request};
use crate::wire::row::Row;

pub(super) const ROW: Row = Row::go(Deviation::answer(answers_interim)).control();

fn answers_interim(request: &Request, answer: Answer) -> Option<Vec<Step>> {
    of_run(request).then(|| {
        let interim =
            b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n";
        vec![Step::Send([&interim[..], &answer.bytes()].concat())]
    })
}

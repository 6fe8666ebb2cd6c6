//! Answers that are compressed although nobody said that he can read that (RFC 9110, section 12.5.3).

use std::io::Write as _;

use flate2::Compression;
use flate2::write::GzEncoder;

use super::{PUBLISHES, STABILITY};
use crate::wire::deviation::{Deviation, Step};
use crate::wire::http::{Answer, Purpose, Request};
use crate::wire::row::Row;

pub(super) const ROW: Row = Row::no_go(Deviation::answer(pub_gzip), STABILITY, PUBLISHES);

fn pub_gzip(request: &Request, mut answer: Answer) -> Option<Vec<Step>> {
    (request.purpose == Purpose::Publish).then_some(())?;
    let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
    gzip.write_all(&answer.body).ok()?;
    answer.head = answer.head.and("Content-Encoding", "gzip");
    Some(vec![Step::Send(answer.saying(gzip.finish().ok()?).bytes())])
}

//! `violations.ndjson`: the earliest violations of each rule, one a line.

use khala_wire::topic::TopicId;
use serde::Serialize;

use super::{RenderError, Renderer, texts};
use crate::oracle::tally::Clients;
use crate::report::RunReport;

pub struct ViolationsNdjson;

#[derive(Serialize)]
struct Line<'a> {
    /// By which `explain` asks for it: the line's own, from 1.
    number: usize,
    at_us: u64,
    rule: &'a str,
    client: Option<u32>,
    /// All clients that it befell, as ranges of their numbers, where it stands for several.
    #[serde(skip_serializing_if = "Option::is_none")]
    clients: Option<&'a Clients>,
    topic: Option<&'a str>,
    seqs: Option<(u64, u64)>,
    epoch: Option<u32>,
    message: &'a str,
    /// The command, from the bundle's folder, that shows this client's part of the run again.
    again: Option<String>,
}

impl Renderer for ViolationsNdjson {
    fn file_name(&self) -> &'static str {
        "violations.ndjson"
    }

    fn render(&self, report: &RunReport) -> Result<Vec<u8>, RenderError> {
        let mut bytes = Vec::new();
        for (kept, violation) in report.oracle.kept.iter().enumerate() {
            let line = Line {
                number: kept + 1,
                at_us: violation.at_us,
                rule: violation.rule.name(),
                client: violation.client,
                clients: report.oracle.clients_of(kept),
                topic: violation.topic.map(TopicId::name),
                seqs: violation.seqs,
                epoch: violation.epoch,
                message: &violation.message,
                again: texts::again(report, violation, texts::HERE),
            };
            super::line(self.file_name(), &mut bytes, &line)?;
        }
        Ok(bytes)
    }
}

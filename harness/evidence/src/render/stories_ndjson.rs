//! `stories.ndjson`: what last befell clients for which a rule was broken, with their last frames, a line a
//! client. `khala-harness explain` tells it to people.

use serde::Serialize;

use super::{RenderError, Renderer};
use crate::report::RunReport;
use crate::shard::flight::Story;

pub struct StoriesNdjson;

#[derive(Serialize)]
struct Line<'a> {
    client: u32,
    #[serde(flatten)]
    story: &'a Story,
}

impl Renderer for StoriesNdjson {
    fn file_name(&self) -> &'static str {
        "stories.ndjson"
    }

    fn render(&self, report: &RunReport) -> Result<Vec<u8>, RenderError> {
        let mut bytes = Vec::new();
        for (client, story) in report.stories.iter() {
            super::line(self.file_name(), &mut bytes, &Line { client, story })?;
        }
        Ok(bytes)
    }
}

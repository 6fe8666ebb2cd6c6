//! `clusters.ndjson`: the samples of each figure by the cluster that they hang together in, a line a cluster.
//! From them come the intervals of percentiles and design effects.

use khala_plan::metric::Clustering;
use khala_plan::surface::Surface;
use serde::Serialize;

use super::{RenderError, Renderer};
use crate::report::RunReport;

pub struct ClustersNdjson;

#[derive(Serialize)]
struct Line<'a> {
    metric: &'a str,
    phase: &'a str,
    surface: Option<Surface>,
    /// What clusters are: `second` of the run (of the intended start), or `client_group`.
    by: &'a str,
    cluster: u32,
    /// Samples that had not ended when they had to: beyond every value.
    censored: u64,
    /// Values, each the lowest of its bucket, with how many there are.
    counts: Vec<(u64, u32)>,
}

impl Renderer for ClustersNdjson {
    fn file_name(&self) -> &'static str {
        "clusters.ndjson"
    }

    fn render(&self, report: &RunReport) -> Result<Vec<u8>, RenderError> {
        let mut bytes = Vec::new();
        for (figure, samples) in report.sampled() {
            let by = match figure.metric.clustering() {
                Clustering::Seconds => "second",
                Clustering::Clients => "client_group",
            };
            for (&cluster, sparse) in &samples.clusters {
                let line = Line {
                    metric: figure.metric.name(),
                    phase: &figure.phase,
                    surface: figure.surface,
                    by,
                    cluster,
                    censored: sparse.censored(),
                    counts: sparse.iter().collect(),
                };
                super::line(self.file_name(), &mut bytes, &line)?;
            }
        }
        Ok(bytes)
    }
}

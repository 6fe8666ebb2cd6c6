//! What the page's script draws its charts from: the same lines as the pictures beside it, finer where the run is
//! long.

use serde_json::{Value, json};

use super::axis::Kind;
use super::plot::{self, Band, Line, Plot};
use super::thin::{self, Values};
use crate::report::{RunReport, Second};

/// Columns that the seconds of a run are thinned to for zooming.
const COLUMNS: usize = 4_000;

/// The charts' data.
pub struct Data {
    charts: serde_json::Map<String, Value>,
    step: usize,
    seconds: Vec<f64>,
    started: String,
}

impl Data {
    /// None yet, of a run.
    pub fn of(report: &RunReport) -> Self {
        let seconds = report.series.len();
        let step = if seconds <= 2 * COLUMNS { 1 } else { thin::step(seconds, COLUMNS) };
        let charts = serde_json::Map::new();
        let seconds = thin::places(seconds, step);
        Self { charts, step, seconds, started: report.started_at.clone() }
    }

    /// None yet, of some seconds of a run that goes on.
    pub fn so_far(started: &str, seconds: &[Second]) -> Self {
        let charts = serde_json::Map::new();
        let seconds = seconds.iter().map(|it| thin::place(it.second as usize)).collect();
        Self { charts, step: 1, seconds, started: started.to_owned() }
    }

    /// A chart over the seconds of the run.
    pub fn by_second(&mut self, plot: &Plot, values: &[&Values]) {
        let lines = values.iter().map(|values| json!(thin::aligned(values, self.step)));
        self.add(plot, Value::Null, lines.collect());
    }

    /// A chart whose lines have an x of their own each.
    pub fn curves(&mut self, plot: &Plot) {
        let points = |line: &Line| line.points.iter().copied().flatten().collect::<Vec<_>>();
        let mut all: Vec<f64> = plot.lines.iter().flat_map(points).map(|(x, _)| x).collect();
        all.sort_by(f64::total_cmp);
        all.dedup();
        let on_all = |line: &Line| {
            let mut points = points(line).into_iter().peekable();
            let mut ys = Vec::new();
            for x in &all {
                let mut here = None;
                while let Some((_, y)) = points.next_if(|(at, _)| at <= x) {
                    here = Some(y);
                }
                ys.push(here);
            }
            json!(ys)
        };
        let lines = plot.lines.iter().map(on_all).collect();
        self.add(plot, json!(all), lines);
    }

    fn add(&mut self, plot: &Plot, x: Value, lines: Vec<Value>) {
        let kind = match plot.y.kind {
            Kind::Micros => "us",
            Kind::Cores => "cores",
            Kind::Share => "share",
            Kind::Count | Kind::Seconds => "count",
        };
        let line = |(line, y): (&Line, Value)| json!({ "name": line.name, "pen": line.pen, "thin": line.thin, "dash": plot::dash(line), "y": y });
        let band = |band: &Band| json!([band.from, band.to, band.name, band.fault]);
        let chart = json!({
            "title": plot.title,
            "unit": kind,
            "log": plot.y.is_log(),
            "quantiles": plot.x.kind == Kind::Share,
            "steps": plot.steps,
            "height": plot.height,
            "xTitle": plot.x_title,
            "yTitle": plot.y_title,
            "x": x,
            "xEnds": [plot.x.lo, plot.x.hi],
            "yEnds": [plot.y.lo, plot.y.hi],
            "bands": plot.bands.iter().map(band).collect::<Vec<_>>(),
            "claims": plot.claims.iter().map(|it| json!([it.at.0, it.at.1, it.name])).collect::<Vec<_>>(),
            "lines": plot.lines.iter().zip(lines).map(line).collect::<Vec<_>>(),
        });
        self.charts.insert(plot.id.clone(), chart);
    }

    /// Its charts alone.
    pub fn into_charts(self) -> Value {
        Value::Object(self.charts)
    }

    /// All of it, as the script reads it.
    pub fn into_json(self) -> Value {
        json!({ "started": self.started, "seconds": self.seconds, "step": self.step, "charts": self.charts })
    }
}

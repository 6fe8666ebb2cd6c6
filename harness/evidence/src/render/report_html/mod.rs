//! `report.html`: the run on one page that stands by itself. No request leaves it, all that is said in it is said without
//! script and style, and what people ask first stands first: the verdict and the gates.
//!
//! Made from the report with its seconds, samples and stories. What a report made of `run.json` alone does not hold is
//! said to be not recorded.

mod axis;
mod broken;
mod client;
mod curves_so_far;
mod faults;
mod figures;
mod gates;
mod generator;
mod html;
mod latency;
mod paper;
mod plot;
mod provenance;
mod recovery;
mod script;
pub mod so_far;
mod strip;
mod tables;
pub(crate) mod thin;
mod time_line;

use self::html::Html;
use self::script::Data;
use super::{RenderError, Renderer};
use crate::report::RunReport;

const STYLE: &str = include_str!("assets/report.css");
const SCRIPT: &str = include_str!("assets/report.js");
const UPLOT: &str = include_str!("assets/uplot/uPlot.iife.min.js");
const UPLOT_STYLE: &str = include_str!("assets/uplot/uPlot.min.css");

/// The element that holds the page's data.
const DATA: &str = "report-data";

/// `report.html`.
pub struct ReportHtml;

impl Renderer for ReportHtml {
    fn file_name(&self) -> &'static str {
        "report.html"
    }

    fn render(&self, report: &RunReport) -> Result<Vec<u8>, RenderError> {
        Ok(page(report, None).into_bytes())
    }
}

/// Bytes of a page, by the seconds that its run may have taken: what a mail and a CI system take without thinking.
const BYTES_MAX: [(usize, usize); 3] =
    [(5 * 60, 400 << 10), (2 * 60 * 60, 1 << 20), (usize::MAX, 3 << 20)];

/// Clients whose frames are shown, the most first: where a page would become too large, fewer are.
const STORIES: [usize; 6] = [20, 12, 6, 3, 1, 0];

/// The page of a run; `beside` is another one, whose recovery is drawn into the same charts.
#[must_use]
pub fn page(report: &RunReport, beside: Option<&RunReport>) -> String {
    let seconds = report.series.len();
    let max = BYTES_MAX.into_iter().find(|(within, _)| seconds <= *within);
    let max = max.map_or(usize::MAX, |(_, bytes)| bytes);
    let mut text = String::new();
    for stories in STORIES {
        text = written(report, beside, stories);
        if text.len() <= max {
            break;
        }
    }
    text
}

/// The page with the frames of so many clients at the most.
fn written(report: &RunReport, beside: Option<&RunReport>, stories: usize) -> String {
    let mut html = Html::document();
    let mut data = Data::of(report);
    html.tag("html", &[("lang", "en")], |html| {
        head(html, report);
        html.tag("body", &[], |html| {
            strip::write(html, report);
            html.tag("main", &[], |html| {
                gates::write(html, report);
                broken::write(html, report, stories);
                time_line::write(html, report, &mut data);
                recovery::write(html, report, beside, &mut data);
                latency::write(html, report, &mut data);
                faults::write(html, report);
                generator::write(html, report, &mut data);
                figures::write(html, report);
                provenance::write(html, report);
            });
            html.json(DATA, &data.into_json());
            html.own("script", &[UPLOT, SCRIPT]);
        });
    });
    html.into_text()
}

/// The data of a page, as it stands there: what its charts are drawn from.
#[must_use]
pub fn data_of(page: &str) -> Option<&str> {
    let (_, rest) = page.split_once(&format!("id=\"{DATA}\">"))?;
    // No `<` stands in it.
    rest.split_once('<').map(|(data, _)| data)
}

fn head(html: &mut Html, report: &RunReport) {
    let title = format!("{}: {}", report.decision, report.scenario.name);
    head_of(html, &title, |html| html.own("style", &[UPLOT_STYLE, STYLE]));
}

fn head_of(html: &mut Html, title: &str, own: impl FnOnce(&mut Html)) {
    html.tag("head", &[], |html| {
        html.void("meta", &[("charset", "utf-8")]);
        html.void(
            "meta",
            &[("name", "viewport"), ("content", "width=device-width, initial-scale=1")],
        );
        html.void("meta", &[("name", "color-scheme"), ("content", "light dark")]);
        // Without one a browser asks the server for it.
        html.void("link", &[("rel", "icon"), ("href", "data:,")]);
        html.leaf("title", &[], title);
        own(html);
    });
}

/// The parts of the page, each with its name in it.
const PARTS: [(&str, &str); 9] = [
    ("gates", "Gates"),
    ("rules", "Rules"),
    ("time-line", "Time line"),
    ("recovery", "Recovery"),
    ("latency", "Latency"),
    ("faults", "Faults"),
    ("generator", "Generator"),
    ("figures", "Figures"),
    ("provenance", "Provenance"),
];

/// A part of the page.
fn part(html: &mut Html, id: &'static str, inside: impl FnOnce(&mut Html)) {
    let mut titles = PARTS.iter().chain(&so_far::PARTS);
    let title = titles.find(|(part, _)| *part == id).map_or(id, |(_, title)| title);
    let heading = format!("{id}-heading");
    html.tag("section", &[("id", id), ("aria-labelledby", &heading)], |html| {
        html.leaf("h2", &[("id", &heading)], title);
        inside(html);
    });
}

//! A chart as SVG that stands without style and script: lines over phases and faults, with axes and a legend.
//!
//! Colours are presentation attributes, those of Okabe and Ito; the page's style gives them other values in the dark.
//! Each line has a dash of its own beside its colour.

use std::fmt::Write as _;

use super::axis::Axis;
use super::html::{Attrs, Html};

/// Width of a chart, in user units.
pub const WIDTH: f64 = 960.0;
/// Columns of its plot: what falls on one is thinned to its ends.
pub const COLUMNS: usize = 870;
const LEFT: f64 = 76.0;
const RIGHT: f64 = 14.0;
/// Above a plot with phases and faults, whose names stand there, and above another.
const TOP: f64 = 36.0;
const TOP_BARE: f64 = 10.0;
const BOTTOM: f64 = 38.0;

/// Colours of lines, with their dashes: told apart without seeing colours, and on light and dark ground.
const PENS: [(&str, &str, &str); 6] = [
    ("c0", "#0072B2", "none"),
    ("c1", "#D55E00", "7 3"),
    ("c2", "#009E73", "2 3"),
    ("c3", "#AA4499", "10 3 2 3"),
    ("c4", "#B8860B", "12 4"),
    ("c5", "#777777", "4 2 1 2"),
];

/// A line.
#[derive(Clone, Debug)]
pub struct Line {
    /// Its name.
    pub name: String,
    /// Its pen, by number.
    pub pen: usize,
    /// Whether it stands beside another line of the same pen, and is drawn thin.
    pub thin: bool,
    /// Its points, in order; `None` where it is broken.
    pub points: Vec<Option<(f64, f64)>>,
}

/// A stretch of the x axis.
#[derive(Clone, Debug)]
pub struct Band {
    /// From where.
    pub from: f64,
    /// To where; the same for a moment.
    pub to: f64,
    /// What it is.
    pub name: String,
    /// Whether something was disturbed on purpose; else it is a phase.
    pub fault: bool,
}

/// A claim: a point beyond which a line must not be.
#[derive(Clone, Debug)]
pub struct Claim {
    /// Where it stands.
    pub at: (f64, f64),
    /// What it claims.
    pub name: String,
}

/// A chart.
#[derive(Clone, Debug)]
pub struct Plot {
    /// Its name in the page.
    pub id: String,
    /// What it shows, in a few words.
    pub title: String,
    /// What there is to see, in a sentence, for those who do not see it.
    pub about: String,
    /// Height of the plot itself, in user units.
    pub height: f64,
    /// What x is.
    pub x_title: String,
    /// The x axis.
    pub x: Axis,
    /// What y is.
    pub y_title: String,
    /// The y axis.
    pub y: Axis,
    /// Whether a value holds until the next one.
    pub steps: bool,
    /// The lines.
    pub lines: Vec<Line>,
    /// Phases and faults.
    pub bands: Vec<Band>,
    /// Claims.
    pub claims: Vec<Claim>,
}

/// What a text takes: about 7 units a letter.
#[expect(clippy::cast_precision_loss, reason = "letters of a name")]
fn length(text: &str) -> f64 {
    text.chars().count() as f64 * 7.0
}

/// Where a fault's name stands, and how much of it: as far as the next fault's line and beyond `taken`. Where there is no
/// room for all of it its number stands there alone, and names that would lie on one another are in the list of faults.
fn place(name: &str, from: f64, next: f64, taken: f64) -> Option<(f64, &str)> {
    let number = name.split(' ').next().unwrap_or(name);
    [name, number].into_iter().find_map(|name| {
        let wide = length(name) + 8.0;
        let fits = from + wide <= next.min(WIDTH);
        let beyond_the_end = next > WIDTH && from - wide >= taken;
        let start = if fits { from + 4.0 } else { from - wide };
        ((fits || beyond_the_end) && start >= taken).then_some((start, name))
    })
}

fn px(at: f64) -> String {
    let text = format!("{at:.1}");
    text.strip_suffix(".0").map_or(text.clone(), str::to_owned)
}

impl Plot {
    fn x_at(&self, value: f64) -> f64 {
        LEFT + self.x.place(value) * (WIDTH - LEFT - RIGHT)
    }

    fn top(&self) -> f64 {
        if self.bands.is_empty() { TOP_BARE } else { TOP }
    }

    fn y_at(&self, value: f64) -> f64 {
        self.top() + (1.0 - self.y.place(value)) * self.height
    }

    /// The chart with its legend, in a box that can be reached by the keyboard.
    pub fn write(&self, html: &mut Html) {
        self.held(html, |html| self.svg(html));
    }

    /// The legend, and the box without a picture: where a script draws one.
    pub fn empty(&self, html: &mut Html) {
        self.held(html, |_| ());
    }

    fn held(&self, html: &mut Html, inside: impl FnOnce(&mut Html)) {
        self.legend(html);
        let label = format!("Chart: {}", self.title);
        let holder = [
            ("class", "plot"),
            ("data-chart", &*self.id),
            ("tabindex", "0"),
            ("role", "group"),
            ("aria-label", &*label),
        ];
        html.tag("div", &holder, inside);
    }

    fn svg(&self, html: &mut Html) {
        let whole = self.top() + self.height + BOTTOM;
        let size = (px(WIDTH), px(whole), format!("0 0 {} {}", px(WIDTH), px(whole)));
        let (title, desc) = (format!("{}-title", self.id), format!("{}-desc", self.id));
        let by = format!("{title} {desc}");
        let attrs: Attrs<'_> = &[
            ("width", &size.0),
            ("height", &size.1),
            ("viewBox", &size.2),
            ("role", "img"),
            ("aria-labelledby", &by),
            ("font-family", "system-ui, sans-serif"),
            ("font-size", "13"),
            ("fill", "currentColor"),
        ];
        html.tag("svg", attrs, |html| {
            html.leaf("title", &[("id", &title)], &self.title);
            html.leaf("desc", &[("id", &desc)], &self.about);
            self.bands(html);
            self.axes(html);
            self.faults(html);
            for line in &self.lines {
                self.line(html, line);
            }
            self.claims(html);
        });
    }

    fn bands(&self, html: &mut Html) {
        let phases = self.bands.iter().filter(|band| !band.fault);
        for (number, band) in phases.enumerate() {
            let (from, to) = (self.x_at(band.from), self.x_at(band.to));
            let (x, width) = (px(from), px((to - from).max(0.0)));
            let (y, height) = (px(self.top()), px(self.height));
            let shade = if number.is_multiple_of(2) { "0.07" } else { "0" };
            html.void(
                "rect",
                &[
                    ("class", "phase"),
                    ("x", &x),
                    ("y", &y),
                    ("width", &width),
                    ("height", &height),
                    ("fill-opacity", shade),
                ],
            );
            if to - from > length(&band.name) + 6.0 {
                let x = px(from + 4.0);
                html.leaf("text", &[("x", &x), ("y", "13"), ("fill-opacity", "0.8")], &band.name);
            }
        }
    }

    fn axes(&self, html: &mut Html) {
        let (left, right, bottom) = (px(LEFT), px(WIDTH - RIGHT), self.top() + self.height);
        for at in &self.y.ticks {
            let y = self.y_at(*at);
            let (line, text) = (px(y), px(y + 4.5));
            let grid = [
                ("x1", &*left),
                ("x2", &*right),
                ("y1", &*line),
                ("y2", &*line),
                ("stroke", "currentColor"),
                ("stroke-opacity", "0.15"),
            ];
            html.void("line", &grid);
            let x = px(LEFT - 7.0);
            html.leaf(
                "text",
                &[("x", &x), ("y", &text), ("text-anchor", "end")],
                &self.y.label(*at),
            );
        }
        let (foot, tick, text) = (px(bottom), px(bottom + 5.0), px(bottom + 18.0));
        html.void(
            "line",
            &[
                ("x1", &left),
                ("x2", &right),
                ("y1", &foot),
                ("y2", &foot),
                ("stroke", "currentColor"),
                ("stroke-opacity", "0.6"),
            ],
        );
        for at in &self.x.ticks {
            let x = px(self.x_at(*at));
            html.void(
                "line",
                &[
                    ("x1", &x),
                    ("x2", &x),
                    ("y1", &foot),
                    ("y2", &tick),
                    ("stroke", "currentColor"),
                    ("stroke-opacity", "0.6"),
                ],
            );
            let label = self.x.label(*at);
            let ends_at = self.x_at(*at) + length(&label) / 2.0;
            let (x, anchor) = match ends_at + 4.0 > WIDTH {
                true => (px(WIDTH), "end"),
                false => (x, "middle"),
            };
            html.leaf("text", &[("x", &x), ("y", &text), ("text-anchor", anchor)], &label);
        }
        let (middle, under) = (px((LEFT + WIDTH - RIGHT) / 2.0), px(bottom + 34.0));
        html.leaf(
            "text",
            &[("x", &middle), ("y", &under), ("text-anchor", "middle"), ("fill-opacity", "0.8")],
            &self.x_title,
        );
        let y = px(self.top() + self.height / 2.0);
        let turned = format!("rotate(-90 13 {y})");
        html.leaf(
            "text",
            &[
                ("x", "13"),
                ("y", &y),
                ("text-anchor", "middle"),
                ("fill-opacity", "0.8"),
                ("transform", &turned),
            ],
            &self.y_title,
        );
    }

    fn faults(&self, html: &mut Html) {
        let (top, height, foot) =
            (px(self.top() - 8.0), px(self.height + 8.0), px(self.top() + self.height));
        let mut taken = f64::NEG_INFINITY;
        let faults: Vec<_> = self.bands.iter().filter(|band| band.fault).collect();
        for (number, band) in faults.iter().enumerate() {
            let (from, to) = (self.x_at(band.from), self.x_at(band.to));
            let (x, width) = (px(from), px(to - from));
            if to - from > 0.5 {
                html.void(
                    "rect",
                    &[
                        ("class", "fault"),
                        ("x", &x),
                        ("y", &top),
                        ("width", &width),
                        ("height", &height),
                        ("fill", "#D55E00"),
                        ("fill-opacity", "0.13"),
                    ],
                );
            }
            html.void(
                "line",
                &[
                    ("class", "fault-line"),
                    ("x1", &x),
                    ("x2", &x),
                    ("y1", &top),
                    ("y2", &foot),
                    ("stroke", "#D55E00"),
                    ("stroke-width", "1.5"),
                    ("stroke-dasharray", "3 3"),
                ],
            );
            let next = faults.get(number + 1).map_or(f64::MAX, |next| self.x_at(next.from));
            if let Some((start, name)) = place(&band.name, from, next, taken) {
                html.leaf(
                    "text",
                    &[("x", &px(start)), ("y", &px(self.top() - 9.0)), ("font-size", "12")],
                    name,
                );
                taken = start + length(name) + 4.0;
            }
        }
    }

    fn line(&self, html: &mut Html, line: &Line) {
        let (class, colour, dash) = PENS[line.pen % PENS.len()];
        let (width, opacity) = if line.thin { ("1.2", "0.75") } else { ("1.8", "1") };
        let dash = if line.thin && dash == "none" { "5 4" } else { dash };
        html.void(
            "path",
            &[
                ("class", class),
                ("d", &self.path(&line.points)),
                ("fill", "none"),
                ("stroke", colour),
                ("stroke-width", width),
                ("stroke-opacity", opacity),
                ("stroke-dasharray", dash),
                ("stroke-linejoin", "round"),
                ("stroke-linecap", "round"),
            ],
        );
    }

    fn path(&self, points: &[Option<(f64, f64)>]) -> String {
        let mut path = String::new();
        let mut pen_down = false;
        let mut last = None;
        for point in points {
            let Some((x, y)) = point else {
                pen_down = false;
                continue;
            };
            let (x, y) = (px(self.x_at(*x)), px(self.y_at(*y)));
            let command = if pen_down { 'L' } else { 'M' };
            if pen_down && self.steps {
                let _ = write!(path, "H{x}V{y}");
            } else if !pen_down || last.as_ref() != Some(&(x.clone(), y.clone())) {
                let _ = write!(path, "{command}{x} {y}");
            }
            if !pen_down {
                // A point that is alone is seen by its round ends.
                path.push_str("h0");
            }
            pen_down = true;
            last = Some((x, y));
        }
        path
    }

    fn claims(&self, html: &mut Html) {
        for claim in &self.claims {
            let (x, y) = (self.x_at(claim.at.0), self.y_at(claim.at.1));
            let points = format!(
                "{},{} {},{} {},{} {},{}",
                px(x),
                px(y - 6.0),
                px(x + 6.0),
                px(y),
                px(x),
                px(y + 6.0),
                px(x - 6.0),
                px(y)
            );
            html.void(
                "polygon",
                &[
                    ("points", &points),
                    ("fill", "none"),
                    ("stroke", "currentColor"),
                    ("stroke-width", "1.5"),
                ],
            );
            let right = x > WIDTH * 0.75;
            let (at, anchor) = if right { (px(x - 10.0), "end") } else { (px(x + 10.0), "start") };
            html.leaf(
                "text",
                &[("x", &at), ("y", &px(y + 18.0)), ("text-anchor", anchor)],
                &claim.name,
            );
        }
    }

    fn legend(&self, html: &mut Html) {
        html.tag("ul", &[("class", "legend"), ("data-of", &self.id)], |html| {
            for line in &self.lines {
                html.tag("li", &[], |html| {
                    swatch(html, line);
                    html.text(&line.name);
                });
            }
        });
    }
}

/// What a line looks like, for the legend.
fn swatch(html: &mut Html, line: &Line) {
    let (class, colour, dash) = PENS[line.pen % PENS.len()];
    let dash = if line.thin && dash == "none" { "5 4" } else { dash };
    let width = if line.thin { "1.2" } else { "2.2" };
    html.tag("svg", &[("width", "34"), ("height", "10"), ("aria-hidden", "true")], |html| {
        html.void(
            "line",
            &[
                ("class", class),
                ("x1", "1"),
                ("x2", "33"),
                ("y1", "5"),
                ("y2", "5"),
                ("stroke", colour),
                ("stroke-width", width),
                ("stroke-dasharray", dash),
            ],
        );
    });
    html.text(" ");
}

/// The pen of a line as the page's script draws it: its dash, as numbers.
pub fn dash(line: &Line) -> Vec<u32> {
    let (_, _, dash) = PENS[line.pen % PENS.len()];
    let dash = if line.thin && dash == "none" { "5 4" } else { dash };
    dash.split(' ').filter_map(|part| part.parse().ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_tick_of_an_axis_is_not_cut_off() {
        let plot = Plot {
            id: "chart".to_owned(),
            title: String::new(),
            about: String::new(),
            height: 100.0,
            x_title: String::new(),
            x: Axis::quantiles(0.9985),
            y_title: String::new(),
            y: Axis::linear(super::super::axis::Kind::Count, 10.0, 4),
            steps: false,
            lines: Vec::new(),
            bands: Vec::new(),
            claims: Vec::new(),
        };
        let mut html = Html::default();
        plot.svg(&mut html);
        let text = html.into_text();
        assert!(text.contains("x=\"960\" y=\"128\" text-anchor=\"end\">99.9 %<"), "{text}");
        assert!(text.contains("text-anchor=\"middle\">90 %<"), "{text}");
    }

    #[test]
    fn a_fault_has_its_name_where_there_is_room_and_else_its_number() {
        let name = "#1 disconnect";
        let none = f64::NEG_INFINITY;
        assert_eq!(place(name, 100.0, f64::MAX, none), Some((104.0, name)));
        assert_eq!(place(name, 100.0, 160.0, none), Some((104.0, "#1")));
        assert_eq!(place(name, 100.0, 110.0, none), None, "not even that");
        assert_eq!(place(name, 100.0, f64::MAX, 120.0), None, "another name lies there");
        // At the right end it stands before its line.
        let (start, told) = place(name, WIDTH - 20.0, f64::MAX, none).expect("a place");
        assert!(told == name && start + length(told) < WIDTH - 20.0, "{start}");
    }
}

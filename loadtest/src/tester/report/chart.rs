//! Curves over an axis, drawn as SVG.

use super::axis::Axis;
use super::canvas::{self, Area, Drawn, Hold};
use super::coordinate::Coordinate;
use super::palette::Ink;
use super::shape::{FINE, LETTER, LINE, Shape};
use maud::html;
use plotters::backend::SVGBackend;
use plotters::chart::{ChartBuilder, ChartContext};
use plotters::element::{Circle, Cross, PathElement};
use plotters::prelude::Cartesian2d;

/// Curves over an axis.
#[derive(Clone, Debug)]
pub(super) struct Chart {
    /// Its heading.
    pub title: String,
    /// From left to right.
    pub x: Axis,
    /// From bottom to top.
    pub y: Axis,
    /// The curves, at best no more than [`super::palette::SERIES`].
    pub series: Vec<Series>,
}

/// One curve.
#[derive(Clone, Debug)]
pub(super) struct Series {
    /// What it shows; nothing needs no legend.
    pub name: String,
    /// Its colour.
    pub ink: Ink,
    /// How it is drawn.
    pub mark: Mark,
    /// Its points, from left to right. One without a place on an axis is a gap.
    pub points: Vec<Point>,
}

/// How a curve is drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mark {
    /// A line through the points.
    Line,
    /// Dots.
    Dots,
    /// Crosses: what did not hold.
    Crosses,
}

/// One point of a curve.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Point {
    /// On the axis from left to right.
    pub x: f64,
    /// On the axis from bottom to top.
    pub y: f64,
    /// The smallest and the largest of the values that `y` is the median of.
    pub spread: Option<(f64, f64)>,
}

/// A name in the legend, its place from the left and its row.
struct Entry<'a> {
    series: &'a Series,
    name: String,
    x: u32,
    row: u32,
}

type Context<'a> = ChartContext<'a, SVGBackend<'a>, Cartesian2d<Coordinate, Coordinate>>;

/// Points of a curve that say their figures when pointed at; more would make pages heavy.
const HOVERED_MAX: usize = 150;
/// Points of a curve that are shown as dots on their line.
const DOTS_MAX: usize = 30;
const RIGHT: u32 = 24 * FINE;
const LEFT: u32 = 74 * FINE;
const BOTTOM: u32 = 46 * FINE;
const SAMPLE: u32 = 30 * FINE;

impl From<(f64, f64)> for Point {
    fn from((x, y): (f64, f64)) -> Self {
        Self { x, y, spread: None }
    }
}

impl Series {
    /// A line through points; its place among its neighbours chooses its colour.
    pub(super) fn line<P: Into<Point>>(name: &str, place: usize, points: impl IntoIterator<Item = P>) -> Self {
        let points = points.into_iter().map(Into::into).collect();
        Self { name: name.to_owned(), ink: Ink::Series(place), mark: Mark::Line, points }
    }
}

impl Chart {
    /// The chart as one `<svg>` element.
    pub(super) fn svg(&self, shape: Shape) -> String {
        let (width, height) = shape.size();
        let legend = self.legend(width);
        let top = (1 + legend.last().map_or(0, |entry| entry.row + 1)) * LINE + 14 * FINE;
        let label = format!("{}: {} over {}", self.title, self.y.name, self.x.name);
        canvas::draw((width, top + height), &label, |area| {
            let title = canvas::cut(&self.title, width);
            canvas::write(area, &title, (LETTER, canvas::line(0)), canvas::heading())?;
            legend.iter().try_for_each(|entry| entry.draw(area))?;
            let inside = area.margin(top, 0, 0, RIGHT);
            let mut context = self.context(&inside, (width - LEFT - RIGHT, height - BOTTOM))?;
            self.draw_axes(&mut context)?;
            self.series.iter().try_for_each(|series| self.draw_series(&context, series))?;
            Ok(if shape == Shape::Wide { self.overlay(&context) } else { String::new() })
        })
    }

    /// Names beside samples of their lines, in as many rows as the width asks for.
    fn legend(&self, width: u32) -> Vec<Entry<'_>> {
        let (mut x, mut row) = (LETTER, 0);
        let named = self.series.iter().filter(|series| !series.name.is_empty());
        let entries = named.map(|series| {
            let name = canvas::cut(&series.name, width - SAMPLE - 3 * LETTER);
            let length = SAMPLE + canvas::length(&name) + 3 * LETTER;
            if x + length > width && x > LETTER {
                (x, row) = (LETTER, row + 1);
            }
            let entry = Entry { series, name, x, row };
            x += length;
            entry
        });
        entries.collect()
    }

    fn context<'a>(&self, area: &Area<'a>, (width, height): (u32, u32)) -> Drawn<Context<'a>> {
        let x = Coordinate::new(&self.x, width, LETTER);
        // Words beside the upright axis stand above each other: a line's height is all that each needs.
        let y = Coordinate::new(&self.y, height, LINE / 8);
        ChartBuilder::on(area).x_label_area_size(BOTTOM).y_label_area_size(LEFT).build_cartesian_2d(x, y)
    }

    fn draw_axes(&self, context: &mut Context<'_>) -> Drawn {
        context
            .configure_mesh()
            .bold_line_style(canvas::stroke(Ink::Grid, 1))
            .axis_style(canvas::stroke(Ink::Grid, 1))
            .set_all_tick_mark_size(6 * FINE)
            .x_desc(&self.x.name)
            .axis_desc_style(canvas::words(Ink::Muted, Hold::Start))
            .label_style(canvas::words(Ink::Muted, Hold::Start))
            .draw()
    }

    fn draw_series(&self, context: &Context<'_>, series: &Series) -> Drawn {
        let area = context.plotting_area();
        let spots = self.spots(series);
        for run in spots.split(Option::is_none).filter(|run| run.len() > 1 && series.mark == Mark::Line) {
            let places: Vec<_> = run.iter().flatten().copied().collect();
            area.draw(&PathElement::new(places, canvas::stroke(series.ink, 2)))?;
        }
        for (spot, point) in spots.iter().zip(&series.points).filter_map(|(spot, point)| Some(((*spot)?, point))) {
            if let Some((low, high)) = point.spread.and_then(|(low, high)| self.y.place(low).zip(self.y.place(high))) {
                area.draw(&PathElement::new(vec![(spot.0, low), (spot.0, high)], canvas::stroke(Ink::Muted, 1)))?;
            }
            match series.mark {
                Mark::Crosses => area.draw(&Cross::new(spot, 5 * FINE, canvas::stroke(series.ink, 2)))?,
                Mark::Line if spots.len() > DOTS_MAX => {}
                Mark::Line | Mark::Dots => area.draw(&Circle::new(spot, 7 * FINE / 2, canvas::fill(series.ink)))?,
            }
        }
        Ok(())
    }

    /// Where the points stand.
    fn spots(&self, series: &Series) -> Vec<Option<(f64, f64)>> {
        series.points.iter().map(|point| self.x.place(point.x).zip(self.y.place(point.y))).collect()
    }

    /// Invisible spots that say their figures when pointed at.
    fn overlay(&self, context: &Context<'_>) -> String {
        let spots = self.series.iter().flat_map(|series| {
            let every = series.points.len().div_ceil(HOVERED_MAX).max(1);
            let places = self.spots(series);
            series
                .points
                .iter()
                .zip(places)
                .step_by(every)
                .filter_map(move |(point, place)| Some((series, point, place?)))
        });
        html! {
            @for (series, point, place) in spots {
                @let (x, y) = context.backend_coord(&place);
                circle cx=(x) cy=(y) r=(8 * FINE) fill="transparent" { title { (self.words(series, point)) } }
            }
        }
        .into_string()
    }

    /// What a point says of itself.
    fn words(&self, series: &Series, point: &Point) -> String {
        let name = if series.name.is_empty() { String::new() } else { format!("{}\n", series.name) };
        let (x, y) = (self.x.unit.text(point.x), self.y.unit.text(point.y));
        let spread =
            point.spread.map(|(low, high)| format!(" ({} to {})", self.y.unit.text(low), self.y.unit.text(high)));
        format!("{name}{}: {x}\n{}: {y}{}", self.x.name, self.y.name, spread.unwrap_or_default())
    }
}

impl Entry<'_> {
    fn draw(&self, area: &Area<'_>) -> Drawn {
        let (x, y) = (self.x, canvas::line(1 + self.row));
        let middle = canvas::signed((x + SAMPLE / 2, y));
        let ink = self.series.ink;
        match self.series.mark {
            Mark::Line => {
                let ends = vec![canvas::signed((x, y)), canvas::signed((x + SAMPLE, y))];
                area.draw(&PathElement::new(ends, canvas::stroke(ink, 2)))?;
            }
            Mark::Dots => area.draw(&Circle::new(middle, 7 * FINE / 2, canvas::fill(ink)))?,
            Mark::Crosses => area.draw(&Cross::new(middle, 5 * FINE, canvas::stroke(ink, 2)))?,
        }
        canvas::write(area, &self.name, (x + SAMPLE + LETTER, y), canvas::words(Ink::Text, Hold::Start))
    }
}

//! What people keep of a run: one page with its figures and plots, and the plots of recorded runs for documents.
//!
//! | module | is |
//! |---|---|
//! | `page` | the page: tables and the frame around the plots |
//! | `run_charts` | the plots of one run |
//! | `recorded`, `figure` | the plots of recorded runs, and what they show |
//! | `chart`, `bars` | curves over axes, bars in groups |
//! | `axis`, `coordinate`, `unit` | where a value stands, how it is written |
//! | `canvas`, `palette`, `shape` | SVG, its colours in light and dark, its sizes |
//! | `seconds` | samples made ready for a plot |
//!
//! A page holds everything it shows: no script, nothing fetched. Whatever is text in an [`Outcome`] is escaped.

mod axis;
mod bars;
mod canvas;
mod chart;
mod coordinate;
mod figure;
mod page;
mod palette;
mod recorded;
mod run_charts;
mod seconds;
mod shape;
mod unit;

pub use figure::Figure;
pub use page::page;

use super::outcome::Outcome;
use super::record::Record;
use chart::Chart;
use shape::Shape;
use std::fmt;
use std::io;
use std::path::Path;

/// Writes the page of one run.
pub fn write(outcome: &Outcome, path: &Path) -> io::Result<()> {
    std::fs::write(path, page(std::slice::from_ref(outcome)))
}

/// A plot of recorded runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Plot {
    /// A figure over a setting, one curve for each subject.
    Curve {
        /// What is shown.
        figure: Figure,
        /// The setting's name.
        over: String,
    },
    /// A figure of every subject as bars.
    Bars {
        /// What is shown.
        figure: Figure,
    },
    /// Latency by percentile, one curve for each subject.
    Latency,
}

/// Why there is no plot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoPlot {
    /// No run has what it shows; curves need two places.
    NothingToShow,
    /// More curves than people can tell apart.
    TooManyCurves(usize),
}

/// Draws a plot as the text of an SVG file, with its light and dark colours.
///
/// # Errors
/// Where these runs do not make this plot.
pub fn plot(plot: &Plot, records: &[Record]) -> Result<String, NoPlot> {
    let svg = match plot {
        Plot::Curve { figure, over } => curves(recorded::curve(figure, over, records))?,
        Plot::Bars { figure } => recorded::bars(figure, records).ok_or(NoPlot::NothingToShow)?.svg(Shape::Wide),
        Plot::Latency => curves(recorded::latency(records))?,
    };
    Ok(canvas::alone(&svg))
}

fn curves(chart: Option<Chart>) -> Result<String, NoPlot> {
    match chart.ok_or(NoPlot::NothingToShow)? {
        chart if chart.series.len() > palette::SERIES => Err(NoPlot::TooManyCurves(chart.series.len())),
        chart => Ok(chart.svg(Shape::Wide)),
    }
}

impl fmt::Display for NoPlot {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NothingToShow => write!(out, "these runs do not have what this plot shows"),
            Self::TooManyCurves(curves) => {
                write!(out, "{curves} curves cannot be told apart, {} can: choose some of them", palette::SERIES)
            }
        }
    }
}

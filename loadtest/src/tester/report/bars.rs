//! Bars in groups, one below the other, drawn as SVG: the same load on several servers.

use super::canvas::{self, Area, Drawn, Hold};
use super::palette::Ink;
use super::shape::{FINE, LETTER, LINE, Shape};
use super::unit::Unit;
use maud::html;
use plotters::element::Rectangle;

/// Bars in groups.
#[derive(Clone, Debug)]
pub(super) struct Bars {
    /// The heading.
    pub title: String,
    /// What the bars are counted in.
    pub unit: Unit,
    /// Each has a scale of its own: its longest bar takes the whole width.
    pub groups: Vec<Group>,
}

/// Bars that may be compared.
#[derive(Clone, Debug)]
pub(super) struct Group {
    /// What was done.
    pub name: String,
    /// From top to bottom.
    pub bars: Vec<Bar>,
}

/// One bar.
#[derive(Clone, Debug)]
pub(super) struct Bar {
    /// Whose it is.
    pub name: String,
    /// Its length.
    pub value: f64,
    /// The smallest and the largest of the values that this is the median of.
    pub spread: (f64, f64),
    /// What else is written beside it, such as a ratio.
    pub note: String,
    /// Its colour.
    pub ink: Ink,
}

const ROW: u32 = LINE + 4 * FINE;
const NAMES: u32 = 150 * FINE;
const FIGURES: u32 = 170 * FINE;

impl Bars {
    /// The bars as one `<svg>` element as wide as the shape.
    pub(super) fn svg(&self, shape: Shape) -> String {
        let rows: usize = self.groups.iter().map(|group| group.bars.len() + 2).sum();
        let height = ROW * u32::try_from(rows + 1).unwrap_or(u32::MAX / ROW) + LINE;
        canvas::draw((shape.size().0, height), &self.title, |area| {
            canvas::write(area, &self.title, (LETTER, canvas::line(0)), canvas::heading())?;
            let mut overlay = String::new();
            let mut top = ROW;
            for group in &self.groups {
                overlay += &self.draw_group(area, group, top)?;
                top += ROW * u32::try_from(group.bars.len() + 2).unwrap_or(0);
            }
            Ok(overlay)
        })
    }

    fn draw_group(&self, area: &Area<'_>, group: &Group, top: u32) -> Drawn<String> {
        let longest = group.bars.iter().map(|bar| bar.value).fold(f64::MIN_POSITIVE, f64::max);
        canvas::write(area, &group.name, (LETTER, top + ROW), canvas::words(Ink::Muted, Hold::Start))?;
        let mut overlay = String::new();
        for (bar, row) in group.bars.iter().zip(1_u32..) {
            overlay += &self.draw_bar(area, bar, (top + ROW * row + ROW / 2, bar.value / longest))?;
        }
        Ok(overlay)
    }

    /// Draws one bar below `top`, as long as its share of the width.
    fn draw_bar(&self, area: &Area<'_>, bar: &Bar, (top, share): (u32, f64)) -> Drawn<String> {
        let room = area.dim_in_pixel().0 - NAMES - FIGURES;
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // a share of the width, 0 to 1
        let long = (f64::from(room) * share).max(f64::from(FINE)) as u32;
        let middle = top + ROW / 2;
        let name = canvas::cut(&bar.name, NAMES - 2 * LETTER);
        canvas::write(area, &name, (NAMES - LETTER, middle), canvas::words(Ink::Text, Hold::End))?;
        let corners = [(NAMES, middle - LINE / 2 + FINE), (NAMES + long, middle + LINE / 2 - FINE)];
        area.draw(&Rectangle::new(corners.map(canvas::signed), canvas::fill(bar.ink)))?;
        let mut figure = self.unit.text(bar.value);
        if !bar.note.is_empty() {
            figure = format!("{figure} · {}", bar.note);
        }
        canvas::write(area, &figure, (NAMES + long + LETTER, middle), canvas::words(Ink::Text, Hold::Start))?;
        Ok(self.overlay(bar, (NAMES + long, top)))
    }

    /// An invisible bar that says the spread when pointed at.
    fn overlay(&self, bar: &Bar, (right, top): (u32, u32)) -> String {
        let (low, high) = (self.unit.text(bar.spread.0), self.unit.text(bar.spread.1));
        html! {
            rect x="0" y=(top) width=(right) height=(ROW) fill="transparent" {
                title { (bar.name) ": " (self.unit.text(bar.value)) " (" (low) " to " (high) ")" }
            }
        }
        .into_string()
    }
}

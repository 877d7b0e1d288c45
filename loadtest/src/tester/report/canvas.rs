//! What every plot is drawn on: SVG text with the words' styles, and its finish for pages and for files of its own.

use super::palette::{self, Ink};
use super::shape::{FINE, LETTER, LINE};
use maud::Render as _;
use plotters::backend::SVGBackend;
use plotters::coord::Shift;
use plotters::drawing::{DrawingArea, DrawingAreaErrorKind, IntoDrawingArea as _};
use plotters::element::Text;
use plotters::style::text_anchor::{HPos, Pos, VPos};
use plotters::style::{Color as _, FontStyle, IntoFont as _, ShapeStyle, TextStyle};
use std::io;

/// The area that plots are drawn on.
pub(super) type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;
/// Why drawing can fail; drawing into a text cannot, but the library does not know.
pub(super) type Drawn<T = ()> = Result<T, DrawingAreaErrorKind<io::Error>>;

/// The library's sizes are those of the box around a letter.
const BOX: f64 = 1.24;

/// Draws on ground of this size (fine units) and returns the `<svg>` element; `label` is for those who cannot see it.
pub(super) fn draw(size: (u32, u32), label: &str, drawing: impl FnOnce(&Area<'_>) -> Drawn<String>) -> String {
    let mut svg = String::new();
    let area = SVGBackend::with_string(&mut svg, size).into_drawing_area();
    let overlay = area.fill(&Ink::Ground.light()).and_then(|()| drawing(&area)).and_then(|overlay| {
        area.present()?;
        Ok(overlay)
    });
    let overlay = overlay.expect("a text takes every element that is drawn into it");
    drop(area);
    finish(&svg, size, label, &overlay)
}

/// Pixels instead of fine units outside, a label, and the overlay on top.
fn finish(svg: &str, (width, height): (u32, u32), label: &str, overlay: &str) -> String {
    let drawn = svg.split_once('>').expect("an element").1;
    let drawn = drawn.trim_end().strip_suffix("</svg>").expect("a whole element");
    let label = label.render().into_string();
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{}\" height=\"{}\" viewBox=\"0 0 {width} {height}\" \
         role=\"img\" aria-label=\"{label}\">{drawn}{overlay}</svg>\n",
        width / FINE,
        height / FINE,
    )
}

/// The plot as a file of its own, with its light and dark colours.
pub(super) fn alone(svg: &str) -> String {
    let (head, drawn) = svg.split_once('>').expect("an element");
    let style = palette::style_sheet();
    format!("{head}>\n<style>\n{style}text{{font-family:system-ui,sans-serif}}\n</style>{drawn}")
}

/// Which part of a word stands at the place it is drawn at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Hold {
    /// Its beginning.
    Start,
    /// Its end.
    End,
}

/// Ordinary words.
pub(super) fn words(ink: Ink, hold: Hold) -> TextStyle<'static> {
    let side = if hold == Hold::Start { HPos::Left } else { HPos::Right };
    style(13, FontStyle::Normal, ink).pos(Pos::new(side, VPos::Center))
}

/// A heading's words.
pub(super) fn heading() -> TextStyle<'static> {
    style(15, FontStyle::Bold, Ink::Text).pos(Pos::new(HPos::Left, VPos::Center))
}

fn style(pixels: u32, weight: FontStyle, ink: Ink) -> TextStyle<'static> {
    let font = ("sans-serif", f64::from(pixels * FINE) * BOX).into_font().style(weight);
    TextStyle { color: ink.light().to_backend_color(), ..TextStyle::from(font) }
}

/// A line of this width in pixels.
pub(super) fn stroke(ink: Ink, pixels: u32) -> ShapeStyle {
    ink.light().stroke_width(pixels * FINE)
}

/// A surface.
pub(super) fn fill(ink: Ink) -> ShapeStyle {
    ink.light().filled()
}

/// Writes words; `y` is their middle.
pub(super) fn write(area: &Area<'_>, text: &str, at: (u32, u32), style: TextStyle<'static>) -> Drawn {
    area.draw(&Text::new(text.to_owned(), signed(at), style))
}

/// How long words are, roughly: nobody knows the reader's letters.
pub(super) fn length(text: &str) -> u32 {
    u32::try_from(text.chars().count()).unwrap_or(u32::MAX / LETTER).saturating_mul(LETTER)
}

/// The library counts in `i32`; no plot is anywhere near its end.
pub(super) fn signed((x, y): (u32, u32)) -> (i32, i32) {
    (i32::try_from(x).unwrap_or(i32::MAX), i32::try_from(y).unwrap_or(i32::MAX))
}

/// Cuts words that are longer than this many fine units.
pub(super) fn cut(text: &str, room: u32) -> String {
    let letters = (room / LETTER) as usize;
    if text.chars().count() <= letters {
        return text.to_owned();
    }
    text.chars().take(letters.saturating_sub(1)).chain(['…']).collect()
}

/// The middle of the line of words with this number, from the top.
pub(super) fn line(number: u32) -> u32 {
    number * LINE + LINE / 2 + 4 * FINE
}

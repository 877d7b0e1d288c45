//! Colours of pages and plots, each for light and dark.
//!
//! A plot is drawn in the light colours, so that a viewer which knows no style sheets shows a good plot. A style sheet
//! then replaces each of them by its variable, which dark screens set anew.

use plotters::style::RGBColor;
use std::fmt::Write as _;

/// What a thing is drawn with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ink {
    /// Words and figures.
    Text,
    /// Axes' numbers and what is of second importance.
    Muted,
    /// Lines behind the curves, borders of tables.
    Grid,
    /// What everything stands on.
    Ground,
    /// What went well.
    Good,
    /// What did not.
    Bad,
    /// A curve, by its place; they repeat after [`SERIES`].
    Series(usize),
}

/// Curves that can be told apart, by colour and by the pattern of their line.
pub(super) const SERIES: usize = 6;

/// Lengths of dashes and gaps, in the fine units of plots.
const PATTERNS: [&str; SERIES] = ["none", "90 40", "30 30", "120 30 30 30", "60 20", "15 30"];

/// Variable, light, dark; text on ground has a contrast of 4.5 or more in both.
const NAMED: [(Ink, &str, u32, u32); 6] = [
    (Ink::Text, "text", 0x001b_1f24, 0x00e6_edf3),
    (Ink::Muted, "muted", 0x0059_636e, 0x0091_98a1),
    (Ink::Grid, "grid", 0x00d8_dee4, 0x0030_363d),
    (Ink::Ground, "ground", 0x00ff_ffff, 0x000d_1117),
    (Ink::Good, "good", 0x0011_6329, 0x0056_d364),
    (Ink::Bad, "bad", 0x00cf_222e, 0x00ff_7b72),
];

/// Neighbours differ for people who see few colours, too: blue, orange, green, purple, pink, teal.
const CURVES: [(u32, u32); SERIES] = [
    (0x0009_69da, 0x0058_a6ff),
    (0x00bc_4c00, 0x00f0_883e),
    (0x001a_7f37, 0x003f_b950),
    (0x0082_50df, 0x00bc_8cff),
    (0x00bf_3989, 0x00f7_78ba),
    (0x001b_7c83, 0x0039_c5cf),
];

impl Ink {
    /// The light colour, which plots are drawn in.
    pub(super) fn light(self) -> RGBColor {
        let [_, red, green, blue] = self.shades().0.to_be_bytes();
        RGBColor(red, green, blue)
    }

    /// The variable of the style sheet, such as `--series-0`.
    pub(super) fn variable(self) -> String {
        match self {
            Self::Series(place) => format!("--series-{}", place % SERIES),
            named => format!("--{}", row(named).1),
        }
    }

    /// The value of a `fill` or `stroke` attribute, as plots are drawn with it.
    pub(super) fn attribute(self) -> String {
        format!("#{:06X}", self.shades().0)
    }

    fn shades(self) -> (u32, u32) {
        match self {
            Self::Series(place) => CURVES[place % SERIES],
            named => (row(named).2, row(named).3),
        }
    }
}

fn row(ink: Ink) -> &'static (Ink, &'static str, u32, u32) {
    NAMED.iter().find(|(named, ..)| *named == ink).expect("every ink but the series has a name")
}

/// The variables of both lights and the rules that draw plots with them.
pub(super) fn style_sheet() -> String {
    let inks: Vec<Ink> = NAMED.iter().map(|(ink, ..)| *ink).chain((0..SERIES).map(Ink::Series)).collect();
    let variables = |shade: fn(Ink) -> u32| {
        inks.iter().fold(String::new(), |text, ink| text + &format!("{}:#{:06x};", ink.variable(), shade(*ink)))
    };
    let mut out = format!(
        ":root{{color-scheme:light dark;{}}}\n@media screen and (prefers-color-scheme:dark){{:root{{{}}}}}\n",
        variables(|ink| ink.shades().0),
        variables(|ink| ink.shades().1)
    );
    for ink in &inks {
        let (name, colour) = (ink.variable(), ink.attribute());
        let _ =
            writeln!(out, "svg [fill=\"{colour}\"]{{fill:var({name})}}svg [stroke=\"{colour}\"]{{stroke:var({name})}}");
    }
    for (place, pattern) in PATTERNS.iter().enumerate() {
        let _ = writeln!(out, "svg [stroke=\"{}\"]{{stroke-dasharray:{pattern}}}", Ink::Series(place).attribute());
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_inks_share_a_colour_since_the_style_sheet_knows_them_by_it() {
        let all: Vec<_> = NAMED.iter().map(|(ink, ..)| *ink).chain((0..SERIES).map(Ink::Series)).collect();
        for (place, ink) in all.iter().enumerate() {
            assert!(all[..place].iter().all(|other| other.attribute() != ink.attribute()), "{ink:?}");
        }
    }

    #[test]
    fn text_and_curves_stand_out_from_the_ground_in_light_and_dark() {
        let readable = [Ink::Text, Ink::Muted, Ink::Good, Ink::Bad].into_iter().chain((0..SERIES).map(Ink::Series));
        for ink in readable {
            let (ground, shades) = (Ink::Ground.shades(), ink.shades());
            for (ground, shade) in [(ground.0, shades.0), (ground.1, shades.1)] {
                let contrast = contrast(ground, shade);
                assert!(contrast >= 4.5, "{ink:?}: {contrast:.1}");
            }
        }
    }

    /// Contrast ratio of WCAG 2.2, from 1 to 21.
    fn contrast(one: u32, other: u32) -> f64 {
        let (one, other) = (luminance(one), luminance(other));
        (one.max(other) + 0.05) / (one.min(other) + 0.05)
    }

    fn luminance(colour: u32) -> f64 {
        let [_, red, green, blue] = colour.to_be_bytes().map(|channel| {
            let channel = f64::from(channel) / 255.0;
            if channel <= 0.04045 { channel / 12.92 } else { ((channel + 0.055) / 1.055).powf(2.4) }
        });
        0.2126 * red + 0.7152 * green + 0.0722 * blue
    }
}

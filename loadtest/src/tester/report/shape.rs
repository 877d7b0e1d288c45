//! How large a plot is drawn. Pages show the one that fits the screen, so that words stay readable on a phone.

/// How large a plot is drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    /// For screens, paper and documents.
    Wide,
    /// For phones.
    Narrow,
}

/// Plots are drawn on whole numbers; this many of them are a pixel, so that curves are smooth.
pub(super) const FINE: u32 = 10;

/// Height of a line of words and the width of a usual letter, both in fine units.
pub(super) const LINE: u32 = 20 * FINE;
/// See [`LINE`].
pub(super) const LETTER: u32 = 7 * FINE;

impl Shape {
    /// Width, and height without heading and legend, in fine units.
    pub(super) fn size(self) -> (u32, u32) {
        match self {
            Self::Wide => (880 * FINE, 310 * FINE),
            Self::Narrow => (400 * FINE, 260 * FINE),
        }
    }

    /// The class that a style sheet shows or hides it by.
    pub(super) fn class(self) -> &'static str {
        match self {
            Self::Wide => "wide",
            Self::Narrow => "narrow",
        }
    }
}

//! Usernames, as they stand in query strings, paths and channels.

use std::fmt;

/// Longest username, in bytes of UTF-8 after percent-decoding.
pub const USERNAME_BYTES_MAX: usize = 255;

/// A username as it may stand in a channel's name: 1 to 255 bytes, no control characters, compared byte by byte.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Username(String);

/// Why a text is no username.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InvalidUsername {
    /// It has no characters.
    Empty,
    /// It is longer than [`USERNAME_BYTES_MAX`].
    TooLong,
    /// It contains a control character (Unicode category Cc).
    ControlCharacter,
}

impl Username {
    /// Checks a decoded username. Characters that are special in Redis' patterns are ordinary ones here.
    pub fn parse(text: &str) -> Result<Self, InvalidUsername> {
        match text {
            "" => Err(InvalidUsername::Empty),
            _ if text.len() > USERNAME_BYTES_MAX => Err(InvalidUsername::TooLong),
            _ if text.chars().any(char::is_control) => Err(InvalidUsername::ControlCharacter),
            _ => Ok(Self(text.to_owned())),
        }
    }

    /// The name itself.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for InvalidUsername {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Empty => "the username is empty",
            Self::TooLong => "the username is longer than 255 bytes",
            Self::ControlCharacter => "the username contains a control character",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn usernames_are_what_the_contract_says() {
        let longest = "é".repeat(127) + "x";
        for good in ["alice", "a", " ", "*", "user:[1]?\\*", "日本", longest.as_str()] {
            assert_eq!(Username::parse(good).map(|name| name.as_str().to_owned()), Ok(good.to_owned()));
        }
        let too_long = "é".repeat(128);
        let bad = [
            ("", InvalidUsername::Empty),
            (too_long.as_str(), InvalidUsername::TooLong),
            ("a\nb", InvalidUsername::ControlCharacter),
            ("\0", InvalidUsername::ControlCharacter),
            ("a\u{85}", InvalidUsername::ControlCharacter),
            ("\u{7f}", InvalidUsername::ControlCharacter),
        ];
        for (name, error) in bad {
            assert_eq!(Username::parse(name), Err(error), "{name:?}");
        }
    }
}

//! The members of a JSON object that somebody looks for, found without copying or re-formatting any of them.

use serde::de::{Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;
use std::fmt;

/// What was found of the members with these names; the others are passed over.
#[derive(Debug)]
pub(super) struct Members<'a, const N: usize> {
    /// The values as they are written, in the order of the names.
    pub(super) values: [Option<&'a RawValue>; N],
    /// The first of the names that stands there twice.
    pub(super) twice: Option<&'static str>,
}

/// Looks for members in a text; `None` where it is not JSON (RFC 8259) or not an object.
pub(super) fn find<'a, const N: usize>(text: &'a str, names: &'static [&'static str; N]) -> Option<Members<'a, N>> {
    let mut json = serde_json::Deserializer::from_str(text);
    let members = json.deserialize_map(Search(names)).ok()?;
    json.end().ok()?;
    Some(members)
}

/// A string as it is meant; `None` where the value is something else.
pub(super) fn string(value: &RawValue) -> Option<String> {
    serde_json::from_str(value.get()).ok()
}

struct Search<const N: usize>(&'static [&'static str; N]);

impl<'de, const N: usize> Visitor<'de> for Search<N> {
    type Value = Members<'de, N>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an object")
    }

    fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Self::Value, M::Error> {
        let mut members = Members { values: [None; N], twice: None };
        while let Some(key) = map.next_key::<&RawValue>()? {
            let Some(place) = self.0.iter().position(|name| is_written(key.get(), name)) else {
                map.next_value::<IgnoredAny>()?;
                continue;
            };
            if members.values[place].replace(map.next_value()?).is_some() {
                members.twice.get_or_insert(self.0[place]);
            }
        }
        Ok(members)
    }
}

/// Whether a string, as JSON writes it, is this name. Most are written plainly.
fn is_written(text: &str, name: &str) -> bool {
    let plain = text.strip_prefix('"').and_then(|text| text.strip_suffix('"')).unwrap_or(text);
    if plain.contains('\\') {
        serde_json::from_str::<String>(text).is_ok_and(|text| text == name)
    } else {
        plain == name
    }
}

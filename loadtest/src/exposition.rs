//! A page of metrics in Prometheus' text format, summed.

use std::collections::BTreeMap;

/// Its samples, over all their labels, by name.
pub(crate) fn sums(text: &str) -> BTreeMap<String, f64> {
    let mut sums = BTreeMap::new();
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let name = line.split(['{', ' ']).next().unwrap_or_default();
        let value = line.rsplit(' ').next().and_then(|value| value.parse::<f64>().ok());
        if let Some(value) = value {
            *sums.entry(name.to_owned()).or_default() += value;
        }
    }
    sums
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_exposition_is_summed_over_labels() {
        let text = "# HELP a_total Some. things\n# TYPE a counter\na_total{shard=\"0\",reason=\"x y\"} 3\n\
                    a_total{shard=\"1\"} 4.5\nb 7\nbroken\n# EOF\n";
        let expected = [("a_total".to_owned(), 7.5), ("b".to_owned(), 7.0)];
        assert_eq!(sums(text), expected.into());
    }
}

//! The series that a query asks for.

/// What names of series begin with, the scraper's own apart.
const PREFIXES: [&str; 2] = ["fanout_", "process_"];

/// The scraper's own.
const NAMES: [&str; 1] = ["up"];

/// The selectors in a query: names with the labels that follow them.
pub(super) fn selectors(query: &str) -> Vec<String> {
    let mut selectors = Vec::new();
    let mut rest = query;
    while let Some(start) = rest.find(is_letter) {
        rest = &rest[start..];
        let name = &rest[..rest.find(|letter| !is_letter(letter)).unwrap_or(rest.len())];
        rest = &rest[name.len()..];
        // A letter in a label's value is none of a name: labels are passed over with the name they belong to.
        let labels = if rest.starts_with('{') { &rest[..=rest.find('}').expect("braces come in pairs")] } else { "" };
        rest = &rest[labels.len()..];
        if NAMES.contains(&name) || PREFIXES.iter().any(|prefix| name.starts_with(prefix)) {
            selectors.push(format!("{name}{labels}"));
        }
    }
    selectors
}

fn is_letter(letter: char) -> bool {
    letter.is_ascii_alphanumeric() || matches!(letter, '_' | ':')
}

#[test]
fn selectors_are_found_with_their_labels() {
    let table: [(&str, &[&str]); 4] = [
        ("up{job=\"fanout\"} == 0", &["up{job=\"fanout\"}"]),
        (
            "sum by (instance) (rate(fanout_a_total{b=~\"fanout_c|d\"}[5m])) / fanout_e",
            &["fanout_a_total{b=~\"fanout_c|d\"}", "fanout_e"],
        ),
        ("(process_x{y=\"1\"} offset 1d) and on (instance) vector(1)", &["process_x{y=\"1\"}"]),
        ("ALERTS{alertname=\"FanoutDown\"}", &[]),
    ];
    for (query, expected) in table {
        assert_eq!(selectors(query), expected, "{query}");
    }
}

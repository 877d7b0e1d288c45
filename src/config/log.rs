//! What is logged, and how.

use super::form::Form;
use tracing_subscriber::filter::Targets;

/// Longest filter, far above any useful one.
const FILTER_BYTES_MAX: usize = 1024;

/// The levels a filter may name alone.
const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];

/// What is logged, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Log {
    /// Directives that [`Targets`] has accepted.
    pub filter: String,
    /// For whom: one JSON object per line for programs.
    pub format: Form,
}

/// Whether this is a filter that means what it says. A lone word must be a level: [`Targets`] takes a mistyped level
/// for the name of a module and silences everything else. Printable ASCII only: names of modules have nothing else.
pub fn is_filter(text: &str) -> bool {
    let lone_word_is_level = |directive: &str| {
        directive.contains(['=', '[', ']', '{', '}'])
            || LEVELS.contains(&directive.trim().to_ascii_lowercase().as_str())
    };
    let is_printable = |byte: u8| byte == b' ' || byte.is_ascii_graphic();
    !text.is_empty()
        && text.bytes().all(is_printable)
        && text.len() <= FILTER_BYTES_MAX
        && text.split(',').all(lone_word_is_level)
        && text.parse::<Targets>().is_ok()
}

#[cfg(test)]
mod tests {
    use super::is_filter;

    #[test]
    fn filters_mean_what_they_say() {
        let table = [
            ("info", true),
            ("WARN", true),
            ("info,fanout::brokers=debug", true),
            ("fanout=trace", true),
            ("off", true),
            ("inof", false),
            ("", false),
            ("fanout=loud", false),
            ("info,,", false),
            (" é=info", false),
        ];
        for (text, expected) in table {
            assert_eq!(is_filter(text), expected, "{text}");
        }
    }

    #[test]
    fn random_filters_never_panic() {
        let mut random = fastrand::Rng::with_seed(6);
        let pieces = ["info", "=", ",", "[", "]", "{", "}", "fanout", "::", "debug", "\"", "é", " "];
        for _ in 0..20_000 {
            let text: String = (0..random.usize(0..10)).map(|_| pieces[random.usize(0..pieces.len())]).collect();
            let _ = is_filter(&text);
        }
    }
}

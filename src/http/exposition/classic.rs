//! The text format that everything reads which reads metrics: Prometheus of any age, other collectors, people.

/// Rewrites `OpenMetrics` in it (format version 0.0.4). Counters and infos are described under the names that their
/// samples have, an info is a gauge, and units are in the names alone.
pub(super) fn rewrite(open_metrics: &str) -> String {
    let mut text = String::with_capacity(open_metrics.len() + open_metrics.len() / 16);
    let mut help = "";
    for line in open_metrics.lines() {
        let Some(comment) = line.strip_prefix("# ") else {
            text.extend([line, "\n"]);
            continue;
        };
        match comment.split_once(' ') {
            // The description comes first, and waits for the kind.
            Some(("HELP", described)) => help = described.split_once(' ').map_or("", |(_, help)| help),
            Some(("TYPE", typed)) => describe(typed, help, &mut text),
            _ => {}
        }
    }
    text
}

fn describe(typed: &str, help: &str, text: &mut String) {
    let (name, kind) = typed.rsplit_once(' ').expect("a kind stands behind the name");
    let (suffix, kind) = match kind {
        "counter" => ("_total", kind),
        "info" => ("_info", "gauge"),
        _ => ("", kind),
    };
    text.extend(["# HELP ", name, suffix, " ", help, "\n", "# TYPE ", name, suffix, " ", kind, "\n"]);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_is_described_under_the_name_of_its_samples() {
        let open_metrics = "# HELP a_build What runs.\n# TYPE a_build info\na_build_info{version=\"1\"} 1\n\
                            # HELP b_bytes Bytes, all of them\n# TYPE b_bytes counter\n# UNIT b_bytes bytes\n\
                            b_bytes_total{shard=\"0\",reason=\"# x\"} 3\n\
                            # HELP c Now\n# TYPE c gauge\nc 0.5\n\
                            # HELP d_seconds How long\n# TYPE d_seconds histogram\n# UNIT d_seconds seconds\n\
                            d_seconds_bucket{le=\"+Inf\"} 1\n# EOF\n";
        let expected = "# HELP a_build_info What runs.\n# TYPE a_build_info gauge\na_build_info{version=\"1\"} 1\n\
                        # HELP b_bytes_total Bytes, all of them\n# TYPE b_bytes_total counter\n\
                        b_bytes_total{shard=\"0\",reason=\"# x\"} 3\n\
                        # HELP c Now\n# TYPE c gauge\nc 0.5\n\
                        # HELP d_seconds How long\n# TYPE d_seconds histogram\n\
                        d_seconds_bucket{le=\"+Inf\"} 1\n";
        assert_eq!(rewrite(open_metrics), expected);
    }
}

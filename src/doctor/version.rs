//! Which fanout serves somewhere, as it says of itself.

use crate::client::question;
use serde_json::Value;
use std::net::SocketAddr;

/// The version of the fanout that has this page: the one about itself, or its metrics. Nothing where another program
/// answers, or none within [`question::PATIENCE`].
pub(super) fn of_page(listener: SocketAddr, page: &str) -> Option<String> {
    let (_, body) = question::ask(listener, page).ok()?;
    said(&body)
}

/// The same from the page about itself.
pub(super) fn of_about(page: &Value) -> Option<String> {
    Some(page).filter(|page| page["name"] == "fanout")?["version"].as_str().map(str::to_owned)
}

fn said(body: &str) -> Option<String> {
    let page: Option<Value> = serde_json::from_str(body).ok();
    page.and_then(|page| of_about(&page)).or_else(|| {
        let (_, labels) = body.split_once("fanout_build_info{")?;
        let (_, version) = labels.lines().next()?.split_once("version=\"")?;
        version.split_once('"').map(|(version, _)| version.to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::said;

    #[test]
    fn a_fanout_is_known_by_what_it_says_of_itself() {
        let table = [
            (r#"{"name":"fanout","version":"0.1.0","basePath":"/flux"}"#, Some("0.1.0")),
            ("# TYPE fanout_build info\nfanout_build_info{version=\"0.2.0\",broker=\"redis\"} 1\n", Some("0.2.0")),
            (r#"{"name":"other","version":"1"}"#, None),
            (r#"{"status":"ok"}"#, None),
            ("", None),
        ];
        for (body, version) in table {
            assert_eq!(said(body).as_deref(), version, "{body}");
        }
    }
}

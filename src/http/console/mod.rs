//! The console: one page for operators and what it is made of, all of it in the binary.
//!
//! The page is plain HTML, CSS and modules of JavaScript, as they lie in this directory: there is no build step, and
//! nothing is fetched from anywhere else. It asks the family `protocols::console` for numbers once a second.

use super::response::Response;
use super::site::Site;
use siphasher::sip::SipHasher13;

/// Where the page is; it answers at `/`, too.
const PATH: &str = "/console";

/// What the page may do: fetch from this server and connect to it. No script but its own files runs, no other page shows
/// it in a frame, and nothing is sent elsewhere (CSP Level 3).
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
                      base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

const HTML: &str = "text/html; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";
const PICTURE: &str = "image/svg+xml";

/// One file of this directory.
struct File {
    name: &'static str,
    content_type: &'static str,
    text: &'static str,
}

/// The files that the page fetches, by what they are.
macro_rules! files {
    ($($content_type:ident: $($name:literal)+;)+) => {
        &[$($(File { name: $name, content_type: $content_type, text: include_str!($name) },)+)+]
    };
}

static INDEX: File = File { name: "index.html", content_type: HTML, text: include_str!("index.html") };

static FILES: &[File] = files! {
    CSS: "console.css";
    PICTURE: "icon.svg";
    SCRIPT: "connections.js" "console.js" "dialect.js" "elements.js" "families.js" "feed.js" "fetch.js" "history.js"
        "log.js" "losses.js" "numbers.js" "overview.js" "pane.js" "plot.js" "state.js" "theme.js" "topics.js"
        "trace.js" "try.js";
};

/// The page itself.
pub(super) fn page(_site: &Site) -> Response {
    INDEX.response()
}

/// What lies below `/console/` under this name.
pub(super) fn file(name: &str) -> Option<Response> {
    FILES.iter().find(|file| file.name == name).map(File::response)
}

/// Shows the way to the page, for those who look for it elsewhere: browsers send the password of a page only to what
/// lies beside it (RFC 7617 §2.2), and what the page asks for lies beside this one.
pub fn lead_here(_site: &Site) -> Response {
    Response::redirect(PATH)
}

impl File {
    fn response(&self) -> Response {
        // Not against anybody: it tells the files of two versions apart.
        let tag = SipHasher13::new().hash(self.text.as_bytes());
        let response = Response::new(200, self.content_type, self.text).tagged(format!("\"{tag:016x}\""));
        let response = response.with("Content-Security-Policy", POLICY).with("X-Frame-Options", "DENY");
        response.with("Referrer-Policy", "same-origin").with("Cross-Origin-Resource-Policy", "same-origin")
    }
}

#[cfg(test)]
mod tests;

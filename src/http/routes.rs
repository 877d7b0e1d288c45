//! The table of routes: what is served where, to whom, and how.

use super::audience::Audience;
use super::console;
use super::dismissal;
use super::door::{self, Access};
use super::exchange::Errand;
use super::exposition;
use super::inquiry;
use super::pages;
use super::publish;
use super::refusal::Refusal;
use super::request::{DISCARD_BYTES_MAX, Request};
use super::response::Response;
use super::site::Site;
use super::upgrade::{self, Upgrade};
use crate::engine::topic::Topic;
use crate::inspection::Question;
use crate::metrics::Refused;
use crate::wire::head::{Head, Method};

/// What is done about a request.
pub(super) enum Answer {
    /// It is answered with this.
    Response(Response),
    /// The nodes are asked this.
    Inquiry(Question),
    /// Its body is wanted, for this.
    Body(Errand),
    /// It becomes a WebSocket connection.
    Upgrade(Upgrade),
}

struct Route {
    pattern: Pattern,
    access: Access,
    serve: Serve,
}

enum Pattern {
    /// This path.
    Exactly(&'static str),
    /// Every path that begins so.
    Below(&'static str),
}

/// What serves a route; each kind has its methods.
#[derive(Clone, Copy)]
enum Serve {
    /// GET and HEAD.
    Page(fn(&Site) -> Response),
    /// GET of what the nodes know.
    Inquiry(inquiry::Read),
    /// GET and HEAD of what the rest of the path names.
    File(fn(&str) -> Option<Response>),
    /// POST of an event to what the rest of the path names.
    Event(fn(&Site, &str) -> Result<Topic, Refusal>),
    /// POST of whom to disconnect.
    Dismissal,
    /// There is nothing here, and only those who may look are told.
    Nothing,
}

/// For everybody who asks how the server is.
static PROBES: [Route; 3] = [
    Route { pattern: Pattern::Exactly("/health"), access: Access::Everyone, serve: Serve::Page(pages::health) },
    Route { pattern: Pattern::Exactly("/live"), access: Access::Everyone, serve: Serve::Page(pages::health) },
    Route { pattern: Pattern::Exactly("/ready"), access: Access::Everyone, serve: Serve::Page(pages::ready) },
];

/// Where there is a listener for those who watch, theirs alone.
static METRICS: Route =
    Route { pattern: Pattern::Exactly("/metrics"), access: Access::Everyone, serve: Serve::Page(exposition::page) };

/// For clients, publishers and administrators. Paths of families come in front of these, their pages behind.
static ROUTES: [Route; 10] = [
    Route { pattern: Pattern::Exactly("/"), access: Access::PrivatePage, serve: Serve::Page(console::page) },
    Route { pattern: Pattern::Exactly("/console"), access: Access::PrivatePage, serve: Serve::Page(console::page) },
    Route { pattern: Pattern::Below("/console/"), access: Access::PrivatePage, serve: Serve::File(console::file) },
    Route { pattern: Pattern::Exactly("/admin/stats"), access: Access::PrivateDoor, serve: Serve::Page(pages::stats) },
    asked("/admin/connections", inquiry::read_connections),
    asked("/admin/topics", inquiry::read_topics),
    asked("/admin/trace", inquiry::read_trace),
    Route { pattern: Pattern::Exactly("/admin/disconnect"), access: Access::PrivateDoor, serve: Serve::Dismissal },
    Route { pattern: Pattern::Below("/admin/"), access: Access::PrivateDoor, serve: Serve::Nothing },
    Route { pattern: Pattern::Below("/publish/"), access: Access::PrivateDoor, serve: Serve::Event(publish::topic) },
];

/// A question for administrators.
const fn asked(path: &'static str, read: inquiry::Read) -> Route {
    Route { pattern: Pattern::Exactly(path), access: Access::PrivateDoor, serve: Serve::Inquiry(read) }
}

/// What there is for these.
fn routes(site: &Site, audience: Audience) -> impl Iterator<Item = &'static Route> {
    let others: &[Route] = if audience == Audience::Clients { &ROUTES } else { &[] };
    let metrics = (audience == Audience::Monitors || !site.settings.metrics_are_apart).then_some(&METRICS);
    PROBES.iter().chain(metrics).chain(others)
}

/// Finds out what is to be done about a request.
pub(super) fn answer(site: &Site, audience: Audience, request: &Request<'_>) -> Answer {
    let path = request.head().path;
    if let Some(family) = site.families.iter().find(|family| audience == Audience::Clients && family.path == path) {
        let upgrade = pass(site, request, family.access).and_then(|()| upgrade::answer(site, family, request));
        return upgrade.map_or_else(Answer::Response, Answer::Upgrade);
    }
    if let Some((route, rest)) = routes(site, audience).find_map(|route| Some((route, route.pattern.rest(path)?))) {
        return route.answer(site, request, rest).unwrap_or_else(Answer::Response);
    }
    if audience == Audience::Monitors {
        let hint = "there are /metrics, /health, /live and /ready; everything else is at the clients' address";
        return Answer::Response(Refusal::new(404, "not found", hint).into());
    }
    let mut pages = site.families.iter().flat_map(|family| &family.pages);
    match pages.find(|(own, _)| own == path) {
        Some((_, page)) => Answer::Response(show(request, || page(site)).unwrap_or_else(|refused| refused)),
        None => Answer::Response(not_found(site)),
    }
}

impl Pattern {
    fn rest<'a>(&self, path: &'a str) -> Option<&'a str> {
        match self {
            Self::Exactly(whole) => (path == *whole).then_some(""),
            Self::Below(start) => path.strip_prefix(start),
        }
    }
}

impl Route {
    fn answer(&self, site: &Site, request: &Request<'_>, rest: &str) -> Result<Answer, Response> {
        pass(site, request, self.access)?;
        let head = request.head();
        match (self.serve, head.method) {
            (Serve::Page(page), _) => show(request, || page(site)).map(Answer::Response),
            (Serve::Inquiry(read), Method::Get) => {
                check_length(head)?;
                inquiry::ask(site, request, read).map(Answer::Inquiry).map_err(Response::from)
            }
            (Serve::Inquiry(_), _) => Err(Response::method_not_allowed("GET")),
            (Serve::File(file), _) => {
                let response = file(rest).ok_or_else(|| not_found(site))?;
                show(request, || response).map(Answer::Response)
            }
            (Serve::Event(topic), Method::Post) => {
                publish::check_length(site, head.body_bytes)?;
                topic(site, rest).map(|topic| Answer::Body(Errand::Publish(topic))).map_err(Response::from)
            }
            (Serve::Dismissal, Method::Post) => {
                dismissal::check_length(head.body_bytes)?;
                Ok(Answer::Body(Errand::Dismiss))
            }
            (Serve::Event(_) | Serve::Dismissal, _) => Err(Response::method_not_allowed("POST")),
            (Serve::Nothing, _) => Err(not_found(site)),
        }
    }
}

/// Lets a request in, or counts that it was turned away.
fn pass(site: &Site, request: &Request<'_>, access: Access) -> Result<(), Response> {
    let passed = door::check(request, access, site.settings.admin_token.as_deref());
    passed.inspect_err(|_| site.metrics().entrance.refused(Refused::PrivateDoor).add(1))
}

/// A page, for those who ask for it as pages are asked for.
fn show(request: &Request<'_>, page: impl FnOnce() -> Response) -> Result<Response, Response> {
    let head = request.head();
    match head.method {
        Method::Get | Method::Head => check_length(head).map(|()| page().unless_held(held(head))),
        _ => Err(Response::method_not_allowed("GET, HEAD")),
    }
}

/// Refuses a body that is too long to be thrown away.
fn check_length(head: &Head<'_>) -> Result<(), Response> {
    if head.body_bytes <= DISCARD_BYTES_MAX {
        return Ok(());
    }
    Err(Refusal::new(413, "the body is too large", "this page wants no body at all").into())
}

/// The tags of pages that the client holds.
fn held<'a>(head: &Head<'a>) -> impl Iterator<Item = &'a str> {
    let values = head.values("if-none-match").filter_map(|value| str::from_utf8(value).ok());
    values.flat_map(|value| value.split(',')).map(str::trim)
}

fn not_found(site: &Site) -> Response {
    let open = site.families.iter().filter(|family| family.access == Access::Everyone);
    let paths: Vec<&str> = open.map(|family| family.path.as_str()).collect();
    let pages = if site.settings.metrics_are_apart { "/health and /ready" } else { "/health, /ready and /metrics" };
    let hint = format!("WebSocket clients connect to {}; there are /console, {pages}, too", paths.join(", "));
    Refusal::new(404, "not found", hint).into()
}

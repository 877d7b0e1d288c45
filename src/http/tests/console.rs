//! The page for operators: what is served, what browsers are told about it, and who gets it.

use super::*;

const TOKEN: &str = "0123456789abcdef";

/// A site that wants this token, asked from elsewhere.
fn guarded() -> Site {
    let mut site = site();
    site.settings.admin_token = Some(TOKEN.to_owned());
    site
}

/// `user:password`, as browsers write it.
fn password(pair: &str) -> String {
    use base64::Engine;
    format!("Authorization: Basic {}\r\n", base64::engine::general_purpose::STANDARD.encode(pair))
}

fn ask(site: Site, path: &str, fields: &str) -> Reply {
    let request = format!("GET {path} HTTP/1.1\r\nHost: fanout.example\r\n{fields}\r\n");
    Visit::to(site, "10.0.0.1:50000").ask(request)
}

#[test]
fn the_page_and_its_files_are_served_with_the_policy_that_they_keep() {
    for (path, content_type) in [
        ("/", "text/html; charset=utf-8"),
        ("/console", "text/html; charset=utf-8"),
        ("/console/console.css", "text/css; charset=utf-8"),
        ("/console/console.js", "text/javascript; charset=utf-8"),
        ("/console/icon.svg", "image/svg+xml"),
    ] {
        let reply = Visit::new().ask(get(path));
        assert_eq!((reply.status, reply.field("content-type")), (200, Some(content_type)), "{path}");
        assert_eq!(reply.field("cache-control"), Some("private, no-cache"), "{path}");
        assert_eq!(reply.field("x-content-type-options"), Some("nosniff"), "{path}");
        assert_eq!(reply.field("x-frame-options"), Some("DENY"), "{path}");
        let policy = reply.field("content-security-policy").expect("a policy");
        assert!(policy.starts_with("default-src 'none'; script-src 'self';"), "{path}: {policy}");
        assert!(!policy.contains("unsafe") && policy.contains("frame-ancestors 'none'"), "{path}: {policy}");
    }
    for path in ["/console/", "/console/else.js", "/console/index.html", "/console/../console.js", "/Console"] {
        assert_eq!(Visit::new().ask(get(path)).status, 404, "{path}");
    }
    assert_eq!(Visit::new().ask(post("/console", "")).status, 405);
}

#[test]
fn what_a_browser_holds_is_not_sent_again() {
    let mut visit = Visit::new();
    let whole = visit.ask(get("/console/console.js"));
    let tag = whole.field("etag").expect("a tag").to_owned();
    let other = visit.ask(get("/console/feed.js")).field("etag").expect("a tag").to_owned();
    assert_ne!(tag, other);
    for (held, status) in [
        (tag.clone(), 304),
        (format!("W/{tag}"), 304),
        (format!("{other}, {tag}"), 304),
        ("*".to_owned(), 304),
        (other, 200),
        (tag.trim_matches('"').to_owned(), 200),
    ] {
        let field = format!("If-None-Match: {held}\r\n");
        visit.send(format!("GET /console/console.js HTTP/1.1\r\nHost: localhost\r\n{field}\r\n"));
        visit.turn();
        let reply = visit.reply_to(if status == 304 { Method::Head } else { Method::Get });
        assert_eq!((reply.status, reply.field("etag")), (status, Some(tag.as_str())), "{held}");
        assert_eq!(reply.length(), whole.body.len(), "{held}: the length of what is not sent");
    }
    assert_eq!(visit.ask(get("/health")).status, 200, "nothing was in between");
}

#[test]
fn a_browser_is_asked_for_the_token_by_pages_alone() {
    for (path, challenge) in [
        ("/", "Basic realm=\"fanout\", charset=\"UTF-8\""),
        ("/console", "Basic realm=\"fanout\", charset=\"UTF-8\""),
        ("/console/console.js", "Basic realm=\"fanout\", charset=\"UTF-8\""),
        ("/admin/stats", "Bearer realm=\"fanout\""),
    ] {
        let reply = ask(guarded(), path, "");
        assert_eq!((reply.status, reply.field("www-authenticate")), (401, Some(challenge)), "{path}");
    }
}

#[test]
fn the_token_opens_the_door_as_a_password_under_any_name() {
    for (pair, status) in [
        (format!("admin:{TOKEN}"), 200),
        (format!(":{TOKEN}"), 200),
        (format!("ä b:{TOKEN}"), 200),
        (format!("admin:{TOKEN}x"), 401),
        (format!("admin::{TOKEN}"), 401),
        (TOKEN.to_owned(), 401),
        ("admin:".to_owned(), 401),
        (String::new(), 401),
    ] {
        for path in ["/", "/console/feed.js", "/admin/stats"] {
            assert_eq!(ask(guarded(), path, &password(&pair)).status, status, "{path} {pair:?}");
        }
    }
    let shouted = password(&format!("a:{TOKEN}")).replace("Basic", "BASIC ");
    assert_eq!(ask(guarded(), "/", &shouted).status, 200);
    assert_eq!(ask(guarded(), "/", "Authorization: Basic %%%\r\n").status, 401);
    assert_eq!(ask(guarded(), "/", "Authorization: Basic\r\n").status, 401);
}

#[test]
fn a_password_does_not_speak_for_a_page_of_another_site() {
    for (fields, status) in [
        ("Origin: http://fanout.example\r\n", 200),
        ("Origin: https://fanout.example\r\nSec-Fetch-Site: same-origin\r\n", 200),
        ("Sec-Fetch-Site: none\r\n", 200),
        ("Origin: http://evil.example\r\n", 403),
        ("Origin: http://fanout.example.evil.example\r\n", 403),
        ("Origin: http://fanout.example:81\r\n", 403),
        ("Origin: null\r\n", 403),
        ("Origin: http://fanout.example\r\nOrigin: http://fanout.example\r\n", 403),
        ("Sec-Fetch-Site: cross-site\r\n", 403),
        ("Sec-Fetch-Site: same-site\r\n", 403),
        ("Origin: http://fanout.example\r\nSec-Fetch-Site: cross-site\r\n", 403),
    ] {
        let password = password(&format!("admin:{TOKEN}"));
        for path in ["/", "/admin/stats"] {
            assert_eq!(ask(guarded(), path, &(password.clone() + fields)).status, status, "{path} {fields:?}");
        }
        let bearer = format!("Authorization: Bearer {TOKEN}\r\n");
        assert_eq!(ask(guarded(), "/admin/stats", &(bearer + fields)).status, 200, "{fields:?}: no browser sends that");
    }
}

#[test]
fn a_link_to_the_console_may_stand_on_any_site() {
    let ask = |path, fields: &str| {
        let password = password(&format!("admin:{TOKEN}"));
        ask(guarded(), path, &(password + "Sec-Fetch-Site: cross-site\r\n" + fields)).status
    };
    for path in ["/", "/console"] {
        assert_eq!(ask(path, "Sec-Fetch-Mode: navigate\r\nSec-Fetch-Dest: document\r\n"), 200, "{path}");
        assert_eq!(ask(path, "Sec-Fetch-Mode: navigate\r\nSec-Fetch-Dest: iframe\r\n"), 403, "{path}");
        assert_eq!(ask(path, "Sec-Fetch-Dest: document\r\nOrigin: https://evil.example\r\n"), 403, "{path}");
    }
    assert_eq!(ask("/admin/stats", "Sec-Fetch-Dest: document\r\n"), 403, "what it shows is not linked to");
}

/// A site whose family stands behind the private door.
fn private(mut site: Site) -> Site {
    site.families[0].access = Access::PrivateDoor;
    site
}

#[test]
fn a_family_behind_the_private_door_admits_nobody_else() {
    let from = |site: Site, peer: &str, fields: &str| {
        let request = upgrade("?ok=1", fields).replace("a.example", "localhost:8084");
        knock(private(site), peer, request).1.map_err(|reply| reply.status).err()
    };
    assert_eq!(from(site(), LOCAL, ""), None);
    assert_eq!(from(site(), LOCAL, "Origin: http://localhost:8084\r\n"), None);
    assert_eq!(from(site(), LOCAL, "Origin: http://evil.example\r\n"), Some(403));
    assert_eq!(from(site(), "10.0.0.1:5", ""), Some(403));
    assert_eq!(from(guarded(), LOCAL, ""), Some(401));
    assert_eq!(from(guarded(), "10.0.0.1:5", &password(&format!("a:{TOKEN}"))), None);
    let (visit, _) = knock(private(guarded()), LOCAL, upgrade("?ok=1", ""));
    assert_eq!(refused(&visit), [(Refused::PrivateDoor, 1)]);
    let lost = Visit::to(private(site()), LOCAL).ask(get("/nowhere"));
    assert!(!lost.body.contains("/ws"), "clients are not sent there: {lost:?}");
}

#[test]
fn the_console_may_connect_whatever_origins_are_listed() {
    for (host, origin, is_let_in) in [
        ("localhost:8084", "http://localhost:8084", true),
        ("localhost:8084", "http://localhost:8085", false),
        ("rebound.example:8084", "http://rebound.example:8084", false),
    ] {
        let mut site = site();
        site.settings.allowed_origins = Some(vec!["https://app.example".to_owned()]);
        let request = upgrade("?ok=1", &format!("Origin: {origin}\r\n")).replace("a.example", host);
        assert_eq!(knock(site, LOCAL, request).1.is_ok(), is_let_in, "{host} {origin}");
    }
}

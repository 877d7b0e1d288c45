//! What is served to whom, by the listener they come through.

use super::*;

/// The status of a page at the clients' listener and at the monitors', with one for them.
fn statuses(request: &str) -> [u16; 2] {
    [Audience::Clients, Audience::Monitors].map(|audience| {
        let mut site = site();
        site.settings.metrics_are_apart = true;
        Visit::through(audience, site, LOCAL).ask(request).status
    })
}

#[test]
fn those_who_watch_get_metrics_and_probes_and_nothing_else_and_nobody_else_gets_metrics() {
    for (page, expected) in [
        ("/metrics", [404, 200]),
        ("/health", [200, 200]),
        ("/live", [200, 200]),
        ("/ready", [503, 503]),
        ("/admin/stats", [200, 404]),
        ("/admin/else", [404, 404]),
        ("/ws/about", [200, 404]),
        ("/nowhere", [404, 404]),
    ] {
        assert_eq!(statuses(&get(page)), expected, "{page}");
    }
    assert_eq!(
        statuses("POST /publish/alice HTTP/1.1\r\nHost: localhost\r\nContent-Length: 500000\r\n\r\n"),
        [413, 404]
    );
    assert_eq!(statuses("POST /admin/disconnect HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n"), [400, 404]);
}

#[test]
fn nobody_becomes_a_client_where_metrics_are() {
    assert_eq!(Visit::through(Audience::Monitors, site(), LOCAL).ask(upgrade("?ok=1", "")).status, 404);
}

#[test]
fn who_finds_nothing_is_told_what_there_is() {
    let hint = |audience, is_apart| {
        let mut site = site();
        site.settings.metrics_are_apart = is_apart;
        Visit::through(audience, site, LOCAL).ask(get("/nowhere")).json()["hint"].as_str().unwrap().to_owned()
    };
    assert!(hint(Audience::Clients, false).contains("/metrics"));
    assert!(!hint(Audience::Clients, true).contains("/metrics"));
    assert!(hint(Audience::Monitors, true).contains("/metrics"));
}

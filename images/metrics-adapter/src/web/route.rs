//! Which request gets which answer.

use axum::body::Body;
use axum::http::request::Parts;
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};

use super::auth::Verdict;
use super::{Actions, Counters, Live, Site, page, probe};
use crate::config::Landing;

/// What a scraper says about its patience.
const TIMEOUT_HEADER: &str = "x-prometheus-scrape-timeout-seconds";

pub(super) async fn answer<A: Actions>(site: &Site<A>, request: &Parts) -> Response {
    let mut live = site.live();
    let credentials = text(&request.headers, header::AUTHORIZATION.as_str());
    let mut verdict = live.auth.verify(credentials).await;
    // A file that has changed may name other users, so that it is read for strangers too; but they
    // cannot make us read it more than once.
    if verdict != Verdict::Busy
        && site.actions.reload_if_changed(verdict == Verdict::Admitted).await
    {
        live = site.live();
        verdict = live.auth.verify(credentials).await;
    }
    match verdict {
        Verdict::Admitted => {}
        Verdict::Refused => {
            Counters::count(&site.counters.unauthorized);
            let challenge = [(header::WWW_AUTHENTICATE, "Basic realm=\"/\"")];
            return (StatusCode::UNAUTHORIZED, challenge, "credentials are needed\n")
                .into_response();
        }
        Verdict::Busy => return busy(site, "too many credentials are being looked at\n"),
    }
    let reading = matches!(request.method, Method::GET | Method::HEAD);
    let changing = matches!(request.method, Method::PUT | Method::POST);
    let path = request.uri.path();
    match path {
        _ if path == live.web.metrics_path && reading => metrics(site, &live, request).await,
        "/-/healthy" | "/-/ready" if reading => said(path, live.web.landing).into_response(),
        "/-/reload" | "/-/quit" if live.web.lifecycle && changing => {
            change(site, path == "/-/quit").await
        }
        "/-/reload" | "/-/quit" if live.web.lifecycle => {
            (StatusCode::METHOD_NOT_ALLOWED, [(header::ALLOW, "PUT, POST")]).into_response()
        }
        "/probe" if live.probes.is_enabled() && reading => {
            let deadlines = site.deadlines(text(&request.headers, TIMEOUT_HEADER));
            let shown = page::Shown::of(&request.headers);
            probe::answer(site, &live, request.uri.query(), deadlines, shown).await
        }
        "/" if reading => landing(&live).into_response(),
        _ if path == live.web.metrics_path => {
            (StatusCode::METHOD_NOT_ALLOWED, [(header::ALLOW, "GET, HEAD")]).into_response()
        }
        _ => (StatusCode::NOT_FOUND, "not found\n").into_response(),
    }
}

async fn metrics<A: Actions>(site: &Site<A>, live: &Live, request: &Parts) -> Response {
    let deadlines = site.deadlines(text(&request.headers, TIMEOUT_HEADER));
    let shown = page::Shown::of(&request.headers);
    let body = page::render(site, live, deadlines, shown).await;
    response(site, body, shown)
}

/// The answer with a page.
pub(super) fn response<A>(site: &Site<A>, body: Vec<u8>, shown: page::Shown) -> Response {
    let count = std::sync::atomic::Ordering::Relaxed;
    site.counters.bytes_out.fetch_add(body.len() as u64, count);
    let mut response = Response::new(Body::from(body));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, header::HeaderValue::from_static(shown.content_type()));
    headers.insert(header::VARY, header::HeaderValue::from_static("Accept, Accept-Encoding"));
    if shown.gzip {
        headers.insert(header::CONTENT_ENCODING, header::HeaderValue::from_static("gzip"));
    }
    response
}

pub(super) fn busy<A>(site: &Site<A>, text: &'static str) -> Response {
    Counters::count(&site.counters.busy);
    (StatusCode::SERVICE_UNAVAILABLE, [(header::RETRY_AFTER, "1")], text).into_response()
}

async fn change<A: Actions>(site: &Site<A>, quit: bool) -> Response {
    if quit {
        site.actions.quit();
        return "Requesting termination... Goodbye!\n".into_response();
    }
    match site.actions.reload().await {
        Ok(()) => "the configuration was read again\n".into_response(),
        Err(error) => {
            let text = format!("the configuration stays as it was: {error}\n");
            (StatusCode::INTERNAL_SERVER_ERROR, text).into_response()
        }
    }
}

fn said(path: &str, landing: Landing) -> &'static str {
    match (landing, path) {
        (Landing::Statsd, "/-/healthy") => "Statsd Exporter is Healthy.\n",
        (Landing::Statsd, _) => "Statsd Exporter is Ready.\n",
        (_, "/-/healthy") => "Exporter is healthy.\n",
        _ => "Exporter is ready.\n",
    }
}

fn landing(live: &Live) -> impl IntoResponse {
    let title = match live.web.landing {
        Landing::Own => "metrics-adapter",
        Landing::Statsd => "StatsD Exporter",
        Landing::Jmx => "JMX Exporter",
    };
    let path = escaped(&live.web.metrics_path);
    let html = format!(
        "<!doctype html>\n<html lang=\"en\">\n<head><title>{title}</title></head>\n\
         <body><h1>{title}</h1><p><a href=\"{path}\">Metrics</a></p></body>\n</html>\n"
    );
    ([(header::CONTENT_TYPE, "text/html; charset=utf-8")], html)
}

fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            c => out.push(c),
        }
    }
    out
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

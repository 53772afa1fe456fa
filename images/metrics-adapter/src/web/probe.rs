//! `/probe?target=host:port&module=name`.

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};

use super::page::{self, Shown};
use super::{Actions, Counters, Live, Site, route};
use crate::exposition::{Family, Kind, Page};
use crate::labels::Labels;
use crate::pull::{Deadlines, ProbeError};

pub(super) async fn answer<A: Actions>(
    site: &Site<A>,
    live: &Live,
    query: Option<&str>,
    deadlines: Deadlines,
    shown: Shown,
) -> Response {
    let target = parameter(query, "target");
    let module = parameter(query, "module").filter(|module| !module.is_empty());
    let target = target.unwrap_or_default();
    let answer = match live.probes.probe(&target, module.as_deref(), deadlines).await {
        Ok(answer) => answer,
        Err(ProbeError::Busy) => return route::busy(site, "too many targets are being asked\n"),
        Err(error) => {
            let status = match error {
                ProbeError::Forbidden => StatusCode::FORBIDDEN,
                ProbeError::Client(_) => StatusCode::INTERNAL_SERVER_ERROR,
                _ => StatusCode::BAD_REQUEST,
            };
            return (status, format!("{error}\n")).into_response();
        }
    };
    let good = answer.error.is_none();
    let mut page = Page::new(shown.format);
    let gauge = |name: &str, help: &str, value| Family {
        name: name.to_owned(),
        help: help.to_owned(),
        kind: Kind::Gauge,
        samples: vec![(Labels::default(), value)],
    };
    let seconds = deadlines.now.elapsed().as_secs_f64();
    page.family(&gauge("probe_duration_seconds", "Seconds that the probe took", seconds));
    let success = f64::from(u8::from(good));
    page.family(&gauge("probe_success", "1 when the target answered, else 0", success));
    page::pulled_families(site, &mut page, &[answer]).await;
    Counters::count(&site.counters.scrapes);
    let body = page::finish(page, shown).await;
    route::response(site, body, shown)
}

/// A parameter of a query, decoded.
fn parameter(query: Option<&str>, name: &str) -> Option<String> {
    let pairs = query?.split('&').filter_map(|pair| pair.split_once('='));
    let value = pairs.into_iter().find(|(key, _)| *key == name)?.1;
    let mut bytes = Vec::with_capacity(value.len());
    let mut rest = value.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => {
                let digit = |byte: Option<u8>| char::from(byte?).to_digit(16);
                let (high, low) = (digit(rest.next())?, digit(rest.next())?);
                u8::try_from(high * 16 + low).ok()?
            }
            byte => byte,
        });
    }
    String::from_utf8(bytes).ok()
}

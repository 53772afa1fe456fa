//! Which format a scraper gets: what its header `Accept` prefers of what there is.

use super::Format;

/// The message that a page of protobuf is a sequence of.
const MESSAGE: &str = "io.prometheus.client.MetricFamily";

impl Format {
    /// Chooses by a header `Accept`, as Prometheus' client libraries do: the highest `q` wins, of
    /// equals the first, and text is for everybody else. OpenMetrics 0.0.1 was a draft of 1.0.0;
    /// who asks for it can read 1.0.0.
    #[must_use]
    pub fn negotiate(accept: &str) -> Self {
        let mut best = None;
        for range in accept.split(',') {
            let Some((format, quality)) = parse(range) else { continue };
            if quality > 0.0 && best.is_none_or(|(_, highest)| quality > highest) {
                best = Some((format, quality));
            }
        }
        best.map_or(Self::Text, |(format, _)| format)
    }

    /// Value of the header `Content-Type`.
    #[must_use]
    pub fn content_type(self) -> &'static str {
        match self {
            Self::Text => "text/plain; version=0.0.4; charset=utf-8",
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
            Self::Protobuf => {
                "application/vnd.google.protobuf; \
                 proto=io.prometheus.client.MetricFamily; encoding=delimited"
            }
        }
    }
}

/// What a media range is answered with, and how much it is wanted. Wildcards say nothing of what is
/// wanted: they get text, and only where nothing is named.
fn parse(range: &str) -> Option<(Format, f64)> {
    let mut parts = range.split(';').map(str::trim);
    let media = parts.next()?.to_ascii_lowercase();
    let (mut version, mut message, mut encoding, mut quality) = (None, None, None, 1.0);
    for part in parts {
        let Some((name, value)) = part.split_once('=') else { continue };
        let value = value.trim().trim_matches('"');
        match name.trim().to_ascii_lowercase().as_str() {
            "version" => version = Some(value),
            "proto" => message = Some(value),
            "encoding" => encoding = Some(value),
            // One that is no number is no wish.
            "q" => quality = value.parse().unwrap_or(1.0_f64).clamp(0.0, 1.0),
            _ => {}
        }
    }
    let format = match media.as_str() {
        "text/plain" if matches!(version, None | Some("" | "0.0.4")) => Format::Text,
        "application/openmetrics-text"
            if matches!(version, None | Some("" | "1.0.0" | "0.0.1")) =>
        {
            Format::OpenMetrics
        }
        "application/vnd.google.protobuf"
            if message == Some(MESSAGE) && encoding == Some("delimited") =>
        {
            Format::Protobuf
        }
        _ => return None,
    };
    Some((format, quality))
}

//! What answers HTTP.

use std::sync::Arc;

use management::{ConfigError, Secret, Strings};

use super::inputs::{Whom, credentials};
use super::web;
use super::yaml::{Node, Section, Tree};
use crate::keystore::{NameCheck, TlsOptions};

/// Something that answers HTTP.
#[derive(Clone, Debug)]
pub struct Remote {
    /// Whole URL.
    pub url: String,
    /// User and password.
    pub credentials: Option<(String, Secret)>,
    /// Further headers.
    pub headers: Vec<(String, String)>,
    /// What `https` needs.
    pub tls: Option<Arc<rustls::ClientConfig>>,
}

// === impl Remote ===

impl Remote {
    /// Scheme, host and port: a path or parameter may be secret.
    pub(super) fn origin(&self) -> String {
        let rest = self.url.find("://").map_or(0, |at| at + 3);
        let end = self.url[rest..].find(['/', '?', '#', '\\']);
        self.url[..end.map_or(self.url.len(), |end| rest + end)].to_owned()
    }

    /// Replaces host and port of the URL.
    pub(super) fn place(&mut self, host: &str, port: u16) {
        let (scheme, rest) = self.url.split_once("://").unwrap_or(("http", &self.url));
        let path = rest.find('/').map_or("", |at| &rest[at..]);
        let host = if host.contains(':') { format!("[{host}]") } else { host.to_owned() };
        self.url = format!("{scheme}://{host}:{port}{path}");
    }
}

/// Reads where an input is, and how it is asked.
pub(super) fn remote(
    section: &mut Section<'_>,
    node: &Node,
    env: &dyn Strings,
    whom: Whom,
) -> Result<Remote, ConfigError> {
    let url = match whom {
        Whom::Input => match (section.node("url"), section.text("url")?) {
            (Some(at), Some(text)) => checked_url(section, at, text)?,
            _ => return Err(section.refused(node, "url is missing")),
        },
        Whom::Module => {
            let https = section.truth("https")?.unwrap_or(false);
            let path = section.text("path")?.unwrap_or("/");
            let scheme = if https { "https" } else { "http" };
            if !path.starts_with('/') {
                return Err(section.refused(node, "path does not begin with /"));
            }
            checked_url(section, node, &format!("{scheme}://target{path}"))?
        }
    };
    let credentials = credentials(section, node, env)?;
    let headers = headers(section)?;
    let options = match section.node("tls") {
        Some(inner) => {
            let mut tls = Section::new(section.file(), section.key("tls"), inner)?;
            let options = web::tls_options(&mut tls, env)?;
            tls.finish()?;
            options
        }
        None => TlsOptions::default(),
    };
    let tls = match url.starts_with("https://") {
        true => {
            let config = options.client(NameCheck::Always);
            Some(Arc::new(config.map_err(|it| section.refused(node, &format!("tls: {it}")))?))
        }
        false => None,
    };
    Ok(Remote { url, credentials, headers, tls })
}

/// A URL that can be asked, without a user in it. What is wrong is said without what may be secret
/// in it: a password, or a token among the parameters.
fn checked_url(section: &Section<'_>, node: &Node, text: &str) -> Result<String, ConfigError> {
    let plain = text.bytes().all(|byte| byte.is_ascii_graphic());
    let url = reqwest::Url::parse(text).ok().filter(|url| {
        // The parser mends what people leave out; what is asked shall be what is written.
        let begins = text.starts_with("http://") || text.starts_with("https://");
        let hostless = text.split_once("://").is_none_or(|(_, rest)| rest.starts_with('/'));
        plain && begins && !hostless && url.has_host()
    });
    let Some(url) = url else {
        let found = match text.split_once("://") {
            Some((scheme, _)) if scheme.len() < 16 => format!("{scheme}://…"),
            _ => "…".to_owned(),
        };
        return Err(section.wrong_text("url", node, &found, "a URL with http or https"));
    };
    if !url.username().is_empty() || url.password().is_some() {
        let message = "url has a user in it, expected username and password beside it";
        return Err(section.refused(node, message));
    }
    Ok(text.to_owned())
}

fn headers(section: &mut Section<'_>) -> Result<Vec<(String, String)>, ConfigError> {
    let Some(node) = section.node("headers") else { return Ok(Vec::new()) };
    let inner = Section::new(section.file(), section.key("headers"), node)?;
    let good = |name: &str, text: &str| {
        axum::http::HeaderName::try_from(name).is_ok()
            && axum::http::HeaderValue::try_from(text).is_ok()
    };
    let header = |(name, node): &(String, Node)| match &node.value {
        Tree::Scalar(text) if good(name, text) => Ok((name.clone(), text.clone())),
        // A value may be a secret.
        _ => Err(inner.refused(node, &format!("{name:?} is no header, or has no good value"))),
    };
    inner.entries().iter().map(header).collect()
}

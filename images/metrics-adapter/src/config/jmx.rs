//! The command line of `jmx_exporter`, and what a rules file says about connections.

use std::path::Path;
use std::sync::Arc;

use management::{ConfigError, Place, Strings};

use super::args::{Args, JmxArgs};
use super::inputs::{PulledConfig, PulledKind};
use super::web::{Landing, WebConfig};
use super::{Config, Fingerprint, Mode, is_listen, yaml};
use crate::jmx::session::Target;
use crate::keystore::{KeystoreError, NameCheck, Store, TlsOptions};
use crate::rules::JmxConfig;
use crate::rules::config::{
    BasicAuthentication, HashFunction, JmxTls, Naming, PasswordCheck, StoreFile,
};
use crate::web::auth::{Algorithm, Hash, User};

pub(super) fn load(args: &Args, jmx: &JmxArgs, env: &dyn Strings) -> Result<Config, ConfigError> {
    let path = jmx.file.as_path();
    let rules = rules_file(path, args, env)?;
    if rules.address.is_none() {
        let message = "hostPort or jmxUrl is missing, expected the JVM that is to be read";
        return Err(ConfigError::message(Place::File(path.to_owned(), None), message));
    }
    let bare = jmx.listen.bytes().all(|byte| byte.is_ascii_digit());
    let listen = if bare { format!(":{}", jmx.listen) } else { jmx.listen.clone() };
    if !is_listen(&listen) {
        let place = Place::Flag("[HOST:]PORT".to_owned());
        return Err(ConfigError::new(place, None, &jmx.listen, "a port, or a host and a port"));
    }
    let target = target(path, &rules)?;
    let http = &rules.http;
    let web = WebConfig {
        listen,
        metrics_path: http.metrics_path.clone(),
        landing: Landing::Jmx,
        tls: http_tls(path, &rules)?,
        users: http.basic.iter().map(user).collect(),
        connections_max: super::size(args.connections_max),
        ..WebConfig::default()
    };
    let warnings = rules.warnings.clone();
    let pulled = PulledConfig {
        name: "jmx".to_owned(),
        labels: Vec::new(),
        timeout: rules.scrape_timeout,
        start_delay: rules.start_delay,
        fingerprint: Fingerprint::of_rules(path, &rules, env),
        kind: PulledKind::Jmx { target, rules: Arc::new(rules) },
    };
    let config = Config::new(Mode::Jmx, web, args.pull_limits());
    Ok(Config { pulled: vec![pulled], watched: Some(jmx.file.clone()), warnings, ..config })
}

/// Reads and compiles a rules file.
///
/// # Errors
/// With the file's name, line and key.
pub(super) fn rules_file(
    path: &Path,
    args: &Args,
    env: &dyn Strings,
) -> Result<JmxConfig, ConfigError> {
    let mut rules = JmxConfig::parse(&yaml::read(path)?, env).map_err(|error| {
        let key = error.key.map(|key| format!("{key}: ")).unwrap_or_default();
        let place = Place::File(path.to_owned(), error.line);
        ConfigError::message(place, format!("{key}{}", error.message))
    })?;
    // The flag is for files that say nothing, and cannot be told from its own default.
    if args.naming == "jmx_0.20" {
        rules.naming = Naming::V0;
    }
    Ok(rules)
}

/// Where a rules file says that the JVM is; nowhere if it does not say.
///
/// # Errors
/// A key store that cannot be used, a stub that is none.
pub(super) fn target(path: &Path, rules: &JmxConfig) -> Result<Target, ConfigError> {
    let refused =
        |message: String| ConfigError::message(Place::File(path.to_owned(), None), message);
    let place = match &rules.address {
        Some(address) => Target::from_address(address).map_err(refused)?,
        None => Target::new("", 0),
    };
    let tls = client_tls(&rules.tls).map_err(|error| refused(format!("ssl: {error}")))?;
    let credentials = rules.username.clone().zip(rules.password.clone());
    Ok(Target { credentials, registry_tls: rules.tls.registry, tls, ..place })
}

fn client_tls(tls: &JmxTls) -> Result<Option<Arc<rustls::ClientConfig>>, KeystoreError> {
    if !tls.enabled {
        return Ok(None);
    }
    let options = TlsOptions {
        key_store: tls.key_store.as_ref().map(store),
        trust_store: tls.trust_store.as_ref().map(store),
        protocols: tls.protocols.clone(),
        ciphers: tls.ciphers.clone(),
        ..TlsOptions::default()
    };
    options.client(NameCheck::Never).map(Arc::new).map(Some)
}

fn http_tls(
    path: &Path,
    rules: &JmxConfig,
) -> Result<Option<Arc<rustls::ServerConfig>>, ConfigError> {
    let Some(tls) = &rules.http.tls else { return Ok(None) };
    let mut options = TlsOptions {
        key_store: Some(store(&tls.key_store)),
        alias: Some(tls.alias.clone()),
        trust_store: tls.trust_store.as_ref().map(store),
        protocols: tls.protocols.clone(),
        ciphers: tls.ciphers.clone(),
        mutual: tls.mutual,
    };
    let mut server = options.server();
    if matches!(server, Err(KeystoreError::NoKey { .. })) {
        // The original asks for an alias and takes whichever key there is.
        options.alias = None;
        server = options.server();
    }
    server.map(Arc::new).map(Some).map_err(|error| {
        let place = Place::File(path.to_owned(), None);
        ConfigError::message(place, format!("httpServer.ssl: {error}"))
    })
}

fn store(file: &StoreFile) -> Store {
    Store {
        path: file.path.clone(),
        key_path: None,
        type_name: file.kind.clone(),
        password: file.password.clone(),
    }
}

fn user(basic: &BasicAuthentication) -> User {
    let (hash, name) = (&basic.check, basic.username.clone());
    let hash = match hash {
        PasswordCheck::Plain(password) => Hash::Plain(password.clone()),
        PasswordCheck::Digest { hash, expected, salt } => Hash::Salted {
            algorithm: match hash {
                HashFunction::Sha1 => Algorithm::Sha1,
                HashFunction::Sha256 => Algorithm::Sha256,
                HashFunction::Sha512 => Algorithm::Sha512,
            },
            hash: expected.clone(),
            salt: salt.clone(),
            iterations: 1,
        },
        PasswordCheck::Pbkdf2 { hash, expected, salt, iterations } => Hash::Salted {
            algorithm: match hash {
                HashFunction::Sha1 => Algorithm::Pbkdf2Sha1,
                HashFunction::Sha256 => Algorithm::Pbkdf2Sha256,
                HashFunction::Sha512 => Algorithm::Pbkdf2Sha512,
            },
            hash: expected.clone(),
            salt: salt.clone(),
            iterations: *iterations,
        },
    };
    User { name, hash }
}

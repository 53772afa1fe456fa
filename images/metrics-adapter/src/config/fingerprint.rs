//! What an input was made of, to tell on a reload whether it is the same still: what is written of
//! it, the files that are named there, and variables. What a file cannot be compared by (TLS,
//! compiled patterns) need not be compared then.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use management::Strings;
use sha2::{Digest, Sha256};

use super::yaml::{Node, Tree};
use crate::rules::JmxConfig;
use crate::rules::config::StoreFile;

/// Bytes of a file that are looked at; every reader of ours takes less.
const FILE_BYTES_MAX: u64 = 8 << 20;
/// Keys whose values are paths, beside those that end in `-file`.
const PATHS: [&str; 4] = ["rules", "mapping", "key-store", "trust-store"];

/// A digest, secrets included; it is shown to nobody.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Fingerprint([u8; 32]);

struct Print<'a> {
    hasher: Sha256,
    folder: &'a Path,
    env: &'a dyn Strings,
}

// === impl Fingerprint ===

impl std::fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Fingerprint")
    }
}

impl Fingerprint {
    /// Of a part of the file `path`, whose rules, if it has any, are these. Lines do not matter.
    pub(super) fn of_node(
        node: &Node,
        path: &Path,
        rules: Option<&JmxConfig>,
        env: &dyn Strings,
    ) -> Self {
        let folder = path.parent().unwrap_or(Path::new(""));
        let mut print = Print { hasher: Sha256::new(), folder, env };
        print.node("", node);
        if let Some(rules) = rules {
            print.rules(rules);
        }
        Self(print.hasher.finalize().into())
    }

    /// Of a rules file alone.
    pub(super) fn of_rules(path: &Path, rules: &JmxConfig, env: &dyn Strings) -> Self {
        let mut print = Print { hasher: Sha256::new(), folder: Path::new(""), env };
        print.file(path);
        print.rules(rules);
        Self(print.hasher.finalize().into())
    }
}

// === impl Print ===

impl Print<'_> {
    fn node(&mut self, key: &str, node: &Node) {
        match &node.value {
            Tree::Null => self.bytes(b"null"),
            Tree::Scalar(text) => {
                self.bytes(b"scalar");
                self.bytes(text.as_bytes());
                let name = text.strip_prefix("${").and_then(|rest| rest.strip_suffix('}'));
                if let Some(value) = name.and_then(|name| self.env.get(name)) {
                    self.bytes(value.as_bytes());
                }
                if key.ends_with("-file") || PATHS.contains(&key) {
                    self.file(&self.folder.join(text));
                }
            }
            Tree::List(items) => {
                self.number(items.len());
                items.iter().for_each(|item| self.node(key, item));
            }
            Tree::Map(entries) => {
                self.number(entries.len());
                for (key, node) in entries {
                    self.bytes(key.as_bytes());
                    self.node(key, node);
                }
            }
        }
    }

    /// What a rules file takes from elsewhere.
    fn rules(&mut self, rules: &JmxConfig) {
        if let Some(user) = &rules.username {
            self.bytes(user.as_bytes());
        }
        if let Some(password) = &rules.password {
            self.bytes(password.expose().as_bytes());
        }
        let stores = [&rules.tls.key_store, &rules.tls.trust_store];
        for StoreFile { path, password, .. } in stores.into_iter().flatten() {
            self.file(path);
            if let Some(password) = password {
                self.bytes(password.expose().as_bytes());
            }
        }
    }

    /// The content of a file; of a pipe nothing, which could be read once only.
    fn file(&mut self, path: &Path) {
        let mut content = Vec::new();
        if path.is_file()
            && let Ok(file) = File::open(path)
            && file.take(FILE_BYTES_MAX).read_to_end(&mut content).is_ok()
        {
            self.bytes(&content);
        }
    }

    fn bytes(&mut self, bytes: &[u8]) {
        self.number(bytes.len());
        self.hasher.update(bytes);
    }

    fn number(&mut self, number: usize) {
        self.hasher.update((number as u64).to_be_bytes());
    }
}

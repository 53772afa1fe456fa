//! Redaction by type, by name and by shape.

use serde_json::json;

use super::*;

#[test]
fn a_secret_never_prints() {
    let secret = Secret::from("canary".to_owned());
    assert_eq!(format!("{secret} {secret:?}"), "*** ***");
    assert_eq!(serde_json::to_value(&secret).unwrap(), json!({"set": true}));
    assert!(secret.matches("canary"));
    for other in ["canar", "canaryc", "canarycanary", "Canary", ""] {
        assert!(!secret.matches(other), "{other}");
    }
    assert!(!Secret::default().matches(""));
}

#[test]
fn names_and_urls_are_the_second_net() {
    for name in ["api-token", "redis_auth", "PASSWORD", "access-key", "client-secret"] {
        assert!(secret_name(name), "{name}");
    }
    for name in ["admin-token-file", "key-path", "timeout", "author"] {
        assert!(!secret_name(name), "{name}");
    }
    assert_eq!(redact_text("a redis://u:p@h:1/x b http://h/"), "a redis://***@h:1/x b http://h/");
    assert_eq!(redact_text("redis://u:p@ss@h"), "redis://***@h");
    let nested = json!({"pools": [{"redis_auth": "x", "url": "a://u:p@h", "n": 1}], "key": null});
    let expected = json!({"pools": [{"redis_auth": {"set": true}, "url": "a://***@h", "n": 1}],
        "key": null});
    assert_eq!(redact_value(nested), expected);
}

//! What is shown of the configuration, and what is not.

use std::ffi::OsString;

use management::settings::{EffectiveValue, Source};
use management::{Invocation, Secret, yaml_settings};
use serde_json::json;

use crate::support::{IMAGE, builder, get, start};

const CANARY: &str = "canary-7f3a";

#[derive(clap::Args, Debug)]
struct Args {
    #[arg(long)]
    auth: Option<Secret>,
    #[arg(long)]
    upstream: Option<String>,
    #[arg(long)]
    api_key: Option<String>,
    #[arg(long, default_value = "1s")]
    timeout: String,
}

#[test]
fn no_endpoint_shows_a_secret_and_every_value_has_its_source() {
    let command = management::command::<Args>(&IMAGE);
    let argv = ["example-image", "--config", "/etc/e.yml", "--probe-addr", "127.0.0.1:0"];
    let url = format!("redis://user:{CANARY}@host:6379/0");
    let env: &[(&str, &str)] = &[
        ("EXAMPLE_IMAGE_AUTH", CANARY),
        ("EXAMPLE_IMAGE_UPSTREAM", &url),
        ("EXAMPLE_IMAGE_ADMIN_ADDR", "127.0.0.1:0"),
    ];
    let yaml = format!("# settings\ntimeout: 2s\napi-key: {CANARY}\n");
    let argv = argv.map(OsString::from);
    let loaded =
        management::load::<Args>(&IMAGE, command, argv, &env, |path| yaml_settings(path, &yaml));
    let Ok(Invocation::Program(loaded)) = loaded else { panic!("{loaded:?}") };
    assert_eq!(loaded.args.auth.as_ref().unwrap().expose(), CANARY);
    assert_eq!(loaded.args.upstream.as_ref(), Some(&url));
    assert_eq!(loaded.args.api_key.as_deref(), Some(CANARY));
    assert_eq!(loaded.args.timeout, "2s");
    let builder = builder(&loaded.shared).effective(loaded.effective.dynamic(&["timeout"]));
    let (handle, _signals) = start(builder);
    handle.update_effective(|effective| {
        let pools = json!({"alpha": {"servers": ["a:1"], "redis_auth": CANARY, "url": url}});
        effective.insert("pools", EffectiveValue::new(pools, Source::File));
    });
    let addr = handle.admin_addr();
    let shown = get(addr, "/mgmt/v1/config").json();
    assert_eq!(shown["file"], "/etc/e.yml");
    let values = &shown["values"];
    let timeout = json!({"value": "2s", "source": "file", "line": 2, "dynamic": true});
    assert_eq!(values["timeout"], timeout);
    assert_eq!(
        values["auth"],
        json!({"set": true, "secret": true, "source": "env", "dynamic": false})
    );
    assert_eq!(values["upstream"]["value"], "redis://***@host:6379/0");
    assert_eq!(values["api-key"]["set"], true);
    assert_eq!(values["probe-addr"]["source"], "flag");
    assert_eq!(values["grace"]["source"], "default");
    assert_eq!(
        values["admin-token-file"],
        json!({"value": null, "source": "default", "dynamic": false})
    );
    assert_eq!(values["pools"]["value"]["alpha"]["redis_auth"], json!({"set": true}));
    let list = get(addr, "/mgmt/v1").json();
    for endpoint in list["endpoints"].as_array().unwrap() {
        let path = endpoint["path"].as_str().unwrap();
        for addr in [addr, handle.probe_addr()] {
            let answer = get(addr, path);
            assert!(!format!("{answer:?}").contains(CANARY), "{path}: {answer:?}");
        }
    }
    let info = get(addr, "/mgmt/v1/info").json();
    assert_eq!(info["image"], "example-image");
    assert_eq!(info["api"], "1.0");
    assert_eq!(info["pid"], std::process::id());
}

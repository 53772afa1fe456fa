//! Libraries and tools that applications use, unchanged, through the proxy.
//!
//! The Python libraries come from their index once, into `target/`. Where it cannot be reached,
//! the tests say so and pass; under `CI=true` they fail.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use rustix::fs::{FlockOperation, flock};

use crate::support::{Proxy, Server, free_port};

/// The servers and pools that all clients here use.
struct Setting {
    _servers: Vec<Server>,
    plain: u16,
    resp3: u16,
    secret: u16,
    cache: u16,
    proxy: Proxy,
}

fn setting() -> Setting {
    let locked = ["--requirepass", "secret"];
    let servers = vec![
        Server::redis(&[]),
        Server::redis(&[]),
        Server::redis(&locked),
        Server::redis(&locked),
        Server::memcached(&[]),
        Server::memcached(&[]),
    ];
    let ports: [u16; 4] = std::array::from_fn(|_| free_port());
    let [plain, resp3, secret, cache] = ports;
    let pools = [
        ("plain", plain, 0, "redis: true"),
        ("resp3", resp3, 0, "redis: true\n  resp3: true"),
        ("secret", secret, 2, "redis: true\n  redis_auth: secret"),
        ("cache", cache, 4, "flush_all: true"),
    ];
    let pools = pools.map(|(name, port, first, line)| {
        let entries = servers[first].entry("a") + &servers[first + 1].entry("b");
        format!(
            "{name}:\n  listen: 127.0.0.1:{port}\n  timeout: 10000\n  {line}\n  servers:\n{entries}"
        )
    });
    let proxy = Proxy::start(&pools.concat(), &[]);
    Setting { _servers: servers, plain, resp3, secret, cache, proxy }
}

/// The Python of an environment that has this package, made on first use.
fn python(package: &str) -> Result<PathBuf, String> {
    let root = Path::new(env!("CARGO_TARGET_TMPDIR")).join("clients");
    let name: String =
        package.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect();
    let place = root.join(&name);
    let python = place.join("bin/python");
    fs::create_dir_all(&root).unwrap();
    // Other tests, of other processes too, may want the same at this moment.
    let lock = fs::File::create(root.join(name + ".lock")).unwrap();
    flock(&lock, FlockOperation::LockExclusive).unwrap();
    let done = place.join("done");
    if !done.exists() {
        // What a run that was broken off has left is of no use.
        let _ = fs::remove_dir_all(&place);
        checked(Command::new("python3").args(["-m", "venv"]).arg(&place))?;
        let pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check"];
        checked(Command::new(&python).args(pip).arg(package))?;
        fs::write(&done, "").unwrap();
    }
    Ok(python)
}

fn checked(command: &mut Command) -> Result<Output, String> {
    let output = command.output().map_err(|error| format!("{command:?}: {error}"))?;
    let said = [&output.stdout[..], &output.stderr[..]].concat();
    let said = String::from_utf8_lossy(&said).into_owned();
    if output.status.success() { Ok(output) } else { Err(format!("{command:?}: {said}")) }
}

/// Runs a script with a package; the last line it prints must begin with `all ok`.
fn run_script(package: &str, script: &str, ports: &[u16]) {
    let python = match python(package) {
        Ok(python) => python,
        Err(reason) => {
            #[expect(clippy::disallowed_methods, reason = "it decides whether a skip is an error")]
            let strict = std::env::var("CI").is_ok_and(|value| value == "true");
            assert!(!strict, "{reason}");
            println!("skipped: {package} could not be installed: {reason}");
            return;
        }
    };
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/testdata").join(script);
    let mut command = Command::new(python);
    command.arg(script).args(ports.iter().map(ToString::to_string));
    let output = checked(&mut command).unwrap_or_else(|error| panic!("{package}: {error}"));
    let said = String::from_utf8_lossy(&output.stdout);
    println!("{package}:\n{said}");
    assert!(said.lines().last().is_some_and(|line| line.starts_with("all ok")), "{said}");
}

fn redis_py(package: &str) {
    let setting = setting();
    run_script(package, "redis_client.py", &[setting.plain, setting.resp3, setting.secret]);
    for pool in ["plain", "resp3", "secret"] {
        let series = format!("ambassador_proxy_pool_forward_error_total{{pool=\"{pool}\"}}");
        assert_eq!(setting.proxy.metric(&series), 0.0, "{pool}");
    }
}

#[test]
fn redis_py_3() {
    redis_py("redis==3.5.3");
}

#[test]
fn redis_py_5() {
    redis_py("redis==5.*");
}

#[test]
fn redis_py_newest() {
    redis_py("redis");
}

#[test]
fn pymemcache() {
    let setting = setting();
    run_script("pymemcache", "memcache_client.py", &[setting.cache]);
}

#[test]
fn libmemcached() {
    let setting = setting();
    let mut command = Command::new("memccapable");
    command.args(["-h", "127.0.0.1", "-p", &setting.cache.to_string(), "-a", "-t", "10"]);
    let output = command.output().expect("memccapable is installed (`cargo xtask setup`)");
    let said = [&output.stdout[..], &output.stderr[..]].concat();
    let said = String::from_utf8_lossy(&said);
    assert!(output.status.success() && said.contains("All tests passed"), "{said}");
}

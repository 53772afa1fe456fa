//! Lists, templates, names and files.

use std::time::Duration;

use super::*;
use crate::config::PeerConfig;

fn target(name: &str, address: &str) -> Target {
    let name = (!name.is_empty()).then(|| name.into());
    Target { name, address: address.to_owned() }
}

/// Runs a source until it gives what is wanted.
async fn until(source: Discovery, wanted: Vec<Target>) {
    let mut targets = source.targets();
    let found = async { targets.wait_for(|found| *found == wanted).await.map(drop) };
    tokio::select! {
        found = timeout(Duration::from_secs(20), found) => found.expect("no such list").unwrap(),
        () = source.run() => unreachable!("it runs for ever"),
    }
}

#[test]
fn a_list_is_read_line_by_line() {
    let text = "# members\n a = one:4041 \n\nb=[::1]:4041 # two\r\nc=10.0.0.3:1";
    let wanted =
        vec![target("a", "one:4041"), target("b", "[::1]:4041"), target("c", "10.0.0.3:1")];
    assert_eq!(parse(text), Ok(wanted));
    assert_eq!(parse(""), Ok(Vec::new()));
}

#[test]
fn what_is_wrong_in_a_list_is_named() {
    let error = |text: &str| parse(text).unwrap_err().to_string();
    let expected = "expected NAME=HOST:PORT, an IPv6 address in brackets";
    for line in ["a", "a=", "a=b", "=b:1", "a=b:0", "a=b:70000", "a=::1:4041", "a=[::1:4041"] {
        assert_eq!(error(&format!("x=y:1\n{line}")), format!("line 2: found {line:?}, {expected}"));
    }
    assert_eq!(error("a=b:1\na=c:1"), "line 2: \"a\" is there twice");
    assert_eq!(error("a=b:1\n\nc=b:1"), "line 3: \"b:1\" is there twice");
    let many: String = (0..=PEERS_MAX).map(|n| format!("n{n}=h{n}:1\n")).collect();
    assert_eq!(parse(&many), Err(ListError::Long));
}

#[test]
fn lists_and_templates_are_there_at_once() {
    let peer = |name: &str| PeerConfig { name: name.into(), address: format!("{name}:4041") };
    let list = Discovery::new(&DiscoveryConfig::Static(vec![peer("b"), peer("a")]), 2);
    assert_eq!(*list.targets().borrow(), [target("b", "b:4041"), target("a", "a:4041")]);
    let template = DiscoveryConfig::Template("app-{i}.app.svc:4041".to_owned());
    let template = Discovery::new(&template, 2);
    let wanted = [target("", "app-0.app.svc:4041"), target("", "app-1.app.svc:4041")];
    assert_eq!(*template.targets().borrow(), wanted);
}

#[tokio::test]
async fn a_name_is_looked_up() {
    let config = DiscoveryConfig::Dns { host: "127.0.0.1".to_owned(), port: 4041 };
    until(Discovery::new(&config, 1), vec![target("", "127.0.0.1:4041")]).await;
    let config = DiscoveryConfig::Dns { host: "::1".to_owned(), port: 4041 };
    until(Discovery::new(&config, 1), vec![target("", "[::1]:4041")]).await;
}

#[tokio::test]
async fn a_file_is_watched() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("members");
    std::fs::write(&path, "b=b:1\na=a:1").unwrap();
    let source = Discovery::new(&DiscoveryConfig::File(path.clone()), 1);
    let mut targets = source.targets();
    let changes = async {
        targets.wait_for(|found| *found == [target("a", "a:1"), target("b", "b:1")]).await.unwrap();
        std::fs::write(&path, "c=c:1").unwrap();
        targets.wait_for(|found| *found == [target("c", "c:1")]).await.unwrap();
    };
    tokio::select! {
        done = timeout(Duration::from_secs(20), changes) => done.expect("no change was noticed"),
        () = source.run() => unreachable!("it runs for ever"),
    }
}

#[tokio::test]
async fn a_broken_file_is_no_list() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("members");
    let source = Source::File(path.clone());
    assert!(source.look().await.unwrap_err().contains("No such file"));
    std::fs::write(&path, "a=a:1\nnonsense").unwrap();
    assert!(source.look().await.unwrap_err().starts_with("line 2: "));
    std::fs::write(&path, "#".repeat(65 * 1024)).unwrap();
    assert_eq!(source.look().await.unwrap_err(), "longer than 65536 bytes");
}

#[test]
fn the_order_of_a_list_does_not_matter() {
    let (targets, mut changes) = watch::channel(Vec::new());
    publish(&targets, vec![target("b", "b:1"), target("a", "a:1"), target("a", "a:1")]);
    assert_eq!(*changes.borrow_and_update(), [target("a", "a:1"), target("b", "b:1")]);
    publish(&targets, vec![target("a", "a:1"), target("b", "b:1")]);
    assert!(!changes.has_changed().unwrap());
}

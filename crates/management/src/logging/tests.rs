//! Ring, filters and expiry, under a paused clock.

use super::ring::Next;
use super::*;

fn logging(filter: &str, ring_bytes: usize) -> Logging {
    let image = crate::Image {
        name: "example",
        version: "0",
        pattern: "example",
        about: "",
        probe_port: 0,
        admin_port: 0,
    };
    let mut shared = Shared::defaults(&image);
    shared.log = filter.to_owned();
    // JSON to a file nobody reads keeps the test's own output clean.
    let logging = Logging::new(&shared, ring_bytes).unwrap();
    logging.to_file(Path::new("/dev/null")).unwrap();
    logging
}

fn messages(logging: &Logging, tail: usize, filter: Option<&str>) -> Vec<String> {
    let mut cursor = logging.ring.tail(tail, filter.map(|text| text.parse().unwrap()));
    let mut all = Vec::new();
    while let Next::Line(line) = logging.ring.next(&mut cursor) {
        let line: serde_json::Value = serde_json::from_str(&line).unwrap();
        all.push(line["message"].as_str().unwrap().to_owned());
    }
    all
}

#[test]
fn the_ring_is_read_by_tail_and_filter() {
    let logging = logging("debug", 1 << 20);
    tracing::dispatcher::with_default(&logging.dispatch(), || {
        tracing::info!(target: "a", "one");
        tracing::debug!(target: "b", "two");
        tracing::warn!(target: "a", "three");
        tracing::trace!(target: "a", "never");
    });
    assert_eq!(messages(&logging, 9, None), ["one", "two", "three"]);
    assert_eq!(messages(&logging, 2, None), ["two", "three"]);
    assert_eq!(messages(&logging, 0, None), [""; 0]);
    assert_eq!(messages(&logging, 2, Some("info")), ["one", "three"]);
    assert_eq!(messages(&logging, 9, Some("b=debug")), ["two"]);
    assert_eq!(logging.ring.events()[1], ("warn", 1));
}

#[test]
fn an_overtaken_reader_is_told_how_many_it_lost() {
    let logging = logging("info", 4096);
    let mut cursor = logging.ring.tail(0, None);
    let (mut written, mut read, mut lost) = (0, 0, 0);
    tracing::dispatcher::with_default(&logging.dispatch(), || {
        for number in 0..1000 {
            tracing::info!(number, "line");
            written += 1;
        }
        tracing::info!(padding = "x".repeat(5000), "too long");
        written += 1;
    });
    loop {
        match logging.ring.next(&mut cursor) {
            Next::Line(line) => {
                assert!(line.len() < 1024);
                read += 1;
            }
            Next::Dropped(count) => lost += count,
            Next::Idle => break,
        }
    }
    assert!(lost > 900, "{lost}");
    assert_eq!(read + lost, written);
    assert_eq!(logging.ring.dropped(), lost);
}

#[test]
fn stepping_changes_the_bare_level_alone() {
    let cases = [
        ("info", 1, "debug"),
        ("info,hyper=warn", -1, "warn,hyper=warn"),
        ("trace", 1, "trace"),
        ("off", -1, "off"),
        ("hyper=warn", 1, "warn,hyper=warn"),
    ];
    for (from, step, to) in cases {
        assert_eq!(stepped(from, step), to, "{from} {step}");
        assert!(parse_filter(to).is_ok(), "{to}");
    }
}

#[test]
fn filters_are_strict() {
    for good in ["info", "INFO", "info,hyper=warn", "a::b=trace", "off"] {
        assert!(parse_filter(good).is_ok(), "{good}");
    }
    for bad in ["", "loud", "info,loud", "hyper=loud", "info,"] {
        assert!(parse_filter(bad).is_err(), "{bad}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_level_reverts_when_its_time_is_over() {
    let logging = logging("info", 4096);
    let expiry = async {
        logging.set_level("debug", Some(Duration::from_mins(10))).unwrap();
        tokio::time::sleep(Duration::from_secs(599)).await;
        assert_eq!(logging.level(), ("debug".to_owned(), Some(Duration::from_secs(1))));
        logging.set_level("trace", Some(Duration::from_mins(1))).unwrap();
        tokio::time::sleep(Duration::from_secs(59)).await;
        assert_eq!(logging.level().0, "trace", "a new time replaces the old one");
        tokio::time::sleep(Duration::from_secs(2)).await;
        assert_eq!(logging.level(), ("info".to_owned(), None));
        assert!(logging.set_level("debug", Some(Duration::from_hours(25))).is_err());
        assert!(logging.set_level("nonsense", None).is_err());
        assert_eq!(logging.level().0, "info");
    };
    tokio::select! {
        () = logging.expire() => {}
        () = expiry => {}
    }
}

#[test]
fn a_rotated_file_is_opened_anew() {
    let directory = tempfile::tempdir().unwrap();
    let (path, old) = (directory.path().join("log"), directory.path().join("log.1"));
    let logging = logging("info", 4096);
    logging.to_file(&path).unwrap();
    let say = |text: &str| {
        tracing::dispatcher::with_default(&logging.dispatch(), || tracing::info!("{text}"));
    };
    say("first");
    std::fs::rename(&path, &old).unwrap();
    say("second");
    logging.reopen().unwrap();
    say("third");
    let (old, new) =
        (std::fs::read_to_string(&old).unwrap(), std::fs::read_to_string(&path).unwrap());
    assert!(old.contains("first") && old.contains("second") && !old.contains("third"));
    assert!(new.contains("third") && !new.contains("second"));
}

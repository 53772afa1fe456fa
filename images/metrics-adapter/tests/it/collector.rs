//! Scrapes of real JVMs, again and again, whatever happens between them.

use std::time::{Duration, Instant};

use metrics_adapter::exposition::Family;
use metrics_adapter::jmx::collector::Collector;
use metrics_adapter::jmx::session::{Session, SessionError, Target};
use metrics_adapter::rules::JmxConfig;

use crate::support::jvm::{Jdk, Jvm, Launch};
use crate::support::shapes::{integer, read_one, soon};
use crate::support::{free_port, wait_until};

const BEANS: usize = 100;

fn launch<'a>(jdk: &'a Jdk, port: &str) -> Launch<'a> {
    Launch::new(jdk).args(&["--port", port, "--beans", "100"])
}

fn collector(jvm: &Jvm) -> Collector {
    let no_variables: &[(&str, &str)] = &[];
    let config = JmxConfig::parse("rules:\n- pattern: \".*\"\n", &no_variables).unwrap();
    Collector::new(Target::new("127.0.0.1", jvm.port()), config)
}

/// The sum of a family's samples, and how many there are.
fn family(families: &[Family], name: &str) -> (f64, usize) {
    let family = families.iter().find(|it| it.name == name).unwrap_or_else(|| panic!("{name}"));
    (family.samples.iter().map(|(_, value)| value).sum(), family.samples.len())
}

#[track_caller]
fn whole(families: &[Family]) {
    let sum: usize = (0..BEANS).map(|index| index * 7 + 1).sum();
    assert_eq!(family(families, "load_Generated_Errors"), (sum as f64, BEANS));
    assert_eq!(family(families, "shapes_Throwing_Last"), (2.0, 1));
}

#[test]
fn scrapes_follow_what_changes() {
    let Some(jdk) = Jdk::any("scrapes_follow_what_changes") else { return };
    let mut jvm = launch(&jdk, "0").start();
    let mut collector = collector(&jvm);
    for value in [0, 7, 1_000_000] {
        jvm.command(&format!("set {value}"));
        let families = collector.scrape(soon()).unwrap();
        whole(&families);
        assert_eq!(family(&families, "shapes_Live_Counter"), (f64::from(value), 1));
        collector.heartbeat(soon());
    }
    collector.close();
    whole(&collector.scrape(soon()).unwrap());
}

#[test]
fn a_bean_that_cannot_be_sent_costs_no_scrape() {
    for jdk in Jdk::all("a_bean_that_cannot_be_sent_costs_no_scrape") {
        let jvm = launch(&jdk, "0").args(&["--unserializable"]).start();
        let mut collector = collector(&jvm);
        for _ in 0..3 {
            let families = collector.scrape(soon()).unwrap();
            whole(&families);
            assert_eq!(family(&families, "shapes_Unserializable_Last"), (2.0, 1));
            assert_eq!(family(&families, "shapes_Unknown_After"), (16.0, 1));
        }
    }
}

/// Each of these would be an error if the old connection were all there is.
#[test]
fn what_happens_between_scrapes_is_not_noticed() {
    let Some(jdk) = Jdk::any("what_happens_between_scrapes_is_not_noticed") else { return };
    let port = free_port().to_string();
    let mut jvm = launch(&jdk, &port).args(&["--idle-ms", "300"]).start();
    let mut collector = collector(&jvm);
    whole(&collector.scrape(soon()).unwrap());
    jvm.command("cut");
    whole(&collector.scrape(soon()).unwrap());
    jvm.command("restart-server");
    whole(&collector.scrape(soon()).unwrap());
    jvm.kill();
    jvm = launch(&jdk, &port).args(&["--idle-ms", "300"]).start();
    whole(&collector.scrape(soon()).unwrap());
    let mut watcher = Session::connect(&Target::new("127.0.0.1", jvm.port()), soon()).unwrap();
    wait_until("the server has thrown us out", || {
        read_one(&mut watcher, "shapes:type=Live", "Connections") == Some(integer(1))
    });
    whole(&collector.scrape(soon()).unwrap());
}

#[test]
fn a_jvm_that_is_not_there_or_stands_still_is_an_error_until_it_is_back() {
    let test = "a_jvm_that_is_not_there_or_stands_still_is_an_error_until_it_is_back";
    let Some(jdk) = Jdk::any(test) else { return };
    let port = free_port().to_string();
    let mut jvm = launch(&jdk, &port).start();
    let mut collector = collector(&jvm);
    whole(&collector.scrape(soon()).unwrap());
    jvm.freeze(true);
    for _ in 0..2 {
        let error = collector.scrape(Instant::now() + Duration::from_millis(200)).unwrap_err();
        assert!(matches!(error, SessionError::Deadline), "{error}");
    }
    jvm.freeze(false);
    whole(&collector.scrape(soon()).unwrap());
    jvm.kill();
    for _ in 0..2 {
        let error = collector.scrape(soon()).unwrap_err();
        assert!(matches!(error, SessionError::Io { .. }), "{error}");
    }
    let _jvm = launch(&jdk, &port).start();
    whole(&collector.scrape(soon()).unwrap());
}

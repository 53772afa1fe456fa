use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use super::Collector;
use crate::jmx::session::SessionError;
use crate::jmx::session::fake::{Action, Call, Fake, exception, info, list, names};
use crate::jmx::session::methods;
use crate::rules::JmxConfig;

/// Beans and their attributes; a name that starts with `Odd` has a value of no use.
type Beans = Arc<Mutex<BTreeMap<String, Vec<&'static str>>>>;

fn soon() -> Instant {
    Instant::now() + Duration::from_secs(20)
}

fn beans(beans: &[(&str, &[&'static str])]) -> Beans {
    let beans = beans.iter().map(|(name, attributes)| ((*name).to_owned(), attributes.to_vec()));
    Arc::new(Mutex::new(beans.collect()))
}

fn respond(beans: &Beans, call: &Call) -> Action {
    let beans = beans.lock().unwrap();
    if call.hash == methods::QUERY_NAMES.hash {
        return Action::Value(names(&beans.keys().cloned().collect::<Vec<_>>()));
    }
    if call.hash == methods::GET_DEFAULT_DOMAIN.hash {
        return Action::Value(crate::java::sample::Sample::new().string("d"));
    }
    if call.hash == methods::NEW_CLIENT.hash {
        return Action::Void;
    }
    let Some(attributes) = beans.get(&call.name) else {
        return Action::Throw(exception("javax.management.InstanceNotFoundException", "gone"));
    };
    if call.hash == methods::GET_MBEAN_INFO.hash {
        return Action::Value(info(attributes));
    }
    let asked = call.texts.iter().map(String::as_str);
    let there = asked.filter(|name| attributes.contains(name));
    Action::Value(list(there, |name, sample| match name.starts_with("Odd") {
        true => sample.object().class("com.example.Odd", 2, &[]).null(),
        false => sample.integer(1),
    }))
}

fn collector(fake: &Fake, config: &str) -> Collector {
    let config = JmxConfig::parse(config, &BTreeMap::<String, String>::new()).unwrap();
    Collector::new(fake.target(), config)
}

/// `name: attributes` of all beans that answered.
fn read(collector: &mut Collector) -> Vec<String> {
    let mut found = Vec::new();
    collector
        .values(soon(), |name, attributes| {
            let names: Vec<_> = attributes.iter().map(|(info, _)| info.name.as_str()).collect();
            found.push(format!("{name}: {}", names.join(" ")));
        })
        .unwrap();
    found
}

#[test]
fn infos_are_asked_for_when_something_is_new() {
    let there = beans(&[("a:n=1", &["X", "Y"]), ("a:n=2", &["X"])]);
    let served = Arc::clone(&there);
    let fake = Fake::start(move |call| respond(&served, call));
    let mut collector = collector(&fake, "");
    let infos = || fake.calls(methods::GET_MBEAN_INFO).len();
    assert_eq!(read(&mut collector), ["a:n=1: X Y", "a:n=2: X"]);
    assert_eq!(read(&mut collector), ["a:n=1: X Y", "a:n=2: X"]);
    assert_eq!(infos(), 2);

    there.lock().unwrap().insert("a:n=3".to_owned(), vec!["Z"]);
    there.lock().unwrap().remove("a:n=2");
    assert_eq!(read(&mut collector), ["a:n=1: X Y", "a:n=3: Z"]);
    assert_eq!((infos(), collector.known_beans()), (3, 2));

    // Another bean by the same name: noticed when it does not answer as before, asked at the next.
    there.lock().unwrap().insert("a:n=1".to_owned(), vec!["Y", "Z"]);
    assert_eq!(read(&mut collector), ["a:n=1: Y", "a:n=3: Z"]);
    assert_eq!(read(&mut collector), ["a:n=1: Y Z", "a:n=3: Z"]);
    assert_eq!(infos(), 4);
    assert_eq!(fake.calls(methods::NEW_CLIENT).len(), 1);
}

#[test]
fn every_bean_is_asked_anew_in_time() {
    let there = beans(&[("a:n=1", &["X"]), ("a:n=2", &["X"])]);
    let served = Arc::clone(&there);
    let fake = Fake::start(move |call| respond(&served, call));
    let mut collector = collector(&fake, "");
    read(&mut collector);
    there.lock().unwrap().insert("a:n=1".to_owned(), vec!["X", "Y"]);
    let scrapes = (1..).find(|_| read(&mut collector)[0] == "a:n=1: X Y").unwrap();
    assert!((190..=210).contains(&scrapes), "{scrapes}");
}

#[test]
fn only_what_is_wanted_is_asked_for() {
    let there = beans(&[("a:n=1", &["X", "Odd"]), ("b:n=1", &["X"]), ("c:n=1", &["Odd"])]);
    let fake = Fake::start(move |call| respond(&there, call));
    let config = "excludeObjectNames: ['b:*']\nexcludeObjectNameAttributes: {'d:e=f': [X]}";
    let mut collector = collector(&fake, config);
    assert_eq!(read(&mut collector), ["a:n=1: X Odd", "c:n=1: Odd"]);
    // What is of no use is not asked for again, nor a bean that has nothing else.
    assert_eq!(read(&mut collector), ["a:n=1: X"]);
    assert_eq!(fake.calls(methods::GET_MBEAN_INFO).len(), 2);
    assert_eq!(fake.calls(methods::GET_ATTRIBUTES).len(), 3);
}

#[test]
fn a_kept_connection_that_has_ended_is_made_anew_once() {
    let there = beans(&[("a:n=1", &["X"])]);
    let queries = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&queries);
    let fake = Fake::start(move |call| {
        if call.hash == methods::QUERY_NAMES.hash {
            match counted.fetch_add(1, Ordering::Relaxed) {
                1 => return Action::Close,
                3 => {
                    let what = "no such object in table";
                    return Action::Throw(exception("java.rmi.NoSuchObjectException", what));
                }
                5 | 6 => return Action::Close,
                _ => {}
            }
        }
        respond(&there, call)
    });
    let mut collector = collector(&fake, "");
    // The second and third scrape each meet a connection that is of no use any more.
    for connections in [1, 2, 3] {
        collector.scrape(soon()).unwrap();
        assert_eq!(fake.calls(methods::NEW_CLIENT).len(), connections);
    }
    // The fourth meets two; the fifth is well again.
    let error = collector.scrape(soon()).unwrap_err();
    assert!(matches!(&error, SessionError::Io { .. }), "{error}");
    collector.scrape(soon()).unwrap();
    collector.heartbeat(soon());
    assert_eq!(fake.calls(methods::GET_DEFAULT_DOMAIN).len(), 1);
    collector.close();
    // The goodbye is answered, so it has been heard.
    let last = fake.calls(methods::NEW_CLIENT).last().unwrap().connection;
    assert!(fake.calls(methods::CLOSE).iter().any(|call| call.connection == last));
}

#[test]
fn nobody_there_is_an_error_at_once() {
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let target = crate::jmx::session::Target::new("127.0.0.1", port);
    let mut collector = Collector::new(target, JmxConfig::default());
    let error = collector.scrape(soon()).unwrap_err();
    assert!(error.to_string().starts_with(&format!("connection to 127.0.0.1:{port}")), "{error}");
    collector.heartbeat(soon());
    collector.close();
}

fn infos_of(fake: &Fake, name: &str) -> usize {
    fake.calls(methods::GET_MBEAN_INFO).iter().filter(|call| call.name == name).count()
}

#[test]
fn attributes_that_could_not_be_had_are_asked_for_again() {
    let there = beans(&[("a:n=1", &["X"]), ("a:n=2", &["X"]), ("a:n=3", &["X"])]);
    let failed = AtomicBool::new(false);
    let fake = Fake::start(move |call| {
        let info = call.hash == methods::GET_MBEAN_INFO.hash;
        let thrown = || Action::Throw(exception("java.lang.RuntimeException", "not now"));
        match call.name.as_str() {
            "a:n=1" if info && !failed.swap(true, Ordering::Relaxed) => thrown(),
            "a:n=3" if info => thrown(),
            _ => respond(&there, call),
        }
    });
    let mut collector = collector(&fake, "");
    assert_eq!(read(&mut collector), ["a:n=2: X"]);
    assert_eq!(read(&mut collector), ["a:n=1: X", "a:n=2: X"]);
    // One that never has any is asked ever more rarely.
    for _ in 0..60 {
        read(&mut collector);
    }
    assert_eq!((infos_of(&fake, "a:n=1"), infos_of(&fake, "a:n=3")), (2, 6));
}

#[test]
fn a_query_that_fails_leaves_what_is_known() {
    let there = beans(&[("a:n=1", &["X"]), ("b:n=1", &["X"])]);
    let served = Arc::clone(&there);
    let queries = AtomicUsize::new(0);
    let fake = Fake::start(move |call| {
        if call.hash == methods::QUERY_NAMES.hash {
            let names: Vec<String> = served.lock().unwrap().keys().cloned().collect();
            let names = names.into_iter().filter(|name| name[..1] == call.name[..1]);
            // The second query of the first and of the third scrape.
            if matches!(queries.fetch_add(1, Ordering::Relaxed), 1 | 5) {
                return Action::Throw(exception("java.lang.RuntimeException", "not now"));
            }
            return Action::Value(self::names(&names.collect::<Vec<_>>()));
        }
        respond(&served, call)
    });
    let mut collector = collector(&fake, "includeObjectNames: ['a:*', 'b:*']");
    let fails = |collector: &mut Collector| collector.values(soon(), |_, _| {}).unwrap_err();
    assert!(fails(&mut collector).to_string().contains("not now"));
    // Now as another bean by the same name, noticed at the end of a scrape.
    assert_eq!(read(&mut collector), ["a:n=1: X", "b:n=1: X"]);
    there.lock().unwrap().insert("a:n=1".to_owned(), vec!["Y"]);
    assert!(fails(&mut collector).to_string().contains("not now"));
    assert_eq!(read(&mut collector), ["a:n=1: ", "b:n=1: X"]);
    assert_eq!(read(&mut collector), ["a:n=1: Y", "b:n=1: X"]);
}

#[test]
fn beans_that_come_and_go_do_not_keep_others_from_their_turn() {
    let there = beans(&[("a:n=1", &["X"])]);
    let served = Arc::clone(&there);
    let fake = Fake::start(move |call| respond(&served, call));
    let mut collector = collector(&fake, "");
    read(&mut collector);
    there.lock().unwrap().insert("a:n=1".to_owned(), vec!["X", "Y"]);
    let found = (0..300).any(|number| {
        there.lock().unwrap().retain(|name, _| name == "a:n=1");
        there.lock().unwrap().insert(format!("b:n={number}"), vec!["X"]);
        read(&mut collector)[0] == "a:n=1: X Y"
    });
    assert!(found);
}

#[test]
fn a_scrape_that_failed_is_a_step_forward() {
    let there = beans(&[("a:n=1", &["X"]), ("a:n=2", &["X"]), ("a:n=3", &["X"])]);
    let served = Arc::clone(&there);
    let hung = AtomicBool::new(false);
    let fake = Fake::start(move |call| {
        let last = call.hash == methods::GET_MBEAN_INFO.hash && call.name == "a:n=3";
        if last && !hung.swap(true, Ordering::Relaxed) {
            return Action::Hang;
        }
        respond(&served, call)
    });
    let mut collector = collector(&fake, "");
    let deadline = Instant::now() + Duration::from_millis(300);
    let error = collector.scrape(deadline).unwrap_err();
    assert!(matches!(error, SessionError::Deadline), "{error}");
    assert_eq!(read(&mut collector), ["a:n=1: X", "a:n=2: X", "a:n=3: X"]);
    assert_eq!((infos_of(&fake, "a:n=1"), infos_of(&fake, "a:n=3")), (1, 2));

    // Another process has other beans, whatever they are called.
    there.lock().unwrap().insert("a:n=1".to_owned(), vec!["X", "Y"]);
    fake.restart();
    collector.session.as_mut().unwrap().reconnect(soon()).unwrap();
    assert_eq!(read(&mut collector)[0], "a:n=1: X Y");
}

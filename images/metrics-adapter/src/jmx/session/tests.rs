use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use sha1::{Digest, Sha1};

use super::fake::{Action, Call, Fake, answer, exception, info, list, names};
use super::{Session, SessionError, Target, Wanted, methods};
use crate::java::sample::Sample;
use crate::jmx::{Number, ObjectName, Value};

fn soon() -> Instant {
    Instant::now() + Duration::from_secs(20)
}

fn object_names(count: usize) -> Vec<ObjectName> {
    (0..count).map(|at| ObjectName::parse(&format!("test:n={at}")).unwrap()).collect()
}

/// All answers with their indices, as they came.
fn read(session: &mut Session, wanted: &[Wanted<'_>]) -> Vec<(usize, Vec<(String, Value)>)> {
    let mut answers = Vec::new();
    session
        .values(wanted, soon(), &mut |index, answer| {
            answers.push((index, answer.unwrap_or_default()));
        })
        .unwrap();
    answers
}

fn number(value: i64) -> Value {
    Value::Number(Number::Integer(value))
}

/// Integers for all attributes asked for.
fn integers(call: &Call) -> Action {
    let value = |_: &str, sample: Sample| sample.integer(7);
    if call.hash == methods::GET_ATTRIBUTES.hash {
        Action::Value(list(call.texts.iter().map(String::as_str), value))
    } else if call.hash == methods::GET_ATTRIBUTE.hash {
        Action::Value(Sample::new().integer(7))
    } else if call.hash == methods::GET_DEFAULT_DOMAIN.hash {
        Action::Value(Sample::new().string("DefaultDomain"))
    } else {
        Action::Void
    }
}

#[test]
fn hashes_are_those_of_the_methods() {
    let name = "Ljavax/management/ObjectName;";
    let subject = "Ljavax/security/auth/Subject;";
    for (method, text) in [
        (
            methods::NEW_CLIENT,
            "newClient(Ljava/lang/Object;)Ljavax/management/remote/rmi/RMIConnection;".to_owned(),
        ),
        (methods::CLOSE, "close()V".to_owned()),
        (
            methods::QUERY_NAMES,
            format!("queryNames({name}Ljava/rmi/MarshalledObject;{subject})Ljava/util/Set;"),
        ),
        (
            methods::GET_MBEAN_INFO,
            format!("getMBeanInfo({name}{subject})Ljavax/management/MBeanInfo;"),
        ),
        (
            methods::GET_ATTRIBUTE,
            format!("getAttribute({name}Ljava/lang/String;{subject})Ljava/lang/Object;"),
        ),
        (
            methods::GET_ATTRIBUTES,
            format!(
                "getAttributes({name}[Ljava/lang/String;{subject})Ljavax/management/AttributeList;"
            ),
        ),
        (methods::GET_DEFAULT_DOMAIN, format!("getDefaultDomain({subject})Ljava/lang/String;")),
    ] {
        let mut digest = Sha1::new();
        digest.update((text.len() as u16).to_be_bytes());
        digest.update(text.as_bytes());
        let first: [u8; 8] = digest.finalize()[..8].try_into().unwrap();
        assert_eq!(method.hash, i64::from_le_bytes(first), "{text}");
    }
}

#[test]
fn a_session_from_login_to_goodbye() {
    let fake = Fake::start(|call| match call.hash {
        hash if hash == methods::QUERY_NAMES.hash => {
            let texts = ["a:b=c", "no name", "d:e=\"f,g\"", "h:*"];
            Action::Value(names(&texts.map(str::to_owned)))
        }
        hash if hash == methods::GET_MBEAN_INFO.hash && call.name == "a:b=c" => {
            Action::Value(info(&["Count", "Size"]))
        }
        hash if hash == methods::GET_MBEAN_INFO.hash => {
            Action::Throw(exception("javax.management.InstanceNotFoundException", &call.name))
        }
        _ => integers(call),
    });
    let mut target = fake.target();
    target.credentials = Some(("reader".to_owned(), "secret".to_owned().into()));
    let mut session = Session::connect(&target, soon()).unwrap();
    let pattern = ObjectName::parse("*:*").unwrap();
    let found = session.names(Some(&pattern), soon()).unwrap();
    let texts: Vec<_> = found.iter().map(ObjectName::as_str).collect();
    assert_eq!(texts, ["a:b=c", "d:e=\"f,g\""]);
    let infos = session.infos(&found, soon()).unwrap();
    let first = infos[0].as_ref().unwrap();
    assert_eq!(first.len(), 2);
    assert_eq!((first[1].name.as_str(), first[1].declared.as_str()), ("Size", "int"));
    assert_eq!((first[1].description.as_str(), first[1].readable), ("what it is", true));
    let error = infos[1].as_ref().unwrap_err().to_string();
    assert_eq!(error, "javax.management.InstanceNotFoundException: d:e=\"f,g\"");
    let attributes = ["Count".to_owned(), "Size".to_owned()];
    let answers = read(&mut session, &[Wanted { name: &found[0], attributes: &attributes }]);
    let pairs = vec![("Count".to_owned(), number(7)), ("Size".to_owned(), number(7))];
    assert_eq!(answers, [(0, pairs)]);
    session.ping(soon()).unwrap();
    session.close();
    assert_eq!(fake.calls(methods::NEW_CLIENT)[0].texts, ["reader", "secret"]);
    assert_eq!(fake.calls(methods::QUERY_NAMES)[0].name, "*:*");
    assert_eq!(fake.calls(methods::CLOSE).len(), 1);
    // Registry and objects are behind one port: one connection.
    assert_eq!(fake.calls(methods::CLOSE)[0].connection, 0);
}

#[test]
fn a_wrong_password_is_the_servers_answer() {
    let fake = Fake::start(|_| {
        Action::Throw(exception("java.lang.SecurityException", "Authentication failed!"))
    });
    let error = Session::connect(&fake.target(), soon()).unwrap_err();
    assert_eq!(error.to_string(), "java.lang.SecurityException: Authentication failed!");
    assert!(!error.is_connection());
}

#[test]
fn thousands_of_large_answers_do_not_jam() {
    // The server answers each call before it reads the next, 20 KB at a time, 40 MB in all.
    let fake = Fake::start(|call| match call.hash {
        hash if hash == methods::GET_ATTRIBUTES.hash => {
            let text = "x".repeat(20_000);
            let texts = call.texts.iter().map(String::as_str);
            Action::Value(list(texts, |_, sample| sample.string(&text)))
        }
        _ => integers(call),
    });
    let mut session = Session::connect(&fake.target(), soon()).unwrap();
    let names = object_names(2_000);
    let attributes = ["A".repeat(300)];
    let wanted: Vec<_> =
        names.iter().map(|name| Wanted { name, attributes: &attributes }).collect();
    let answers = read(&mut session, &wanted);
    assert!(answers.iter().enumerate().all(|(at, (index, _))| at == *index));
    assert_eq!(answers.len(), 2_000);
    assert!(matches!(&answers[1_999].1[0].1, Value::Text(text) if text.len() == 20_000));
}

#[test]
fn a_bean_that_fails_as_a_whole_is_read_by_attribute() {
    let fake = Fake::start(|call| match (call.name.as_str(), call.hash) {
        ("test:n=1", hash) if hash == methods::GET_ATTRIBUTES.hash => {
            Action::Throw(exception("javax.management.RuntimeMBeanException", "bulk"))
        }
        ("test:n=1", hash) if hash == methods::GET_ATTRIBUTE.hash && call.texts == ["Bad"] => {
            Action::Throw(exception("javax.management.MBeanException", "getter"))
        }
        ("test:n=2", _) => {
            Action::Throw(exception("javax.management.InstanceNotFoundException", "gone"))
        }
        _ => integers(call),
    });
    let mut session = Session::connect(&fake.target(), soon()).unwrap();
    let names = object_names(4);
    let attributes = ["Good".to_owned(), "Bad".to_owned()];
    let wanted: Vec<_> =
        names.iter().map(|name| Wanted { name, attributes: &attributes }).collect();
    for round in 1..3 {
        let answers = read(&mut session, &wanted);
        let counts: Vec<_> = answers.iter().map(|(index, found)| (*index, found.len())).collect();
        assert_eq!(counts, [(0, 2), (2, 0), (3, 2), (1, 1)]);
        assert_eq!(answers[3].1, [("Good".to_owned(), number(7))]);
        // The bulk call is not tried again.
        assert_eq!(fake.calls(methods::GET_ATTRIBUTES).len(), 4 + (round - 1) * 3);
        assert_eq!(fake.calls(methods::GET_ATTRIBUTE).len(), 2 * round);
    }
}

#[test]
fn what_cannot_be_serialized_is_asked_for_once() {
    // The server breaks off: what it has written so far, its exception, the end of the connection.
    let abort = |sample: Sample| {
        let thrown = exception("java.io.NotSerializableException", "java.lang.Thread");
        let bytes = sample.raw(&[0x7b]).raw(&thrown.bytes[4..]);
        let length = answer(1, &bytes).len();
        Action::Cut(bytes, length)
    };
    let fake = Fake::start(move |call| match call.hash {
        hash if hash == methods::GET_ATTRIBUTES.hash
            && call.name == "test:n=1"
            && call.texts.iter().any(|text| text == "Thread") =>
        {
            let mut sample = list(["Count"], |_, sample| sample.integer(1));
            // Without its end mark.
            sample.bytes.pop();
            abort(sample)
        }
        hash if hash == methods::GET_ATTRIBUTE.hash && call.texts == ["Thread"] => {
            abort(Sample::new())
        }
        _ => integers(call),
    });
    let mut session = Session::connect(&fake.target(), soon()).unwrap();
    let names = object_names(3);
    let attributes = ["Count".to_owned(), "Thread".to_owned(), "Size".to_owned()];
    let wanted: Vec<_> =
        names.iter().map(|name| Wanted { name, attributes: &attributes }).collect();
    let answers = read(&mut session, &wanted);
    let counts: Vec<_> = answers.iter().map(|(index, found)| (*index, found.len())).collect();
    assert_eq!(counts, [(0, 3), (2, 3), (1, 2)]);
    assert_eq!(fake.calls(methods::NEW_CLIENT).len(), 3);
    let before = fake.calls(methods::GET_ATTRIBUTE).len();

    let answers = read(&mut session, &wanted);
    let counts: Vec<_> = answers.iter().map(|(index, found)| (*index, found.len())).collect();
    assert_eq!(counts, [(0, 3), (1, 2), (2, 3)]);
    assert_eq!(fake.calls(methods::NEW_CLIENT).len(), 3);
    assert_eq!(fake.calls(methods::GET_ATTRIBUTE).len(), before);
}

#[test]
fn a_restart_in_the_middle_is_one_new_connection() {
    let answered = AtomicUsize::new(0);
    let fake = Fake::start(move |call| {
        if call.hash == methods::GET_ATTRIBUTES.hash {
            // Half an answer, then nothing; on the first stream.
            if call.connection == 0 && answered.fetch_add(1, Ordering::Relaxed) == 300 {
                return Action::Cut(list(["A"], |_, sample| sample.integer(7)), 60);
            }
        }
        integers(call)
    });
    let mut session = Session::connect(&fake.target(), soon()).unwrap();
    let names = object_names(2_000);
    let attributes = ["A".to_owned()];
    let wanted: Vec<_> =
        names.iter().map(|name| Wanted { name, attributes: &attributes }).collect();
    let answers = read(&mut session, &wanted);
    assert!(
        answers.iter().enumerate().all(|(at, (index, found))| at == *index && found.len() == 1)
    );
    assert_eq!(answers.len(), 2_000);
    assert_eq!(fake.calls(methods::NEW_CLIENT).len(), 2);
}

#[test]
fn many_beans_are_shared_out_and_come_in_order() {
    // One of the further streams ends in its share, one finds that its object is gone.
    let fake = Fake::start(move |call| {
        if call.hash == methods::GET_ATTRIBUTES.hash {
            match (call.connection, call.name.as_str()) {
                (1, "test:n=600") => return Action::Close,
                (2, "test:n=1100") => {
                    return Action::Throw(exception("java.rmi.NoSuchObjectException", "no"));
                }
                _ => {}
            }
        }
        integers(call)
    });
    let mut session = Session::connect(&fake.target(), soon()).unwrap();
    let names = object_names(2_000);
    let attributes = ["A".to_owned()];
    let wanted: Vec<_> =
        names.iter().map(|name| Wanted { name, attributes: &attributes }).collect();
    for round in 0..2 {
        let answers = read(&mut session, &wanted);
        let good =
            answers.iter().enumerate().all(|(at, (index, found))| at == *index && found.len() == 1);
        assert!(good && answers.len() == 2_000, "{round}");
    }
    let calls = fake.calls(methods::GET_ATTRIBUTES);
    let on = |connection| calls.iter().filter(|call| call.connection == connection).count();
    assert_eq!(calls.iter().map(|call| call.connection).max(), Some(5), "two were replaced");
    assert_eq!(on(3), 1_000, "the one that lasted");
    assert_eq!(fake.calls(methods::NEW_CLIENT).len(), 1);
    assert_eq!(fake.calls(methods::GET_ATTRIBUTE).len(), 0);
}

#[test]
fn a_server_with_one_connection_to_spare_is_read_over_one() {
    let fake = Fake::start_for(1, integers);
    let mut session = Session::connect(&fake.target(), soon()).unwrap();
    let names = object_names(600);
    let attributes = ["A".to_owned()];
    let wanted: Vec<_> =
        names.iter().map(|name| Wanted { name, attributes: &attributes }).collect();
    assert_eq!(read(&mut session, &wanted).len(), 600);
    assert!(session.lone, "it is not waited for a second time");
    assert_eq!(read(&mut session, &wanted).len(), 600);
    assert_eq!(fake.calls(methods::NEW_CLIENT).len(), 1);
}

#[test]
fn an_object_that_is_gone_is_no_fault_of_the_beans() {
    let fake = Fake::start(move |call| {
        if call.connection == 0 && call.name == "test:n=3" {
            return Action::Throw(exception("java.rmi.NoSuchObjectException", "no such object"));
        }
        integers(call)
    });
    let mut session = Session::connect(&fake.target(), soon()).unwrap();
    let names = object_names(6);
    let attributes = ["A".to_owned()];
    let wanted: Vec<_> =
        names.iter().map(|name| Wanted { name, attributes: &attributes }).collect();
    let answers = read(&mut session, &wanted);
    assert!(
        answers.iter().enumerate().all(|(at, (index, found))| at == *index && found.len() == 1)
    );
    assert_eq!(fake.calls(methods::NEW_CLIENT).len(), 2);
    assert_eq!(fake.calls(methods::GET_ATTRIBUTE).len(), 0);
}

#[test]
fn an_end_without_an_answer_is_an_error() {
    let fake = Fake::start(|call| match call.hash {
        hash if hash == methods::NEW_CLIENT.hash => Action::Void,
        _ => Action::Close,
    });
    let mut session = Session::connect(&fake.target(), soon()).unwrap();
    let error = session.names(None, soon()).unwrap_err();
    assert!(matches!(&error, SessionError::Io { .. }), "{error}");
    assert!(error.is_connection() && session.is_broken());
    assert!(session.names(None, soon()).is_err());
    session.reconnect(soon()).unwrap();
    assert!(!session.is_broken());
    let names = object_names(3);
    let wanted: Vec<_> = names.iter().map(|name| Wanted { name, attributes: &[] }).collect();
    let error = session.values(&wanted, soon(), &mut |_, _| {}).unwrap_err();
    assert!(matches!(&error, SessionError::Io { .. }), "{error}");
}

#[test]
fn a_server_that_stops_answering_costs_the_deadline() {
    let fake = Fake::start(|call| match call.hash {
        hash if hash == methods::NEW_CLIENT.hash => Action::Void,
        _ => Action::Hang,
    });
    let mut session = Session::connect(&fake.target(), soon()).unwrap();
    let error = session.ping(Instant::now() + Duration::from_millis(50)).unwrap_err();
    assert!(matches!(error, SessionError::Deadline), "{error}");
    assert!(session.is_broken());

    let mute = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let target = Target::new("127.0.0.1", mute.local_addr().unwrap().port());
    let deadline = Instant::now() + Duration::from_millis(50);
    let error = Session::connect(&target, deadline).unwrap_err();
    assert!(matches!(error, SessionError::Deadline), "{error}");
    let error = Session::connect(&fake.target(), Instant::now()).unwrap_err();
    assert!(matches!(error, SessionError::Deadline), "{error}");
}

#[test]
fn hostile_answers_end_the_session() {
    let hash = methods::QUERY_NAMES.hash;
    let deep = (0..5_000).fold(
        Sample::new().array().class("[Ljava.lang.Object;", 2, &[]).null().int(1),
        |sample, _| sample.array().reference(0).int(1),
    );
    let tower = (0..100).fold(Sample::new().object(), |sample, _| sample.class("A", 2, &[]));
    let long = Sample::new().raw(&[0x7c]).long(1 << 40);
    let looped = Sample::new().object().class("A", 2, &[]).reference(0);
    for (bytes, what) in [
        (answer(1, &deep), "objects within objects"),
        (answer(1, &tower), "classes within classes"),
        (answer(1, &long), "bytes of a string"),
        (answer(1, &looped), "does not lead to a class"),
        (b"HTTP/1.1 400 Bad Request\r\n".to_vec(), "expected a return"),
    ] {
        let fake =
            Fake::start(
                move |call| {
                    if call.hash == hash { Action::Raw(bytes.clone()) } else { Action::Void }
                },
            );
        let mut session = Session::connect(&fake.target(), soon()).unwrap();
        let error = session.names(None, soon()).unwrap_err();
        assert!(matches!(&error, SessionError::Protocol(_)), "{error}");
        assert!(error.to_string().contains(what), "{error}");
        assert!(session.is_broken());
    }
}

#[test]
fn what_needs_tls_says_so() {
    let fake = Fake::start(|_| Action::Void);
    let mut target = fake.target();
    target.registry_tls = true;
    let error = Session::connect(&target, soon()).unwrap_err();
    assert!(error.to_string().contains("wants TLS"), "{error}");
    target.registry_tls = false;
    target.advertised_host = true;
    let error = Session::connect(&target, soon()).unwrap_err();
    assert!(error.to_string().contains("pod-7.invalid"), "{error}");
}

#[test]
fn a_password_meant_for_tls_is_not_sent_without() {
    let fake = Fake::start(|_| Action::Void);
    let mut target = fake.target();
    let nobody = rustls::ClientConfig::builder_with_provider(
        rustls::crypto::ring::default_provider().into(),
    );
    let nobody = nobody.with_safe_default_protocol_versions().unwrap();
    let nobody = nobody.with_root_certificates(rustls::RootCertStore::empty());
    target.tls = Some(nobody.with_no_client_auth().into());
    target.credentials = Some(("reader".to_owned(), "secret".to_owned().into()));
    let error = Session::connect(&target, soon()).unwrap_err();
    assert!(error.to_string().contains("the password is not sent"), "{error}");
    assert_eq!(fake.calls(methods::NEW_CLIENT), []);
    // Without a password there is nothing to keep.
    target.credentials = None;
    Session::connect(&target, soon()).unwrap().close();
    assert_eq!(fake.calls(methods::NEW_CLIENT).len(), 1);
}

/// `index: attributes` of all beans, by their order.
fn counts(session: &mut Session, wanted: &[Wanted<'_>]) -> Vec<(usize, usize)> {
    let answers = read(session, wanted);
    answers.iter().map(|(index, found)| (*index, found.len())).collect()
}

/// The server breaks off: what it has written so far, its exception, the end of the connection.
fn abort() -> Action {
    let thrown = exception("java.io.NotSerializableException", "java.lang.Thread");
    let bytes = Sample::new().raw(&[0x7b]).raw(&thrown.bytes[4..]);
    let length = answer(1, &bytes).len();
    Action::Cut(bytes, length)
}

#[test]
fn what_a_pass_that_failed_has_learnt_is_known_to_the_next() {
    let hung = AtomicBool::new(false);
    let fake = Fake::start(move |call| {
        let bulk = call.hash == methods::GET_ATTRIBUTES.hash;
        match call.name.as_str() {
            "test:n=0" | "test:n=1" if bulk => abort(),
            "test:n=2" if bulk => Action::Throw(exception("java.lang.RuntimeException", "bulk")),
            "test:n=3" if bulk && !hung.swap(true, Ordering::Relaxed) => Action::Hang,
            _ => integers(call),
        }
    });
    let mut session = Session::connect(&fake.target(), soon()).unwrap();
    let names = object_names(4);
    let attributes = ["A".to_owned()];
    let wanted: Vec<_> =
        names.iter().map(|name| Wanted { name, attributes: &attributes }).collect();
    let deadline = Instant::now() + Duration::from_millis(500);
    let error = session.values(&wanted, deadline, &mut |_, _| {}).unwrap_err();
    assert!(matches!(error, SessionError::Deadline), "{error}");
    assert_eq!(fake.calls(methods::GET_ATTRIBUTE).len(), 0);
    session.reconnect(soon()).unwrap();
    assert_eq!(counts(&mut session, &wanted), [(3, 1), (0, 1), (1, 1), (2, 1)]);
    let bulk = fake.calls(methods::GET_ATTRIBUTES);
    let of = |name: &str| bulk.iter().filter(|call| call.name == name).count();
    assert_eq!(["test:n=0", "test:n=1", "test:n=2", "test:n=3"].map(of), [1, 1, 1, 2]);
}

#[test]
fn a_failing_connection_is_no_fault_of_the_beans() {
    for class in ["java.io.IOException", "java.rmi.ServerError", "java.rmi.NoSuchObjectException"] {
        let closed = std::sync::Arc::new(AtomicBool::new(true));
        let served = std::sync::Arc::clone(&closed);
        let fake = Fake::start(move |call| match call.hash {
            hash if hash == methods::NEW_CLIENT.hash => Action::Void,
            _ if served.load(Ordering::Relaxed) => Action::Throw(exception(class, "closed")),
            _ => integers(call),
        });
        let mut session = Session::connect(&fake.target(), soon()).unwrap();
        let names = object_names(6);
        let attributes = ["A".to_owned()];
        for count in [1, 3, 6] {
            let wanted = names[..count].iter();
            let wanted: Vec<_> =
                wanted.map(|name| Wanted { name, attributes: &attributes }).collect();
            let error = session.values(&wanted, soon(), &mut |_, _| {}).unwrap_err();
            assert!(error.is_connection(), "{error}");
            session.reconnect(soon()).unwrap();
        }
        closed.store(false, Ordering::Relaxed);
        let wanted: Vec<_> =
            names.iter().map(|name| Wanted { name, attributes: &attributes }).collect();
        assert_eq!(counts(&mut session, &wanted), [0, 1, 2, 3, 4, 5].map(|index| (index, 1)));
        assert_eq!(fake.calls(methods::GET_ATTRIBUTE).len(), 0, "{class}");
    }
}

#[test]
fn a_bean_that_ends_every_connection_is_left_out() {
    for first in [true, false] {
        let fake = Fake::start(move |call| match (call.name.as_str(), call.hash) {
            ("test:n=0", _) if first => Action::Throw(exception("java.io.IOException", "odd")),
            ("test:n=2", _) if !first => Action::Close,
            _ => integers(call),
        });
        let mut session = Session::connect(&fake.target(), soon()).unwrap();
        let names = object_names(4);
        let attributes = ["A".to_owned()];
        let wanted: Vec<_> =
            names.iter().map(|name| Wanted { name, attributes: &attributes }).collect();
        for _ in 0..2 {
            let found = counts(&mut session, &wanted);
            let read: Vec<_> = found.iter().filter(|it| it.1 > 0).map(|it| it.0).collect();
            assert_eq!(read, if first { [1, 2, 3] } else { [0, 1, 3] });
        }
    }
}

#[test]
fn what_was_learnt_is_for_one_process() {
    let fake = Fake::start(|call| {
        match call.hash == methods::GET_ATTRIBUTES.hash && call.name == "test:n=0" {
            true => Action::Throw(exception("java.lang.RuntimeException", "bulk")),
            false => integers(call),
        }
    });
    let mut session = Session::connect(&fake.target(), soon()).unwrap();
    let names = object_names(1);
    let attributes = ["A".to_owned()];
    let wanted = [Wanted { name: &names[0], attributes: &attributes }];
    let bulk = || fake.calls(methods::GET_ATTRIBUTES).len();
    for calls in [1, 1] {
        assert_eq!(counts(&mut session, &wanted), [(0, 1)]);
        assert_eq!(bulk(), calls);
        session.reconnect(soon()).unwrap();
    }
    fake.restart();
    session.reconnect(soon()).unwrap();
    assert_eq!(counts(&mut session, &wanted), [(0, 1)]);
    assert_eq!(bulk(), 2);
}

/// An object whose `writeObject` leaves out the field that its class has.
fn without_its_field(sample: Sample) -> Sample {
    sample.object().class("com.example.Odd", 3, &["In"]).null().block(&[9; 5]).end()
}

#[test]
fn a_class_that_leaves_out_its_fields_costs_itself_only() {
    let fake = Fake::start(|call| match (call.name.as_str(), call.hash) {
        ("test:n=1", hash) if hash == methods::GET_ATTRIBUTES.hash => {
            let texts = call.texts.iter().map(String::as_str);
            Action::Value(list(texts, |name, sample| match name {
                "Odd" => without_its_field(sample),
                _ => sample.integer(7),
            }))
        }
        (_, hash) if hash == methods::GET_ATTRIBUTE.hash && call.texts == ["Odd"] => {
            Action::Value(without_its_field(Sample::new()))
        }
        _ => integers(call),
    });
    let mut session = Session::connect(&fake.target(), soon()).unwrap();
    let names = object_names(3);
    let attributes = ["Count", "Odd", "Size"].map(str::to_owned);
    let wanted: Vec<_> =
        names.iter().map(|name| Wanted { name, attributes: &attributes }).collect();
    assert_eq!(counts(&mut session, &wanted), [(0, 3), (2, 3), (1, 2)]);
    assert_eq!(fake.calls(methods::NEW_CLIENT).len(), 3);
    assert_eq!(counts(&mut session, &wanted), [(0, 3), (1, 2), (2, 3)]);
    assert_eq!(fake.calls(methods::NEW_CLIENT).len(), 3);
}

#[test]
fn bytes_behind_an_answer_are_the_fault_of_that_answer() {
    let junk = |sample: &Sample| Action::Raw([&answer(1, sample)[..], &[1, 2, 3]].concat());
    let fake = Fake::start(move |call| match (call.name.as_str(), call.hash) {
        ("test:n=1", hash) if hash == methods::GET_ATTRIBUTES.hash && call.texts.len() == 2 => {
            junk(&list(["A", "B"], |_, sample| sample.integer(7)))
        }
        ("test:n=1", hash) if hash == methods::GET_ATTRIBUTE.hash && call.texts == ["A"] => {
            junk(&Sample::new().integer(7))
        }
        _ => integers(call),
    });
    let mut session = Session::connect(&fake.target(), soon()).unwrap();
    let names = object_names(4);
    let attributes = ["A", "B"].map(str::to_owned);
    let wanted: Vec<_> =
        names.iter().map(|name| Wanted { name, attributes: &attributes }).collect();
    // At once, then one by one, then without the one to blame.
    assert_eq!(counts(&mut session, &wanted), [(0, 2), (1, 2), (2, 2), (3, 2)]);
    assert_eq!(counts(&mut session, &wanted), [(0, 2), (2, 2), (3, 2), (1, 2)]);
    assert_eq!(fake.calls(methods::NEW_CLIENT).len(), 3);
    assert_eq!(counts(&mut session, &wanted), [(0, 2), (1, 1), (2, 2), (3, 2)]);
    assert_eq!(fake.calls(methods::NEW_CLIENT).len(), 3);
}

#[test]
fn what_is_too_much_at_once_is_read_by_attribute() {
    // A megabyte of texts, from a kilobyte.
    let text = "x".repeat(1000);
    let value = move |sample: Sample, handle: u32| {
        let sample = sample
            .object()
            .class("javax.management.openmbean.CompositeDataSupport", 2, &["Lcontents:Lx;"])
            .null()
            .object()
            .class("java.util.TreeMap", 3, &[])
            .null();
        let sample = sample.string("k").string(&text);
        (1..1000).fold(sample, |sample, _| sample.string("k").reference(handle)).end()
    };
    let fake = Fake::start(move |call| match call.hash {
        hash if hash == methods::GET_ATTRIBUTES.hash => {
            let mut sample = list(["A0"], |_, sample| value(sample, 14));
            sample.bytes.pop();
            let further = |sample: Sample, name: &String| {
                sample.object().reference(3).string(name).reference(10)
            };
            Action::Value(call.texts[1..].iter().fold(sample, further).end())
        }
        hash if hash == methods::GET_ATTRIBUTE.hash => Action::Value(value(Sample::new(), 6)),
        _ => Action::Void,
    });
    let mut session = Session::connect(&fake.target(), soon()).unwrap();
    let names = object_names(1);
    let attributes: Vec<String> = (0..40).map(|number| format!("A{number}")).collect();
    let wanted = [Wanted { name: &names[0], attributes: &attributes }];
    let answers = read(&mut session, &wanted);
    let whole =
        |value: &Value| matches!(value, Value::Composite { entries, .. } if entries.len() == 1000);
    let count = answers[0].1.iter().filter(|(_, value)| whole(value)).count();
    assert_eq!(answers[0].1.len(), 40);
    assert!((20..40).contains(&count), "what is beyond the limit has no value: {count}");
    assert_eq!(fake.calls(methods::GET_ATTRIBUTE).len(), 40);
    assert_eq!(fake.calls(methods::NEW_CLIENT).len(), 1);
}

#[test]
fn a_further_stream_holds_back_only_so_much() {
    // Half a megabyte a bean, from five kilobytes.
    let text = "x".repeat(1000);
    let fake = Fake::start(move |call| match call.hash {
        hash if hash == methods::GET_ATTRIBUTES.hash => {
            let mut sample = list(["A0"], |_, sample| sample.string(&text));
            sample.bytes.pop();
            let further = |sample: Sample, name: &String| {
                sample.object().reference(3).string(name).reference(8)
            };
            Action::Value(call.texts[1..].iter().fold(sample, further).end())
        }
        _ => Action::Void,
    });
    let mut session = Session::connect(&fake.target(), soon()).unwrap();
    let names = object_names(500);
    let attributes: Vec<String> = (0..500).map(|number| format!("A{number}")).collect();
    let wanted: Vec<_> =
        names.iter().map(|name| Wanted { name, attributes: &attributes }).collect();
    let mut next = 0;
    let each = &mut |index, answer: super::Answer| {
        assert_eq!((index, answer.unwrap().len()), (next, 500));
        next += 1;
    };
    session.values(&wanted, soon(), each).unwrap();
    assert_eq!(next, 500);
    // Of the 250 beans of the second stream, some 60 were kept.
    let calls = fake.calls(methods::GET_ATTRIBUTES).len();
    assert!((650..750).contains(&calls), "{calls}");
}

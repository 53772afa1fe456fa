use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::java::sample::Sample;
use crate::jmx::session::Target;

#[test]
fn a_registry_of_rmi() {
    let target = Target::from_url("service:jmx:rmi:///jndi/rmi://db-1:7199/jmxrmi").unwrap();
    assert_eq!((target.host.as_str(), target.port), ("db-1", 7199));
    assert_eq!((target.bound.as_str(), target.stub), ("jmxrmi", None));
    let target =
        Target::from_url("service:jmx:rmi://pod:9010/jndi/rmi://[::1]:9011/karaf-root").unwrap();
    assert_eq!((target.host.as_str(), target.port), ("::1", 9011));
    assert_eq!(target.bound, "karaf-root");
}

#[test]
fn a_stub_is_the_object_itself() {
    let reference = [&b"\x00\x0aUnicastRef\x00\x05pod-7\x00\x00\x1f\x90"[..], &[9; 23]].concat();
    let stub = Sample::new()
        .object()
        .class("javax.management.remote.rmi.RMIServerImpl_Stub", 2, &[])
        .class("java.rmi.server.RemoteObject", 3, &[])
        .null()
        .block(&reference)
        .end()
        .bytes;
    let text = STANDARD.encode(&stub);
    let target = Target::from_url(&format!("service:jmx:rmi://127.0.0.1/stub/{text}")).unwrap();
    assert_eq!((target.host.as_str(), target.port), ("127.0.0.1", 8080));
    assert_eq!(target.stub.as_deref(), Some(stub.as_slice()));
    let target = Target::from_url(&format!("service:jmx:rmi:///stub/{text}")).unwrap();
    assert_eq!(target.host, "pod-7");
    for bad in ["!", "AAAA", ""] {
        assert!(Target::from_url(&format!("service:jmx:rmi:///stub/{bad}")).is_err(), "{bad}");
    }
}

#[test]
fn what_is_not_rmi_is_refused_by_name() {
    for (url, word) in [
        ("service:jmx:jmxmp://h:1", "jmxmp"),
        ("service:jmx:remote+http://h:9990", "remote+http"),
        ("service:jmx:t3://h:7001/jndi/weblogic", "t3"),
        ("service:jmx:iiop:///jndi/iiop://h/x", "iiop"),
        ("http://h:1", "service:jmx:rmi"),
    ] {
        let error = Target::from_url(url).unwrap_err();
        assert!(error.contains(word), "{error}");
    }
}

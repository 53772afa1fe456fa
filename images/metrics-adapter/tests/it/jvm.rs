//! The application for tests itself, read by the JDK's own client: what other tests rest on.

use crate::support::jvm::{Jdk, Launch};

/// One round of the JDK's own client.
fn round(jdk: &Jdk, port: u16) -> serde_json::Value {
    let classes = jdk.classes();
    let server = format!("127.0.0.1:{port}");
    let output = jdk.run("java", &["-cp", classes.to_str().unwrap(), "Client", &server]);
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn the_application_serves_what_it_registers() {
    for jdk in Jdk::all("the_application_serves_what_it_registers") {
        let mut jvm = Launch::new(&jdk).args(&["--port", "0", "--beans", "20"]).start();
        let served = round(&jdk, jvm.port());
        assert!(served["beans"].as_u64().unwrap() >= 20 + 16, "{served}");
        assert!(served["attributes"].as_u64().unwrap() >= 20 * 8 + 100, "{served}");
        jvm.command("restart-server");
        assert_eq!(round(&jdk, jvm.port())["beans"], served["beans"]);
    }
}

#[test]
fn the_agent_of_the_jvm_is_found() {
    for jdk in Jdk::all("the_agent_of_the_jvm_is_found") {
        let jvm = Launch::new(&jdk).agent().start();
        assert!(round(&jdk, jvm.port())["beans"].as_u64().unwrap() >= 16);
    }
}

//! The statistics on port 22222, beside nutcracker's.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use serde_json::Value;

use crate::support::{Client, Nutcracker, Proxy, Server, free_port, http, listen_to, request};

/// Names and types of everything in a JSON value.
fn shape(value: &Value) -> BTreeMap<String, String> {
    let mut shape = BTreeMap::new();
    match value {
        Value::Object(members) => {
            for (name, value) in members {
                for (path, kind) in self::shape(value) {
                    shape.insert(format!("{name}/{path}"), kind);
                }
            }
        }
        Value::Number(number) => {
            let kind = if number.is_u64() { "whole number" } else { "number" };
            shape.insert(String::new(), kind.to_owned());
        }
        Value::String(_) => {
            shape.insert(String::new(), "text".to_owned());
        }
        other => {
            shape.insert(String::new(), other.to_string());
        }
    }
    shape
}

#[test]
fn statistics_have_the_names_of_nutcracker() {
    let servers = [Server::redis(&[]), Server::redis(&[])];
    let ports = [free_port(), free_port()];
    let config = format!(
        "p:\n  listen: 127.0.0.1:{}\n  redis: true\n  servers:\n{}{}\
         q:\n  listen: 127.0.0.1:{}\n  servers:\n   - 127.0.0.1:1:1\n",
        ports[0],
        servers[0].entry("a"),
        servers[1].entry("b"),
        ports[1],
    );
    let theirs = {
        let nutcracker = Nutcracker::start(&config);
        listen_to(SocketAddr::from(([127, 0, 0, 1], nutcracker.stats_port))).unwrap()
    };
    let proxy = Proxy::start(&config, &[]);
    let ours = listen_to(proxy.stats).unwrap();
    assert!(ours.ends_with("}\n") && theirs.ends_with("}\n"));
    let parse = |text: &str| -> Value { serde_json::from_str(text).unwrap() };
    assert_eq!(shape(&parse(&ours)), shape(&parse(&theirs)));
    for name in ["service", "version", "source"] {
        assert_eq!(parse(&ours)[name], parse(&theirs)[name], "{name}");
    }

    // A request with keys of both servers is a request to each.
    let mut client = Client::connect(ports[0]);
    let keys: Vec<String> = (0..100).map(|number| format!("k{number}")).collect();
    let words: Vec<&str> = ["MGET"].into_iter().chain(keys.iter().map(String::as_str)).collect();
    client.send(&request(&words));
    client.resp().unwrap();
    let json = parse(&listen_to(proxy.stats).unwrap());
    let pool = &json["p"];
    assert_eq!((&pool["a"]["requests"], &pool["b"]["requests"]), (&1.into(), &1.into()));
    assert_eq!((&pool["a"]["responses"], &pool["b"]["responses"]), (&1.into(), &1.into()));
    assert_eq!((&pool["fragments"], &pool["client_connections"]), (&2.into(), &1.into()));

    let over_http = http(proxy.stats, "GET", "/stats").unwrap();
    assert_eq!(over_http.status, 200);
    assert!(over_http.head.contains("application/json"), "{}", over_http.head);
    assert_eq!(shape(&parse(&over_http.body)), shape(&json));
    let metrics = http(proxy.stats, "GET", "/metrics").unwrap();
    assert!(metrics.head.contains("text/plain"), "{}", metrics.head);
    let series = "ambassador_proxy_server_requests_total{pool=\"p\",server=\"a\"} 1";
    assert!(metrics.body.contains(series), "{}", metrics.body);
    assert_eq!(http(proxy.stats, "GET", "/nosuch").unwrap().status, 404);
}

//! HTTP/1.1 by hand, so that answers can be held back and cut off.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

use super::store::Refusal;
use super::{Asked, Shared};

const PREFIX: &str = "/apis/coordination.k8s.io/v1/namespaces/ns/leases";

struct Request {
    method: String,
    path: String,
    query: BTreeMap<String, String>,
    body: Value,
}

/// Answers the requests of a connection, one after the other.
pub(super) async fn serve(stream: TcpStream, shared: Arc<Shared>) {
    let mut stream = BufReader::new(stream);
    while let Some(request) = read(&mut stream, &shared).await {
        if !until_speaking(&mut stream, &shared).await {
            return;
        }
        if request.query.get("watch").is_some_and(|value| value == "true") {
            watch(&mut stream, &shared, &request).await;
            return;
        }
        let (status, answer) = shared.answer(&request);
        let body = answer.to_string();
        let head = format!(
            "HTTP/1.1 {status} X\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        if stream.write_all((head + &body).as_bytes()).await.is_err() {
            return;
        }
    }
}

/// Waits while the server is to be silent; false if the client is gone then.
async fn until_speaking(stream: &mut BufReader<TcpStream>, shared: &Shared) -> bool {
    let mut faults = shared.faults.subscribe();
    let silent = faults.borrow().silent;
    if !silent {
        return true;
    }
    let mut byte = [0];
    tokio::select! {
        read = stream.read(&mut byte) => {
            assert!(!matches!(read, Ok(1..)), "nothing is pipelined");
            false
        }
        result = faults.wait_for(|faults| !faults.silent) => result.is_ok(),
    }
}

async fn read(stream: &mut BufReader<TcpStream>, shared: &Shared) -> Option<Request> {
    let mut line = String::new();
    stream.read_line(&mut line).await.ok()?;
    let mut words = line.split_whitespace();
    let (method, target) = (words.next()?.to_owned(), words.next()?.to_owned());
    let (mut length, mut authorization) = (0, None);
    loop {
        let mut line = String::new();
        stream.read_line(&mut line).await.ok()?;
        let line = line.trim_end();
        if line.is_empty() {
            break;
        }
        let (name, value) = line.split_once(": ")?;
        if name.eq_ignore_ascii_case("content-length") {
            length = value.parse().unwrap();
        } else if name.eq_ignore_ascii_case("authorization") {
            authorization = Some(value.to_owned());
        }
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await.ok()?;
    let asked = Asked { method: method.clone(), target: target.clone(), authorization };
    shared.asked.lock().unwrap().push(asked);
    let (path, query) = target.split_once('?').unwrap_or((&target, ""));
    let pair = |text: &str| {
        let (name, value) = text.split_once('=')?;
        Some((name.to_owned(), value.replace("%3D", "=")))
    };
    let query = query.split('&').filter_map(pair).collect();
    let body = if length == 0 { Value::Null } else { serde_json::from_slice(&body).unwrap() };
    Some(Request { method, path: path.to_owned(), query, body })
}

/// Sends what happens to a Lease for as long as the client is there.
async fn watch(stream: &mut BufReader<TcpStream>, shared: &Shared, request: &Request) {
    let refused = shared.refuses(request);
    let selector = request.query.get("fieldSelector").map(String::as_str).unwrap_or_default();
    let name = selector.strip_prefix("metadata.name=").expect("one Lease is watched").to_owned();
    let from = request.query.get("resourceVersion").map(|text| text.parse::<u64>().unwrap());
    let mut changed = shared.changed.subscribe();
    let mut faults = shared.faults.subscribe();
    let mut at = from.unwrap_or(0);
    let mut first = Vec::new();
    if from.is_none() {
        let store = shared.store.lock().unwrap();
        at = store.version();
        first.extend(store.get(&name).map(|lease| json!({ "type": "ADDED", "object": lease })));
    }
    let gone = shared.store.lock().unwrap().since(at, &name).err();
    if let Some((status, answer)) = refused.or(gone.map(refusal)) {
        let body = answer.to_string();
        let head = format!("HTTP/1.1 {status} X\r\nContent-Length: {}\r\n\r\n", body.len());
        let _ = stream.write_all((head + &body).as_bytes()).await;
        return;
    }
    let head = "HTTP/1.1 200 X\r\nTransfer-Encoding: chunked\r\n\r\n";
    if stream.write_all(head.as_bytes()).await.is_err() {
        return;
    }
    let mut byte = [0];
    loop {
        for event in first.drain(..) {
            let line = format!("{event}\n");
            let chunk = format!("{:x}\r\n{line}\r\n", line.len());
            if stream.write_all(chunk.as_bytes()).await.is_err() {
                return;
            }
        }
        tokio::select! {
            _ = changed.changed() => {}
            _ = faults.changed() => {}
            _ = stream.read(&mut byte) => return,
        }
        let state = faults.borrow_and_update().clone();
        if state.silent {
            continue;
        }
        if state.no_watch || state.forbidden {
            return;
        }
        match shared.store.lock().unwrap().since(at, &name) {
            Ok(events) => {
                at = events.last().map_or(at, |(version, _)| *version);
                first.extend(events.into_iter().map(|(_, event)| event));
            }
            Err(_) => {
                let (code, status) = refusal(Refusal::Gone);
                assert_eq!(code, 410);
                first.push(json!({ "type": "ERROR", "object": status }));
            }
        }
    }
}

// === impl Shared ===

impl Shared {
    fn refuses(&self, request: &Request) -> Option<(u16, Value)> {
        let faults = self.faults.borrow().clone();
        let listing = request.path == PREFIX && request.method == "GET";
        if faults.forbidden || (faults.no_watch && listing) {
            return Some((403, status(403, "leases.coordination.k8s.io is forbidden")));
        }
        if faults.errors > 0 {
            self.faults.send_modify(|faults| faults.errors -= 1);
            return Some((500, status(500, "etcdserver: leader changed")));
        }
        None
    }

    fn answer(&self, request: &Request) -> (u16, Value) {
        if let Some(refused) = self.refuses(request) {
            return refused;
        }
        let name = request.path.strip_prefix(PREFIX).map(|rest| rest.trim_start_matches('/'));
        let result = {
            let mut store = self.store.lock().unwrap();
            match (request.method.as_str(), name) {
                ("GET", Some("")) => {
                    let version = store.version().to_string();
                    Ok(json!({ "items": store.all(), "metadata": { "resourceVersion": version } }))
                }
                ("GET", Some(name)) => store.get(name).ok_or(Refusal::Absent),
                ("POST", Some("")) => store.create(request.body.clone()),
                ("PUT", Some(name)) => store.replace(name, request.body.clone()),
                _ => Err(Refusal::Absent),
            }
        };
        if request.method != "GET" && result.is_ok() {
            self.changed.send_modify(|count| *count += 1);
            if self.faults.borrow().lost_answers > 0 {
                self.faults.send_modify(|faults| faults.lost_answers -= 1);
                return (504, status(504, "request did not complete within the allowed duration"));
            }
        }
        result.map_or_else(refusal, |answer| (200, answer))
    }
}

fn refusal(refusal: Refusal) -> (u16, Value) {
    let (code, message) = match refusal {
        Refusal::Absent => (404, "not found"),
        Refusal::Exists => (409, "already exists"),
        Refusal::Conflict => (409, "the object has been modified"),
        Refusal::Invalid => (422, "invalid"),
        Refusal::Gone => (410, "too old resource version"),
    };
    (code, status(code, message))
}

fn status(code: u16, message: &str) -> Value {
    json!({ "kind": "Status", "status": "Failure", "code": code, "message": message })
}

//! A Lease object: what Kubernetes defines of it, what others read in it, and what is ours.
//!
//! Kept as JSON, because what is written back must hold everything that somebody else put there.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::{Map, Value, json};

use crate::backend::{Acquire, Lease, Session};

const SESSION: &str = "leader-elector/session";
const HOLDER: &str = "leader-elector/holder";
const TOKEN: &str = "leader-elector/token";
const TTL_MS: &str = "leader-elector/ttl-ms";
const METADATA: &str = "leader-elector/metadata";
const REQUEST_ID: &str = "leader-elector/request-id";

/// A Lease.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Object(Value);

// === impl Object ===

impl Object {
    /// A new one, held by nobody.
    pub(super) fn new(namespace: &str, name: &str) -> Self {
        Self(json!({
            "apiVersion": "coordination.k8s.io/v1",
            "kind": "Lease",
            "metadata": { "name": name, "namespace": namespace },
            "spec": {},
        }))
    }

    /// Takes JSON for a Lease; `None` if it has no name.
    pub(super) fn read(value: Value) -> Option<Self> {
        value["metadata"]["name"].as_str()?;
        Some(Self(value))
    }

    pub(super) fn json(&self) -> &Value {
        &self.0
    }

    pub(super) fn name(&self) -> &str {
        self.0["metadata"]["name"].as_str().unwrap_or_default()
    }

    /// The version of the object. It is said to be opaque, and is a number that grows.
    pub(super) fn version(&self) -> u64 {
        let text = self.0["metadata"]["resourceVersion"].as_str();
        text.and_then(|text| text.parse().ok()).unwrap_or(0)
    }

    /// Who holds it, if anybody.
    pub(super) fn holder(&self) -> Option<&str> {
        self.0["spec"]["holderIdentity"].as_str().filter(|holder| !holder.is_empty())
    }

    /// How long others wait after its last change before they take it.
    pub(super) fn duration(&self) -> Duration {
        let seconds = self.0["spec"]["leaseDurationSeconds"].as_u64().unwrap_or(1);
        Duration::from_secs(seconds).max(self.ttl())
    }

    fn ttl(&self) -> Duration {
        let own = self.annotation(TTL_MS).and_then(|text| text.parse().ok());
        let seconds = self.0["spec"]["leaseDurationSeconds"].as_u64().unwrap_or(1);
        if self.is_foreign() {
            Duration::from_secs(seconds)
        } else {
            own.map_or(Duration::from_secs(seconds), Duration::from_millis)
        }
    }

    /// Whether another program holds it: one that left the annotations as they were.
    fn is_foreign(&self) -> bool {
        self.holder() != self.annotation(HOLDER)
    }

    /// The last token given; `None` before the first.
    pub(super) fn token(&self) -> Option<u64> {
        self.annotation(TOKEN)?.parse().ok()
    }

    fn session(&self) -> Option<Session> {
        if self.is_foreign() {
            return None;
        }
        u64::from_str_radix(self.annotation(SESSION)?, 16).ok().map(Session)
    }

    /// What is held; a holder that is another program has session and token 0.
    pub(super) fn lease(&self) -> Option<Lease> {
        let holder = self.holder()?.into();
        let session = self.session();
        Some(Lease {
            holder,
            session: session.unwrap_or_default(),
            token: if session.is_some() { self.token().unwrap_or(0) } else { 0 },
            ttl: self.ttl(),
            metadata: session.and_then(|_| self.annotation(METADATA)).map(Into::into),
        })
    }

    /// Whether the lease is that of a session; token 0 stands for whichever.
    pub(super) fn is_held_by(&self, session: Session, token: u64) -> bool {
        self.session() == Some(session) && (token == 0 || self.token() == Some(token))
    }

    /// Whether it is held by this candidacy, or by the same request sent before.
    pub(super) fn is_of(&self, acquire: &Acquire) -> bool {
        if self.session() == Some(acquire.session) {
            return true;
        }
        let request = self.annotation(REQUEST_ID);
        self.session().is_some()
            && request.is_some()
            && request == acquire.request_id.as_deref()
            && self.holder() == Some(&acquire.holder)
    }

    /// What changes with every sign of life of any holder, and with nothing else.
    pub(super) fn signs(&self) -> (&Value, Option<&str>, Option<&str>) {
        (&self.0["spec"], self.annotation(SESSION), self.annotation(TOKEN))
    }

    // === changes ===

    /// Granted to a candidacy, with this token.
    pub(super) fn grant(&self, acquire: &Acquire, token: u64) -> Self {
        let mut object = self.clone();
        let seconds = acquire.ttl.as_millis().div_ceil(1000).max(1);
        let now = now(self.0["spec"]["renewTime"].as_str());
        let spec = object.spec();
        let transitions = spec.get("leaseTransitions").and_then(Value::as_u64);
        // As client-go counts: the first holder is no transition, nor is the same one again.
        let same = spec.get("holderIdentity").and_then(Value::as_str) == Some(&acquire.holder);
        let transitions = match transitions {
            Some(count) if same => count,
            Some(count) => count + 1,
            None => 0,
        };
        spec.insert("holderIdentity".to_owned(), json!(&*acquire.holder));
        let seconds = u64::try_from(seconds).unwrap_or(u64::MAX);
        spec.insert("leaseDurationSeconds".to_owned(), json!(seconds));
        spec.insert("acquireTime".to_owned(), json!(now));
        spec.insert("renewTime".to_owned(), json!(now));
        spec.insert("leaseTransitions".to_owned(), json!(transitions));
        object.annotate(HOLDER, Some(&acquire.holder));
        object.annotate(SESSION, Some(&format!("{:016x}", acquire.session.0)));
        object.annotate(TOKEN, Some(&token.to_string()));
        object.annotate(TTL_MS, Some(&acquire.ttl.as_millis().to_string()));
        object.annotate(METADATA, acquire.metadata.as_deref());
        object.annotate(REQUEST_ID, acquire.request_id.as_deref());
        object
    }

    /// With a sign of life.
    pub(super) fn renewed(&self) -> Self {
        let mut object = self.clone();
        let now = now(self.0["spec"]["renewTime"].as_str());
        object.spec().insert("renewTime".to_owned(), json!(now));
        object
    }

    /// Held by nobody, as client-go leaves it; the token stays.
    pub(super) fn freed(&self) -> Self {
        let mut object = self.clone();
        let now = now(self.0["spec"]["renewTime"].as_str());
        let spec = object.spec();
        spec.insert("holderIdentity".to_owned(), json!(""));
        spec.insert("leaseDurationSeconds".to_owned(), json!(1));
        spec.insert("renewTime".to_owned(), json!(now));
        for name in [HOLDER, SESSION, TTL_MS, METADATA, REQUEST_ID] {
            object.annotate(name, None);
        }
        object
    }

    fn annotation(&self, name: &str) -> Option<&str> {
        self.0["metadata"]["annotations"].get(name)?.as_str()
    }

    fn annotate(&mut self, name: &str, value: Option<&str>) {
        let annotations = member(member(root(&mut self.0), "metadata"), "annotations");
        match value {
            Some(value) => annotations.insert(name.to_owned(), json!(value)),
            None => annotations.remove(name),
        };
    }

    fn spec(&mut self) -> &mut Map<String, Value> {
        member(root(&mut self.0), "spec")
    }
}

fn root(value: &mut Value) -> &mut Map<String, Value> {
    object(value)
}

fn member<'m>(map: &'m mut Map<String, Value>, name: &str) -> &'m mut Map<String, Value> {
    object(map.entry(name).or_insert(Value::Null))
}

/// The value as an object; what is none becomes an empty one.
fn object(value: &mut Value) -> &mut Map<String, Value> {
    if !value.is_object() {
        *value = Value::Object(Map::new());
    }
    match value {
        Value::Object(map) => map,
        _ => unreachable!("it was made an object"),
    }
}

// === the wall clock, for others to read ===

/// The time now in RFC 3339 with microseconds, other than `last`: who watches sees a sign of life by
/// its difference, also while the wall clock stands or is set back.
fn now(last: Option<&str>) -> String {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let text = rfc3339(since);
    if Some(text.as_str()) == last { rfc3339(since + Duration::from_micros(1)) } else { text }
}

/// Seconds of the wall clock times 2^20, the base of tokens of an object that has none: whoever
/// deletes it takes the count away, but not the past.
pub(super) fn token_base() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    since.as_secs() << 20
}

fn rfc3339(since_epoch: Duration) -> String {
    let (days, second) = (since_epoch.as_secs() / 86_400, since_epoch.as_secs() % 86_400);
    let (hour, minute) = (second / 3600, second / 60 % 60);
    let (mut year, mut day) = (1970, days);
    let leap = |year: u64| {
        year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400))
    };
    while day >= 365 + u64::from(leap(year)) {
        day -= 365 + u64::from(leap(year));
        year += 1;
    }
    let mut month = 1;
    for length in [31, 28 + u64::from(leap(year)), 31, 30, 31, 30, 31, 31, 30, 31, 30, 31] {
        if day < length {
            break;
        }
        day -= length;
        month += 1;
    }
    let (day, second, micros) = (day + 1, second % 60, since_epoch.subsec_micros());
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{micros:06}Z")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn acquire(holder: &str, session: u64) -> Acquire {
        Acquire {
            election: "e".into(),
            holder: holder.into(),
            session: Session(session),
            ttl: Duration::from_millis(1500),
            priority: 0,
            wait: false,
            metadata: Some("{}".into()),
            request_id: None,
        }
    }

    #[test]
    fn times_are_those_of_the_calendar() {
        assert_eq!(rfc3339(Duration::ZERO), "1970-01-01T00:00:00.000000Z");
        let leap = Duration::new(951_827_696, 123_456_789);
        assert_eq!(rfc3339(leap), "2000-02-29T12:34:56.123456Z");
        assert_eq!(rfc3339(Duration::from_secs(4_107_542_399)), "2100-02-28T23:59:59.000000Z");
        assert_eq!(rfc3339(Duration::from_secs(4_107_542_400)), "2100-03-01T00:00:00.000000Z");
    }

    #[test]
    fn what_others_wrote_stays() {
        let theirs = json!({
            "metadata": { "name": "e", "labels": { "a": "b" }, "annotations": { "c": "d" } },
            "spec": { "strategy": "OldestEmulationVersion", "leaseTransitions": 4 },
        });
        let object = Object::read(theirs).unwrap().grant(&acquire("a", 1), 7);
        assert_eq!(object.json()["metadata"]["labels"]["a"], "b");
        assert_eq!(object.json()["metadata"]["annotations"]["c"], "d");
        assert_eq!(object.json()["spec"]["strategy"], "OldestEmulationVersion");
        assert_eq!(object.json()["spec"]["leaseTransitions"], 5);
        assert_eq!(object.json()["spec"]["leaseDurationSeconds"], 2);
        let lease = object.lease().unwrap();
        assert_eq!((lease.token, lease.ttl), (7, Duration::from_millis(1500)));
        let freed = object.freed();
        assert_eq!((freed.lease(), freed.token()), (None, Some(7)));
    }

    #[test]
    fn another_program_that_took_it_has_no_session() {
        let mut object = Object::new("ns", "e").grant(&acquire("a", 1), 7);
        assert!(object.is_held_by(Session(1), 7));
        object.spec().insert("holderIdentity".to_owned(), json!("client-go"));
        let lease = object.lease().unwrap();
        assert_eq!((&*lease.holder, lease.session, lease.token), ("client-go", Session(0), 0));
        assert!(!object.is_held_by(Session(1), 7));
        assert_eq!(object.token(), Some(7), "the count goes on from there");
    }

    #[test]
    fn every_sign_of_life_differs() {
        let object = Object::new("ns", "e").grant(&acquire("a", 1), 7);
        assert_ne!(object.signs(), object.renewed().signs());
    }
}

//! What is said and answered, as JSON: small typed structs, read and written without a detour.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use serde::de::{DeserializeOwned, Error, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::RawValue;

use super::problem::Problem;
use super::route::{is_election, is_holder};
use crate::Boottime;
use crate::agent::{Candidacy, Seen, Standing};
use crate::backend::{Consistency, Lease, Session, View};
use crate::election::{METADATA_BYTES_MAX, REQUEST_ID_BYTES_MAX};

/// Longest body of a call.
pub const BODY_BYTES_MAX: usize = 8 * 1024;
/// Most renewals in one call: as many elections as one application should hold.
pub const RENEWALS_MAX: usize = 1000;
/// Longest body with that many renewals: each is a name, a session, a token and their keys.
pub const RENEWALS_BYTES_MAX: usize = RENEWALS_MAX * 384;
/// Longest time to live; a dead holder would be in the way for longer than anybody wants.
pub const TTL_MAX: Duration = Duration::from_secs(3600);
/// Longest wait for an election or a change.
pub const WAIT_MAX: Duration = Duration::from_secs(3600);

/// A session: 16 hexadecimal digits in lower case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SessionText(pub Session);

/// The body of an acquisition.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AcquireBody {
    holder: Option<Box<str>>,
    ttl_ms: Option<u64>,
    wait_ms: Option<u64>,
    metadata: Option<Box<RawValue>>,
    request_id: Option<Box<str>>,
    session: Option<SessionText>,
}

/// The body of a renewal.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RenewBody {
    /// The candidacy.
    pub session: SessionText,
    /// The token of the lease.
    pub token: u64,
}

/// One of many renewals.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Renewal {
    /// Name of the election.
    #[serde(deserialize_with = "shared")]
    pub election: Arc<str>,
    /// The candidacy.
    pub session: SessionText,
    /// The token of the lease.
    pub token: u64,
}

/// The body of many renewals.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RenewalsBody {
    /// In the order of the answers.
    pub renewals: Vec<Renewal>,
}

/// The body of a resignation.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ResignBody {
    /// The candidacy.
    pub session: SessionText,
    /// The token of the lease.
    pub token: u64,
    /// Who is to follow.
    pub successor: Option<Box<str>>,
}

/// The body of a check.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CheckBody {
    /// The token to check.
    pub token: u64,
}

/// A lease that is held here.
#[derive(Debug, Serialize)]
pub struct Held<'s> {
    leader: bool,
    election: &'s str,
    holder: &'s str,
    session: SessionText,
    token: u64,
    ttl_ms: u64,
    valid_for_ms: u64,
    /// The end on this machine's `CLOCK_BOOTTIME`.
    deadline_boottime_ns: u64,
    /// When to renew: after a third of the time to live.
    renew_after_ms: u64,
}

/// That this sidecar leads, for who only asks: without the session, which is the holder's alone.
#[derive(Debug, Serialize)]
pub struct Leads<'s> {
    is_leader: bool,
    election: &'s str,
    holder: &'s str,
    token: u64,
    valid_for_ms: u64,
    deadline_boottime_ns: u64,
}

/// Who leads, as everybody may know it.
#[derive(Clone, Debug, Serialize)]
pub struct Leader {
    holder: Box<str>,
    token: u64,
    metadata: Option<Box<RawValue>>,
}

/// An election.
#[derive(Debug, Serialize)]
pub struct State<'s> {
    election: &'s str,
    leader: Option<Leader>,
    is_leader: bool,
    valid_for_ms: u64,
    version: u64,
    age_ms: u64,
    consistency: &'static str,
}

/// All elections.
#[derive(Debug, Serialize)]
pub struct States<'s> {
    /// By name.
    pub elections: Vec<State<'s>>,
}

/// The answer to many renewals, in their order.
#[derive(Debug, Serialize)]
pub struct Renewed<'s> {
    /// A lease, or an error in its shape.
    pub results: Vec<OneRenewed<'s>>,
}

/// The answer to one of many renewals.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub enum OneRenewed<'s> {
    /// It goes on.
    Held(Held<'s>),
    /// It does not, or nobody knows.
    Problem(Problem),
}

// === impl SessionText ===

impl Serialize for SessionText {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&format_args!("{:016x}", self.0.0))
    }
}

impl<'de> Deserialize<'de> for SessionText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Digits;

        impl Visitor<'_> for Digits {
            type Value = SessionText;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a session of 16 hexadecimal digits in lower case")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<SessionText, E> {
                let digit = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
                let fits = text.len() == 16 && text.bytes().all(digit);
                let number = fits.then(|| u64::from_str_radix(text, 16).ok()).flatten();
                let session = number.map(|number| SessionText(Session(number)));
                session.ok_or_else(|| E::invalid_value(serde::de::Unexpected::Str(text), &self))
            }
        }

        deserializer.deserialize_str(Digits)
    }
}

// === impl AcquireBody, Renewal, ResignBody ===

impl AcquireBody {
    /// What is asked for, and for how long to wait, if that was said.
    ///
    /// # Errors
    /// A value past its limit.
    pub fn candidacy(
        self,
        election: Arc<str>,
        ttl_min: Duration,
    ) -> Result<(Candidacy, Option<Duration>), Problem> {
        let Self { holder, ttl_ms, wait_ms, metadata, request_id, session } = self;
        check_holder(holder.as_deref())?;
        let ttl = ttl_ms.map(Duration::from_millis);
        if ttl.is_some_and(|ttl| ttl < ttl_min || ttl > TTL_MAX) {
            let (min, max) = (ttl_min.as_millis(), TTL_MAX.as_millis());
            return Err(Problem::invalid(format!("ttl_ms is from {min} to {max}")));
        }
        let wait = wait_ms.map(Duration::from_millis);
        if wait.is_some_and(|wait| wait > WAIT_MAX) {
            let max = WAIT_MAX.as_millis();
            return Err(Problem::invalid(format!("wait_ms is at most {max}")));
        }
        if metadata.as_ref().is_some_and(|metadata| metadata.get().len() > METADATA_BYTES_MAX) {
            let message = format!("metadata is at most {METADATA_BYTES_MAX} bytes of JSON");
            return Err(Problem::invalid(message));
        }
        let printable = |id: &str| id.bytes().all(|byte| byte.is_ascii_graphic());
        let fits = |id: &str| (1..=REQUEST_ID_BYTES_MAX).contains(&id.len()) && printable(id);
        if request_id.as_deref().is_some_and(|id| !fits(id)) {
            let message =
                format!("request_id is 1 to {REQUEST_ID_BYTES_MAX} printable characters of ASCII");
            return Err(Problem::invalid(message));
        }
        let candidacy = Candidacy {
            election,
            holder: holder.map(Arc::from),
            ttl,
            wait: wait.unwrap_or_default(),
            // A null says as much as nothing.
            metadata: metadata.map(|it| it.get().into()).filter(|it: &Arc<str>| &**it != "null"),
            request_id: request_id.map(Arc::from),
            session: session.map(|SessionText(session)| session),
            bound: false,
        };
        Ok((candidacy, wait))
    }
}

impl RenewalsBody {
    /// Checks names and number.
    ///
    /// # Errors
    /// A value past its limit.
    pub fn check(&self) -> Result<(), Problem> {
        if self.renewals.len() > RENEWALS_MAX {
            return Err(Problem::invalid(format!("at most {RENEWALS_MAX} renewals in one call")));
        }
        match self.renewals.iter().all(|renewal| is_election(&renewal.election)) {
            true => Ok(()),
            false => Err(Problem::bad_election()),
        }
    }
}

impl ResignBody {
    /// Checks the successor's name.
    ///
    /// # Errors
    /// It is no name.
    pub fn check(&self) -> Result<(), Problem> {
        check_holder(self.successor.as_deref())
    }
}

fn check_holder(holder: Option<&str>) -> Result<(), Problem> {
    match holder {
        Some(holder) if !is_holder(holder) => Err(Problem::invalid(
            "a holder's name is 1 to 253 letters, digits and any of - _ . : @ /",
        )),
        _ => Ok(()),
    }
}

// === impl Held, Leads, Leader, State ===

impl<'s> Held<'s> {
    /// What is said of a lease now.
    #[must_use]
    pub fn new(election: &'s str, standing: &'s Standing, now: Boottime) -> Self {
        let Standing { lease, deadline } = standing;
        Self {
            leader: true,
            election,
            holder: &lease.holder,
            session: SessionText(lease.session),
            token: lease.token,
            ttl_ms: millis(lease.ttl),
            valid_for_ms: millis(standing.valid_for(now)),
            deadline_boottime_ns: deadline.as_nanos(),
            renew_after_ms: millis(lease.ttl / 3),
        }
    }
}

impl<'s> Leads<'s> {
    /// What is said of a lease now.
    #[must_use]
    pub fn new(election: &'s str, standing: &'s Standing, now: Boottime) -> Self {
        Self {
            is_leader: true,
            election,
            holder: &standing.lease.holder,
            token: standing.lease.token,
            valid_for_ms: millis(standing.valid_for(now)),
            deadline_boottime_ns: standing.deadline.as_nanos(),
        }
    }
}

impl Leader {
    /// What everybody may know of a lease.
    #[must_use]
    pub fn of(lease: &Lease) -> Self {
        // What another sidecar or another program has stored may be no JSON.
        let raw = |text: &Arc<str>| RawValue::from_string(text.to_string()).ok();
        let metadata = lease.metadata.as_ref().and_then(raw);
        Self { holder: (&*lease.holder).into(), token: lease.token, metadata }
    }
}

impl<'s> State<'s> {
    /// What is said of an election now.
    #[must_use]
    pub fn new(
        election: &'s str,
        view: &View,
        standing: Option<&Standing>,
        consistency: Consistency,
    ) -> Self {
        let now = Boottime::now();
        Self {
            election,
            leader: view.lease.as_ref().map(Leader::of),
            is_leader: standing.is_some(),
            valid_for_ms: standing.map_or(0, |standing| millis(standing.valid_for(now))),
            version: view.version,
            age_ms: millis(now.since(view.observed)),
            consistency: match consistency {
                Consistency::Local => "local",
                Consistency::Linearizable => "linearizable",
            },
        }
    }

    /// The same for who watches.
    #[must_use]
    pub fn seen(election: &'s str, seen: &Seen, standing: Option<&Standing>) -> Self {
        Self::new(election, &seen.view, standing, Consistency::Local)
    }
}

fn shared<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Arc<str>, D::Error> {
    Box::<str>::deserialize(deserializer).map(Arc::from)
}

/// Reads a body; a missing one is an empty object.
///
/// # Errors
/// It is no JSON, or not of this shape.
pub fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Problem> {
    use serde_json::error::Category;
    // Structs can be read from lists too, in the order of their fields; nobody should rely on that.
    if bytes.trim_ascii_start().first() == Some(&b'[') {
        return Err(Problem::invalid("expected an object"));
    }
    let bytes = if bytes.is_empty() { b"{}" } else { bytes };
    serde_json::from_slice(bytes).map_err(|error| match error.classify() {
        Category::Data => Problem::invalid(error.to_string()),
        _ => Problem::bad_request(error.to_string()),
    })
}

/// Writes an answer.
pub(super) fn to_json(value: &impl Serialize) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(256);
    // Into memory, and of structs without maps: it cannot fail.
    let _ = serde_json::to_writer(&mut bytes, value);
    bytes
}

/// Whole milliseconds.
pub(super) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

//! Three members of either kind on loopback, with the same duties: ours with its state on disk and
//! etcd as Debian packages it, both with their default timing.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use rustix::process::Signal;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::Bench;
use super::http::{Client, request};
use crate::bench::child::{Child, Port};
use crate::bench::{until, usage};

/// Members of a group.
pub(super) const MEMBERS: usize = 3;
/// A call that does not wait for a turn.
pub(super) const CALL_WITHIN: Duration = Duration::from_secs(10);
/// From the start of the members, or from a fault, to a group that works.
const SETTLED_WITHIN: Duration = Duration::from_secs(60);

/// Which of the two.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Kind {
    Ours,
    Theirs,
}

/// A running group.
pub(super) struct Group {
    pub(super) kind: Kind,
    pub(super) members: Vec<Member>,
    program: PathBuf,
    cores: Vec<usize>,
    /// Home of state and logs; gone with the group.
    folder: TempDir,
}

/// A member and what it takes to start it again.
pub(super) struct Member {
    name: String,
    child: Option<Child>,
    arguments: Vec<String>,
    /// Where applications ask.
    api: Port,
    peers: Port,
    /// Ours only.
    probe: Port,
    admin: Port,
}

// === impl Kind ===

impl Kind {
    pub(super) const BOTH: [Self; 2] = [Self::Ours, Self::Theirs];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Ours => "leader-elector",
            Self::Theirs => "etcd",
        }
    }
}

// === impl Group ===

impl Group {
    /// Starts a group and waits until it works.
    pub(super) fn start(bench: &Bench, kind: Kind) -> Result<Self> {
        let program = match kind {
            Kind::Ours => bench.ours.clone(),
            Kind::Theirs => bench.theirs.clone(),
        };
        let folder = tempfile::tempdir_in(bench.folder()).context("create a folder")?;
        std::fs::write(
            folder.path().join("peer-secret"),
            "a secret of one run of a benchmark, 32 bytes+",
        )?;
        let mut members = Vec::new();
        for index in 0..MEMBERS {
            let [api, peers, probe, admin] =
                [Port::reserve()?, Port::reserve()?, Port::reserve()?, Port::reserve()?];
            let name = format!("m-{index}");
            members.push(Member { name, child: None, arguments: vec![], api, peers, probe, admin });
        }
        let arguments: Vec<_> = members.iter().map(|it| it.arguments(kind, &members)).collect();
        for (member, arguments) in members.iter_mut().zip(arguments) {
            member.arguments = arguments;
        }
        let cores = bench.layout.all.clone();
        let mut group = Self { kind, members, program, cores, folder };
        for index in 0..MEMBERS {
            group.start_member(index)?;
        }
        group.settle()?;
        Ok(group)
    }

    /// Starts a member that does not run.
    pub(super) fn start_member(&mut self, index: usize) -> Result<()> {
        let member = &mut self.members[index];
        let child = Child::start(
            &format!("{}-{}", self.kind.name(), member.name),
            &self.program,
            &member.arguments,
            &self.cores,
            self.folder.path(),
        )?;
        member.child = Some(child);
        Ok(())
    }

    /// Kills a member.
    pub(super) fn kill_member(&mut self, index: usize) {
        self.members[index].child = None;
    }

    /// Waits until all members know one leader and answer.
    pub(super) fn settle(&mut self) -> Result<()> {
        for member in &mut self.members {
            if let Some(child) = &mut member.child {
                child.ensure_running()?;
            }
        }
        until("a group that works", SETTLED_WITHIN, || {
            let works = (0..MEMBERS).all(|index| self.ready(index));
            Ok((works && self.leader_now().is_some()).then_some(()))
        })
        .with_context(|| self.last_words())
    }

    /// The member that leads the group; waits until there is one.
    pub(super) fn leader(&self) -> Result<usize> {
        until("a leader of the group", SETTLED_WITHIN, || Ok(self.leader_now()))
            .with_context(|| self.last_words())
    }

    /// Whether a member can serve, by what it says itself.
    pub(super) fn ready(&self, index: usize) -> bool {
        let member = &self.members[index];
        let answer = match self.kind {
            Kind::Ours => get(member.probe.number(), "/readyz"),
            Kind::Theirs => get(member.api.number(), "/health"),
        };
        answer.is_ok_and(|(status, _)| status == 200)
    }

    fn leader_now(&self) -> Option<usize> {
        let leads = |member: &Member| match self.kind {
            Kind::Ours => {
                let (_, cluster) = get(member.admin.number(), "/mgmt/v1/cluster").ok()?;
                let own = |it: &&Value| it["name"] == member.name.as_str();
                cluster["members"].as_array()?.iter().find(own)?["leads"].as_bool()
            }
            Kind::Theirs => {
                let path = "/v3/maintenance/status";
                let (_, status) = call(member.api.number(), path, &json!({})).ok()?;
                Some(
                    status["leader"].is_string()
                        && status["leader"] == status["header"]["member_id"],
                )
            }
        };
        self.members.iter().position(|it| leads(it) == Some(true))
    }

    pub(super) fn api(&self, index: usize) -> u16 {
        self.members[index].api.number()
    }

    pub(super) fn signal(&self, index: usize, signal: Signal) -> Result<()> {
        self.child(index)?.signal(signal)
    }

    /// CPU time of all members so far.
    pub(super) fn cpu(&self) -> Result<Duration> {
        (0..MEMBERS).map(|index| usage::cpu(self.child(index)?.pid())).sum()
    }

    /// Resident memory of the member that has most.
    pub(super) fn resident_max(&self) -> Result<u64> {
        let all: Result<Vec<u64>> =
            (0..MEMBERS).map(|index| usage::resident(self.child(index)?.pid())).collect();
        Ok(all?.into_iter().max().unwrap_or(0))
    }

    /// The ends of the members' logs, for a message.
    pub(super) fn last_words(&self) -> String {
        let words = |member: &Member| {
            let said = member.child.as_ref().map(Child::last_words).unwrap_or_default();
            format!("{} {}: {said}", self.kind.name(), member.name)
        };
        self.members.iter().map(words).collect::<Vec<_>>().join("\n")
    }

    fn child(&self, index: usize) -> Result<&Child> {
        self.members[index].child.as_ref().context("the member does not run")
    }
}

// === impl Member ===

impl Member {
    fn arguments(&self, kind: Kind, members: &[Self]) -> Vec<String> {
        let own = |port: &Port| format!("127.0.0.1:{}", port.number());
        let all = |scheme: &str| {
            let one = |it: &Self| format!("{}={scheme}{}", it.name, own(&it.peers));
            members.iter().map(one).collect::<Vec<_>>().join(",")
        };
        let (api, peers) = (own(&self.api), own(&self.peers));
        let text = match kind {
            Kind::Ours => format!(
                "--id {name} --peers {all} --peer-listen {peers} --http {api} \
                 --probe-addr {probe} --admin-addr {admin} --storage disk --data-dir {name} \
                 --peer-secret-file peer-secret",
                name = self.name,
                all = all(""),
                probe = own(&self.probe),
                admin = own(&self.admin),
            ),
            Kind::Theirs => format!(
                "--name {name} --data-dir {name} --listen-client-urls http://{api} \
                 --advertise-client-urls http://{api} --listen-peer-urls http://{peers} \
                 --initial-advertise-peer-urls http://{peers} --initial-cluster {all} \
                 --initial-cluster-state new --logger zap --log-level error",
                name = self.name,
                all = all("http://"),
            ),
        };
        text.split(' ').map(str::to_owned).collect()
    }
}

/// `GET path` on a connection of its own.
pub(super) fn get(port: u16, path: &str) -> Result<(u16, Value)> {
    Client::connect(port, CALL_WITHIN)?.call(&request("GET", path, ""))
}

/// `POST path` with a body of JSON on a connection of its own.
pub(super) fn call(port: u16, path: &str, body: &Value) -> Result<(u16, Value)> {
    Client::connect(port, CALL_WITHIN)?.call(&request("POST", path, &body.to_string()))
}

/// Takes an election of ours; its session and token.
pub(super) fn acquire(port: u16, election: &str, ttl_ms: u64, wait_ms: u64) -> Result<Held> {
    let mut client = Client::connect(port, CALL_WITHIN + Duration::from_millis(wait_ms))?;
    let (status, grant) = client.call(&acquire_request(election, ttl_ms, wait_ms))?;
    ensure!(status == 200, "acquire {election}: {status} {grant}");
    let session = grant["session"].as_str().context("no session in a grant")?.to_owned();
    Ok(Held { election: election.to_owned(), session, token: grant["token"].clone() })
}

/// A lease of ours.
#[derive(Clone)]
pub(super) struct Held {
    election: String,
    session: String,
    token: Value,
}

// === impl Held ===

impl Held {
    /// What a renewal or a resignation says.
    pub(super) fn body(&self) -> Value {
        json!({ "session": self.session, "token": self.token })
    }

    /// The same with the election, as an item among several.
    pub(super) fn item(&self) -> Value {
        json!({ "election": self.election, "session": self.session, "token": self.token })
    }

    pub(super) fn renew_request(&self) -> Vec<u8> {
        let path = format!("/v1/elections/{}/renew", self.election);
        request("POST", &path, &self.body().to_string())
    }

    pub(super) fn resign(&self, port: u16) -> Result<()> {
        let path = format!("/v1/elections/{}/resign", self.election);
        let (status, answer) = call(port, &path, &self.body())?;
        ensure!(status == 200, "resign {}: {status} {answer}", self.election);
        Ok(())
    }
}

/// To take an election of ours.
pub(super) fn acquire_request(election: &str, ttl_ms: u64, wait_ms: u64) -> Vec<u8> {
    let body = json!({ "ttl_ms": ttl_ms, "wait_ms": wait_ms });
    request("POST", &format!("/v1/elections/{election}/acquire"), &body.to_string())
}

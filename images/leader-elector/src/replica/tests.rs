//! A group of replicas that hear each other at once: what each part is for, one case each. Faults
//! are for the simulation.

use std::collections::BTreeMap;
use std::time::Duration;

use super::{Completed, Options, PlantedBugs, Replica};
use crate::Boottime;
use crate::bootstrap::{Founder, Group, GroupId};
use crate::election::{Acquire, Command, Outcome, Session};
use crate::store::{MemoryStore, Store};
use crate::wire::{Frame, Join};

struct World {
    group: Group,
    now: Boottime,
    replicas: BTreeMap<u64, Replica>,
    disks: BTreeMap<u64, MemoryStore>,
    cut: Vec<u64>,
    outcomes: Vec<(u64, Completed)>,
}

fn options(id: u64) -> Options {
    Options {
        id,
        name: format!("member-{}", id % 10).into(),
        witness: false,
        tick: Duration::from_millis(25),
        election_ticks: 16,
        heartbeat_ticks: 4,
        max_voters: 5,
        min_voters: 3,
        dead_after: Duration::ZERO,
        seed: id,
        wall_seconds: 1_700_000_000,
        token_floor: 0,
        snapshot_every: 50,
        planted: PlantedBugs::default(),
    }
}

impl World {
    fn new(count: u64) -> Self {
        let founder = |id| Founder { id, name: options(id).name, witness: false };
        let group = Group { id: GroupId(7), founders: (1..=count).map(founder).collect() };
        let mut world = Self {
            group,
            now: Boottime(Duration::from_secs(100)),
            replicas: BTreeMap::new(),
            disks: BTreeMap::new(),
            cut: Vec::new(),
            outcomes: Vec::new(),
        };
        (1..=count).for_each(|id| world.start(id));
        world
    }

    fn start(&mut self, id: u64) {
        let saved = self.disks.entry(id).or_default().load().expect("loads");
        let replica = Replica::new(options(id), &self.group, saved, self.now).expect("starts");
        self.replicas.insert(id, replica);
    }

    /// Lets everybody work until nobody has anything left to do.
    fn settle(&mut self) {
        for _ in 0..1000 {
            let mut frames = Vec::new();
            for (&id, replica) in &mut self.replicas {
                while let Some(ready) = replica.ready(self.now) {
                    frames.extend(ready.frames.into_iter().map(|(to, frame)| (id, to, frame)));
                    self.disks.entry(id).or_default().save(&ready.write).expect("saves");
                    let applied = replica.saved(self.now);
                    frames.extend(applied.frames.into_iter().map(|(to, frame)| (id, to, frame)));
                    let outcomes = ready.applied.outcomes.into_iter().chain(applied.outcomes);
                    self.outcomes.extend(outcomes.map(|outcome| (id, outcome)));
                }
            }
            if frames.is_empty() {
                return;
            }
            for (from, to, frame) in frames {
                if self.cut.contains(&from) || self.cut.contains(&to) {
                    continue;
                }
                if let Some(replica) = self.replicas.get_mut(&to) {
                    replica.frame(self.now, from, frame);
                }
            }
        }
        panic!("the group does not come to rest");
    }

    fn pass(&mut self, duration: Duration) {
        let until = self.now + duration;
        while self.now < until {
            self.now += Duration::from_millis(25);
            self.replicas.values_mut().for_each(|replica| replica.tick(self.now));
            self.settle();
        }
    }

    fn leader(&self) -> u64 {
        let leads = |(id, replica): (&u64, &Replica)| {
            (replica.status().leads && !self.cut.contains(id)).then_some(*id)
        };
        self.replicas.iter().find_map(leads).expect("somebody leads")
    }

    fn ask(&mut self, at: u64, command: Command) -> Outcome {
        let now = self.now;
        let number = self.replicas.get_mut(&at).expect("runs").request(now, command);
        self.settle();
        for (id, outcome) in &self.outcomes {
            if let Completed::Command { request, outcome } = outcome
                && (*id, *request) == (at, number)
            {
                return outcome.clone();
            }
        }
        panic!("no outcome");
    }
}

fn acquire(session: u64, wait: bool) -> Command {
    Command::Acquire(Acquire {
        election: "e".into(),
        holder: format!("app-{session}").into(),
        session: Session(session),
        ttl: Duration::from_secs(2),
        priority: 0,
        wait,
        metadata: None,
        request_id: None,
    })
}

fn token(outcome: &Outcome) -> u64 {
    match outcome {
        Outcome::Holds(lease) => lease.token,
        other => panic!("does not hold: {other:?}"),
    }
}

#[test]
fn a_group_founds_itself_grants_and_expires() {
    let mut world = World::new(3);
    world.pass(Duration::from_secs(2));
    let first = token(&world.ask(1, acquire(10, false)));
    assert!(first > 1_700_000_000 << 20);
    assert!(matches!(world.ask(2, acquire(11, false)), Outcome::Held(_)));
    assert!(matches!(world.ask(3, acquire(12, true)), Outcome::Queued(Session(12))));
    for _ in 0..4 {
        world.pass(Duration::from_secs(1));
        let renew = Command::Renew { election: "e".into(), session: Session(10), token: first };
        assert!(matches!(world.ask(2, renew), Outcome::Holds(_)));
        let wait = Command::Renew { election: "e".into(), session: Session(12), token: 0 };
        assert!(matches!(world.ask(3, wait), Outcome::Queued(_)));
    }
    world.pass(Duration::from_millis(1_500));
    let wait = Command::Renew { election: "e".into(), session: Session(12), token: 0 };
    assert!(matches!(world.ask(3, wait), Outcome::Queued(_)));
    world.pass(Duration::from_millis(800));
    for replica in world.replicas.values() {
        let lease = replica.table().lease("e").expect("the next holds it");
        assert_eq!((lease.session, lease.token), (Session(12), first + 1));
    }
}

#[test]
fn the_rest_goes_on_without_its_leader_and_takes_it_back() {
    let mut world = World::new(3);
    world.pass(Duration::from_secs(2));
    let first = token(&world.ask(1, acquire(10, false)));
    let old = world.leader();
    world.cut = vec![old];
    world.pass(Duration::from_millis(1_500));
    let new = world.leader();
    assert_ne!(old, new);
    // The lease runs on across the change: it ends a time to live after its last sign of life.
    world.pass(Duration::from_millis(1_000));
    assert_eq!(world.replicas[&new].table().lease("e"), None);
    assert!(!world.replicas[&old].status().leads, "check-quorum");
    let other = (1..=3).find(|id| ![old, new].contains(id)).expect("three");
    assert_eq!(token(&world.ask(other, acquire(20, false))), first + 1);
    world.cut.clear();
    world.pass(Duration::from_secs(1));
    assert_eq!(world.replicas[&old].table(), world.replicas[&new].table());
}

#[test]
fn the_log_stays_short_and_a_restart_finds_everything() {
    let mut world = World::new(3);
    world.pass(Duration::from_secs(2));
    let first = token(&world.ask(1, acquire(10, false)));
    for _ in 0..500 {
        let renew = Command::Renew { election: "e".into(), session: Session(10), token: first };
        assert!(matches!(world.ask(2, renew), Outcome::Holds(_)));
    }
    for (id, replica) in &world.replicas {
        assert!(replica.status().log_entries <= 300, "{}", replica.status().log_entries);
        assert!(world.disks[id].load().expect("loads").entries.len() <= 60);
    }
    (1..=3).for_each(|id| world.start(id));
    world.pass(Duration::from_secs(1));
    let renew = Command::Renew { election: "e".into(), session: Session(10), token: first };
    assert!(matches!(world.ask(3, renew), Outcome::Holds(_)));
    assert_eq!(world.replicas[&1].table(), world.replicas[&2].table());
}

#[test]
fn a_wiped_disk_comes_back_as_a_new_member() {
    let mut world = World::new(3);
    world.pass(Duration::from_secs(2));
    token(&world.ask(1, acquire(10, false)));
    world.replicas.remove(&3);
    world.pass(Duration::from_secs(4));
    world.start(13);
    for _ in 0..30 {
        let join = Join { id: 13, name: options(13).name, witness: false };
        let now = world.now;
        world.replicas.get_mut(&1).expect("runs").frame(now, 13, Frame::Join(join));
        world.pass(Duration::from_millis(500));
    }
    let status = world.replicas[&world.leader()].status();
    assert_eq!(status.voters, [1, 2, 13]);
    assert_eq!(status.members.keys().copied().collect::<Vec<_>>(), [1, 2, 13]);
    assert_eq!(world.replicas[&13].table(), world.replicas[&1].table());
    assert!(matches!(world.ask(13, acquire(30, false)), Outcome::Holds(_) | Outcome::Held(_)));
}

#[test]
fn reads_wait_for_a_majority() {
    let mut world = World::new(3);
    world.pass(Duration::from_secs(2));
    for id in 1..=3 {
        let now = world.now;
        let request = world.replicas.get_mut(&id).expect("runs").read(now);
        world.settle();
        assert!(world.outcomes.contains(&(id, Completed::Read { request })));
    }
    let leader = world.leader();
    world.cut = vec![leader];
    let now = world.now;
    let request = world.replicas.get_mut(&leader).expect("runs").read(now);
    world.pass(Duration::from_secs(5));
    assert!(world.outcomes.contains(&(leader, Completed::Dropped { request })));
}

//! Members that start, stop and lose their disks while hellos are late: whatever they decide, at
//! most one group can ever get a majority, and once the trouble is over they are all in it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::super::*;

const SEEDS: u64 = 2000;
const STEPS: usize = 400;

/// Splitmix64: enough of a lot for a test.
struct Lots(u64);

struct Node {
    id: u64,
    name: Arc<str>,
    up: bool,
    group: Option<Group>,
    /// Part of a group as a newcomer; it counts for nothing there.
    joined: bool,
    /// Hellos as heard, maybe long ago.
    heard: BTreeMap<u64, Hello>,
}

struct World {
    lots: Lots,
    nodes: Vec<Node>,
    last_id: u64,
    /// Groups that had a majority of their founders in them at some time, and were not lost since.
    alive: BTreeSet<GroupId>,
}

// === impl Lots ===

impl Lots {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((mixed ^ (mixed >> 31)) % bound as u64) as usize
    }
}

// === impl World ===

impl World {
    fn new(seed: u64, size: usize) -> Self {
        let mut world =
            Self { lots: Lots(seed), nodes: Vec::new(), last_id: 0, alive: BTreeSet::new() };
        for number in 0..size {
            let id = world.fresh_id();
            let name = format!("n{number}").into();
            let (up, group, heard) = (false, None, BTreeMap::new());
            world.nodes.push(Node { id, name, up, group, joined: false, heard });
        }
        world
    }

    /// Ids are random in their order, as on real disks.
    fn fresh_id(&mut self) -> u64 {
        self.last_id += 1;
        (self.lots.below(1 << 20) as u64) << 32 | self.last_id
    }

    fn hello(&self, node: usize) -> Hello {
        let it = &self.nodes[node];
        let expected = u16::try_from(self.nodes.len()).unwrap();
        let (name, group) = (Arc::clone(&it.name), it.group.clone());
        Hello { id: it.id, name, witness: false, advertise: "".into(), expected, group }
    }

    /// `to` hears `from` as it is now; what it heard of the same name before is replaced.
    fn hear(&mut self, from: usize, to: usize) {
        if from == to || !self.nodes[from].up || !self.nodes[to].up {
            return;
        }
        let hello = self.hello(from);
        let heard = &mut self.nodes[to].heard;
        heard.retain(|_, old| old.name != hello.name);
        heard.insert(hello.id, hello);
    }

    fn decide(&mut self, node: usize) {
        let own = self.hello(node);
        let it = &mut self.nodes[node];
        if !it.up {
            return;
        }
        if let Some(group) = &it.group {
            // Nothing was ever voted on in a group that never had a majority.
            if !it.joined && !self.alive.contains(&group.id) && stranded(it.id, group, &it.heard) {
                self.wipe(node);
            }
            return;
        }
        match decide(&own, &it.heard, 0) {
            Decision::Wait(_) => {}
            Decision::Found(group) | Decision::Adopt(group) => it.group = Some(group),
            // The leader lets it in only if there is one.
            Decision::Join(group) if self.alive.contains(&group.id) => {
                (it.group, it.joined) = (Some(group), true);
            }
            Decision::Join(_) => {}
        }
        self.check();
    }

    fn wipe(&mut self, node: usize) {
        let id = self.fresh_id();
        let it = &mut self.nodes[node];
        (it.id, it.group, it.joined, it.heard) = (id, None, false, BTreeMap::new());
        self.check();
    }

    /// Groups with a majority of their founders in them, up or down.
    fn majorities(&self) -> BTreeMap<GroupId, usize> {
        let mut majorities = BTreeMap::new();
        for group in self.nodes.iter().filter_map(|node| node.group.as_ref()) {
            let of = |node: &&Node| node.group.as_ref().is_some_and(|it| it.id == group.id);
            let members = self.nodes.iter().filter(of);
            let founders = members.filter(|node| group.founded_by(node.id)).count();
            if founders > group.founders.len() / 2 {
                majorities.insert(group.id, founders);
            }
        }
        majorities
    }

    fn check(&mut self) {
        let majorities = self.majorities();
        assert!(majorities.len() <= 1, "two groups work: {majorities:?}");
        self.alive = majorities.into_keys().collect();
    }

    fn step(&mut self, wipes: &mut usize) {
        let (one, other) = (self.lots.below(self.nodes.len()), self.lots.below(self.nodes.len()));
        match self.lots.below(20) {
            0 | 1 => self.nodes[one].up = true,
            2 => {
                let node = &mut self.nodes[one];
                (node.up, node.heard) = (false, BTreeMap::new());
            }
            3 if *wipes > 0 => {
                *wipes -= 1;
                self.wipe(one);
            }
            4..=9 => self.decide(one),
            _ => self.hear(other, one),
        }
    }

    /// The trouble is over: everybody is up and hears everybody.
    fn settle(&mut self) {
        self.nodes.iter_mut().for_each(|node| node.up = true);
        for _ in 0..8 {
            for node in 0..self.nodes.len() {
                (0..self.nodes.len()).for_each(|from| self.hear(from, node));
                self.decide(node);
            }
        }
    }
}

#[test]
fn at_most_one_group_works_and_in_the_end_one_does() {
    for seed in 0..SEEDS {
        let size = [1, 2, 3, 5][(seed % 4) as usize];
        let mut world = World::new(seed, size);
        // As many lost disks as a group of this size bears.
        let mut wipes = (size - 1) / 2;
        for _ in 0..STEPS {
            world.step(&mut wipes);
        }
        world.settle();
        let groups: BTreeSet<_> =
            world.nodes.iter().map(|node| node.group.as_ref().map(|group| group.id)).collect();
        assert_eq!(groups.len(), 1, "seed {seed}: {groups:?}");
        assert!(groups.iter().all(Option::is_some), "seed {seed}: no group");
        assert_eq!(world.alive.len(), 1, "seed {seed}: no majority");
    }
}

#[test]
fn any_number_of_lost_disks_never_makes_two_groups() {
    for seed in 0..SEEDS {
        let mut world = World::new(seed, [2, 3, 4, 5][(seed % 4) as usize]);
        let mut wipes = 20;
        for _ in 0..STEPS {
            world.step(&mut wipes);
        }
    }
}

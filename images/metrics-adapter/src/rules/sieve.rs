//! All patterns at once: which of them can fit a text, and whether that can depend on the value at
//! its end.
//!
//! One automaton searches for all patterns, anywhere. A wrapped pattern `^.*(?:P).*$` fits a text
//! without line terminators exactly when `P` is found somewhere in it, so what is not found need not
//! be tried, and a trailing `.*` of `P` changes nothing.
//!
//! # Why a value can be proven to be without consequence
//!
//! The text is a prefix (bean and attribute) and a value. Suppose that whatever value of some
//! alphabet follows, no way through `P` ends behind the prefix or at its end. Then every way that
//! succeeds ends before, and has read nothing behind the place where it ends (what looks around is
//! never searched for exactly, see [`super::pattern::Pattern::loose_is_exact`]; `\b` and `$` look at
//! the next character, which is still within the prefix). Which ways succeed, and so which of them
//! the wrapped pattern prefers and what its groups capture, is then the same for every such value.
//! Group 0 is not among these groups: the wrapped pattern fits the whole text, value and all.
//!
//! "Whatever value follows" is asked of the automaton: from the state after the prefix all states
//! are visited that characters of the alphabet lead to; the patterns that are found there are those
//! that touch the value. That overestimates, for not every text of the alphabet is a number; it
//! never underestimates. Where the automaton cannot tell (too many states), all patterns touch.

use hashbrown::{HashMap, HashSet};
use regex_automata::hybrid::dfa::{Cache, DFA};
use regex_automata::hybrid::{LazyStateID, dfa};
use regex_automata::nfa::thompson::{self, WhichCaptures};
use regex_automata::{Input, MatchKind};

/// Characters that numbers and truth values are written with.
pub(super) const ALPHABET: &[u8] = b"0123456789+-.EINaefilnrstuy";
/// Most memory of the automaton's states in bytes.
const STATES_BYTES_MAX: usize = 2 * 1024 * 1024;
/// Most memory of what states are made from, in bytes.
const COMPILED_BYTES_MAX: usize = 16 * 1024 * 1024;
/// Most states that are visited behind a prefix.
const VISITED_MAX: usize = 64;
/// Most states that are visited to see whether anything can be found at all.
const REACHED_MAX: usize = 1024;
/// Most prefix states whose answer is kept.
const ANSWERS_MAX: usize = 4096;

/// A set of patterns, by number.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Set(Vec<u64>);

/// The automaton.
#[derive(Clone, Debug)]
pub(super) struct Sieve {
    automaton: DFA,
    cache: Cache,
    /// What touches the value, by the state after the prefix, or what can be found behind a bean, by
    /// the state at its end; of one generation of states.
    answers: HashMap<LazyStateID, Set>,
    generation: usize,
    patterns: usize,
}

/// What a scan has found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Scan {
    /// Found anywhere.
    pub(super) found: Set,
    /// Found before the end of the prefix.
    pub(super) early: Set,
    /// May be found behind it, depending on the value; empty when nobody asked.
    pub(super) touching: Set,
}

// === impl Set ===

impl Set {
    /// An empty set for patterns below a number.
    pub(super) fn clear(&mut self, patterns: usize) {
        self.0.clear();
        self.0.resize(patterns.div_ceil(64), 0);
    }

    /// All patterns below a number.
    pub(super) fn fill(&mut self, patterns: usize) {
        self.clear(patterns);
        self.0.fill(u64::MAX);
    }

    pub(super) fn contains(&self, pattern: usize) -> bool {
        self.0.get(pattern / 64).is_some_and(|word| word >> (pattern % 64) & 1 == 1)
    }

    fn any(&self) -> bool {
        self.0.iter().any(|word| *word != 0)
    }

    fn insert(&mut self, pattern: usize) {
        if let Some(word) = self.0.get_mut(pattern / 64) {
            *word |= 1 << (pattern % 64);
        }
    }
}

// === impl Sieve ===

impl Sieve {
    /// Builds the automaton; `None` when it would be too large.
    pub(super) fn new(patterns: &[&str]) -> Option<Self> {
        let config = dfa::Config::new()
            .match_kind(MatchKind::All)
            .cache_capacity(STATES_BYTES_MAX)
            .skip_cache_capacity_check(true)
            .minimum_cache_clear_count(None);
        let compiled = thompson::Config::new()
            .nfa_size_limit(Some(COMPILED_BYTES_MAX))
            .which_captures(WhichCaptures::None);
        let automaton =
            dfa::Builder::new().configure(config).thompson(compiled).build_many(patterns).ok()?;
        let cache = automaton.create_cache();
        let answers = HashMap::new();
        Some(Self { automaton, cache, answers, generation: 0, patterns: patterns.len() })
    }

    /// Scans a text whose value begins at `split`. `blind` asks what touches the value. Where the
    /// automaton fails, everything is found, nothing is early, and everything touches.
    pub(super) fn scan(&mut self, text: &str, split: usize, blind: bool, scan: &mut Scan) {
        let all = self.patterns;
        for set in [&mut scan.found, &mut scan.early, &mut scan.touching] {
            set.clear(all);
        }
        if self.try_scan(text, split, blind, scan).is_none() {
            scan.found.fill(all);
            scan.early.clear(all);
            scan.touching.fill(all);
        }
    }

    /// Whether a pattern can be found in some match string of a bean, given `domain<key=value` of it
    /// without the end: rows of tables add properties to it. It is taken for granted that no `<`
    /// stands in those, and that the byte `never` does not stand behind the bean. True where the
    /// automaton cannot tell; with one pattern it hardly ever has too many states for that.
    pub(super) fn can_find(&mut self, bean: &str, never: Option<u8>) -> bool {
        self.try_find(bean, never).unwrap_or(true)
    }

    fn try_find(&mut self, bean: &str, never: Option<u8>) -> Option<bool> {
        let mut found = Set::default();
        found.clear(self.patterns);
        let start = self.automaton.start_state_forward(&mut self.cache, &Input::new("")).ok()?;
        let bean = self.walk(start, bean.as_bytes(), &mut found)?;
        if found.any() {
            return Some(true);
        }
        if self.cache.clear_count() != self.generation || self.answers.len() >= ANSWERS_MAX {
            self.answers.clear();
            self.generation = self.cache.clear_count();
        }
        // Most beans end in the same few states.
        if let Some(found) = self.answers.get(&bean) {
            return Some(found.any());
        }
        self.behind(bean, never, &mut found)?;
        // States of another generation have other numbers.
        if self.cache.clear_count() == self.generation {
            self.answers.insert(bean, found.clone());
            return Some(found.any());
        }
        None
    }

    /// Notes what can be found behind a bean, given the state before its end.
    fn behind(&mut self, bean: LazyStateID, never: Option<u8>, found: &mut Set) -> Option<()> {
        let without = |never| (0..=u8::MAX).filter(|byte| Some(*byte) != never).collect();
        let more = self.walk(bean, b", ", found)?;
        let mut ends = self.visit(vec![more], without(Some(b'<')), REACHED_MAX, found, false)?;
        ends.push(bean);
        let mut behind = Vec::new();
        for end in ends {
            behind.push(self.walk(end, b"><", found)?);
        }
        behind.sort_unstable();
        behind.dedup();
        self.visit(behind, without(never), REACHED_MAX, found, true).map(drop)
    }

    fn try_scan(&mut self, text: &str, split: usize, blind: bool, scan: &mut Scan) -> Option<()> {
        let mut state =
            self.automaton.start_state_forward(&mut self.cache, &Input::new("")).ok()?;
        let (prefix, value) = text.as_bytes().split_at_checked(split)?;
        state = self.walk(state, prefix, &mut scan.found)?;
        scan.early.clone_from(&scan.found);
        if blind {
            let generation = self.cache.clear_count();
            self.touching(state, &mut scan.touching);
            // Visiting may have thrown all states away.
            if self.cache.clear_count() != generation {
                let start = self.automaton.start_state_forward(&mut self.cache, &Input::new(""));
                state = self.walk(start.ok()?, prefix, &mut scan.found)?;
            }
        }
        state = self.walk(state, value, &mut scan.found)?;
        let end = self.automaton.next_eoi_state(&mut self.cache, state).ok()?;
        self.note(end, &mut scan.found)
    }

    fn walk(&mut self, from: LazyStateID, bytes: &[u8], found: &mut Set) -> Option<LazyStateID> {
        let mut state = from;
        for byte in bytes {
            state = self.automaton.next_state(&mut self.cache, state, *byte).ok()?;
            if state.is_tagged() {
                self.note(state, found)?;
            }
        }
        Some(state)
    }

    /// Adds the patterns found in a state; `None` where the automaton has given up.
    fn note(&self, state: LazyStateID, found: &mut Set) -> Option<()> {
        if state.is_match() {
            for index in 0..self.automaton.match_len(&self.cache, state) {
                found.insert(self.automaton.match_pattern(&self.cache, state, index).as_usize());
            }
        }
        (!state.is_quit()).then_some(())
    }

    /// Which patterns can be found behind a state.
    fn touching(&mut self, state: LazyStateID, touching: &mut Set) {
        let generation = self.cache.clear_count();
        if generation != self.generation || self.answers.len() >= ANSWERS_MAX {
            self.answers.clear();
            self.generation = generation;
        }
        if let Some(answer) = self.answers.get(&state) {
            touching.clone_from(answer);
            return;
        }
        if self.visit(vec![state], ALPHABET.to_vec(), VISITED_MAX, touching, true).is_none() {
            touching.fill(self.patterns);
        }
        if self.cache.clear_count() == generation {
            self.answers.insert(state, touching.clone());
        }
    }

    /// Notes what can be found behind states when these bytes follow, and that the text may then end
    /// if `ends` says so. Gives back all states it may be in; `None` where there are too many to
    /// tell.
    fn visit(
        &mut self,
        from: Vec<LazyStateID>,
        mut bytes: Vec<u8>,
        states_max: usize,
        touching: &mut Set,
        ends: bool,
    ) -> Option<Vec<LazyStateID>> {
        let generation = self.cache.clear_count();
        let classes = *self.automaton.byte_classes();
        bytes.sort_by_key(|byte| classes.get(*byte));
        bytes.dedup_by_key(|byte| classes.get(*byte));
        // The states at the start alone are no text, for a value has at least one character; but
        // they may be reached again.
        let mut known: HashSet<LazyStateID> = HashSet::new();
        let first = from.len();
        let mut visited = from;
        let mut next = 0;
        while let Some(state) = visited.get(next).copied() {
            next += 1;
            for byte in &bytes {
                let to = self.automaton.next_state(&mut self.cache, state, *byte).ok()?;
                // States of another generation have other numbers.
                if self.cache.clear_count() != generation {
                    return None;
                }
                self.note(to, touching)?;
                if known.insert(to) {
                    visited.push(to);
                }
            }
            if ends && next > first {
                let end = self.automaton.next_eoi_state(&mut self.cache, state).ok()?;
                if self.cache.clear_count() != generation {
                    return None;
                }
                self.note(end, touching)?;
            }
            if visited.len() > states_max {
                return None;
            }
        }
        Some(visited)
    }
}

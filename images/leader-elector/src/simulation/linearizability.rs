//! Whether a history of concurrent operations could have come from a thing that does one at a time.
//!
//! The search is Wing and Gong's, with Lowe's memory of the configurations that were tried: an
//! operation that is under way is put next if the model allows its outcome, and taken back when
//! that leads nowhere. One that only observes is put next as soon as it is allowed, and nothing else
//! is tried in its place: wherever an order has it later, it may as well be here. (Not so one that
//! happens to change nothing here: elsewhere it may change something.) Operations without an end may
//! take effect at any time after they began, or never. It knows nothing of elections.

#[cfg(test)]
mod tests;

use std::collections::HashSet;
use std::fmt::Debug;
use std::hash::Hash;

/// Configurations tried before the search gives up: far more than any history here needs.
const CONFIGURATIONS_MAX: usize = 3_000_000;

/// A thing that does one operation at a time.
pub trait Model {
    /// Where it stands.
    type State: Clone + Eq + Hash + Debug;
    /// What is done, with what came of it.
    type Operation: Debug;

    /// Where it begins.
    fn initial(&self) -> Self::State;

    /// Where it stands after the operation; none if the operation cannot end like this here.
    fn step(&self, state: &Self::State, operation: &Self::Operation) -> Option<Self::State>;

    /// Whether the operation, with this outcome, changes nothing in any state.
    fn only_observes(&self, operation: &Self::Operation) -> bool;
}

/// An operation and when it was under way.
#[derive(Clone, Debug)]
pub struct Call<O> {
    /// What was done.
    pub operation: O,
    /// Not before.
    pub invoked: u64,
    /// Not after; none if it may still take effect, or never.
    pub returned: Option<u64>,
}

/// Why a history is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// No order explains it; told is how far the best attempt came.
    Impossible(String),
    /// There were too many orders to try.
    Undecided,
}

/// One end of a call in the list of those that are not in order yet.
#[derive(Clone, Copy, Debug)]
struct Entry {
    call: usize,
    is_return: bool,
    before: usize,
    after: usize,
}

/// The calls that are not in order yet, as a list by time with a head at 0; what was taken out can
/// be put back in the reverse order.
struct Pending {
    entries: Vec<Entry>,
    /// Places of the invocation and the return of each call.
    places: Vec<(usize, Option<usize>)>,
}

/// Calls by number.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Set(Vec<u64>);

/// Looks for an order of the calls that the model allows.
///
/// # Errors
/// There is none, or it was not found in reasonable time.
pub fn check<M: Model>(model: &M, calls: &[Call<M::Operation>]) -> Result<(), Refusal> {
    let mut pending = Pending::new(calls);
    let mut state = model.initial();
    let mut done = Set::new(calls.len());
    let mut left = calls.iter().filter(|call| call.returned.is_some()).count();
    let mut stack: Vec<(usize, M::State)> = Vec::new();
    let mut tried: HashSet<(Set, M::State)> = HashSet::new();
    let mut best = (left, None);
    let mut at = pending.entries[0].after;
    while left > 0 {
        let entry = pending.entries[at];
        if at == 0 || entry.is_return {
            if left < best.0 || best.1.is_none() {
                best = (left, Some((state.clone(), entry.call, done.clone())));
            }
            loop {
                let Some((place, before)) = stack.pop() else {
                    return Err(Refusal::Impossible(explain(calls, best.1)));
                };
                let call = pending.entries[place].call;
                let had_no_choice = model.only_observes(&calls[call].operation);
                state = before;
                done.remove(call);
                left += usize::from(calls[call].returned.is_some());
                pending.put_back(call);
                at = pending.entries[place].after;
                if !had_no_choice {
                    break;
                }
            }
            continue;
        }
        let call = &calls[entry.call];
        let next = model.step(&state, &call.operation);
        // What need not happen and changes nothing need not be tried.
        let next = next.filter(|next| call.returned.is_some() || *next != state);
        if let Some(next) = next {
            done.insert(entry.call);
            if tried.insert((done.clone(), next.clone())) {
                if tried.len() > CONFIGURATIONS_MAX {
                    return Err(Refusal::Undecided);
                }
                stack.push((at, std::mem::replace(&mut state, next)));
                left -= usize::from(call.returned.is_some());
                pending.take_out(entry.call);
                at = pending.entries[0].after;
                continue;
            }
            done.remove(entry.call);
        }
        at = entry.after;
    }
    Ok(())
}

fn explain<O: Debug, S: Debug>(calls: &[Call<O>], best: Option<(S, usize, Set)>) -> String {
    let Some((state, stuck, done)) = best else { return String::new() };
    let call = &calls[stuck];
    let end = call.returned.unwrap_or(u64::MAX);
    let mut text = format!("in {state:?} this cannot follow: {call:?}; under way with it:");
    for (number, other) in calls.iter().enumerate() {
        if number != stuck && !done.contains(number) && other.invoked <= end {
            text += &format!("\n  {other:?}");
        }
    }
    text
}

// === impl Pending ===

impl Pending {
    fn new<O>(calls: &[Call<O>]) -> Self {
        let mut ends = Vec::with_capacity(2 * calls.len());
        for (number, call) in calls.iter().enumerate() {
            ends.push((call.invoked, false, number));
            // What returns at the moment when something else begins may come after it.
            ends.extend(call.returned.map(|at| (at.max(call.invoked), true, number)));
        }
        ends.sort_unstable();
        let head = Entry { call: 0, is_return: false, before: ends.len(), after: 1 };
        let mut entries = vec![head];
        let mut places = vec![(0, None); calls.len()];
        for (number, (_, is_return, call)) in ends.iter().copied().enumerate() {
            let place = number + 1;
            let after = (place + 1) % (ends.len() + 1);
            entries.push(Entry { call, is_return, before: number, after });
            if is_return {
                places[call].1 = Some(place);
            } else {
                places[call].0 = place;
            }
        }
        entries[0].after = usize::from(!ends.is_empty());
        Self { entries, places }
    }

    fn take_out(&mut self, call: usize) {
        let (invocation, end) = self.places[call];
        for place in [Some(invocation), end].into_iter().flatten() {
            let Entry { before, after, .. } = self.entries[place];
            self.entries[before].after = after;
            self.entries[after].before = before;
        }
    }

    fn put_back(&mut self, call: usize) {
        let (invocation, end) = self.places[call];
        for place in [end, Some(invocation)].into_iter().flatten() {
            let Entry { before, after, .. } = self.entries[place];
            self.entries[before].after = place;
            self.entries[after].before = place;
        }
    }
}

// === impl Set ===

impl Set {
    fn new(size: usize) -> Self {
        Self(vec![0; size.div_ceil(64)])
    }

    fn insert(&mut self, number: usize) {
        self.0[number / 64] |= 1 << (number % 64);
    }

    fn remove(&mut self, number: usize) {
        self.0[number / 64] &= !(1 << (number % 64));
    }

    fn contains(&self, number: usize) -> bool {
        self.0[number / 64] & 1 << (number % 64) != 0
    }
}

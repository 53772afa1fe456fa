//! Histories whose verdict is known, and a comparison with trying every order.

use proptest::prelude::*;

use super::*;

/// A register that holds a number.
struct Register;

#[derive(Clone, Copy, Debug)]
enum Does {
    Write(u8),
    Read(u8),
    /// Succeeds, or fails with what was there.
    Swap(u8, u8, bool),
}

impl Model for Register {
    type State = u8;
    type Operation = Does;

    fn initial(&self) -> u8 {
        0
    }

    fn step(&self, state: &u8, operation: &Does) -> Option<u8> {
        match *operation {
            Does::Write(value) => Some(value),
            Does::Read(value) => (*state == value).then_some(value),
            Does::Swap(from, to, true) => (*state == from).then_some(to),
            Does::Swap(from, _, false) => (*state != from).then_some(*state),
        }
    }

    fn only_observes(&self, operation: &Does) -> bool {
        matches!(operation, Does::Read(_) | Does::Swap(_, _, false))
    }
}

fn call(operation: Does, invoked: u64, returned: u64) -> Call<Does> {
    Call { operation, invoked, returned: Some(returned) }
}

fn open(operation: Does, invoked: u64) -> Call<Does> {
    Call { operation, invoked, returned: None }
}

fn is_good(calls: &[Call<Does>]) -> bool {
    check(&Register, calls).is_ok()
}

#[test]
fn good_histories() {
    assert!(is_good(&[]));
    assert!(is_good(&[call(Does::Read(0), 1, 2)]));
    assert!(is_good(&[call(Does::Write(1), 1, 2), call(Does::Read(1), 3, 4)]));
    // Both answers are right while the write is under way, and it need not come first.
    assert!(is_good(&[
        call(Does::Write(1), 1, 10),
        call(Does::Read(0), 2, 4),
        call(Does::Read(1), 5, 7),
    ]));
    assert!(is_good(&[
        call(Does::Write(1), 1, 10),
        call(Does::Write(2), 1, 10),
        call(Does::Read(2), 2, 3),
        call(Does::Read(1), 4, 5),
    ]));
    assert!(is_good(&[call(Does::Swap(0, 1, true), 1, 5), call(Does::Swap(0, 2, false), 1, 5)]));
    assert!(is_good(&[call(Does::Write(1), 1, 5), call(Does::Read(0), 5, 6)]), "they touch");
    // A write that would change nothing at first is needed later.
    assert!(is_good(&[
        call(Does::Write(0), 0, 1),
        call(Does::Swap(0, 1, true), 0, 0),
        call(Does::Read(0), 2, 2),
    ]));
}

#[test]
fn bad_histories() {
    assert!(!is_good(&[call(Does::Read(1), 1, 2)]));
    // A stale read.
    assert!(!is_good(&[call(Does::Write(1), 1, 2), call(Does::Read(0), 3, 4)]));
    // Back to the old value after the new one was seen.
    assert!(!is_good(&[
        call(Does::Write(1), 1, 10),
        call(Does::Read(1), 2, 4),
        call(Does::Read(0), 5, 7),
    ]));
    // Two that both win.
    assert!(!is_good(&[call(Does::Swap(0, 1, true), 1, 9), call(Does::Swap(0, 2, true), 1, 9)]));
    // Readers that disagree on the order of two writes.
    assert!(!is_good(&[
        call(Does::Write(1), 1, 20),
        call(Does::Write(2), 1, 20),
        call(Does::Read(1), 2, 3),
        call(Does::Read(2), 4, 5),
        call(Does::Read(1), 6, 7),
    ]));
}

#[test]
fn what_has_no_end_may_happen_late_or_never() {
    assert!(is_good(&[open(Does::Write(1), 1), call(Does::Read(0), 2, 3)]));
    assert!(is_good(&[
        open(Does::Write(1), 1),
        call(Does::Read(0), 2, 3),
        call(Does::Read(1), 50, 51),
    ]));
    assert!(!is_good(&[open(Does::Write(1), 10), call(Does::Read(1), 2, 3)]), "but not early");
    assert!(!is_good(&[
        open(Does::Write(1), 1),
        call(Does::Write(2), 2, 3),
        call(Does::Read(1), 4, 5),
        call(Does::Read(2), 6, 7),
    ]));
}

#[test]
fn long_histories_are_decided() {
    let mut calls = Vec::new();
    for round in 0..300 {
        let value = (round % 250) as u8;
        calls.push(call(Does::Write(value), round * 10, round * 10 + 8));
        calls.push(call(Does::Read(value), round * 10 + 5, round * 10 + 12));
        calls.push(open(Does::Swap(251, 252, true), round * 10));
    }
    assert_eq!(check(&Register, &calls), Ok(()));
    calls.push(call(Does::Read(253), 1_500, 1_501));
    assert!(matches!(check(&Register, &calls), Err(Refusal::Impossible(_))));
}

/// Tries every order of every choice of those without an end.
fn is_good_by_force(state: u8, calls: &[Call<Does>]) -> bool {
    if calls.iter().all(|call| call.returned.is_none()) {
        return true;
    }
    (0..calls.len()).any(|next| {
        let first_end = calls.iter().filter_map(|call| call.returned).min();
        if first_end.is_some_and(|end| calls[next].invoked > end) {
            return false;
        }
        let mut rest = calls.to_vec();
        let taken = rest.remove(next);
        Register.step(&state, &taken.operation).is_some_and(|state| is_good_by_force(state, &rest))
    })
}

proptest! {
    #[test]
    fn the_search_agrees_with_force(
        calls in prop::collection::vec(
            (0u8..4, 0u8..3, 0u8..3, 0u64..12, prop::option::weighted(0.8, 0u64..6)),
            0..7,
        ),
    ) {
        let calls: Vec<_> = calls
            .into_iter()
            .map(|(kind, a, b, invoked, lasts)| Call {
                operation: match kind {
                    0 => Does::Write(a),
                    1 => Does::Read(a),
                    _ => Does::Swap(a, b, kind == 2),
                },
                invoked,
                returned: lasts.map(|lasts| invoked + lasts),
            })
            .collect();
        prop_assert_eq!(is_good(&calls), is_good_by_force(0, &calls));
    }
}

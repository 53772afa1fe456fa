use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::{Look, Observer, Seen};

const WITHIN: Duration = Duration::from_secs(30);

#[test]
fn a_sequence_of_leaders_is_fine() {
    let token = Arc::new(AtomicU64::new(1));
    let told = Arc::clone(&token);
    // Even tokens belong to member 0, odd ones to member 1.
    let look: Look = Arc::new(move |member| {
        let token = told.load(Ordering::SeqCst);
        (token % 2 == member as u64).then_some(token)
    });
    let observer = Observer::start(2, &look);
    for next in 2..6 {
        observer.after(next - 2, WITHIN).expect("a leader");
        token.store(next, Ordering::SeqCst);
    }
    let last = observer.after(4, WITHIN).expect("the last leader");
    assert_eq!((last.token, last.member), (5, 1));
    observer.verdict().expect("nothing was wrong");
}

#[test]
fn an_old_token_after_a_new_one_is_found() {
    let seen = Seen::default();
    for (member, token) in [(0, 7_u64), (1, 8), (0, 7)] {
        seen.look(member, &(Arc::new(move |_| Some(token)) as Look));
    }
    let violation = seen.with(|state| state.violation.take()).expect("a violation");
    assert!(violation.contains("token 7"), "{violation}");
}

#[test]
fn a_token_of_two_is_found() {
    let seen = Seen::default();
    let look: Look = Arc::new(|_| Some(7));
    seen.look(0, &look);
    seen.look(1, &look);
    assert!(seen.with(|state| state.violation.is_some()));
}

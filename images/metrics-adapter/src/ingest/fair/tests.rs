use std::sync::mpsc;

use super::Fair;

#[test]
fn who_waits_comes_before_who_just_had_it() {
    let fair = Fair::new(Vec::new());
    let (started, waiting) = mpsc::channel();
    std::thread::scope(|scope| {
        let mut first = fair.lock().unwrap();
        scope.spawn(|| {
            started.send(()).unwrap();
            fair.lock().unwrap().push("second");
        });
        waiting.recv().unwrap();
        // It is about to take its turn; with it, it is the next.
        while fair.turn.try_lock().is_ok() {
            std::thread::yield_now();
        }
        first.push("first");
        drop(first);
        fair.lock().unwrap().push("third");
    });
    assert_eq!(*fair.lock().unwrap(), ["first", "second", "third"]);
}

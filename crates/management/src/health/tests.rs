//! Under a paused clock.

use super::*;

fn check(name: &str, critical: Critical, ask: impl Fn() -> CheckFuture + Send + 'static) -> Check {
    let (interval, timeout) = (Duration::from_secs(5), Duration::from_secs(1));
    Check { name: name.to_owned(), critical, interval, timeout, ask: Box::new(ask) }
}

#[tokio::test(start_paused = true)]
async fn a_heartbeat_that_stops_is_named_after_the_stall() {
    let beats = Heartbeats::new(Duration::from_secs(10));
    let (good, bad) =
        (beats.register("good", Instant::now()), beats.register("bad", Instant::now()));
    bad.beat();
    for _ in 0..11 {
        good.beat();
        assert_eq!(beats.stalled(Instant::now()), []);
        tokio::time::advance(Duration::from_secs(1)).await;
    }
    good.beat();
    assert_eq!(beats.stalled(Instant::now()), [("bad".to_owned(), Duration::from_secs(11))]);
    bad.beat();
    assert_eq!(beats.stalled(Instant::now()), []);
    drop(bad);
    tokio::time::advance(Duration::from_secs(1)).await;
    assert_eq!(beats.sample(Instant::now()).len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_hanging_check_fails_alone() {
    let outcomes = Outcomes::default();
    let hangs = check("hangs", Critical::No, || Box::pin(std::future::pending()));
    let works = check("works", Critical::Yes, || Box::pin(async { Ok(()) }));
    outcomes.set("hangs", Critical::No, None);
    outcomes.set("works", Critical::Yes, None);
    assert_eq!(outcomes.status(), Status::Fail);
    let until = |seconds| tokio::time::sleep(Duration::from_millis(seconds));
    tokio::select! {
        () = hangs.run(&outcomes) => {}
        () = works.run(&outcomes) => {}
        () = until(500) => assert_eq!(outcomes.status(), Status::Pass),
    }
    let hangs = check("hangs", Critical::No, || Box::pin(std::future::pending()));
    tokio::select! {
        () = hangs.run(&outcomes) => {}
        () = until(1_500) => {}
    }
    assert_eq!(outcomes.status(), Status::Warn);
    let shown = outcomes.to_json(Instant::now());
    assert_eq!(shown["hangs"]["error"], "no answer in 1s");
    assert_eq!(shown["works"]["status"], "pass");
    outcomes.set("works", Critical::Yes, Some(Err("down".to_owned())));
    assert_eq!(outcomes.status(), Status::Fail);
}

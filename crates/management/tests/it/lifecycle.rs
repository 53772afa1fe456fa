//! Drain, undrain, shutdown, signals, and tasks that end.

use std::sync::atomic::Ordering;
use std::time::Duration;

use management::{ExitReason, Signal, State};

use crate::support::{SharedWork, ask, builder, get, post, run_aside, shared, start, until};

#[test]
fn a_drain_is_undone() {
    let (handle, _signals) = start(builder(&shared()));
    let (admin, probe) = (handle.admin_addr(), handle.probe_addr());
    let work = SharedWork::new(2);
    handle.set_ready(true);
    let main = run_aside(&handle, &work);
    assert_eq!(get(probe, "/readyz").status, 200);
    assert_eq!(post(admin, "/mgmt/v1/lifecycle/undrain", "").status, 409);
    let answer = post(admin, "/mgmt/v1/lifecycle/drain", "");
    assert_eq!((answer.status, answer.json()["state"].as_str()), (202, Some("draining")));
    assert_eq!(get(probe, "/readyz").status, 503, "not ready at once");
    assert_eq!(get(probe, "/livez").status, 200);
    until("stopped accepting", || !work.accepting());
    assert_eq!(post(admin, "/mgmt/v1/lifecycle/drain", "").status, 200, "so already");
    until("main is running", || get(admin, "/mgmt/v1/lifecycle").json()["in_flight"] == 2);
    let shown = get(admin, "/mgmt/v1/lifecycle").json();
    assert_eq!(shown["grace_s"], 30.0);
    assert_eq!(shown["plan"]["pre_drain_s"], 0.0);
    assert_eq!(shown["plan"]["drain_s"], 28.0);
    assert_eq!(shown["exiting"], false);
    assert_eq!(shown["accepting"], false);
    assert!(shown["since"].as_str().unwrap().ends_with('Z'));
    assert_eq!(post(admin, "/mgmt/v1/lifecycle/undrain", "").status, 202);
    until("accepting again", || work.accepting());
    assert_eq!(get(probe, "/readyz").status, 200);
    assert_eq!(post(admin, "/mgmt/v1/lifecycle/shutdown", "").status, 202);
    assert_eq!(post(admin, "/mgmt/v1/lifecycle/shutdown", "{}").status, 200);
    assert_eq!(post(admin, "/mgmt/v1/lifecycle/undrain", "").status, 409);
    assert_eq!(post(admin, "/mgmt/v1/lifecycle/drain", "").status, 409);
    work.0.in_flight.store(0, Ordering::SeqCst);
    assert_eq!(main.join().unwrap(), ExitReason::Stopped { in_flight: 0 });
    assert!(work.0.closed.load(Ordering::SeqCst));
    assert_eq!(handle.state(), State::Stopped);
    let logs = get(admin, "/mgmt/v1/logs").body;
    assert!(logs.contains("\"drain finished\""), "{logs}");
}

#[test]
fn what_never_ends_is_abandoned_within_the_grace() {
    let mut shared = shared();
    shared.grace = Duration::from_millis(300);
    let (handle, signals) = start(builder(&shared));
    handle.set_ready(true);
    let work = SharedWork::new(3);
    let main = run_aside(&handle, &work);
    signals.send(Signal::Term).unwrap();
    assert_eq!(main.join().unwrap(), ExitReason::Stopped { in_flight: 3 });
    let logs = get(handle.admin_addr(), "/mgmt/v1/logs").body;
    let line = logs.lines().find(|line| line.contains("drain abandoned")).unwrap();
    assert!(line.contains("\"in_flight\":3"), "{line}");
}

#[test]
fn signals_skip_the_pre_drain_and_then_abort() {
    let mut shared = shared();
    shared.grace = Duration::from_hours(1);
    shared.kubernetes = true;
    let (handle, signals) = start(builder(&shared));
    handle.set_ready(true);
    let work = SharedWork::new(1);
    let main = run_aside(&handle, &work);
    signals.send(Signal::Term).unwrap();
    until("draining", || handle.state() == State::Draining);
    assert!(work.accepting(), "the pre-drain goes on accepting");
    signals.send(Signal::Int).unwrap();
    until("skipped", || !work.accepting());
    assert!(!main.is_finished());
    signals.send(Signal::Term).unwrap();
    assert_eq!(main.join().unwrap(), ExitReason::Aborted);
}

#[test]
fn a_forced_shutdown_and_the_alias() {
    let (handle, _signals) = start(builder(&shared()));
    handle.set_ready(true);
    let main = run_aside(&handle, &SharedWork::new(1));
    let admin = handle.admin_addr();
    assert_eq!(post(admin, "/mgmt/v1/lifecycle/shutdown", "{\"forse\":true}").status, 400);
    assert_eq!(ask(admin, "GET", "/quitquitquit", &[], "").status, 405);
    assert_eq!(ask(admin, "POST", "/quitquitquit", &[], "").status, 202);
    assert_eq!(handle.state(), State::Draining);
    assert_eq!(post(admin, "/mgmt/v1/lifecycle/shutdown", "{\"force\":true}").status, 202);
    let reason = main.join().unwrap();
    assert_eq!((reason.code(), reason), (1, ExitReason::Aborted));
}

#[test]
fn a_stop_before_run_is_not_lost() {
    let (handle, signals) = start(builder(&shared()));
    signals.send(Signal::Term).unwrap();
    until("stopped", || handle.state() == State::Stopped);
    assert_eq!(handle.run(SharedWork::new(0)), ExitReason::Stopped { in_flight: 0 });
}

#[test]
fn a_drain_before_run_is_handed_on() {
    let (handle, _signals) = start(builder(&shared()));
    let admin = handle.admin_addr();
    assert_eq!(post(admin, "/mgmt/v1/lifecycle/drain", "").status, 202);
    let work = SharedWork::new(0);
    until("stepped", || get(admin, "/mgmt/v1/lifecycle").json()["accepting"] == false);
    let main = run_aside(&handle, &work);
    until("told", || !work.accepting());
    handle.shutdown();
    assert_eq!(main.join().unwrap().code(), 0);
}

#[test]
fn a_watched_task_or_thread_that_ends_ends_the_process() {
    let failed = |what: &str, start_it: &dyn Fn(&management::Handle)| {
        let (handle, _signals) = start(builder(&shared()).live_stall(Duration::from_millis(100)));
        handle.set_ready(true);
        let main = run_aside(&handle, &SharedWork::new(9));
        start_it(&handle);
        let reason = main.join().unwrap();
        assert_eq!(reason, ExitReason::Failed(what.to_owned()));
        assert_eq!(reason.code(), 1);
        assert_eq!(get(handle.probe_addr(), "/livez").status, 503);
    };
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    failed("task resolver ended", &|handle| {
        runtime.block_on(async { handle.spawn("resolver", async {}).await.unwrap() });
    });
    failed("task cancelled ended", &|handle| {
        runtime.block_on(async {
            handle.spawn("cancelled", std::future::pending()).abort();
        });
        runtime.block_on(tokio::task::yield_now());
    });
    failed("thread worker-0 ended", &|handle| {
        handle.spawn_thread("worker-0", || {}).unwrap().join().unwrap();
    });
    failed("thread worker-1 ended", &|handle| handle.watch("worker-1", std::thread::spawn(|| 5)));
    failed("no disk left", &|handle| handle.fail("no disk left"));
}

#[test]
fn a_task_may_end_once_the_process_is_asked_to_stop() {
    let (handle, _signals) = start(builder(&shared()));
    let work = SharedWork::new(1);
    let main = run_aside(&handle, &work);
    handle.shutdown();
    handle.spawn_thread("worker", || {}).unwrap().join().unwrap();
    work.0.in_flight.store(0, Ordering::SeqCst);
    assert_eq!(main.join().unwrap(), ExitReason::Stopped { in_flight: 0 });
}

#[test]
fn an_image_acts_on_signals() {
    let (handle, signals) = start(builder(&shared()));
    let (sender, receiver) = std::sync::mpsc::channel();
    handle.on_signal(Signal::Usr1, move || sender.send("reload").unwrap());
    signals.send(Signal::Usr2).unwrap();
    signals.send(Signal::Hup).unwrap();
    signals.send(Signal::Usr1).unwrap();
    assert_eq!(receiver.recv_timeout(Duration::from_secs(20)), Ok("reload"));
    assert_eq!(handle.state(), State::Starting);
}

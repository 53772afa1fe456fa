//! Every order of requests, signals and deadlines.

use super::*;

const fn ms(value: u64) -> Duration {
    Duration::from_millis(value)
}

fn running(grace: u64, kubernetes: bool) -> Machine {
    let mut machine = Machine::new(Plan::new(ms(grace), kubernetes));
    assert_eq!(machine.apply(ms(0), Request::Started), Ok(Taken::Now));
    machine
}

#[test]
fn the_plan_comes_from_one_number() {
    let shown = |grace, kubernetes| {
        let plan = Plan::new(ms(grace), kubernetes);
        assert_eq!(plan.grace(), ms(grace));
        (plan.pre_drain_s, plan.drain_s, plan.margin_s)
    };
    assert_eq!(shown(30_000, false), (0.0, 28.0, 2.0));
    assert_eq!(shown(30_000, true), (5.0, 23.0, 2.0));
    assert_eq!(shown(10_000, true), (2.5, 6.5, 1.0));
    assert_eq!(shown(100, true), (0.025, 0.065, 0.01));
}

#[test]
fn an_idle_process_stops_at_once() {
    let mut machine = running(30_000, false);
    assert_eq!(machine.next(ms(1), 0), Step::Wait(None));
    assert_eq!(machine.apply(ms(5), Request::StopSignal), Ok(Taken::Now));
    assert_eq!(machine.state(), State::Draining);
    assert_eq!(machine.next(ms(5), 0), Step::StopAccepting);
    assert_eq!(machine.next(ms(5), 0), Step::Close { in_flight: 0 });
    assert_eq!(machine.next(ms(6), 0), Step::Finish(ExitReason::Stopped { in_flight: 0 }));
    assert_eq!(machine.state(), State::Stopped);
}

#[test]
fn work_in_flight_is_awaited_and_abandoned_at_the_end_of_the_budget() {
    let mut machine = running(1_000, true);
    machine.apply(ms(0), Request::Shutdown).unwrap();
    assert_eq!(machine.next(ms(0), 3), Step::Wait(Some(ms(250))));
    assert_eq!(machine.next(ms(249), 0), Step::Wait(Some(ms(250))), "idle, yet accepting");
    assert_eq!(machine.next(ms(250), 3), Step::StopAccepting);
    assert_eq!(machine.next(ms(250), 3), Step::Wait(Some(ms(270))));
    assert_eq!(machine.next(ms(890), 3), Step::Wait(Some(ms(900))));
    assert_eq!(machine.next(ms(900), 2), Step::Close { in_flight: 2 });
    assert_eq!(machine.next(ms(901), 0), Step::Finish(ExitReason::Stopped { in_flight: 2 }));
}

#[test]
fn the_second_signal_skips_the_pre_drain_and_the_third_aborts() {
    let mut machine = running(30_000, true);
    machine.apply(ms(0), Request::StopSignal).unwrap();
    assert_eq!(machine.next(ms(1), 1), Step::Wait(Some(ms(5_000))));
    machine.apply(ms(2), Request::StopSignal).unwrap();
    assert_eq!(machine.next(ms(2), 1), Step::StopAccepting);
    assert_eq!(machine.next(ms(2), 1), Step::Wait(Some(ms(22))));
    machine.apply(ms(3), Request::StopSignal).unwrap();
    assert_eq!(machine.next(ms(3), 1), Step::Finish(ExitReason::Aborted));
    assert_eq!(ExitReason::Aborted.code(), 1);
}

#[test]
fn a_signal_after_a_posted_shutdown_is_the_first_signal() {
    let mut machine = running(30_000, true);
    machine.apply(ms(0), Request::Shutdown).unwrap();
    assert_eq!(machine.apply(ms(1), Request::StopSignal), Ok(Taken::Already));
    assert_eq!(machine.next(ms(1), 1), Step::Wait(Some(ms(5_000))));
}

#[test]
fn a_drain_is_undone_and_done_again() {
    let mut machine = running(30_000, false);
    assert_eq!(machine.apply(ms(0), Request::Drain), Ok(Taken::Now));
    assert_eq!(machine.apply(ms(0), Request::Drain), Ok(Taken::Already));
    assert_eq!(machine.next(ms(0), 1), Step::StopAccepting);
    assert_eq!(machine.next(ms(0), 0), Step::Wait(None), "a drain does not exit");
    assert_eq!(machine.apply(ms(9), Request::Undrain), Ok(Taken::Now));
    assert_eq!(machine.state(), State::Running);
    assert_eq!(machine.next(ms(9), 0), Step::Undrain);
    assert_eq!(machine.next(ms(9), 0), Step::Wait(None));
    machine.apply(ms(10), Request::Drain).unwrap();
    machine.apply(ms(50), Request::Shutdown).unwrap();
    assert_eq!(machine.next(ms(50), 0), Step::StopAccepting);
    assert_eq!(machine.next(ms(50), 0), Step::Close { in_flight: 0 });
}

#[test]
fn the_pre_drain_counts_from_the_drain_not_from_the_shutdown() {
    let mut machine = running(30_000, true);
    machine.apply(ms(0), Request::Drain).unwrap();
    machine.apply(ms(4_000), Request::Shutdown).unwrap();
    assert_eq!(machine.next(ms(4_000), 1), Step::Wait(Some(ms(5_000))));
}

#[test]
fn what_makes_no_sense_is_a_conflict() {
    let mut machine = running(30_000, false);
    let error = machine.apply(ms(0), Request::Undrain).unwrap_err();
    assert_eq!(error.to_string(), "cannot undrain while running");
    machine.apply(ms(0), Request::Shutdown).unwrap();
    assert_eq!(machine.apply(ms(0), Request::Shutdown), Ok(Taken::Already));
    let error = machine.apply(ms(0), Request::Undrain).unwrap_err();
    assert_eq!(error.to_string(), "cannot undrain while draining");
    assert_eq!(
        machine.apply(ms(0), Request::Drain).unwrap_err().to_string(),
        "cannot drain while draining"
    );
}

#[test]
fn starting_has_no_pre_drain() {
    let mut machine = Machine::new(Plan::new(ms(30_000), true));
    machine.apply(ms(0), Request::StopSignal).unwrap();
    assert_eq!(machine.next(ms(0), 0), Step::StopAccepting);
    assert_eq!(machine.next(ms(0), 0), Step::Close { in_flight: 0 });
}

#[test]
fn started_while_drained_counts_when_the_drain_is_undone() {
    let mut machine = Machine::new(Plan::new(ms(30_000), false));
    machine.apply(ms(0), Request::Drain).unwrap();
    machine.apply(ms(1), Request::Started).unwrap();
    assert_eq!(machine.state(), State::Draining);
    machine.apply(ms(2), Request::Undrain).unwrap();
    assert_eq!(machine.state(), State::Running);
}

#[test]
fn force_and_failure_end_at_once_and_the_first_end_stands() {
    let mut machine = running(30_000, true);
    machine.apply(ms(0), Request::Fail("worker-0 ended".to_owned())).unwrap();
    machine.apply(ms(0), Request::Force).unwrap();
    let reason = ExitReason::Failed("worker-0 ended".to_owned());
    assert_eq!(machine.next(ms(0), 5), Step::Finish(reason));
    assert_eq!(machine.state(), State::Failed);
    let mut machine = running(30_000, true);
    machine.apply(ms(0), Request::Force).unwrap();
    assert_eq!(machine.next(ms(0), 5), Step::Finish(ExitReason::Aborted));
}

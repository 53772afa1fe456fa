//! Campaigns, without a clock.

use super::*;

const TTL: Duration = Duration::from_secs(6);

fn at(ms: u64) -> Boottime {
    Boottime(Duration::from_millis(ms))
}

fn candidate() -> Campaign {
    let mut campaign = Campaign::new(TTL);
    campaign.candidate(at(0), true);
    campaign
}

#[test]
fn nobody_stands_before_the_application_is_well() {
    let mut campaign = Campaign::new(TTL);
    assert_eq!(campaign.next(at(0)), Step::Wait(None));
    campaign.candidate(at(1), true);
    assert_eq!(campaign.next(at(1)), Step::Acquire);
}

#[test]
fn a_lease_is_renewed_every_third_of_its_time_to_live() {
    let mut campaign = candidate();
    campaign.elected(at(100));
    assert_eq!(campaign.next(at(2099)), Step::Wait(Some(at(2100))));
    assert_eq!(campaign.next(at(2100)), Step::Renew);
    campaign.elected(at(2150));
    assert_eq!(campaign.next(at(2150)), Step::Wait(Some(at(4150))));
}

#[test]
fn a_failed_renewal_is_repeated_before_the_deadline() {
    let mut campaign = candidate();
    campaign.elected(at(0));
    campaign.not_renewed(at(2000));
    assert_eq!(campaign.next(at(2599)), Step::Wait(Some(at(2600))));
    assert_eq!(campaign.next(at(2600)), Step::Renew);
}

#[test]
fn an_unwell_application_resigns_and_stands_again_when_it_is_well() {
    let mut campaign = candidate();
    campaign.elected(at(0));
    campaign.candidate(at(10), false);
    assert_eq!(campaign.next(at(10)), Step::Resign);
    campaign.resigned();
    assert_eq!(campaign.next(at(20)), Step::Wait(None));
    campaign.candidate(at(30), true);
    assert_eq!(campaign.next(at(30)), Step::Acquire);
}

#[test]
fn failures_back_off_up_to_the_time_to_live() {
    let mut campaign = candidate();
    let mut pauses = Vec::new();
    for _ in 0..9 {
        campaign.failed(at(0));
        let Step::Wait(Some(until)) = campaign.next(at(0)) else { panic!("expected a pause") };
        pauses.push(until.0.as_millis());
    }
    assert_eq!(pauses, [100, 200, 400, 800, 1600, 3200, 6000, 6000, 6000]);
    campaign.elected(at(0));
    campaign.lost(at(0));
    assert_eq!(campaign.next(at(0)), Step::Wait(Some(at(100))));
}

#[test]
fn a_wait_in_vain_goes_on_at_once() {
    let mut campaign = candidate();
    campaign.outvoted();
    assert_eq!(campaign.next(at(0)), Step::Acquire);
}

#[test]
fn health_takes_one_success_to_begin_and_some_failures_to_end() {
    let mut health = Health::new(3);
    let looks = [false, true, false, false, true, false, false, false, false, true];
    let well: Vec<bool> = looks.iter().map(|passed| health.observe(*passed)).collect();
    let expected = [false, true, true, true, true, true, true, false, false, true];
    assert_eq!(well, expected);
}

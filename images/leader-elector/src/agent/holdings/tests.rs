//! Deadlines, without a clock.

use super::*;

const TTL: Duration = Duration::from_secs(10);
const NONE: Duration = Duration::ZERO;

fn at(ms: u64) -> Boottime {
    Boottime(Duration::from_millis(ms))
}

fn election() -> Arc<str> {
    "e".into()
}

fn grant(session: u64, token: u64, since: u64) -> Grant {
    let session = Session(session);
    let lease = Lease { holder: "a".into(), session, token, ttl: TTL, metadata: None };
    Grant { lease, since: at(since) }
}

#[test]
fn the_deadline_counts_from_before_the_request_was_sent() {
    let mut holdings = Holdings::default();
    // Sent at 1000, answered at 4000.
    let confirmed = holdings.confirm(at(4000), &election(), grant(1, 7, 1000));
    assert_eq!(confirmed.standing.unwrap().deadline, at(10_000));
    assert!(confirmed.news);
    assert_eq!(holdings.standing(at(9999), "e").unwrap().valid_for(at(9999)).as_millis(), 1);
    assert_eq!(holdings.standing(at(10_000), "e"), None);
}

#[test]
fn a_grant_that_comes_after_its_deadline_is_of_no_use() {
    let mut holdings = Holdings::default();
    assert_eq!(holdings.confirm(at(9000), &election(), grant(1, 7, 0)), Confirmed::default());
    assert!(holdings.is_empty());
}

#[test]
fn answers_out_of_order_take_nothing_back() {
    let mut holdings = Holdings::default();
    holdings.confirm(at(0), &election(), grant(1, 7, 0));
    holdings.confirm(at(3000), &election(), grant(1, 7, 3000));
    let late = holdings.confirm(at(3500), &election(), grant(1, 7, 1000));
    assert_eq!(late.standing.unwrap().deadline, at(12_000));
    assert!(!late.news);
    // An older lease of the same election.
    assert_eq!(holdings.confirm(at(3500), &election(), grant(9, 6, 3400)), Confirmed::default());
    assert_eq!(holdings.standing(at(3500), "e").unwrap().lease.token, 7);
}

#[test]
fn a_renewal_overtaken_by_a_resignation_brings_nothing_back() {
    let mut holdings = Holdings::default();
    holdings.confirm(at(0), &election(), grant(1, 7, 0));
    assert!(holdings.resign("e", Session(1), 7).is_some());
    assert_eq!(holdings.confirm(at(100), &election(), grant(1, 7, 50)), Confirmed::default());
    assert_eq!(holdings.standing(at(100), "e"), None);
    assert!(holdings.has_resigned(Session(1), 7));
}

#[test]
fn resigning_another_candidacy_ends_nothing() {
    let mut holdings = Holdings::default();
    holdings.confirm(at(0), &election(), grant(2, 8, 0));
    assert_eq!(holdings.resign("e", Session(1), 7), None);
    assert_eq!(holdings.lost(at(0), "e", Session(1), 8), None);
    assert_eq!(holdings.lost(at(0), "e", Session(2), 7), None);
    assert!(holdings.standing(at(0), "e").is_some());
}

#[test]
fn a_later_lease_of_the_same_election_displaces_the_earlier_one() {
    let mut holdings = Holdings::default();
    holdings.confirm(at(0), &election(), grant(1, 7, 0));
    let confirmed = holdings.confirm(at(100), &election(), grant(2, 8, 50));
    assert!(confirmed.news);
    let displaced = confirmed.displaced.unwrap();
    assert!(displaced.over && displaced.standing.lease.token == 7);
    assert_eq!(holdings.len(), 1);
}

#[test]
fn the_end_is_announced_by_the_margin_and_said_once() {
    let mut holdings = Holdings::default();
    let margin = Duration::from_secs(2);
    holdings.confirm(at(0), &election(), grant(1, 7, 0));
    assert_eq!(holdings.next(margin), Some(at(7000)));
    assert!(holdings.expire(at(6999), margin).is_empty());
    let announced = holdings.expire(at(7000), margin);
    assert!(matches!(&announced[..], [Loss { over: false, .. }]));
    assert_eq!(holdings.next(margin), Some(at(9000)));
    assert!(holdings.expire(at(8000), margin).is_empty());
    assert!(holdings.standing(at(8999), "e").is_some(), "an announced end has not come yet");
    let ended = holdings.expire(at(9000), margin);
    assert!(matches!(&ended[..], [Loss { over: true, .. }]));
    assert!(holdings.expire(at(9000), margin).is_empty());
    assert_eq!(holdings.next(margin), None);
    assert!(holdings.is_over(Session(1), 7));
    // The backend still kept it, and a renewal came through after all.
    assert!(holdings.confirm(at(9500), &election(), grant(1, 7, 9400)).news);
    assert!(!holdings.is_over(Session(1), 7));
}

#[test]
fn a_renewal_within_the_margin_takes_the_announcement_back() {
    let mut holdings = Holdings::default();
    let margin = Duration::from_secs(2);
    holdings.confirm(at(0), &election(), grant(1, 7, 0));
    assert_eq!(holdings.expire(at(7500), margin).len(), 1);
    assert!(holdings.confirm(at(8000), &election(), grant(1, 7, 7900)).recovered);
    assert!(!holdings.confirm(at(8000), &election(), grant(1, 7, 7900)).recovered);
    assert_eq!(holdings.next(margin), Some(at(14_900)));
    assert_eq!(holdings.expire(at(14_900), margin).len(), 1);
}

fn view(version: u64, session_and_token: Option<(u64, u64)>) -> View {
    let lease = session_and_token.map(|(session, token)| grant(session, token, 0).lease);
    View { lease, version, observed: at(0) }
}

#[test]
fn a_view_ends_a_lease_only_if_it_is_newer_than_the_grant() {
    let ours = (Session(1), 7);
    let held = || {
        let mut holdings = Holdings::default();
        holdings.confirm(at(0), &election(), grant(1, 7, 0));
        holdings
    };
    let mut holdings = held();
    assert_eq!(holdings.seen(at(1), "e", ours, &view(3, None)), Sight::Unsure);
    assert_eq!(holdings.seen(at(1), "e", ours, &view(3, Some((9, 6)))), Sight::Unsure);
    assert_eq!(holdings.seen(at(1), "e", ours, &view(5, Some((1, 7)))), Sight::Holds);
    assert_eq!(holdings.seen(at(1), "e", ours, &view(3, None)), Sight::Holds, "it comes late");
    assert_eq!(holdings.seen(at(1), "e", ours, &view(5, None)), Sight::Unsure, "made together");
    assert!(holdings.standing(at(1), "e").is_some());
    let over = holdings.seen(at(1), "e", ours, &view(6, None));
    assert!(matches!(over, Sight::Over(Loss { over: true, .. })));
    assert!(holdings.is_empty() && holdings.is_over(Session(1), 7));
    assert_eq!(holdings.seen(at(1), "e", ours, &view(6, None)), Sight::Gone);
    // Somebody else has a larger token, whatever was seen before.
    let mut holdings = held();
    assert!(matches!(holdings.seen(at(1), "e", ours, &view(1, Some((2, 8)))), Sight::Over(_)));
}

#[test]
fn an_answer_overtaken_by_the_news_of_the_end_brings_nothing_back() {
    let mut holdings = Holdings::default();
    holdings.confirm(at(0), &election(), grant(1, 7, 0));
    assert!(holdings.lost(at(100), "e", Session(1), 7).is_some());
    assert_eq!(holdings.confirm(at(120), &election(), grant(1, 7, 50)), Confirmed::default());
    // What was sent after it knows better.
    assert!(holdings.confirm(at(150), &election(), grant(1, 7, 130)).news);
    assert!(!holdings.is_over(Session(1), 7));
}

#[test]
fn time_that_passed_in_suspend_counts() {
    let mut holdings = Holdings::default();
    holdings.confirm(at(0), &election(), grant(1, 7, 0));
    // The machine slept for an hour; nobody called in between.
    assert_eq!(holdings.standing(at(3_600_000), "e"), None);
    assert_eq!(holdings.expire(at(3_600_000), NONE).len(), 1);
}

#[test]
fn the_holder_stops_before_the_slowest_replica_may_take_the_lease_for_over() {
    // The holder's clock is 5 % slow, the replica's 5 % fast: in true time the holder's deadline is
    // ttl * 0.9 / 0.95, and the replica waits ttl / 1.05.
    let ttl = TTL.as_secs_f64();
    let holder = deadline(at(0), TTL).0.as_secs_f64() / 0.95;
    let replica = ttl / 1.05;
    assert!(holder < replica, "{holder} is not before {replica}");
}

//! Sidecars as processes: founding, failover, restarts, lost disks, strangers.

use std::net::TcpStream;

use rustix::process::Signal;

use crate::support::{Group, Member, wait_for};

const BODY: &str = r#"{"ttl_ms":2000}"#;

#[test]
fn the_holder_keeps_its_lease_while_others_fail() {
    let mut group = Group::start(3, &[]);
    let lease = group.member(0).acquire(BODY);
    assert_eq!(lease["holder"], "app-0");
    for number in [1, 2] {
        let (status, answer) = group.member(number).post("/v1/elections/jobs/acquire", BODY);
        assert_eq!((status, &answer["error"]), (409, &"held".into()), "{answer}");
    }
    let leader = group.leader();
    let victim = if leader == 0 { 1 } else { leader };
    group.kill(victim);
    wait_for("a renewal without the leader of the group", || {
        (group.member(0).renew(&lease).0 == 200).then_some(())
    });
    group.launch(victim);
    group.introduce();
    group.await_ready(victim);
    let name = |number: usize| {
        let member = group.member(number);
        member.get(member.http, "/").1["name"].clone()
    };
    wait_for("the name at the restarted member", || {
        let _ = group.member(0).renew(&lease);
        (name(victim) == "app-0").then_some(())
    });
}

#[test]
fn whoever_leads_next_has_a_higher_token_wherever_the_last_one_died() {
    let mut group = Group::start(3, &[]);
    let mut token = 0;
    for _ in 0..3 {
        let leader = group.leader();
        let lease = group.member(leader).acquire(BODY);
        assert!(lease["token"].as_u64().unwrap() > token, "{lease}");
        token = lease["token"].as_u64().unwrap();
        group.kill(leader);
        let other = (leader + 1) % 3;
        let next = group.member(other).acquire(r#"{"ttl_ms":2000,"wait_ms":15000}"#);
        assert!(next["token"].as_u64().unwrap() > token, "{next}");
        token = next["token"].as_u64().unwrap();
        group.launch(leader);
        group.introduce();
        group.await_ready(leader);
    }
}

#[test]
fn without_a_majority_nobody_leads_for_long() {
    let mut group = Group::start(3, &[]);
    let lease = group.member(0).acquire(BODY);
    group.kill(1);
    group.kill(2);
    let member = group.member(0);
    let answer = wait_for("a refusal", || {
        let (status, answer) = member.renew(&lease);
        (status == 503).then_some(answer)
    });
    assert_eq!(answer["error"], "not_renewed");
    wait_for("the end of leadership", || {
        (member.get(member.http, "/v1/elections/jobs/is-leader").0 == 503).then_some(())
    });
    wait_for("no name", || (member.get(member.http, "/").1["name"] == "").then_some(()));
    let (status, answer) = member.get(member.http, "/v1/elections/jobs?consistency=linearizable");
    assert_eq!((status, &answer["error"]), (503, &"no_quorum".into()), "{answer}");
    assert_eq!(member.get(member.probe, "/readyz").0, 503);
}

#[test]
fn everything_survives_the_restart_of_all() {
    let mut group = Group::start(3, &[]);
    let lease = group.member(1).acquire(r#"{"ttl_ms":30000,"metadata":{"at":"x"}}"#);
    (0..3).for_each(|number| group.kill(number));
    // The system gives them other ports: names are kept, addresses are not.
    (0..3).for_each(|number| group.launch(number));
    group.introduce();
    (0..3).for_each(|number| group.await_ready(number));
    // Another sidecar serves the session just as well.
    let (status, renewed) = group.member(2).renew(&lease);
    assert_eq!(status, 200, "{renewed}");
    assert_eq!(renewed["token"], lease["token"]);
    let member = group.member(0);
    let (_, view) = member.get(member.http, "/v1/elections/jobs?consistency=linearizable");
    assert_eq!(view["leader"]["metadata"]["at"], "x");
}

#[test]
fn a_member_that_lost_its_disk_replaces_itself() {
    let mut group = Group::start(3, &[]);
    let token = group.member(0).acquire(BODY)["token"].as_u64().unwrap();
    let voter = |group: &Group| {
        let member = group.member(0);
        let (_, cluster) = member.get(member.admin, "/mgmt/v1/cluster");
        let members = cluster["members"].as_array()?;
        let only = |it: &&serde_json::Value| it["name"] == "app-2" && it["role"] == "voter";
        let found = members.iter().find(only)?["id"].as_str()?.to_owned();
        (members.len() == 3).then_some(found)
    };
    let old = wait_for("the member's vote", || voter(&group));
    group.kill(2);
    group.wipe(2);
    group.launch(2);
    group.introduce();
    wait_for("the new member's vote, and the end of the old one's", || {
        voter(&group).filter(|id| *id != old)
    });
    group.kill(1);
    let lease = group.member(2).acquire(r#"{"ttl_ms":2000,"wait_ms":15000}"#);
    assert!(lease["token"].as_u64().unwrap() > token);
}

#[test]
fn who_is_asked_to_end_resigns_first() {
    let mut group = Group::start(3, &[]);
    let lease = group.member(0).acquire(r#"{"ttl_ms":600000}"#);
    assert_eq!(group.stop(0), Some(0));
    // Not after ten minutes.
    let next = group.member(1).acquire(BODY);
    assert!(next["token"].as_u64() > lease["token"].as_u64());
}

#[test]
fn a_frozen_holder_is_followed_and_knows_it_when_it_thaws() {
    let group = Group::start(3, &[]);
    let lease = group.member(0).acquire(BODY);
    group.member(0).signal(Signal::STOP);
    let next = group.member(1).acquire(r#"{"ttl_ms":60000,"wait_ms":15000}"#);
    assert!(next["token"].as_u64() > lease["token"].as_u64());
    group.member(0).signal(Signal::CONT);
    let member = group.member(0);
    assert_eq!(member.get(member.http, "/v1/elections/jobs/is-leader").0, 503);
    let (status, answer) = wait_for("an answer", || {
        let answer = member.renew(&lease);
        (answer.0 == 409).then_some(answer)
    });
    assert_eq!((status, &answer["error"]), (409, &"lost".into()), "{answer}");
    assert_eq!(answer["leader"]["holder"], "app-1");
}

#[test]
fn strangers_stay_outside() {
    let mut group = Group::folder(3, &[]);
    group.launch(0);
    group.launch(1);
    group.introduce();
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("secret"), "what a stranger believes to know").unwrap();
    std::fs::copy(group.path("peers"), folder.path().join("peers")).unwrap();
    let stranger = Member::launch(folder.path(), 2, &["--expect=3"]);
    // Its connections are refused before it can say who it is.
    // A founder is missing, as nobody takes the stranger for one.
    group.launch(2);
    group.introduce();
    (0..3).for_each(|number| group.await_ready(number));
    let (status, _) = stranger.post("/v1/elections/jobs/acquire", BODY);
    assert_eq!(status, 503);
    // Somebody who speaks another protocol is shown the door.
    let member = group.member(0);
    let peer = member.peer();
    let mut stream = TcpStream::connect(peer).unwrap();
    std::io::Write::write_all(&mut stream, b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
    let mut rest = Vec::new();
    let _ = std::io::Read::read_to_end(&mut stream, &mut rest);
    member.acquire(BODY);
}

#[test]
fn a_second_member_of_a_name_is_not_let_in() {
    let group = Group::start(3, &[]);
    let folder = tempfile::tempdir().unwrap();
    std::fs::copy(group.path("secret"), folder.path().join("secret")).unwrap();
    std::fs::copy(group.path("peers"), folder.path().join("peers")).unwrap();
    let twin = Member::launch(folder.path(), 0, &["--expect=3"]);
    twin.await_log("joining a group");
    let lease = group.member(0).acquire(BODY);
    let (status, _) = twin.post("/v1/elections/jobs/acquire", BODY);
    assert_eq!(status, 503);
    assert_eq!(group.member(0).renew(&lease).0, 200);
}

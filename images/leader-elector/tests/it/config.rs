//! The command line, as the built binary takes it.

use std::process::{Command, Output};

/// Runs `check` with flags and variables, and nothing else in the environment.
fn check(flags: &str, variables: &[(&str, &str)]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_leader-elector"));
    command.env_clear().envs(variables.iter().copied());
    command.args(flags.split_whitespace()).arg("check").output().unwrap()
}

fn refusal(flags: &str) -> String {
    let output = check(flags, &[]);
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{flags}: {stderr}");
    stderr
}

#[test]
fn what_is_right_is_summed_up() {
    let output = check("--id a --peers a=localhost:4041 --election one,two", &[]);
    let stdout = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(0), "{stdout}");
    assert!(stdout.contains("id: a, elections: 2"), "{stdout}");
}

#[test]
fn what_is_wrong_is_named_in_one_line_with_code_2() {
    let wrong = [
        ("--backend single --id a --ttl 5", "--ttl"),
        ("--backend single --id a --ttl 10ms", "--ttl: found `10ms`"),
        ("--id a", "--peers: the members are unknown"),
        ("--id a --peers a=a:1,b=b:1", "--peer-secret-file"),
        ("--backend single --id a --http 0.0.0.0:4040", "--http-token-file"),
        ("--backend single --id a --tick 1s", "--tick: is used only with --backend raft"),
        ("--backend etcd --id a", "--etcd-endpoints"),
        ("--backend kubernetes --id a", "--kubernetes-url"),
    ];
    for (flags, part) in wrong {
        let said = refusal(flags);
        assert!(said.contains(part), "{flags}: {said}");
    }
}

#[test]
fn variables_stand_for_flags() {
    let single = ("LEADER_ELECTOR_BACKEND", "single");
    let output = check("", &[single, ("POD_NAME", "pod-7")]);
    assert!(String::from_utf8_lossy(&output.stdout).contains("id: pod-7"));
    let output = check("", &[single, ("LEADER_ELECTOR_TTL", "10ms")]);
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("LEADER_ELECTOR_TTL: found `10ms`"));
}

#[test]
fn the_kubernetes_leader_electors_command_line_is_taken() {
    let theirs = "--election=example --id=me --ttl=10s --http=localhost:4040 \
                  --election-namespace=default --use-cluster-credentials";
    let output = check(&format!("{theirs} --backend single"), &[]);
    let stdout = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(stdout.matches("warning: ").count(), 2, "{stdout}");
    let cluster = [("KUBERNETES_SERVICE_HOST", "10.0.0.1"), ("KUBERNETES_SERVICE_PORT", "443")];
    let output = check(&format!("{theirs} --backend kubernetes"), &cluster);
    let stdout = String::from_utf8(output.stdout).unwrap();
    assert_eq!((output.status.code(), stdout.contains("warning: ")), (Some(0), false), "{stdout}");
}

//! Tables as they appear.

use clap::Args;
use expect_test::expect;

use super::*;

const IMAGE: Image = Image {
    name: "example-image",
    version: "1.2.3",
    pattern: "example",
    about: "An example",
    probe_port: 9601,
    admin_port: 9602,
};

#[derive(Args, Debug)]
struct Own {
    /// Where to | go
    #[arg(short, long, value_name = "ADDR", default_value = "here")]
    upstream: String,
    /// Talk more
    #[arg(long)]
    chatty: bool,
}

#[test]
fn flags_come_from_the_command() {
    let table = flags_table(&IMAGE, &crate::command::<Own>(&IMAGE));
    expect![[r#"
        | Flag | Variable | Default | Meaning |
        | --- | --- | --- | --- |
        | `-u`, `--upstream ADDR` | `EXAMPLE_IMAGE_UPSTREAM` | `here` | Where to \| go |
        | `--chatty` | `EXAMPLE_IMAGE_CHATTY` |  | Talk more |
    "#]]
    .assert_eq(&table.lines().take(4).map(|line| format!("{line}\n")).collect::<String>());
    let shared = shared_flags_table(&IMAGE);
    assert!(table.ends_with(shared.split_once("--- |\n").unwrap().1));
    assert!(shared.contains("| `--grace DURATION` | `EXAMPLE_IMAGE_GRACE` | `30s` |"), "{shared}");
}

#[test]
fn splicing_replaces_what_is_between_the_markers() {
    let text = "a\n<!-- generated:x -->\nold\n<!-- /generated:x -->\nb\n";
    let spliced = splice(text, "x", "| new |\n").unwrap();
    assert_eq!(spliced, "a\n<!-- generated:x -->\n| new |\n<!-- /generated:x -->\nb\n");
    assert_eq!(splice(&spliced, "x", "| new |\n"), Ok(spliced.clone()));
    assert!(splice(text, "y", "").is_err());
}

#[test]
fn metrics_and_endpoints_have_tables() {
    let metrics = metrics_table(crate::METRICS);
    assert!(metrics.contains("| `mgmt_state` | gauge | `state` |"), "{metrics}");
    let (probes, admin) = endpoints();
    assert!(endpoints_table(probes).contains("| GET | `/readyz` |"));
    assert!(endpoints_table(admin).contains("| POST | `/mgmt/v1/lifecycle/shutdown` |"));
}

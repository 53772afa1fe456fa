//! Layers, sources and messages.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, CommandFactory, Parser};
use expect_test::{Expect, expect};

use super::*;
use crate::Secret;

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
    /// Where to go
    #[arg(long, value_name = "ADDR")]
    upstream: String,
    /// How long to wait
    #[arg(long, value_name = "DURATION", default_value = "1s",
          value_parser = crate::duration::parse)]
    timeout: Duration,
    /// Talk more
    #[arg(long)]
    chatty: bool,
    /// Say it louder
    #[arg(short, long, action = ArgAction::Count)]
    verbose: u8,
    /// Others
    #[arg(long, value_name = "NAME")]
    peer: Vec<String>,
    /// Listen here
    #[arg(long, value_name = "PORT", value_parser = clap::value_parser!(u16).range(1..))]
    stats_port: Option<u16>,
    /// Password of the upstream
    #[arg(long)]
    auth: Option<Secret>,
}

fn from(argv: &[&str], env: &[(&str, &str)], yaml: &str) -> Result<Invocation<Own>, LoadError> {
    let argv = std::iter::once("example-image").chain(argv.iter().copied()).map(OsString::from);
    load(&IMAGE, command::<Own>(&IMAGE), argv, &env, |path| yaml_settings(path, yaml))
}

fn program(argv: &[&str], env: &[(&str, &str)], yaml: &str) -> Loaded<Own> {
    match from(argv, env, yaml) {
        Ok(Invocation::Program(loaded)) => *loaded,
        other => panic!("{other:?}"),
    }
}

fn refused(argv: &[&str], env: &[(&str, &str)], yaml: &str, expected: &Expect) {
    expected.assert_eq(&from(argv, env, yaml).unwrap_err().to_string());
}

const UP: (&str, &str) = ("EXAMPLE_IMAGE_UPSTREAM", "a:1");

#[test]
fn flags_win_over_variables_over_the_file_over_defaults() {
    let yaml = "timeout: 3s\nupstream: file:1\npeer: [x, y]\nchatty: yes\nverbose: 2\n";
    let env = [
        ("EXAMPLE_IMAGE_TIMEOUT", "2s"),
        ("EXAMPLE_IMAGE_CONFIG", "/etc/example.yml"),
        ("EXAMPLE_IMAGE_PEER", "p, q"),
    ];
    let loaded = program(&["--timeout", "1m"], &env, yaml);
    assert_eq!(loaded.args.timeout, Duration::from_secs(60));
    assert_eq!(loaded.args.upstream, "file:1");
    assert_eq!(loaded.args.peer, ["p", "q"]);
    assert!(loaded.args.chatty);
    assert_eq!(loaded.args.verbose, 2);
    let source = |name| {
        let value = loaded.effective.get(name).unwrap();
        (value.source, value.line)
    };
    assert_eq!(source("timeout"), (Source::Flag, None));
    assert_eq!(source("peer"), (Source::Env, None));
    assert_eq!(source("upstream"), (Source::File, Some(2)));
    assert_eq!(source("grace"), (Source::Default, None));
    assert_eq!(loaded.effective.file, Some(PathBuf::from("/etc/example.yml")));
    assert_eq!(loaded.shared.config, loaded.effective.file);
    let env = [("EXAMPLE_IMAGE_TIMEOUT", "2s"), UP];
    let loaded = program(&["--config", "f"], &env, "timeout: 3s\n");
    assert_eq!(loaded.args.timeout, Duration::from_secs(2));
    assert_eq!(program(&[], &[UP], "").args.timeout, Duration::from_secs(1));
}

#[test]
fn an_empty_variable_is_unset() {
    let loaded = program(&[], &[UP, ("EXAMPLE_IMAGE_TIMEOUT", "")], "");
    assert_eq!(loaded.effective.get("timeout").unwrap().source, Source::Default);
}

#[test]
fn messages_say_where_what_was_found_and_what_was_expected() {
    let file = &["--config", "/etc/e.yml", "--upstream", "a"];
    refused(
        file,
        &[],
        "# c\ntimeout: 5\n",
        &expect![
            "/etc/e.yml:2: timeout: found `5`, expected a duration with its unit, such as 150ms, 2s or 1m"
        ],
    );
    refused(
        &[],
        &[UP, ("EXAMPLE_IMAGE_GRACE", "2h")],
        "",
        &expect!["EXAMPLE_IMAGE_GRACE: found `2h`, expected a duration from 100ms to 1h"],
    );
    refused(
        &[],
        &[UP, ("EXAMPLE_IMAGE_LOG_FORMAT", "xml")],
        "",
        &expect!["EXAMPLE_IMAGE_LOG_FORMAT: found `xml`, expected one of plain, json"],
    );
    refused(
        &[],
        &[UP, ("EXAMPLE_IMAGE_STATS_PORT", "70000")],
        "",
        &expect![
            "EXAMPLE_IMAGE_STATS_PORT: found `70000`, expected PORT (70000 is not in 1..=65535)"
        ],
    );
    refused(
        file,
        &[],
        "chatty: perhaps\n",
        &expect!["/etc/e.yml:1: chatty: found `perhaps`, expected true or false"],
    );
    refused(
        file,
        &[],
        "verbose: many\n",
        &expect!["/etc/e.yml:1: verbose: found `many`, expected a number from 0 to 255"],
    );
}

#[test]
fn messages_about_the_shape_of_a_file_or_command_line() {
    let file = &["--config", "/etc/e.yml", "--upstream", "a"];
    refused(
        file,
        &[],
        "timeut: 5s\n",
        &expect![
            "/etc/e.yml:1: found `timeut`, expected the name of a flag, did you mean timeout?"
        ],
    );
    refused(
        file,
        &[],
        "timeout: {a: 1}\n",
        &expect!["/etc/e.yml:1: timeout: found `a mapping`, expected a value or a list of values"],
    );
    refused(
        file,
        &[],
        "timeout: [1s, 2s]\n",
        &expect!["/etc/e.yml:1: timeout: found `a list of 2`, expected one value"],
    );
    refused(
        file,
        &[],
        "config: x\n",
        &expect![
            "/etc/e.yml:1: found `config`, expected a setting: one file does not name another"
        ],
    );
    refused(
        &["--upstream", "a", "--log", "loud"],
        &[],
        "",
        &expect![[r#"
        error: invalid value 'loud' for '--log <FILTER>': expected a log level (off, error, warn, info, debug, trace) or directives such as info,hyper=warn

        For more information, try '--help'.
    "#]],
    );
    refused(
        &[],
        &[],
        "",
        &expect![[r#"
            error: the following required arguments were not provided:
              --upstream <ADDR>

            Usage: example-image --upstream <ADDR>

            For more information, try '--help'.
        "#]],
    );
}

#[test]
fn broken_yaml_names_its_line() {
    refused(
        &["--config", "e.yml"],
        &[UP],
        "timeout: 1s\ntimeout: 2s\n",
        &expect!["e.yml:2: not valid YAML: duplicate mapping key: timeout"],
    );
    refused(
        &["--config", "e.yml"],
        &[UP],
        "a: [1\n",
        &expect!["e.yml:1: not valid YAML: unclosed bracket '['"],
    );
}

#[test]
fn an_admin_address_beyond_loopback_needs_a_token() {
    let open = ("EXAMPLE_IMAGE_ADMIN_ADDR", "0.0.0.0:9602");
    refused(
        &[],
        &[UP, open],
        "",
        &expect![
            "EXAMPLE_IMAGE_ADMIN_ADDR: found `0.0.0.0:9602`, expected a loopback address, or a token file given with --admin-token-file"
        ],
    );
    refused(
        &["--config", "e.yml"],
        &[UP],
        "admin-addr: '[::]:9602'\n",
        &expect![
            "e.yml:1: admin-addr: found `[::]:9602`, expected a loopback address, or a token file given with --admin-token-file"
        ],
    );
    let token = ("EXAMPLE_IMAGE_ADMIN_TOKEN_FILE", "/run/token");
    let loaded = program(&[], &[UP, open, token], "");
    assert_eq!(loaded.shared.admin_token_file, Some(PathBuf::from("/run/token")));
}

#[test]
fn secrets_come_by_variable_or_file_and_are_never_shown() {
    let loaded = program(&[], &[UP, ("EXAMPLE_IMAGE_AUTH", "canary")], "");
    assert_eq!(loaded.args.auth.as_ref().unwrap().expose(), "canary");
    let shown = format!("{} {loaded:?}", loaded.effective.to_json());
    assert!(!loaded.effective.to_json().to_string().contains("canary"), "{shown}");
    assert!(!format!("{:?}", loaded.args).contains("canary"));
    expect![[r#"{"dynamic":false,"secret":true,"set":true,"source":"env"}"#]]
        .assert_eq(&loaded.effective.to_json()["values"]["auth"].to_string());
    refused(
        &["--auth", "canary"],
        &[UP],
        "",
        &expect!["--auth: a secret is not typed, use EXAMPLE_IMAGE_AUTH or the configuration file"],
    );
    let url = program(&["--upstream", "redis://u:canary@h:1"], &[], "");
    assert!(!url.effective.to_json().to_string().contains("canary"));
}

#[test]
fn unknown_variables_are_warned_of_unless_kubernetes_put_them_there() {
    let env = [
        UP,
        ("EXAMPLE_IMAGE_TIMEOT", "1s"),
        ("EXAMPLE_IMAGE_PORT", "tcp://10.0.0.1:80"),
        ("EXAMPLE_IMAGE_STATS_PORT", "tcp://10.0.0.1:22222"),
        ("EXAMPLE_IMAGE_SERVICE_HOST", "10.0.0.1"),
        ("EXAMPLE_IMAGE_PORT_80_TCP_ADDR", "10.0.0.1"),
        ("OTHER", "x"),
    ];
    let loaded = program(&[], &env, "");
    assert_eq!(loaded.args.stats_port, None);
    expect![
        "EXAMPLE_IMAGE_TIMEOT is no variable of example-image, did you mean EXAMPLE_IMAGE_TIMEOUT?"
    ]
    .assert_eq(&loaded.shared.warnings.join("\n"));
}

#[test]
fn a_health_check_needs_nothing_but_the_probe_address() {
    let asked = |argv: &[&str], env: &[(&str, &str)], yaml: &str| match from(argv, env, yaml) {
        Ok(Invocation::Healthcheck(request)) => (request.addr.to_string(), request.kind),
        other => panic!("{other:?}"),
    };
    use crate::healthcheck::Kind::{Live, Ready};
    assert_eq!(asked(&["healthcheck"], &[], ""), ("0.0.0.0:9601".to_owned(), Ready));
    let env = [("EXAMPLE_IMAGE_PROBE_ADDR", "127.0.0.1:1"), ("EXAMPLE_IMAGE_GRACE", "junk")];
    assert_eq!(asked(&["healthcheck", "live"], &env, ""), ("127.0.0.1:1".to_owned(), Live));
    let file = ["--config", "f", "healthcheck"];
    assert_eq!(asked(&file, &[], "probe-addr: 127.0.0.1:2").0, "127.0.0.1:2");
    assert_eq!(asked(&file, &[], "{ broken").0, "0.0.0.0:9601");
    let typed = ["healthcheck", "--probe-addr", "127.0.0.1:3"];
    assert_eq!(asked(&typed, &env, "").0, "127.0.0.1:3");
}

#[test]
fn an_image_may_own_short_flags_and_add_subcommands() {
    #[derive(Args, Debug)]
    struct Getopt {
        #[arg(short = 'V', long)]
        version: bool,
        #[arg(short = 's', long, value_name = "PORT", default_value_t = 22222)]
        stats_port: u16,
    }
    let command = command::<Getopt>(&IMAGE)
        .disable_version_flag(true)
        .mut_arg("config", |a| a.short('c').visible_alias("conf-file"))
        .subcommand(Command::new("locate").arg(Arg::new("key")));
    let run = |argv: &[&str]| {
        let argv = std::iter::once("e").chain(argv.iter().copied()).map(OsString::from);
        let env: &[(&str, &str)] = &[];
        match load::<Getopt>(&IMAGE, command.clone(), argv, &env, yaml_settings_path) {
            Ok(Invocation::Program(loaded)) => *loaded,
            other => panic!("{other:?}"),
        }
    };
    let loaded = run(&["-V", "-s", "1", "-c", "a.yml"]);
    assert!(loaded.args.version);
    assert_eq!(loaded.args.stats_port, 1);
    assert_eq!(loaded.effective.file, Some(PathBuf::from("a.yml")));
    assert!(matches!(loaded.subcommand, Subcommand::Run));
    let loaded = run(&["--conf-file=b.yml", "check"]);
    assert!(matches!(loaded.subcommand, Subcommand::Check(_)));
    let loaded = run(&["locate", "k", "-c", "c.yml"]);
    assert_eq!(loaded.effective.file, Some(PathBuf::from("c.yml")));
    match &loaded.subcommand {
        Subcommand::Other(name, matches) => {
            assert_eq!(name, "locate");
            assert_eq!(matches.get_one::<String>("key").unwrap(), "k");
        }
        other => panic!("{other:?}"),
    }
}

fn yaml_settings_path(path: &Path) -> Result<FileSettings, ConfigError> {
    yaml_settings(path, "")
}

#[test]
fn help_and_version_exit_with_0_and_name_the_variables() {
    let error = from(&["--help"], &[], "").unwrap_err();
    assert_eq!(
        format!("{:?}", error.exit_code()),
        format!("{:?}", std::process::ExitCode::SUCCESS)
    );
    let help = error.to_string();
    assert!(help.contains("[env: EXAMPLE_IMAGE_PROBE_ADDR] [default: 0.0.0.0:9601]"), "{help}");
    assert!(from(&["--version"], &[], "").unwrap_err().to_string().contains("1.2.3"));
}

#[test]
fn the_command_is_sound() {
    #[derive(Parser)]
    struct Whole {
        #[command(flatten)]
        _own: Own,
    }
    Whole::command().debug_assert();
    command::<Own>(&IMAGE).debug_assert();
}

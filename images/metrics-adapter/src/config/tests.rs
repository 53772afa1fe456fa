use std::collections::BTreeMap;

use clap::{Command, FromArgMatches};

use super::args::Switches;
use super::web::AllowedTarget;
use super::*;

fn switches(words: &[&str]) -> Result<Switches, clap::Error> {
    let command = <Switches as clap::Args>::augment_args(Command::new("x").no_binary_name(true));
    let matches = command.try_get_matches_from(words)?;
    Switches::from_arg_matches(&matches)
}

#[test]
fn switches_are_turned_on_and_off_by_the_last_word() {
    let none = switches(&[]).unwrap();
    assert!(none.dogstatsd && none.signalfx && !none.lifecycle && !none.check_config);
    let off = switches(&["--no-statsd.parse-dogstatsd-tags", "--web.enable-lifecycle"]).unwrap();
    assert!(!off.dogstatsd && off.influxdb && off.lifecycle);
    let on = ["--no-statsd.parse-librato-tags", "--statsd.parse-librato-tags"];
    assert!(switches(&on).unwrap().librato);
    let off = ["--web.enable-lifecycle", "--no-web.enable-lifecycle"];
    assert!(!switches(&off).unwrap().lifecycle);
    assert!(switches(&["--no-such"]).is_err());
}

#[test]
fn links_become_subcommands() {
    let table = [
        (&["/x/statsd_exporter", "-h"][..], &["/x/statsd_exporter", "statsd_exporter", "-h"][..]),
        (&["jmx_exporter"], &["jmx_exporter", "jmx_exporter"]),
        (&["metrics-adapter", "check"], &["metrics-adapter", "check"]),
        (&[], &[]),
    ];
    for (argv, expected) in table {
        assert_eq!(unlinked(argv.iter().map(Into::into)), expected, "{argv:?}");
    }
}

#[test]
fn addresses_to_listen_on() {
    for good in [":9102", "localhost:0", "127.0.0.1:1", "[::1]:9102", "[::]:0"] {
        assert!(is_listen(good), "{good}");
    }
    for bad in ["", ":", "9102", "a:b", "::1:9102", ":65536", ":-1"] {
        assert!(!is_listen(bad), "{bad}");
    }
}

#[test]
fn of_the_addresses_of_a_name_ipv4_is_bound_first_and_then_what_can_be() {
    let v4 = SocketAddr::from(([127, 0, 0, 1], 0));
    let v6 = SocketAddr::from((Ipv6Addr::LOCALHOST, 0));
    // For documentation: nobody has it.
    let nowhere = SocketAddr::from(([192, 0, 2, 1], 0));
    for addresses in [vec![v6, v4], vec![v4, v6], vec![nowhere, v6, v4]] {
        let bound = bind_one(addresses.clone()).unwrap().local_addr().unwrap();
        assert_eq!(bound.ip(), v4.ip(), "{addresses:?}");
    }
    assert!(bind_one(vec![nowhere]).is_err());
    assert!(bind_one(Vec::new()).is_err());
    let taken = TcpListener::bind(v4).unwrap();
    let addresses = vec![taken.local_addr().unwrap(), v4];
    let error = bind_one(addresses).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::AddrInUse);
}

#[test]
fn targets_are_allowed_by_name_suffix_or_network() {
    let table = [
        ("a:1", "a:1", true),
        ("A:1", "a:1", true),
        ("a:1", "a:2", false),
        ("a:1", "b.a:1", false),
        ("*.a:1", "b.a:1", true),
        ("*.a:1", "a:1", false),
        ("*.a:1", ".a:1", false),
        ("*.1:1", "10.0.0.1:1", false),
        ("10.0.0.0/8:1", "10.255.0.1:1", true),
        ("10.0.0.0/8:1", "11.0.0.1:1", false),
        ("10.0.0.0/8:1", "::ffff:10.0.0.1:1", true),
        ("10.0.0.0/8:1", "ten.test:1", false),
        ("0.0.0.0/0:1", "8.8.8.8:1", true),
        ("0.0.0.0/0:1", "::1:1", false),
        ("::/0:1", "fe80::1:1", true),
        ("[fd00::]/8:1", "fd12::1:1", true),
        ("[fd00::]/8:1", "fe12::1:1", false),
        ("10.1.2.3/32:1", "10.1.2.3:1", true),
        ("10.1.2.3/32:1", "10.1.2.2:1", false),
    ];
    for (allowed, target, expected) in table {
        let (host, port) = target.rsplit_once(':').unwrap();
        let target = (host, port.parse().unwrap());
        let found = AllowedTarget::parse(allowed).unwrap().allows(target.0, target.1);
        assert_eq!(found, expected, "{allowed} and {target:?}");
    }
    for bad in ["", "a", "a:0", ":1", "*:1", "*a:1", "*.:1", "a*:1", "*.*.a:1", "10.0.0.0/33:1"] {
        assert_eq!(AllowedTarget::parse(bad), None, "{bad}");
    }
}

#[test]
fn sections_and_limits_are_no_flags_of_their_own() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("own.yml");
    let text = "listen: \":1\"\nlimits:\n  series-max: 5\ninputs: []\nweb: {}\ntargets: []\n";
    std::fs::write(&path, text).unwrap();
    let settings = read_settings(&path).unwrap();
    let names: Vec<&str> = settings.values.keys().map(String::as_str).collect();
    assert_eq!(names, ["listen", "series-max"]);
    assert_eq!(settings.values["series-max"].line, Some(3));
}

#[test]
fn secrets_come_from_the_file_a_variable_or_another_file() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("word"), "from a file\n").unwrap();
    let path = folder.path().join("own.yml");
    let env = BTreeMap::from([("WORD".to_owned(), "from a variable".to_owned())]);
    let table = [
        ("word: plain", Ok("plain")),
        ("word: ${WORD}", Ok("from a variable")),
        ("word-file: word", Ok("from a file")),
        ("word: ${NONE}", Err("a variable that is set")),
        ("word: a\nword-file: word", Err("exclude each other")),
        ("word-file: none", Err("reading")),
    ];
    for (text, expected) in table {
        let root = yaml::parse(&path, text).unwrap();
        let mut section = yaml::Section::new(&path, "", &root).unwrap();
        let found = section.secret("word", "word-file", &env);
        match (found, expected) {
            (Ok(Some(secret)), Ok(text)) => assert_eq!(secret.expose(), text),
            (Err(error), Err(part)) => assert!(error.to_string().contains(part), "{error}"),
            (found, expected) => panic!("{text}: {found:?}, not {expected:?}"),
        }
    }
}

#[test]
fn a_fingerprint_is_of_texts_files_and_variables_but_not_of_lines() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("own.yml");
    std::fs::write(folder.path().join("map.yml"), "mappings: []").unwrap();
    std::fs::write(folder.path().join("word"), "one").unwrap();
    let text = "mapping: map.yml\npassword: ${WORD}\nheaders: {A: b}\ntls:\n  ca-file: word\n";
    let print = |text: &str, word: &str| {
        let env = BTreeMap::from([("WORD".to_owned(), word.to_owned())]);
        Fingerprint::of_node(&yaml::parse(&path, text).unwrap(), &path, None, &env)
    };
    let first = print(text, "a");
    assert!(first == print(&format!("# more\n\n{text}"), "a"));
    assert!(first != print(text, "b"));
    assert!(first != print(&text.replace("A: b", "A: c"), "a"));
    assert!(first != print(&text.replace("A: b", "Ab: ''"), "a"));
    for (name, content) in [("map.yml", "mappings: [ ]"), ("word", "two")] {
        let before = print(text, "a");
        std::fs::write(folder.path().join(name), content).unwrap();
        assert!(before != print(text, "a"), "{name}");
    }
}

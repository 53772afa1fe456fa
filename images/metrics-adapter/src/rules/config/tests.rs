use super::*;

const NONE: &[(&str, &str)] = &[];

fn parse(text: &str) -> Result<JmxConfig, JmxConfigError> {
    JmxConfig::parse(text, &[("JMX_PW", " s3cret "), ("BLANK", "  ")].as_slice())
}

fn good(text: &str) -> JmxConfig {
    parse(text).unwrap_or_else(|error| panic!("{error:?}\n{text}"))
}

#[test]
fn an_empty_file_is_one_rule_for_everything() {
    for text in ["", "# nothing\n", "---\n", "{}", "somethingElse: 7\n"] {
        let config = good(text);
        assert_eq!(config.rules, [RuleConfig::default()], "{text}");
        assert_eq!(config.selection().queries(), [None]);
        assert!(config.auto_exclude_attributes);
    }
    assert_eq!(good("rules: []").rules, []);
}

#[test]
fn every_key_has_its_place() {
    let text = r#"
hostPort: "[::1]:7199"
username: ${JMX_PW}
password: ${ JMX_PW }
ssl:
  enabled: yes
  keyStore: {filename: /k.p12, type: PKCS12, password: changed}
  trustStore: {filename: /t.jks}
  protocols: TLSv1.2, TLSv1.3
  ciphers: [TLS_AES_128_GCM_SHA256]
startDelaySeconds: 3
scrapeTimeoutSeconds: 9
lowercaseOutputName: on
lowercaseOutputLabelNames: TRUE
inferCounterTypeFromName: true
whitelistObjectNames: ["a:*", "b:type=X,*"]
excludeObjectNames: ["a:type=Y"]
excludeJvmMetrics: true
includeObjectNameAttributes: {"a:type=Z": [One, Two]}
excludeObjectNameAttributes: {"a:type=W": [Three]}
autoExcludeObjectNameAttributes: no
metricCustomizers:
  - mbeanFilter: {domain: a, properties: {type: Z}}
    attributesAsLabels: [Mode]
    extraMetrics: [{name: up, value: 1, description: is up}, {name: on, value: true}]
rules:
  - {pattern: 'a<type=(\w+)>', name: x_$1, value: 1, valueFactor: 1.0E-3, help: h, type: UNTYPED,
     cache: true, attrNameSnakeCase: true, labels: {b: 2, a: $1}}
naming: jmx_0.20
jvmMetrics: true
pruneBeans: true
"#;
    let config = good(text);
    let address = Address::Registry { host: "::1".into(), port: 7199, bound: "jmxrmi".into() };
    assert_eq!(config.address, Some(address));
    assert_eq!(config.username.as_deref(), Some("s3cret"));
    assert_eq!(config.password.as_ref().map(Secret::expose), Some("s3cret"));
    assert!(config.tls.enabled && config.tls.registry);
    assert_eq!(config.tls.protocols, ["TLSv1.2", "TLSv1.3"]);
    assert_eq!(config.tls.ciphers, ["TLS_AES_128_GCM_SHA256"]);
    let store = config.tls.key_store.as_ref().unwrap();
    assert_eq!(store.kind.as_deref(), Some("PKCS12"));
    assert_eq!(store.password.as_ref().map(Secret::expose), Some("changed"));
    assert_eq!((config.start_delay.as_secs(), config.scrape_timeout.unwrap().as_secs()), (3, 9));
    assert!(config.lowercase_output_name && config.lowercase_output_label_names);
    assert!(config.infer_counter_type_from_name && config.exclude_jvm_metrics);
    assert_eq!(config.include.as_ref().map(Vec::len), Some(2));
    assert_eq!(config.exclude.len(), 1);
    assert_eq!(config.include_attributes[0].attributes, ["One", "Two"]);
    assert_eq!(config.exclude_attributes[0].attributes, ["Three"]);
    assert!(!config.auto_exclude_attributes);
    let customizer = &config.customizers[0];
    assert_eq!(customizer.domain, "a");
    assert_eq!(customizer.properties, [("type".to_owned(), "Z".to_owned())]);
    assert_eq!(customizer.attributes_as_labels, ["Mode"]);
    assert_eq!(customizer.extra_metrics[0].value, ExtraValue::Integer(1));
    assert_eq!(customizer.extra_metrics[1].value, ExtraValue::Boolean(true));
    let rule = &config.rules[0];
    assert_eq!((rule.line, rule.pattern_line), (27, 27));
    assert_eq!(rule.value.as_deref(), Some("1"));
    assert_eq!(rule.value_factor, 1e-3);
    assert_eq!(rule.kind, RuleKind::Unknown);
    assert!(rule.cache && rule.attr_name_snake_case);
    let labels = [("a".to_owned(), "$1".to_owned()), ("b".to_owned(), "2".to_owned())];
    assert_eq!(rule.labels, labels);
    assert_eq!(config.naming, Naming::V0);
    assert!(config.jvm_metrics && config.prune_beans);
    // Whatever prints a configuration prints no secret.
    assert!(!format!("{config:?}").contains("changed"));
}

#[test]
fn what_has_no_effect_is_a_warning() {
    let warnings = good("x: 1\nopenTelemetry: {endpoint: 'http://c:4317'}").warnings;
    assert_eq!(warnings.len(), 1);
    assert!(warnings[0].contains("line 2: openTelemetry"), "{warnings:?}");
}

#[test]
fn addresses() {
    let registry = |host: &str, port, bound: &str| {
        Ok(Address::Registry { host: host.into(), port, bound: bound.into() })
    };
    let url = Address::from_url;
    assert_eq!(Address::from_host_port("kafka:5555"), registry("kafka", 5555, "jmxrmi"));
    assert_eq!(Address::from_host_port(":5555"), registry("localhost", 5555, "jmxrmi"));
    assert_eq!(Address::from_host_port("kafka"), registry("kafka", 1099, "jmxrmi"));
    for text in ["", "5555", "h:0", "h:x", "h:70000", "[::1", "a/b:1"] {
        assert_eq!(Address::from_host_port(text), Err("HOST:PORT".to_owned()), "{text}");
    }
    assert_eq!(url("service:jmx:rmi:///jndi/rmi://h:9/jmxrmi"), registry("h", 9, "jmxrmi"));
    assert_eq!(url("service:jmx:rmi://e:8/jndi/rmi://h:9/k/x"), registry("h", 9, "k/x"));
    assert!(url("service:jmx:rmi:///jndi/rmi:///jmxrmi").is_err());
    assert_eq!(url("service:jmx:rmi://127.0.0.1/stub/rO0AB"), Ok(Address::Stub("rO0AB".into())));
    for (text, expected) in [
        ("service:jmx:jmxmp://h:9", "the protocol jmxmp is not spoken"),
        ("service:jmx:remote+http://h:9990", "the protocol remote+http is not spoken"),
        ("service:jmx:rmi:///jndi/ldap://h/x", "only registries of RMI"),
        ("h:9", "service:jmx:rmi:///jndi/"),
        ("service:jmx:rmi:///jndi/rmi://h:9", "service:jmx:rmi:///jndi/"),
    ] {
        let error = url(text).unwrap_err();
        assert!(error.contains(expected), "{text}: {error}");
    }
}

#[test]
fn what_is_wrong_is_said_with_line_and_key() {
    let cases = [
        ("a: [", None, "not valid YAML"),
        ("- 1\n", None, "expected a map of keys"),
        ("x: 1\nhostPort: a:1\njmxUrl: b\n", Some((3, "jmxUrl")), "only one of them"),
        ("hostPort: a:b\n", Some((1, "hostPort")), "found `a:b`, expected HOST:PORT"),
        ("startDelaySeconds: -1\n", Some((1, "startDelaySeconds")), "at least 0"),
        ("scrapeTimeoutSeconds: 0\n", Some((1, "scrapeTimeoutSeconds")), "at least 1"),
        ("ssl: maybe\n", Some((1, "ssl")), "true, false or a map"),
        ("lowercaseOutputName: 1\n", Some((1, "lowercaseOutputName")), "true or false"),
        ("password: ${NOWHERE}\n", Some((1, "password")), "NOWHERE is not set"),
        ("password: ${BLANK}\n", Some((1, "password")), "BLANK is empty"),
        ("password: [x]\n", Some((1, "password")), "found a list, expected a text"),
        ("rules:\n  a: 1\n", Some((2, "rules")), "expected a list"),
        ("rules:\n- 7\n", Some((2, "rules[0]")), "expected a map"),
        ("rules:\n- {}\n- name: x\n", Some((3, "rules[1]")), "without a pattern"),
        ("rules:\n- help: x\n", Some((2, "rules[0]")), "without a name"),
        ("rules:\n- labels: {}\n", Some((2, "rules[0]")), "without a name"),
        ("rules:\n- valueFactor: x\n", Some((2, "rules[0].valueFactor")), "a number"),
        ("metricCustomizers:\n", Some((1, "metricCustomizers")), "expected a list"),
        ("metricCustomizers: [{}]\n", Some((1, "metricCustomizers[0]")), "no mbeanFilter"),
        (
            "metricCustomizers: [{mbeanFilter: {domain: d}}]\n",
            Some((1, "metricCustomizers[0]")),
            "neither attributesAsLabels nor extraMetrics",
        ),
        ("naming: new\n", Some((1, "naming")), "jmx_1.x or jmx_0.20"),
    ];
    for (text, place, message) in cases {
        let error = parse(text).err().unwrap_or_else(|| panic!("accepted: {text}"));
        assert!(error.message.contains(message), "{text}: {error:?}");
        let key = place.map(|(_, key)| key.to_owned());
        assert_eq!(error.key, key, "{text}");
        if let Some((line, _)) = place {
            assert_eq!(error.line, Some(line), "{text}");
        }
    }
}

#[test]
fn a_secret_is_not_shown_when_it_is_wrong() {
    let error = parse("ssl: {keyStore: {filename: /k, password: {hunter2: 1}}}").unwrap_err();
    assert_eq!(error.key.as_deref(), Some("ssl.keyStore.password"));
    assert!(!error.message.contains("hunter2"), "{error:?}");
}

#[test]
fn the_registry_may_be_plain_where_objects_are_not() {
    let env: &[(&str, &str)] = &[("RMI_REGISTRY_SSL_DISABLED", "True")];
    let config = JmxConfig::parse("ssl: true", &env).unwrap();
    assert!(config.tls.enabled && !config.tls.registry);
    let config = JmxConfig::parse("ssl: true", &NONE).unwrap();
    assert!(config.tls.registry);
}

#[test]
fn variables_stand_for_whole_texts_only() {
    for (given, expected) in [("${}", "${}"), ("x${JMX_PW}", "x${JMX_PW}"), ("${JMX_PW}", "s3cret")]
    {
        let config = good(&format!("password: '{given}'"));
        assert_eq!(config.password.as_ref().map(Secret::expose), Some(expected));
    }
}

#[test]
fn the_http_server() {
    let defaults = good("").http;
    assert_eq!((defaults.metrics_path.as_str(), defaults.threads.maximum), ("/metrics", 10));
    let config = good(
        "
httpServer:
  metrics: {path: /m}
  threads: {minimum: 2, maximum: 4, keepAliveTime: 5}
  maximumRequestSeconds: 7
  ssl:
    mutualTLS: true
    keyStore: {filename: /k, password: a}
    trustStore: {filename: /t, password: b}
    certificate: {alias: localhost}
  authentication:
    basic: {username: Prometheus, password: '${JMX_PW}'}
",
    )
    .http;
    assert_eq!(config.metrics_path, "/m");
    assert_eq!((config.threads.minimum, config.threads.maximum), (2, 4));
    assert_eq!(config.request_max, Some(Duration::from_secs(7)));
    let tls = config.tls.unwrap();
    assert!(tls.mutual && tls.trust_store.is_some());
    assert_eq!(tls.alias, "localhost");
    let basic = config.basic.unwrap();
    assert_eq!(basic.username, "Prometheus");
    assert_eq!(basic.check, PasswordCheck::Plain(Secret::from("s3cret".to_owned())));
}

#[test]
fn hashed_passwords() {
    let check = |text: &str| {
        let text = format!("httpServer: {{authentication: {{basic: {{username: u, {text}}}}}}}");
        parse(&text).map(|config| config.http.basic.unwrap().check)
    };
    let digest = check("algorithm: SHA-256, passwordHash: '0A:fF', salt: pepper").unwrap();
    let (expected, salt) = (vec![10, 255], "pepper".to_owned());
    assert_eq!(digest, PasswordCheck::Digest { hash: HashFunction::Sha256, expected, salt });
    let derived = "algorithm: PBKDF2WithHmacSHA512, salt: s";
    let hash = "00112233445566778899aabbccddeeff";
    let PasswordCheck::Pbkdf2 { iterations, expected, .. } =
        check(&format!("{derived}, passwordHash: {hash}x").replace("x", "")).unwrap()
    else {
        panic!("not derived")
    };
    assert_eq!((iterations, expected.len()), (210_000, 16));
    assert!(check(&format!("{derived}, passwordHash: '{hash}', keyLength: 16")).is_ok());
    for (text, message) in [
        (format!("{derived}, passwordHash: '{hash}', keyLength: 17"), "has 128 bits"),
        (format!("{derived}, passwordHash: 'xyz'"), "hexadecimal digits"),
        ("algorithm: MD5".to_owned(), "expected plaintext, SHA-1"),
        ("algorithm: SHA-1, passwordHash: '00'".to_owned(), "found no salt"),
        ("algorithm: plaintext".to_owned(), "found no password"),
    ] {
        let error = check(&text).unwrap_err();
        assert!(error.message.contains(message), "{text}: {error:?}");
    }
    let plugin = "httpServer: {authentication: {plugin: {class: a.B}}}";
    assert!(parse(plugin).unwrap_err().message.contains("cannot run here"));
}

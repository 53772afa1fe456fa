use proptest::prelude::*;

use super::{ObjectName, wildcard};

fn name(text: &str) -> ObjectName {
    ObjectName::parse(text).unwrap()
}

#[test]
fn a_name_keeps_its_order_and_its_quotes() {
    let pool = name(r#"java.lang:type=MemoryPool,name="a,b=\"c:d\"""#);
    assert_eq!(pool.domain(), "java.lang");
    let properties: Vec<_> = pool.properties().collect();
    assert_eq!(properties, [("type", "MemoryPool"), ("name", r#""a,b=\"c:d\"""#)]);
    assert_eq!(pool.to_string(), pool.as_str());
    assert!(!pool.is_pattern());
}

#[test]
fn what_is_a_name_and_what_is_not() {
    for good in [
        "a:b=c",
        ":b=c",
        "a b/c:key with space=value with space",
        "a:b=",
        "a=b:c=d",
        r#"d:k="\n\*\?\\""#,
        "d:*",
        "d:*,a=b",
        "d:a=b,*",
        "*:*",
        "d?m*:a=*",
        "dömäne:schlüssel=größe",
        "",
    ] {
        assert!(ObjectName::parse(good).is_ok(), "{good}");
    }
    for bad in [
        "a",
        "a:",
        "a:b",
        "a:b=c,",
        "a:=c",
        "a:b=c,b=d",
        "a:b=c=d",
        "a:b=c:d",
        "a:b=x\"y\"",
        r#"a:b="x"#,
        r#"a:b="x"y"#,
        r#"a:b="\x""#,
        "a:b=\"x\ny\"",
        "a\nb:c=d",
        "a:b\n=c",
        "a:b*=c",
        "a:*x",
        "a:*,b=c,*",
        "a:,",
        "a:b=c,,d=e",
    ] {
        assert!(ObjectName::parse(bad).is_err(), "{bad}");
    }
    assert!(ObjectName::parse(&format!("a:b={}", "x".repeat(70_000))).is_err());
}

#[test]
fn patterns_fit_as_in_java() {
    let thread = name("java.lang:type=Threading");
    let pool = name("java.lang:type=MemoryPool,name=G1 Eden Space");
    let quoted = name(r#"Catalina:type=GlobalRequestProcessor,name="http-nio-8080""#);
    for (pattern, subject, fits) in [
        ("", &thread, true),
        ("*:*", &pool, true),
        ("java.*:*", &pool, true),
        ("java.lan?:*", &pool, true),
        ("java.lan??:*", &pool, false),
        ("java:*", &pool, false),
        ("java.lang:type=*", &thread, true),
        ("java.lang:type=*", &pool, false),
        ("java.lang:type=*,*", &pool, true),
        ("java.lang:name=G1*,type=MemoryPool", &pool, true),
        ("java.lang:name=g1*,type=MemoryPool", &pool, false),
        ("java.lang:type=MemoryPool,*", &pool, true),
        ("java.lang:*,group=x", &pool, false),
        ("java.lang:type=Threading", &thread, true),
        (r#"Catalina:*,name="http-*""#, &quoted, true),
        (r#"Catalina:*,name="https-*""#, &quoted, false),
        (r#"Catalina:*,name="http-nio-808\?""#, &quoted, false),
        ("Catalina:*,name=*", &quoted, true),
    ] {
        assert_eq!(name(pattern).matches(subject), fits, "{pattern} and {subject}");
    }
    assert!(!name("*:*").matches(&name("a:*")), "a pattern is no name");
}

#[test]
fn the_same_in_another_order() {
    assert!(name("a:b=c,d=e").same(&name("a:d=e,b=c")));
    assert!(!name("a:b=c,d=e").same(&name("a:b=c")));
    assert!(!name("a:b=c,*").same(&name("a:b=c")));
    assert!(!name("a:b=c").same(&name("x:b=c")));
    assert_ne!(name("a:b=c,d=e"), name("a:d=e,b=c"));
}

#[test]
fn many_stars_end() {
    assert!(!wildcard(&"*a".repeat(50), &"a".repeat(49)));
    assert!(wildcard(&"*a".repeat(50), &"ba".repeat(60)));
}

proptest! {
    #[test]
    fn any_text_is_read_or_refused(text in "[a-c:=,*?\"\\\\\nö]{0,24}") {
        if let Ok(name) = ObjectName::parse(&text) {
            prop_assert!(name.same(&name));
            prop_assert!(ObjectName::parse("*:*").unwrap().matches(&name) != name.is_pattern());
            for (key, value) in name.properties() {
                prop_assert_eq!(name.property(key), Some(value));
            }
        }
    }
}

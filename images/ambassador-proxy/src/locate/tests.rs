//! The plain and the JSON form of explanations.

use std::path::Path;

use expect_test::{Expect, expect};

use super::locate;

fn check(keys: &str, key: &[u8], plain: Expect) -> super::Explanation {
    let text = format!("alpha:\n  listen: 127.0.0.1:6379\n  redis: true\n{keys}");
    let parsed = crate::config::parse_pools(Path::new("nutcracker.yml"), &text).unwrap();
    let explanation = locate(&parsed.pools.0[0], key);
    plain.assert_eq(&explanation.to_string());
    explanation
}

const HOSTS: &str = "  servers:\n   - 10.0.0.1:6379:1\n   - 10.0.0.2:6379:1\n   \
    - 10.0.0.10:6379:1\n   - 10.0.0.3:6380:1\n";

#[test]
fn ketama_names_the_point() {
    let explanation = check(
        &format!("  hash_tag: \"{{}}\"\n{HOSTS}"),
        b"session:{foo}",
        expect![[r#"
            key      "session:{foo}"
            pool     alpha
            tag      "foo"
            hash     fnv1a_64 = 4275688823
            point    4280685779 (position 636 of 640, from 0)
            server   10.0.0.10:6379 at 10.0.0.10:6379 (index 3, weight 1)
            why      ketama: fnv1a_64 of "foo" is 4275688823; the first ring point from there on is 4280685779"#]],
    );
    let json = serde_json::to_string_pretty(&explanation).unwrap();
    expect![[r#"
        {
          "pool": "alpha",
          "key": "session:{foo}",
          "hashed": "foo",
          "tag_used": true,
          "hash": "fnv1a_64",
          "hash_value": 4275688823,
          "distribution": "ketama",
          "found": {
            "point": {
              "point": 4280685779,
              "position": 636,
              "points": 640,
              "wrapped": false
            }
          },
          "server": {
            "index": 3,
            "label": "10.0.0.10:6379",
            "address": "10.0.0.10:6379",
            "weight": 1,
            "share": 160,
            "line": 8
          },
          "why": "fnv1a_64 of \"foo\" is 4275688823; the first ring point from there on is 4280685779"
        }"#]].assert_eq(&json);
}

#[test]
fn a_hash_beyond_the_last_point_wraps() {
    let text = format!("alpha:\n  listen: 127.0.0.1:6379\n  hash: murmur\n{HOSTS}");
    let parsed = crate::config::parse_pools(Path::new("nutcracker.yml"), &text).unwrap();
    let pool = &parsed.pools.0[0];
    let placement = pool.placement();
    let wraps = |key: &String| {
        let slot = placement.ring().slot(placement.rules().hash(key.as_bytes()));
        matches!(slot, Some(crate::placement::Slot::Point { wrapped: true, .. }))
    };
    let key = (0..100_000).map(|id| format!("k{id}")).find(wraps).unwrap();
    let first = locate(pool, key.as_bytes());
    expect![[r#"
        key      "k90"
        pool     alpha
        hash     murmur = 4294917359
        point    3681345 (position 0 of 640, from 0)
        server   10.0.0.3:6380 at 10.0.0.3:6380 (index 2, weight 1)
        why      ketama: murmur of "k90" is 4294917359; no ring point is from there on, so the first of all, 3681345"#]].assert_eq(&first.to_string());
}

#[test]
fn modula_names_the_remainder() {
    check(
        &format!("  distribution: modula\n  hash: murmur\n{HOSTS}"),
        b"key:2",
        expect![[r#"
            key      "key:2"
            pool     alpha
            hash     murmur = 1027041185
            slot     1 of 4
            server   10.0.0.2:6379 at 10.0.0.2:6379 (index 1, weight 1)
            why      modula: murmur of "key:2" is 1027041185; modulo 4, the sum of weights, that is 1"#]],
    );
}

#[test]
fn other_answers_need_no_hash() {
    check(
        "  servers: [ 'h:1:1' ]\n",
        b"\xff\n",
        expect![[r#"
            key      "�\n"
            pool     alpha
            server   h:1 at h:1 (index 0, weight 1)
            why      ketama: the pool has a single server; nothing is hashed"#]],
    );
    check(
        &format!("  distribution: random\n{HOSTS}"),
        b"",
        expect![[r#"
            key      ""
            pool     alpha
            why      random: each request goes to any of 4 servers"#]],
    );
}

//! Files and the names they map.

use super::{answer, mapping};

type File = (&'static str, &'static str, &'static [(&'static str, &'static str)]);

const GLOBS: &[File] = &[
    ("no file", "", &[("c a.b", "-")]),
    ("only comments", "# nothing\n\n  # yet\n", &[("c a.b", "-")]),
    ("an empty document", "---\n", &[("c a.b", "-")]),
    ("keys without values", "defaults:\nmappings:\n", &[("c a.b", "-")]),
    (
        "literal",
        "mappings:\n- match: web.requests\n  name: web_requests_total\n",
        &[
            ("c web.requests", "web_requests_total"),
            ("g web.requests", "web_requests_total"),
            ("o web.requests", "web_requests_total"),
            ("c web", "-"),
            ("c web.requests.more", "-"),
            ("c Web.requests", "-"),
            ("c ", "-"),
        ],
    ),
    (
        "one segment",
        "mappings:\n- match: up\n  name: is_up\n",
        &[("g up", "is_up"), ("g up.up", "-")],
    ),
    (
        "captures in name and labels",
        "mappings:\n- match: app.*.*.took\n  name: ${1}_seconds\n  labels:\n    path: $2\n    both: $1/${2}\n    fixed: here\n",
        &[
            (
                "o app.shop.cart.took",
                "shop_seconds{both=\"shop/cart\",fixed=\"here\",path=\"cart\"}",
            ),
            ("o app..cart.took", "_seconds{both=\"/cart\",fixed=\"here\",path=\"cart\"}"),
            ("o app.shop.took", "-"),
        ],
    ),
    (
        "a star alone",
        "mappings:\n- match: '*'\n  name: any_$1\n",
        &[("c x", "any_x"), ("c x.y", "-"), ("c ", "any_")],
    ),
    (
        "a star matches an empty segment",
        "mappings:\n- match: a.*\n  name: x\n  labels: {rest: $1}\n",
        &[("c a.", "x{rest=\"\"}"), ("c a..", "-"), ("c a.-%$", "x{rest=\"-%$\"}")],
    ),
    (
        "dashes, digits, underscores",
        "mappings:\n- match: a-b.9x._y--z\n  name: x\n",
        &[("c a-b.9x._y--z", "x"), ("c a_b.9x._y--z", "-")],
    ),
    (
        "a shorter rule after a longer one",
        "mappings:\n- match: a.b.c\n  name: long\n- match: a.b\n  name: short\n- match: a\n  name: one\n",
        &[("c a.b.c", "long"), ("c a.b", "short"), ("c a", "one")],
    ),
    (
        "a longer rule after a shorter one",
        "mappings:\n- match: a.b\n  name: short\n- match: a.b.*\n  name: long_$1\n",
        &[("c a.b", "short"), ("c a.b.z", "long_z")],
    ),
    (
        "order: the wide rule first",
        "mappings:\n- match: a.*.*\n  name: wide\n- match: a.b.*\n  name: narrow\n- match: a.b.c\n  name: exact\n",
        &[("c a.b.c", "wide"), ("c a.b.z", "wide"), ("c a.y.z", "wide")],
    ),
    (
        "order: the wide rule last",
        "mappings:\n- match: a.b.c\n  name: exact\n- match: a.b.*\n  name: narrow\n- match: a.*.*\n  name: wide\n",
        &[("c a.b.c", "exact"), ("c a.b.z", "narrow"), ("c a.y.z", "wide")],
    ),
    (
        "order: the wide rule between",
        "mappings:\n- match: a.b.c\n  name: exact\n- match: a.*.*\n  name: wide\n- match: a.b.*\n  name: narrow\n",
        &[("c a.b.c", "exact"), ("c a.b.z", "wide")],
    ),
    (
        "no order: the most literal",
        "defaults:\n  glob_disable_ordering: true\nmappings:\n- match: a.*.*\n  name: wide\n- match: a.*.c\n  name: tail\n- match: a.b.c\n  name: exact\n",
        &[("c a.b.c", "exact"), ("c a.x.c", "tail"), ("c a.x.y", "wide")],
    ),
    (
        "going back, with order",
        "mappings:\n- match: a.b.*.d\n  name: left_$1\n- match: a.*.c.e\n  name: right_$1\n",
        &[("c a.b.c.d", "left_c"), ("c a.b.c.e", "right_b"), ("c a.b.c.f", "-")],
    ),
    (
        "going back, without order",
        "defaults:\n  glob_disable_ordering: yes\nmappings:\n- match: a.b.x\n  name: left\n- match: a.*.y\n  name: right_$1\n",
        &[("c a.b.x", "left"), ("c a.b.y", "right_b"), ("c a.c.x", "-")],
    ),
    (
        "going back where an analysis of the file would not",
        "defaults:\n  glob_disable_ordering: true\nmappings:\n- match: a.*.c\n  name: one\n- match: a.b.d\n  name: two\n- match: a.*.*\n  name: three\n",
        &[("c a.b.c", "one"), ("c a.b.d", "two"), ("c a.b.e", "three")],
    ),
    (
        "going back several times",
        "mappings:\n- match: '*.*.*.z'\n  name: stars_$1$2\n- match: a.*.c.y\n  name: y\n- match: a.b.c.x\n  name: x\n",
        &[("c a.b.c.x", "x"), ("c a.b.c.y", "y"), ("c a.b.c.z", "stars_"), ("c a.b.c.w", "-")],
    ),
    (
        "the same pattern twice",
        "mappings:\n- match: a.b\n  name: first\n- match: a.*\n  name: star\n- match: a.b\n  name: second\n",
        &[("c a.b", "first"), ("c a.c", "star")],
    ),
    (
        "one pattern for each kind",
        "mappings:\n- {match: a.*, name: as_counter, match_metric_type: counter}\n- {match: a.*, name: as_gauge, match_metric_type: gauge}\n- {match: a.*, name: as_observer, match_metric_type: observer}\n",
        &[("c a.b", "as_counter"), ("g a.b", "as_gauge"), ("o a.b", "as_observer")],
    ),
    (
        "a rule for one kind, then for all",
        "mappings:\n- {match: a.*, name: as_gauge, match_metric_type: gauge}\n- {match: a.*, name: other}\n",
        &[("c a.b", "other"), ("g a.b", "as_gauge"), ("o a.b", "other")],
    ),
    (
        "a rule for one kind only",
        "mappings:\n- {match: a.*, name: as_counter, match_metric_type: counter}\n",
        &[("c a.b", "as_counter"), ("g a.b", "-")],
    ),
    (
        "discard",
        "mappings:\n- {match: noise.*, name: dropped, action: drop}\n- {match: '*.*', name: kept_$2}\n",
        &[("c noise.a", "drop dropped"), ("c music.a", "kept_a")],
    ),
    (
        "discard what nothing else wants",
        "mappings:\n- {match: a.b, name: ab, action: map}\n- {match: ., match_type: regex, name: dropped, action: drop}\n",
        &[("c a.b", "ab"), ("c z", "drop dropped")],
    ),
    (
        "two rules, one name",
        "mappings:\n- {match: a.*, name: same, help: A, labels: {from: a}}\n- {match: b.*, name: same, help: B, labels: {path: $1}}\n",
        &[("c a.x", "same{from=\"a\"}"), ("c b.x", "same{path=\"x\"}")],
    ),
    (
        "part of a segment",
        "mappings:\n- {match: app_*.up, name: up, labels: {app: $1}}\n- {match: '*_total.x', name: t_$1}\n- {match: a*z.x, name: az, labels: {mid: $1}}\n",
        &[
            ("g app_shop.up", "up{app=\"shop\"}"),
            ("g app_.up", "up{app=\"\"}"),
            ("g app.up", "-"),
            ("g hits_total.x", "t_hits"),
            ("g abcz.x", "az{mid=\"bc\"}"),
            ("g az.x", "az{mid=\"\"}"),
            ("g a.x", "-"),
        ],
    ),
    (
        "part of a segment, overlapping ends",
        "mappings:\n- {match: ab*ba, name: x, labels: {mid: $1}}\n",
        &[("c aba", "-"), ("c abba", "x{mid=\"\"}"), ("c ab!ba", "x{mid=\"!\"}")],
    ),
    (
        "part of a segment, in the order of the file",
        "mappings:\n- {match: a.x*, name: part}\n- {match: a.xy, name: exact}\n- {match: a.*, name: any}\n",
        &[("c a.xy", "part"), ("c a.y", "any")],
    ),
    (
        "part of a segment, without order",
        "defaults: {glob_disable_ordering: true}\nmappings:\n- {match: a.*, name: any}\n- {match: a.x*, name: part}\n- {match: a.xy, name: exact}\n",
        &[("c a.xy", "exact"), ("c a.xz", "part"), ("c a.y", "any")],
    ),
    (
        "beyond ASCII",
        "mappings:\n- {match: a.*, name: x, labels: {value: 'ü$1ü'}}\n",
        &[("c a.größe", "x{value=\"ügrößeü\"}")],
    ),
    (
        "anchors and merges",
        "mappings:\n- &base\n  match: a.*\n  name: base\n  labels: {one: $1}\n- <<: *base\n  match: b.*\n",
        &[("c a.x", "base{one=\"x\"}"), ("c b.x", "base{one=\"x\"}")],
    ),
    (
        "values that YAML would take for something else",
        "mappings:\n- match: a.*\n  name: yes\n  labels: {on: off, num: 010, float: 1.50, nil: ~, none: , date: 2020-01-01}\n",
        &[(
            "c a.x",
            "yes{date=\"2020-01-01\",float=\"1.50\",nil=\"\",none=\"\",num=\"010\",on=\"off\"}",
        )],
    ),
    (
        "JSON is YAML",
        "{\"mappings\": [{\"match\": \"a.*\", \"name\": \"x\", \"labels\": {\"it\": \"$1\"}}]}",
        &[("c a.b", "x{it=\"b\"}")],
    ),
];

const TEMPLATES: &[File] = &[
    (
        "a number goes on to the last word character",
        "mappings:\n- {match: a.*, name: x_$1_y}\n- {match: b.*, name: 'x_${1}_y'}\n",
        &[("c a.z", "x_"), ("c b.z", "x_z_y")],
    ),
    (
        "two references without a character between",
        "mappings:\n- {match: a.*.*, name: x, labels: {both: $1$2, apart: '${1}${2}'}}\n",
        &[("c a.y.z", "x{apart=\"yz\",both=\"\"}")],
    ),
    (
        "references to nothing",
        "mappings:\n- {match: a.*, name: x, labels: {none: '<$2>', zero: '<$0>', word: '<$name>', huge: '<$99999999999999999999>'}}\n",
        &[("c a.y", "x{huge=\"<>\",none=\"<>\",word=\"<>\",zero=\"<>\"}")],
    ),
    (
        "dollars that refer to nothing",
        "mappings:\n- {match: a.*, name: x, labels: {price: 5$, sign: $ 1, twice: $$1, brace: '${', open: '${1', shut: '$1}'}}\n",
        &[("c a.y", "x{brace=\"${\",open=\"y\",price=\"5$\",shut=\"y\",sign=\"$ 1\",twice=\"\"}")],
    ),
    (
        "per cent is a character",
        "mappings:\n- {match: a.*, name: x, labels: {ratio: '100%-$1', verb: '%s%d $1'}}\n",
        &[("c a.y", "x{ratio=\"100%-y\",verb=\"%s%d y\"}")],
    ),
    (
        "a number that begins another",
        "mappings:\n- {match: '*.*.*.*.*.*.*.*.*.*.*', name: x, labels: {both: '$1,$11,$01'}}\n",
        &[("c a.b.c.d.e.f.g.h.i.j.k", "x{both=\"a,k,a\"}")],
    ),
    (
        "what is captured is not expanded again",
        "mappings:\n- {match: a.*.*, name: x, labels: {one: '$1'}}\n",
        &[("c a.$2.z", "x{one=\"$2\"}")],
    ),
    ("an empty name is an answer", "mappings:\n- {match: a.*, name: $2}\n", &[("c a.b", "")]),
    (
        "only references in a name",
        "mappings:\n- {match: '*.*', name: '${2}${1}'}\n",
        &[("c a.b", "ba")],
    ),
    (
        "expressions: names and numbers",
        "defaults: {match_type: regex}\nmappings:\n- match: ^(?P<app>\\w+)\\.(\\w+)$\n  name: ${1}_total\n  labels: {app: $app, brace: '${app}!', all: $0, two: '$2'}\n",
        &[("c shop.buy", "shop_total{all=\"shop.buy\",app=\"shop\",brace=\"shop!\",two=\"buy\"}")],
    ),
    (
        "expressions: the longest name, the plain dollar",
        "defaults: {match_type: regex}\nmappings:\n- match: (a)(b)\n  name: x\n  labels: {long: '$1x', dollar: $$1, alone: 5$, bad: '${1-}', open: '${1', many: '$3', zeros: '$01', both: $1$2}\n",
        &[(
            "c ab",
            "x{alone=\"5$\",bad=\"${1-}\",both=\"ab\",dollar=\"$1\",long=\"\",many=\"\",open=\"${1\",zeros=\"\"}",
        )],
    ),
    (
        "expressions: a group that took no part",
        "mappings:\n- {match: '^a(b)?(c)$', match_type: regex, name: x, labels: {opt: '<$1>', tail: $2}}\n",
        &[("c ac", "x{opt=\"<>\",tail=\"c\"}"), ("c abc", "x{opt=\"<b>\",tail=\"c\"}")],
    ),
];

const EXPRESSIONS: &[File] = &[
    (
        "found anywhere",
        "mappings:\n- {match: b.c, match_type: regex, name: x}\n",
        &[("c a.b.c.d", "x"), ("c bxc", "x"), ("c b.d", "-")],
    ),
    (
        "an empty expression matches all",
        "mappings:\n- {match: '', match_type: regex, name: x}\n- {match_type: regex, name: y}\n",
        &[("c anything", "x"), ("c ", "x")],
    ),
    (
        "globs come first, whatever the order",
        "mappings:\n- {match: '.*', match_type: regex, name: regex}\n- {match: a.*, name: glob}\n",
        &[("c a.b", "glob"), ("c b", "regex")],
    ),
    (
        "in the order of the file",
        "defaults: {match_type: regex}\nmappings:\n- {match: '^a', name: first}\n- {match: b$, name: second}\n- {match: a.b, match_type: glob, name: glob, match_metric_type: gauge}\n",
        &[("c a.b", "first"), ("c c.b", "second"), ("g a.b", "glob")],
    ),
    (
        "the kind decides before the name",
        "defaults: {match_type: regex}\nmappings:\n- {match: a, name: gauge_$0, match_metric_type: gauge}\n- {match: a, name: other}\n",
        &[("c a", "other"), ("g a", "gauge_a"), ("o a", "other")],
    ),
    (
        "classes are ASCII",
        "defaults: {match_type: regex}\nmappings:\n- {match: '^\\w+$', name: words}\n- {match: '^\\d+,$', name: digits}\n- {match: '^[\\d.]+;$', name: in_class}\n- {match: '^\\S+$', name: solid}\n",
        &[
            ("c abc_1", "words"),
            ("c größe", "solid"),
            ("c 12,", "digits"),
            ("c ١,", "solid"),
            ("c 1.2;", "in_class"),
            ("c a b", "-"),
        ],
    ),
    (
        "brackets in brackets",
        "defaults: {match_type: regex}\nmappings:\n- {match: '^[[]a[]]$', name: square}\n- {match: '^[^[]&&[a&~]+$', name: signs}\n- {match: '^[[:alpha:]]+[[:^alpha:]]$', name: posix}\n",
        &[("c [a]", "square"), ("c x&&a~", "signs"), ("c abc1", "posix")],
    ),
    (
        "braces that repeat nothing",
        "defaults: {match_type: regex}\nmappings:\n- {match: '^a{x}$', name: text}\n- {match: '^b{2,3}$', name: repeat}\n- {match: '^c{,2}$', name: no_from}\n",
        &[("c a{x}", "text"), ("c bb", "repeat"), ("c bbbb", "-"), ("c c{,2}", "no_from")],
    ),
    (
        "quoting",
        "defaults: {match_type: regex}\nmappings:\n- {match: '^\\Qa.b*\\E+$', name: quoted}\n- {match: '^\\Q(', name: to_the_end}\n- {match: '^\\<\\_\\>$', name: angle}\n",
        &[("c a.b**", "quoted"), ("c axb*", "-"), ("c (x", "to_the_end"), ("c <_>", "angle")],
    ),
    (
        "borders of words",
        "mappings:\n- {match: '\\bab\\b', match_type: regex, name: x}\n",
        &[("c x.ab.y", "x"), ("c xab", "-"), ("c äabä", "x")],
    ),
    (
        "flags",
        "defaults: {match_type: regex}\nmappings:\n- {match: '(?i)^HOT$', name: hot}\n- {match: '(?U)^(a+)(a*)$', name: 'lazy', labels: {first: $1}}\n",
        &[("c hOt", "hot"), ("c aaa", "lazy{first=\"a\"}")],
    ),
    (
        "an expression for one segment",
        "mappings:\n- {match: '^app\\.([^.]+)\\.took$', match_type: regex, name: took, labels: {app: $1}}\n",
        &[
            ("o app.shop.took", "took{app=\"shop\"}"),
            ("o app.a.b.took", "-"),
            ("o appxshopxtook", "-"),
        ],
    ),
    (
        "an alternative of names",
        "mappings:\n- {match: '^(get|put)_(.*)$', match_type: regex, name: requests, action: drop, labels: {verb: $1}}\n",
        &[("c put_x", "drop requests{verb=\"put\"}"), ("c post_x", "-")],
    ),
    (
        "the end is the end",
        "mappings:\n- {match: 'a$', match_type: regex, name: x}\n",
        &[("c a", "x"), ("c a\n", "-")],
    ),
];

#[test]
fn files_map_names() {
    for (title, text, questions) in [GLOBS, TEMPLATES, EXPRESSIONS].concat() {
        let mapping = mapping(text);
        for (question, expected) in questions {
            assert_eq!(answer(&mapping, question), *expected, "{title}: {question}");
        }
    }
}

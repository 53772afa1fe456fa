//! What is said in the sessions.
//!
//! A row is a pool, whether the outcome differs, and the requests, all sent at once. `@a0`, `@a1`,
//! … are keys of the first server and `@b0`, … keys of the second; `_` is a space within a word;
//! `=` begins raw bytes; `~` marks a request without a reply. In memcached's requests `|` ends a
//! line. A further request shows at the end whether the connection still serves.

/// Whose outcome differs from nutcracker's, by the name in the table of differences.
#[derive(Clone, Copy, Debug)]
pub(super) enum Differs {
    No,
    Friendly(&'static str),
    Strict(&'static str),
    Both(&'static str),
}

use Differs::{Both, Friendly, No, Strict};

type Row = (&'static str, Differs, &'static [&'static str]);

pub(super) const SESSIONS: &[Row] = &[
    // Keys and values.
    (
        "redis",
        No,
        &[
            "SET @a0 1",
            "GET @a0",
            "get @a0",
            "GeT @b0",
            "DEL @a0",
            "GET @a0",
        ],
    ),
    (
        "redis",
        No,
        &[
            "SET @a0 v EX 100",
            "TTL @b0",
            "PERSIST @a0",
            "TTL @a0",
            "TYPE @a0",
        ],
    ),
    (
        "redis",
        No,
        &[
            "SETEX @a0 100 v",
            "PSETEX @b0 100000 w",
            "SETNX @a0 x",
            "GETSET @b0 y",
        ],
    ),
    (
        "redis",
        No,
        &[
            "EXPIRE @a0 10",
            "SET @a0 1",
            "EXPIRE @a0 100",
            "EXPIREAT @a0 1",
            "GET @a0",
        ],
    ),
    (
        "redis",
        No,
        &["PEXPIRE @a0 10", "PTTL @a0", "PEXPIREAT @a0 1", "DUMP @b1"],
    ),
    ("redis", Both("move"), &["SET @a0 1", "MOVE @a0 1"]),
    (
        "redis",
        No,
        &[
            "APPEND @a0 ab",
            "STRLEN @a0",
            "GETRANGE @a0 0 0",
            "SETRANGE @a0 1 x",
        ],
    ),
    (
        "redis",
        No,
        &[
            "INCR @a0",
            "DECR @a0",
            "INCRBY @a0 5",
            "DECRBY @a0 2",
            "INCRBYFLOAT @a0 .5",
        ],
    ),
    (
        "redis",
        No,
        &[
            "SETBIT @a0 7 1",
            "GETBIT @a0 7",
            "BITCOUNT @a0",
            "BITPOS @a0 1",
        ],
    ),
    (
        "redis",
        No,
        &[
            "BITFIELD @a0 SET u8 0 255 GET u4 0",
            "GETDEL @a0",
            "GETEX @a0 PERSIST",
        ],
    ),
    (
        "redis",
        No,
        &[
            "SET {t}1 v",
            "COPY {t}1 {t}2",
            "GET {t}2",
            "EXISTS {t}1 {t}2",
        ],
    ),
    (
        "redis",
        No,
        &["RESTORE @a0 0 junk", "SORT @a0", "SORT @a0 ALPHA DESC"],
    ),
    (
        "redis",
        No,
        &["SET @a0 v", "INCR @a0", "LPUSH @a0 x", "GET @a0"],
    ),
    (
        "redis",
        No,
        &["SET a_b c_d", "GET a_b", "SET \\0 \\0\\0", "GET \\0"],
    ),
    (
        "redis",
        No,
        &[
            "=*3\r\n$3\r\nSET\r\n$0\r\n\r\n$1\r\nv\r\n",
            "=*2\r\n$3\r\nGET\r\n$0\r\n\r\n",
        ],
    ),
    (
        "redis",
        No,
        &[
            "=*3\r\n$3\r\nSET\r\n$2\r\n\r\n\r\n$2\r\n\r\n\r\n",
            "GET \r\n",
        ],
    ),
    (
        "redis",
        No,
        &[
            "=*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$0\r\n\r\n",
            "GET k",
            "STRLEN k",
        ],
    ),
    // Hashes, lists, sets, sorted sets, and the rest.
    (
        "redis",
        No,
        &[
            "HSET @a0 f 1 g 2",
            "HGET @a0 f",
            "HGETALL @a0",
            "HMGET @a0 f x g",
            "HLEN @a0",
        ],
    ),
    (
        "redis",
        No,
        &[
            "HMSET @a0 f 1",
            "HKEYS @a0",
            "HVALS @a0",
            "HEXISTS @a0 f",
            "HDEL @a0 f g",
        ],
    ),
    (
        "redis",
        No,
        &[
            "HSETNX @a0 f 1",
            "HINCRBY @a0 f 4",
            "HINCRBYFLOAT @a0 f 0.5",
            "HSTRLEN @a0 f",
        ],
    ),
    (
        "redis",
        No,
        &[
            "HSET @a0 f 1",
            "HSCAN @a0 0",
            "HSCAN @a0 0 MATCH f* COUNT 5",
            "HRANDFIELD @a0",
        ],
    ),
    (
        "redis",
        No,
        &[
            "RPUSH @a0 1 2 3",
            "LRANGE @a0 0 -1",
            "LLEN @a0",
            "LINDEX @a0 1",
            "LPOS @a0 3",
        ],
    ),
    (
        "redis",
        No,
        &[
            "LPUSH @a0 1",
            "LPUSHX @a0 2",
            "RPUSHX @a0 3",
            "LSET @a0 0 x",
            "LTRIM @a0 0 0",
        ],
    ),
    (
        "redis",
        No,
        &[
            "RPUSH @a0 1 2",
            "LINSERT @a0 BEFORE 2 x",
            "LREM @a0 0 x",
            "LPOP @a0",
            "RPOP @a0 1",
        ],
    ),
    (
        "redis",
        No,
        &[
            "RPUSH {t}1 1 2",
            "RPOPLPUSH {t}1 {t}2",
            "LMOVE {t}1 {t}2 LEFT RIGHT",
        ],
    ),
    (
        "redis",
        No,
        &[
            "SADD @a0 1 2",
            "SCARD @a0",
            "SMEMBERS @a0",
            "SISMEMBER @a0 1",
            "SMISMEMBER @a0 1 9",
        ],
    ),
    (
        "redis",
        No,
        &[
            "SADD {t}1 1 2",
            "SADD {t}2 2",
            "SDIFF {t}1 {t}2",
            "SINTER {t}1 {t}2",
        ],
    ),
    (
        "redis",
        No,
        &[
            "SADD {t}1 1",
            "SUNION {t}1 {t}2",
            "SUNIONSTORE {t}3 {t}1",
            "SMOVE {t}1 {t}2 1",
        ],
    ),
    (
        "redis",
        No,
        &[
            "SADD @a0 1",
            "SRANDMEMBER @a0",
            "SSCAN @a0 0",
            "SPOP @a0",
            "SREM @a0 1",
        ],
    ),
    (
        "redis",
        No,
        &[
            "ZADD @a0 1 x 2 y",
            "ZSCORE @a0 x",
            "ZRANGE @a0 0 -1 WITHSCORES",
            "ZCARD @a0",
        ],
    ),
    (
        "redis",
        No,
        &[
            "ZADD @a0 1 x",
            "ZINCRBY @a0 2 x",
            "ZRANK @a0 x",
            "ZREVRANK @a0 x",
            "ZCOUNT @a0 -inf +inf",
        ],
    ),
    (
        "redis",
        No,
        &[
            "ZADD @a0 1 x",
            "ZLEXCOUNT @a0 - +",
            "ZRANGEBYLEX @a0 - +",
            "ZSCAN @a0 0",
        ],
    ),
    (
        "redis",
        No,
        &[
            "ZADD @a0 1 x",
            "ZMSCORE @a0 x y",
            "ZPOPMIN @a0",
            "ZPOPMAX @a0",
            "ZRANDMEMBER @a0",
        ],
    ),
    (
        "redis",
        No,
        &[
            "ZADD @a0 1 x",
            "ZREMRANGEBYSCORE @a0 0 9",
            "ZREMRANGEBYRANK @a0 0 1",
            "ZREM @a0 x",
        ],
    ),
    (
        "redis",
        No,
        &[
            "ZADD {t}1 1 x",
            "ZUNIONSTORE {t}2 1 {t}1",
            "ZINTERSTORE {t}3 1 {t}1",
            "ZRANGESTORE {t}4 {t}1 0 -1",
        ],
    ),
    (
        "redis",
        No,
        &[
            "PFADD {t}1 a b",
            "PFCOUNT {t}1",
            "PFMERGE {t}2 {t}1",
            "PFCOUNT {t}2",
        ],
    ),
    (
        "redis",
        No,
        &[
            "GEOADD @a0 13.36 38.11 P",
            "GEOPOS @a0 P",
            "GEOHASH @a0 P",
            "GEODIST @a0 P P",
        ],
    ),
    (
        "one",
        No,
        &[
            "ZADD z 1 x",
            "ZINTER 1 z",
            "ZUNION 1 z WITHSCORES",
            "ZDIFF 1 z",
        ],
    ),
    (
        "redis",
        Both("zset-numkeys"),
        &[
            "ZADD @b0 1 x",
            "ZUNION 1 @b0",
            "ZADD @a0 1 x",
            "ZUNION 1 @a0",
        ],
    ),
    (
        "redis",
        No,
        &[
            "EVAL return_KEYS[1] 1 @a0",
            "EVAL return_{1,{2,{3}}} 1 @b0",
            "EVALSHA 00 1 @a0",
        ],
    ),
    (
        "redis",
        No,
        &[
            "EVAL return_{err='X_y'} 1 @a0",
            "EVAL return_{ok='fine'} 1 @b0",
        ],
    ),
    (
        "redis",
        Friendly("arguments"),
        &["GET @a0", "EVAL return_1 0", "GET @a0"],
    ),
    // Split requests.
    (
        "redis",
        No,
        &[
            "MSET @a0 1 @b0 2 @a1 3",
            "MGET @a0 @b0 @a1 @b1",
            "MGET @b0",
            "MGET @a0 @a1",
        ],
    ),
    (
        "redis",
        No,
        &[
            "MSET @a0 1 @b0 2",
            "DEL @a0 @b0 @b1",
            "UNLINK @a0 @b0",
            "TOUCH @a0 @b0",
        ],
    ),
    (
        "redis",
        No,
        &[
            "MSET @a0 1 @b0 2",
            "MGET @b0 @b0 @a0 @b0 @a0",
            "DEL @a0 @a0",
            "DEL @b0",
        ],
    ),
    (
        "redis",
        No,
        &[
            "MSET @a0 1",
            "MSET @a0 1 @a1 2",
            "mget @a0 @b0",
            "mset @a0 1 @b0 2",
            "del @a0 @b0",
        ],
    ),
    (
        "redis",
        No,
        &["LPUSH @a0 1", "MGET @a0 @b0", "MGET @b0 @a0"],
    ),
    (
        "redis",
        Friendly("exists"),
        &["MSET @a0 1 @b0 2", "EXISTS @a0 @b0", "EXISTS @b0 @a0"],
    ),
    (
        "redis",
        Friendly("arguments"),
        &["MSET @a0 1 @b0", "GET @a0"],
    ),
    ("redis", Friendly("arguments"), &["MGET"]),
    // What the proxy answers itself, and what it does not know.
    ("redis", No, &["PING", "ping", "GET @a0", "PING"]),
    ("redis", Friendly("arguments"), &["PING text"]),
    ("redis", Friendly("quit"), &["~QUIT"]),
    (
        "redis",
        Friendly("quit"),
        &["SET @a0 1", "GET @b0", "~QUIT", "~GET @a0"],
    ),
    ("redis", Friendly("handshake"), &["HELLO 3"]),
    ("redis", Friendly("handshake"), &["HELLO 2"]),
    (
        "redis",
        Friendly("handshake"),
        &["CLIENT SETINFO LIB-NAME x"],
    ),
    ("redis", Friendly("handshake"), &["SELECT 0"]),
    ("redis", Friendly("handshake"), &["ECHO x"]),
    ("redis", Friendly("handshake"), &["INFO"]),
    ("redis", Friendly("handshake"), &["TIME"]),
    (
        "redis",
        Friendly("new-commands"),
        &["XADD @a0 1-1 f v", "XLEN @a0"],
    ),
    ("redis", Friendly("new-commands"), &["OBJECT ENCODING @a0"]),
    ("redis", Friendly("unknown"), &["NOSUCH"]),
    (
        "redis",
        Friendly("unknown"),
        &["SET @a0 1", "GET @a0", "NOSUCH a b", "GET @a0"],
    ),
    ("redis", Friendly("unknown"), &["KEYS *"]),
    ("redis", Friendly("unknown"), &["MULTI"]),
    ("redis", Friendly("unknown"), &["MSETNX @a0 1"]),
    ("redis", Friendly("unknown"), &["BLPOP @a0 1"]),
    ("redis", Friendly("unknown"), &["SUBSCRIBE c"]),
    ("redis", Friendly("arguments"), &["GET"]),
    ("redis", Friendly("arguments"), &["GET a b"]),
    ("redis", No, &["SET @a0"]),
    ("redis", Strict("zset-numkeys"), &["ZUNION 1"]),
    // Bytes that are not requests.
    ("redis", Friendly("inline"), &["=PING\r\n"]),
    ("redis", Friendly("inline"), &["=GET k\r\n"]),
    ("redis", Friendly("bad-bytes"), &["=*1\r\n$x\r\n"]),
    ("redis", Friendly("bad-bytes"), &["=*x\r\n"]),
    ("redis", Friendly("bad-bytes"), &["=*1\r\n:1\r\n"]),
    (
        "redis",
        Friendly("bad-bytes"),
        &["=*2\r\n$3\r\nGET\r\n$1\r\nkk\r\n"],
    ),
    ("redis", Friendly("bad-bytes"), &["=*-1\r\n"]),
    ("redis", Friendly("empty"), &["~=*0\r\n"]),
    ("redis", Friendly("empty"), &["~=\r\n"]),
    (
        "redis",
        Both("elements"),
        &["=*2000000000\r\n$3\r\nGET\r\n"],
    ),
    // Passwords.
    ("auth", No, &["GET k"]),
    (
        "auth",
        No,
        &[
            "PING",
            "AUTH other",
            "AUTH secret",
            "PING",
            "SET k v",
            "GET k",
        ],
    ),
    (
        "auth",
        No,
        &["AUTH secret", "AUTH other", "GET k", "AUTH secret", "GET k"],
    ),
    ("auth", No, &["auth secret", "MGET k l", "DEL k l"]),
    ("auth", Friendly("arguments"), &["AUTH"]),
    (
        "auth",
        Friendly("handshake"),
        &["AUTH default secret", "GET k"],
    ),
    (
        "auth",
        Friendly("handshake"),
        &["HELLO 2 AUTH default secret", "GET k"],
    ),
    ("auth", Friendly("unknown"), &["NOSUCH"]),
    ("redis", No, &["AUTH secret", "GET @a0"]),
    ("wrong", Both("server-password"), &["AUTH other", "SET k v"]),
    // A server that refuses, one that hangs.
    ("dead", No, &["SET @a0 1", "GET @a0"]),
    ("dead", No, &["SET @b0 1", "GET @a0", "GET @b0"]),
    ("dead", No, &["MSET @a0 1 @b0 2"]),
    (
        "dead",
        No,
        &["DEL @a0 @b0", "UNLINK @b0 @a0", "TOUCH @b0 @b1"],
    ),
    (
        "dead",
        Friendly("split-error"),
        &["SET @a0 1", "MGET @a0 @b0"],
    ),
    ("dead", No, &["MGET @b0", "GET @a0"]),
    ("dead", Both("split-of-one"), &["MGET @b0 @b1"]),
    ("slow", No, &["SET @a0 1", "GET @a0"]),
    ("slow", No, &["SET @b0 1"]),
    ("slow", No, &["GET @b0", "GET @a0", "GET @b1"]),
    ("slow", No, &["DEL @a0 @b0"]),
    ("slow", Friendly("split-error"), &["MGET @a0 @b0"]),
    // memcached.
    (
        "memcache",
        No,
        &[
            "set @a0 5 0 2|ab",
            "get @a0",
            "gets @b0",
            "delete @a0",
            "delete @a0",
        ],
    ),
    (
        "memcache",
        No,
        &[
            "add @a0 0 0 1|x",
            "add @a0 0 0 1|y",
            "replace @a0 0 0 1|z",
            "replace @b0 0 0 1|z",
        ],
    ),
    (
        "memcache",
        No,
        &[
            "set @a0 0 0 1|x",
            "append @a0 0 0 1|y",
            "prepend @a0 0 0 1|w",
            "get @a0",
        ],
    ),
    (
        "memcache",
        No,
        &[
            "set @a0 0 0 1|5",
            "incr @a0 3",
            "decr @a0 1",
            "incr @b0 1",
            "incr @a0 18446744073709551615",
        ],
    ),
    (
        "memcache",
        No,
        &[
            "set @a0 0 0 1|x",
            "touch @a0 100",
            "touch @b0 0",
            "cas @b0 0 0 1 5|x",
        ],
    ),
    (
        "memcache",
        No,
        &[
            "set @a0 0 0 0|",
            "get @a0",
            "set @b0 4294967295 1 3|\r\n\0",
            "get @b0",
        ],
    ),
    (
        "memcache",
        No,
        &[
            "~set @a0 0 0 1 noreply|x",
            "get @a0",
            "~delete @a0 noreply",
            "get @a0",
        ],
    ),
    (
        "memcache",
        No,
        &[
            "~add @a0 0 0 1 noreply|1",
            "~incr @a0 1 noreply",
            "~touch @a0 0 noreply",
            "get @a0",
        ],
    ),
    (
        "memcache",
        No,
        &[
            "~append @a0 0 0 1 noreply|1",
            "~prepend @a0 0 0 1 noreply|1",
            "get @a0",
        ],
    ),
    (
        "memcache",
        No,
        &[
            "set @a0 1 0 1|x",
            "set @b0 2 0 1|y",
            "get @b0 @a0 @a1 @b0",
            "get @a1 @b1",
        ],
    ),
    (
        "memcache",
        Both("multiget-order"),
        &["set @a0 1 0 1|x", "set @b0 2 0 1|y", "get @b1 @a0 @b0"],
    ),
    (
        "memcache",
        No,
        &["set @a0 0 0 1|x", "get @a0 @a1", "get @a0 @a0"],
    ),
    ("memcache", No, &["version"]),
    ("memcache", No, &["set @a0 0 0 1|x", "~quit"]),
    (
        "memcache",
        No,
        &["incr @a0 1", "set @a0 0 0 1|x", "incr @a0 1", "get @a0"],
    ),
    ("memcache", Friendly("unknown"), &["nosuch"]),
    (
        "memcache",
        Friendly("unknown"),
        &["set @a0 0 0 1|x", "get @a0", "nosuch", "get @a0"],
    ),
    ("memcache", Friendly("unknown"), &["GET @a0"]),
    ("memcache", Friendly("unknown"), &["=\r\n"]),
    ("memcache", Friendly("new-commands"), &["gat 0 @a0 @b0"]),
    ("memcache", Friendly("new-commands"), &["mg @a0 v"]),
    ("memcache", Friendly("new-commands"), &["mn"]),
    ("memcache", Friendly("new-commands"), &["verbosity 1"]),
    ("memcache", Friendly("new-commands"), &["flush_all"]),
    (
        "memcache",
        Friendly("negative"),
        &["set @a0 0 -1 1|x", "get @a0"],
    ),
    ("memcache", No, &["touch @a0 -1"]),
    ("memcache", No, &["incr @a0 -1", "decr @a0 -1"]),
    ("memcache", Friendly("arguments"), &["get"]),
    ("memcache", Friendly("arguments"), &["set @a0 0 0|x"]),
    ("memcache", Friendly("arguments"), &["set @a0 x 0 1|x"]),
    ("memcache", Friendly("arguments"), &["set @a0 0 0 x"]),
    ("memcache", Friendly("arguments"), &["delete"]),
    ("memcache", Friendly("arguments"), &["incr @a0"]),
    (
        "memcache",
        Friendly("bad-bytes"),
        &["=set k 0 0 1\r\nxyz\r\n"],
    ),
    ("memcache", Both("bare-newline"), &["~=get k\n", "get @a0"]),
    (
        "deadmc",
        No,
        &[
            "set @a0 0 0 1|x",
            "get @b0",
            "set @b0 0 0 1|x",
            "get @a0",
            "delete @b0",
        ],
    ),
    ("deadmc", No, &["~set @b0 0 0 1 noreply|x", "get @a0"]),
    (
        "deadmc",
        Friendly("split-error"),
        &["set @a0 0 0 1|x", "get @a0 @b0"],
    ),
    ("slowmc", No, &["get @b0", "get @a0"]),
    ("slowmc", Friendly("split-error"), &["get @a0 @b0"]),
];

//! The Redis commands the proxy knows: how many arguments, where the keys are, what to do.

use std::sync::LazyLock;

/// How a command is routed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Route {
    /// By the argument at this position (the command itself is position 0).
    Key(u8),
    /// Every argument is a key; replies are arrays that are joined in the order of the keys.
    SplitArray,
    /// Every argument is a key; replies are integers that are summed.
    SplitSum,
    /// Arguments are pairs of key and value; replies are `+OK`.
    SplitPairs,
    /// A count of keys stands at this position and the keys follow it.
    Counted(u8),
    /// To the server of the fixed key `placeholder`, as twemproxy does: any server can answer.
    Anywhere,
    /// Answered here.
    Local(Local),
}

/// Commands that the proxy answers itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "each is the Redis command of that name")]
pub enum Local {
    Ping,
    Quit,
    Auth,
    Hello,
    Client,
    Select,
    Echo,
    Info,
    Time,
    Reset,
}

/// One row of the table.
#[derive(Debug)]
pub struct Command {
    /// Lower-case name.
    pub name: &'static str,
    /// Where it goes.
    pub route: Route,
    /// Fewest arguments, the name included.
    pub args_min: u32,
    /// Most arguments, the name included.
    pub args_max: u32,
    /// Whether twemproxy 0.5.0 knows it; the others are unknown in a strict pool.
    pub twemproxy: bool,
}

const ANY: u32 = u32::MAX;

/// (route, fewest, most, known to twemproxy, names)
type Row = (Route, u32, u32, bool, &'static str);

const ROWS: &[Row] = &[
    (
        Route::Key(1),
        2,
        2,
        true,
        "persist pttl ttl type dump decr get getdel incr strlen hgetall hkeys hlen hvals llen \
         scard smembers zcard",
    ),
    (
        Route::Key(1),
        3,
        3,
        true,
        "expire expireat pexpire pexpireat move append decrby getbit getset incrby incrbyfloat \
         setnx hexists hget hstrlen lindex rpoplpush sismember zrank zrevrank zscore",
    ),
    (
        Route::Key(1),
        4,
        4,
        true,
        "getrange psetex setbit setex setrange hincrby hincrbyfloat hsetnx lrange lrem lset ltrim \
         smove zcount zlexcount zincrby zremrangebylex zremrangebyrank zremrangebyscore",
    ),
    (Route::Key(1), 5, 5, true, "linsert lmove"),
    (
        Route::Key(1),
        2,
        ANY,
        true,
        "sort copy bitcount bitpos bitfield getex set hdel hmget hmset hscan hset hrandfield \
         lpush lpushx rpush rpushx lpop rpop lpos sadd sdiff sdiffstore sinter sinterstore srem \
         sunion sunionstore srandmember sscan spop smismember pfadd pfmerge pfcount zadd \
         zdiffstore zinterstore zmscore zpopmax zpopmin zrandmember zrange zrangebylex \
         zrangebyscore zrangestore zrem zrevrange zrevrangebylex zrevrangebyscore zscan \
         zunionstore geoadd geodist geohash geopos georadius georadiusbymember geosearch \
         geosearchstore restore",
    ),
    (Route::Counted(1), 3, ANY, true, "zdiff zinter zunion"),
    (Route::Counted(2), 4, ANY, true, "eval evalsha"),
    (Route::SplitArray, 2, ANY, true, "mget"),
    (Route::SplitSum, 2, ANY, true, "del unlink touch exists"),
    (Route::SplitPairs, 3, ANY, true, "mset"),
    (Route::Anywhere, 1, ANY, true, "command"),
    (Route::Anywhere, 1, ANY, true, "lolwut"),
    (Route::Local(Local::Ping), 1, 2, true, "ping"),
    (Route::Local(Local::Quit), 1, ANY, true, "quit"),
    (Route::Local(Local::Auth), 2, 3, true, "auth"),
    // What follows twemproxy does not know.
    (Route::Local(Local::Hello), 1, ANY, false, "hello"),
    (Route::Local(Local::Client), 2, ANY, false, "client"),
    (Route::Local(Local::Select), 2, 2, false, "select"),
    (Route::Local(Local::Echo), 2, 2, false, "echo"),
    (Route::Local(Local::Info), 1, ANY, false, "info"),
    (Route::Local(Local::Time), 1, 1, false, "time"),
    (Route::Local(Local::Reset), 1, 1, false, "reset"),
    (
        Route::Key(1),
        2,
        ANY,
        false,
        "expiretime pexpiretime substr bitfield_ro sort_ro georadius_ro \
         georadiusbymember_ro xadd xack xautoclaim xclaim xdel xlen xpending xrange xrevrange \
         xtrim xsetid hexpire hexpireat hpexpire hpexpireat hexpiretime hpexpiretime hpersist \
         httl hpttl hgetdel hgetex hsetex",
    ),
    (Route::Key(2), 3, ANY, false, "object xgroup xinfo"),
    (Route::Counted(1), 3, ANY, false, "sintercard zintercard lmpop zmpop"),
    (Route::Counted(2), 4, ANY, false, "eval_ro evalsha_ro fcall fcall_ro"),
];

/// Slots of the hash table; more than twice the commands, a power of two.
const SLOTS: usize = 1024;

struct Table {
    commands: Vec<Command>,
    /// Index into `commands` plus one; 0 is free.
    slots: [u16; SLOTS],
}

static TABLE: LazyLock<Table> = LazyLock::new(|| {
    let mut table = Table { commands: Vec::new(), slots: [0; SLOTS] };
    for (route, args_min, args_max, twemproxy, names) in ROWS {
        for name in names.split_whitespace() {
            if find(&table, name.as_bytes()).is_some() {
                continue;
            }
            let mut slot = slot_of(name.as_bytes());
            while table.slots[slot] != 0 {
                slot = (slot + 1) % SLOTS;
            }
            table.commands.push(Command {
                name,
                route: *route,
                args_min: *args_min,
                args_max: *args_max,
                twemproxy: *twemproxy,
            });
            table.slots[slot] = table.commands.len() as u16;
        }
    }
    table
});

#[inline]
fn slot_of(name: &[u8]) -> usize {
    let mut hash = name.len() as u32;
    for &byte in name {
        // Setting bit 5 makes letters lower case; what else it merges is told apart by `find`.
        hash = (hash ^ u32::from(byte | 0x20)).wrapping_mul(0x0100_0193);
    }
    (hash ^ (hash >> 15)) as usize % SLOTS
}

#[inline]
fn find<'a>(table: &'a Table, name: &[u8]) -> Option<&'a Command> {
    let mut slot = slot_of(name);
    loop {
        let index = table.slots[slot];
        if index == 0 {
            return None;
        }
        let command = &table.commands[usize::from(index) - 1];
        if command.name.as_bytes().eq_ignore_ascii_case(name) {
            return Some(command);
        }
        slot = (slot + 1) % SLOTS;
    }
}

/// Looks a command up by its name in any case.
#[inline]
pub fn lookup(name: &[u8]) -> Option<&'static Command> {
    find(&TABLE, name)
}

impl Command {
    /// Whether this many arguments (the name included) are right.
    #[inline]
    pub fn takes(&self, args: usize) -> bool {
        let args = args as u64;
        (u64::from(self.args_min)..=u64::from(self.args_max)).contains(&args)
            && !(self.route == Route::SplitPairs && args.is_multiple_of(2))
    }

    /// Like [`Command::takes`], for the arguments that twemproxy 0.5.0 accepts.
    pub fn takes_strict(&self, args: usize) -> bool {
        let most = match (self.route, self.name) {
            (Route::Local(Local::Auth), _) => 2,
            (Route::Local(_), _) | (_, "command") => 1,
            _ => usize::MAX,
        };
        self.twemproxy && args <= most && self.takes(args)
    }
}

/// All commands, for documentation and tests.
pub fn all() -> impl Iterator<Item = &'static Command> {
    TABLE.commands.iter()
}

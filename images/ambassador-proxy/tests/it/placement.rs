//! Placement beside the real nutcracker: random pools, the same keys, the same servers.
//!
//! The servers are threads here that answer every `get` with their own number, so a reply that
//! comes back through nutcracker says where it went. Our side reads the same file.

use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::thread;

use ambassador_proxy::config::{Address, PoolConfig, Protocol, parse_pools};
use ambassador_proxy::placement::{Hash, Placement};
use tempfile::TempDir;

use crate::support::{Nutcracker, Random, Stream, connect};

/// Requests sent before replies are read: below what sockets hold.
const BATCH: usize = 200;
const KEYS_PER_POOL: usize = 600;
const POOL_SETS: usize = 2;
/// Ends of the ranges of weights: some lopsided, most not.
const WEIGHTS: [usize; 5] = [3, 100, 7, 12, 3_000];

#[test]
fn every_key_goes_where_nutcracker_sends_it() {
    let mut random = Random::from_environment();
    let dir = tempfile::tempdir().unwrap();
    let fleet = Fleet::start(&dir, &mut random);
    let mut compared = 0;
    for set in 0..POOL_SETS {
        let config = random_pools(&fleet, &dir, set, &mut random);
        let nutcracker = Nutcracker::start(&config);
        let parsed = parse_pools(Path::new("nutcracker.yml"), &config).unwrap();
        for pool in &parsed.pools.0 {
            let placement = pool.placement();
            let keys = random_keys(pool, KEYS_PER_POOL, &mut random);
            compare(&fleet, pool, &placement, &keys, &config);
            compared += keys.len();
        }
        drop(nutcracker);
    }
    println!("{compared} placements compared");
}

/// Pools whose points would be others in exact arithmetic.
#[test]
fn weights_are_rounded_as_nutcracker_rounds_them() {
    let mut random = Random::from_environment();
    let dir = tempfile::tempdir().unwrap();
    let fleet = Fleet::start(&dir, &mut random);
    let mut config = String::new();
    for (index, weights) in [[29, 1, 30], [58, 1, 61], [1, 174, 5]].iter().enumerate() {
        let socket = dir.path().join(format!("rounding-{index}"));
        writeln!(config, "rounding{index}:\n  listen: {}", socket.display()).unwrap();
        config.push_str("  hash: murmur\n  redis: true\n  servers:\n");
        for (address, weight) in fleet.addresses.iter().zip(weights) {
            writeln!(config, "   - {}:{weight}", spelled(address)).unwrap();
        }
    }
    let _nutcracker = Nutcracker::start(&config);
    for pool in &parse_pools(Path::new("nutcracker.yml"), &config).unwrap().pools.0 {
        let keys = random_keys(pool, 5 * KEYS_PER_POOL, &mut random);
        compare(&fleet, pool, &pool.placement(), &keys, &config);
    }
}

#[test]
fn keys_of_an_ejected_server_go_where_nutcracker_sends_them() {
    let mut random = Random::from_environment();
    let dir = tempfile::tempdir().unwrap();
    let fleet = Fleet::start(&dir, &mut random);
    let mut config = String::new();
    for (index, distribution) in ["ketama", "modula"].iter().enumerate() {
        let socket = dir.path().join(format!("eject-{index}"));
        writeln!(config, "eject{index}:\n  listen: {}", socket.display()).unwrap();
        writeln!(config, "  distribution: {distribution}\n  hash: murmur\n  redis: true").unwrap();
        config.push_str("  auto_eject_hosts: true\n  server_retry_timeout: 600000\n");
        config.push_str("  server_failure_limit: 1\n  servers:\n");
        writeln!(config, "   - {}/nobody:2 dead", dir.path().display()).unwrap();
        for (number, address) in fleet.addresses.iter().take(5).enumerate() {
            writeln!(config, "   - {}:{}", spelled(address), number + 1).unwrap();
        }
    }
    let _nutcracker = Nutcracker::start(&config);
    let parsed = parse_pools(Path::new("nutcracker.yml"), &config).unwrap();
    for pool in &parsed.pools.0 {
        let keys = random_keys(pool, KEYS_PER_POOL, &mut random);
        let all = pool.placement();
        let dead = pool.servers.iter().position(|server| server.label == "dead").unwrap();
        // One request for a key of the dead server ejects it.
        let lost = keys.iter().find(|key| all.locate(key, || 0) == Some(dead as u32)).unwrap();
        let mut client = BufReader::new(connect(&pool.listen).unwrap());
        client.get_mut().write_all(&request(pool.protocol, lost)).unwrap();
        let mut reply = String::new();
        client.read_line(&mut reply).unwrap();
        assert!(reply.starts_with("-ERR"), "{reply}");
        let live: Vec<bool> = (0..pool.servers.len()).map(|index| index != dead).collect();
        compare(&fleet, pool, &all.with_live(&live), &keys, &config);
    }
}

fn compare(fleet: &Fleet, pool: &PoolConfig, ours: &Placement, keys: &[Vec<u8>], config: &str) {
    let mut client = BufReader::new(connect(&pool.listen).unwrap());
    for batch in keys.chunks(BATCH) {
        let requests: Vec<u8> = batch.iter().flat_map(|key| request(pool.protocol, key)).collect();
        client.get_mut().write_all(&requests).unwrap();
        for key in batch {
            let theirs = &fleet.addresses[reply(pool.protocol, &mut client)];
            let index = ours.locate(key, || unreachable!("not random")).unwrap();
            let server = &pool.servers[index as usize];
            assert_eq!(
                &server.address,
                theirs,
                "key {:?} of pool {} in\n{config}",
                key.escape_ascii().to_string(),
                pool.name,
            );
        }
    }
}

// === random pools and keys ===

/// A pool for each hash under both distributions that depend on the key.
fn random_pools(fleet: &Fleet, dir: &TempDir, set: usize, random: &mut Random) -> String {
    let mut config = String::new();
    for hash in Hash::ALL {
        for distribution in ["ketama", "modula"] {
            let socket = dir.path().join(format!("{set}-{hash}-{distribution}"));
            writeln!(config, "{hash}-{distribution}:\n  listen: {}", socket.display()).unwrap();
            writeln!(config, "  hash: {hash}\n  distribution: {distribution}").unwrap();
            writeln!(config, "  redis: {}", !random.one_in(3)).unwrap();
            if random.one_in(2) {
                let tag = random.pick(&["{}", "$$", "<>", "ab", "::"]);
                writeln!(config, "  hash_tag: \"{tag}\"").unwrap();
            }
            config.push_str("  servers:\n");
            random_servers(fleet, &mut config, random);
        }
    }
    config
}

fn random_servers(fleet: &Fleet, config: &mut String, random: &mut Random) {
    let mut addresses: Vec<&Address> = fleet.addresses.iter().collect();
    random.shuffle(&mut addresses);
    let equal = random.one_in(2);
    for (number, address) in addresses.iter().take(1 + random.below(9)).enumerate() {
        let weight = if equal { 1 } else { 1 + random.below(WEIGHTS[number % WEIGHTS.len()]) };
        write!(config, "   - {}:{weight}", spelled(address)).unwrap();
        if random.one_in(3) {
            // Lengths vary, because they sort before bytes do.
            let length = 1 + random.below(12);
            write!(config, " {}{number}", &"srv-cache-name"[..length]).unwrap();
        }
        config.push('\n');
    }
}

fn random_keys(pool: &PoolConfig, count: usize, random: &mut Random) -> Vec<Vec<u8>> {
    let redis = pool.protocol == Protocol::Redis;
    let mut keys: Vec<Vec<u8>> = Vec::with_capacity(count);
    for number in 0..count {
        let mut key = match number % 4 {
            0 => format!("user:{}", random.below(1_000_000)).into_bytes(),
            1 => format!("{{{}}}:a{}b$x$<{}>", number / 7, number / 5, number / 3).into_bytes(),
            2 => (0..random.below(60)).map(|_| b'!' + (random.below(94) as u8)).collect(),
            _ => (0..random.below(40)).map(|_| random.next() as u8).collect(),
        };
        if redis {
            // Short keys of every length, the empty one too, and bytes of either sign.
            if random.one_in(50) {
                key.clear();
            }
        } else {
            key.retain(|byte| *byte > b' ' && *byte != 0x7f);
            if key.is_empty() {
                key.push(b'k');
            }
        }
        keys.push(key);
    }
    keys
}

fn spelled(address: &Address) -> String {
    match address {
        Address::Tcp { host, port } => format!("{host}:{port}"),
        Address::Unix(path) => path.display().to_string(),
    }
}

// === the wire ===

fn request(protocol: Protocol, key: &[u8]) -> Vec<u8> {
    let head = match protocol {
        Protocol::Redis => format!("*2\r\n$3\r\nGET\r\n${}\r\n", key.len()),
        Protocol::Memcache => "get ".to_owned(),
    };
    [head.as_bytes(), key, b"\r\n"].concat()
}

/// The number of the server that answered.
fn reply(protocol: Protocol, client: &mut BufReader<Box<dyn Stream>>) -> usize {
    let mut line = || {
        let mut line = Vec::new();
        client.read_until(b'\n', &mut line).unwrap();
        line
    };
    let head = line();
    let value = line();
    if protocol == Protocol::Memcache {
        let end = line();
        assert_eq!(end, b"END\r\n", "after {:?}", head.escape_ascii().to_string());
    }
    let value = String::from_utf8(value).unwrap();
    value.trim().parse().unwrap_or_else(|_| panic!("{:?} {value:?}", head.escape_ascii()))
}

/// Servers that answer every `get` with their own number.
struct Fleet {
    addresses: Vec<Address>,
}

impl Fleet {
    /// Starts servers on ports of the kernel's choice, on memcached's port and on sockets.
    fn start(dir: &TempDir, random: &mut Random) -> Self {
        let mut addresses = Vec::new();
        for kind in [0, 0, 0, 0, 0, 1, 1, 1, 2, 2, 2, 2] {
            let number = addresses.len();
            let address = match kind {
                0 => listen_tcp("127.0.0.1", 0, number),
                1 => {
                    // The whole of 127/8 is loopback: an address of its own has the port free.
                    let (b, c, d) = (random.below(256), random.below(256), random.below(254) + 1);
                    listen_tcp(&format!("127.{b}.{c}.{d}"), 11211, number)
                }
                _ => listen_unix(&dir.path().join("s".repeat(1 + number)), number),
            };
            addresses.push(address);
        }
        Fleet { addresses }
    }
}

fn listen_tcp(host: &str, port: u16, number: usize) -> Address {
    let listener = TcpListener::bind((host, port)).unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let reader = stream.try_clone().unwrap();
            thread::spawn(move || serve(reader, stream, number));
        }
    });
    Address::Tcp { host: host.into(), port }
}

fn listen_unix(path: &Path, number: usize) -> Address {
    let listener = UnixListener::bind(path).unwrap();
    thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let reader = stream.try_clone().unwrap();
            thread::spawn(move || serve(reader, stream, number));
        }
    });
    Address::Unix(path.into())
}

/// Answers until the connection ends; what it cannot read ends it, too.
fn serve(reader: impl Read, mut writer: impl Write, number: usize) -> Option<()> {
    let mut reader = BufReader::new(reader);
    loop {
        let head = line(&mut reader)?;
        let reply = match head.strip_prefix(b"get ") {
            Some(key) => {
                let value = number.to_string();
                let head = [b"VALUE ", key, format!(" 0 {}", value.len()).as_bytes()].concat();
                [&head[..], b"\r\n", value.as_bytes(), b"\r\nEND\r\n"].concat()
            }
            None => {
                let (_, _) = (line(&mut reader)?, line(&mut reader)?);
                let length = line(&mut reader)?;
                let length = String::from_utf8(length).ok()?;
                let length: u64 = length.strip_prefix('$')?.parse().ok()?;
                std::io::copy(&mut reader.by_ref().take(length + 2), &mut std::io::sink()).ok()?;
                let value = number.to_string();
                format!("${}\r\n{value}\r\n", value.len()).into_bytes()
            }
        };
        writer.write_all(&reply).ok()?;
    }
}

fn line(reader: &mut impl BufRead) -> Option<Vec<u8>> {
    let mut line = Vec::new();
    reader.read_until(b'\n', &mut line).ok().filter(|length| *length > 0)?;
    let end = line.len().checked_sub(2)?;
    line.truncate(end);
    Some(line)
}

//! Memory: idle, with many idle clients, and while a large value passes; and the size of the binary.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddrV4, TcpStream};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use rustix::net::{AddressFamily, SocketType, bind, connect, socket};
use rustix::process::Signal;

use super::Bench;
use super::servers::{Kind, Proxy, Servers};
use super::workload::Protocol;
use crate::bench::machine::pause;
use crate::bench::random::Random;
use crate::bench::report::{Report, Section, megabytes};
use crate::bench::usage;

/// Clients that are connected and silent.
const IDLE_CLIENTS: u64 = 10_000;
/// Descriptors for all else: the proxy's and our own.
const OTHER_FILES: u64 = 500;
/// Local addresses the clients come from, so that ports do not run short.
const SOURCES: u64 = 4;
/// Bytes of the large value.
const LARGE: usize = 100_000_000;
/// It is made, sent and checked in pieces of this size.
const PIECE: usize = 64 * 1024;
/// How long the receiver of a large value stops reading half-way.
const STALL: Duration = Duration::from_secs(1);
/// For a proxy to come to rest.
const SETTLE: Duration = Duration::from_secs(1);
/// Of any read or write: longer than any stall.
const MOVES_WITHIN: Duration = Duration::from_secs(30);
/// The key of the large value.
const KEY: &str = "large:000000";

/// What both proxies are held to, in millions of bytes. The last is ours to set: the issue says
/// bounded, and a third of the value is what no proxy that holds it whole can keep.
const IDLE_MAX: f64 = 8.0;
const IDLE_CLIENTS_MAX: f64 = 100.0;
const BINARY_MAX: f64 = 8.0;
const LARGE_MAX: f64 = 32.0;

/// One way for a large value to pass.
#[derive(Clone, Copy)]
struct Passage {
    label: &'static str,
    write: bool,
    stall: bool,
}

const PASSAGES: [Passage; 4] = [
    Passage { label: "100 MB SET, peak", write: true, stall: false },
    Passage { label: "100 MB SET, server stalls 1 s, peak", write: true, stall: true },
    Passage { label: "100 MB GET, peak", write: false, stall: false },
    Passage { label: "100 MB GET, client stalls 1 s, peak", write: false, stall: true },
];

/// Measures all of it.
pub(super) fn run(bench: &Bench, report: &mut Report) -> Result<()> {
    if !bench.options.wants("memory", "memory") {
        return Ok(());
    }
    let columns = ["resident memory, MB", "ambassador-proxy", "nutcracker", "limit"];
    let mut section = Section::new("Memory, one worker", &columns);
    section.note("Millions of bytes; large values are compared byte by byte at the other end.");
    section.note(
        "The binary of ambassador-proxy is static; that of nutcracker needs the system's libraries.",
    );
    let servers = Servers::real(bench, Protocol::Redis, 2, &bench.layout.rest)?;
    let mut lines: Vec<(String, f64, [f64; 2])> = Vec::new();
    let [ours, theirs] = Kind::BOTH.map(|kind| idle(bench, &servers, kind));
    for (ours, theirs) in ours?.into_iter().zip(theirs?) {
        lines.push((ours.0, ours.1, [ours.2, theirs.2]));
    }
    for passage in PASSAGES {
        let [ours, theirs] = Kind::BOTH.map(|kind| large(bench, &servers, kind, passage));
        lines.push((passage.label.to_owned(), LARGE_MAX, [ours?, theirs?]));
    }
    let sizes = [&bench.ours, &bench.theirs].map(std::fs::metadata);
    let [ours, theirs] = sizes.map(|data| data.map(|data| megabytes(data.len())));
    lines.push(("binary".to_owned(), BINARY_MAX, [ours?, theirs?]));
    for (label, limit, [ours, theirs]) in lines {
        println!("memory: {label}: {ours:.1} MB, nutcracker {theirs:.1} MB");
        report.at_most(&format!("Memory: {label}"), limit, ours, " MB");
        let figures = [format!("{ours:.1}"), format!("{theirs:.1}"), limit.to_string()];
        section.row([label].into_iter().chain(figures));
    }
    report.add(section);
    Ok(())
}

/// Label, limit and megabytes: at rest, with idle clients, and after each has asked once.
fn idle(bench: &Bench, servers: &Servers, kind: Kind) -> Result<Vec<(String, f64, f64)>> {
    let proxy = Proxy::start(bench, kind, servers, 1, &bench.layout.tested, "")?;
    let resident = || usage::resident(proxy.pid()).map(megabytes);
    pause(SETTLE);
    let mut lines = vec![("idle after start".to_owned(), IDLE_MAX, resident()?)];
    let count = IDLE_CLIENTS.min(bench.open_files.saturating_sub(OTHER_FILES));
    let mut clients = (0..count)
        .map(|index| client_from(index, proxy.port))
        .collect::<Result<Vec<_>>>()
        .with_context(|| proxy.failed_at("connecting idle clients"))?;
    pause(SETTLE);
    lines.push((format!("{count} idle clients"), IDLE_CLIENTS_MAX, resident()?));
    for client in &mut clients {
        client.write_all(b"*2\r\n$3\r\nGET\r\n$4\r\nnone\r\n")?;
    }
    for client in &mut clients {
        let mut reply = [0; 5];
        client.read_exact(&mut reply).context("read the reply of an idle client")?;
        ensure!(&reply == b"$-1\r\n", "found {}", reply.escape_ascii());
    }
    pause(SETTLE);
    let label = format!("{count} idle clients after a request each");
    lines.push((label, IDLE_CLIENTS_MAX, resident()?));
    Ok(lines)
}

/// A client from one of several loopback addresses.
fn client_from(index: u64, port: u16) -> Result<TcpStream> {
    let source = Ipv4Addr::new(127, 0, 0, u8::try_from(index % SOURCES + 1)?);
    let client = socket(AddressFamily::INET, SocketType::STREAM, None)?;
    bind(&client, &SocketAddrV4::new(source, 0))?;
    connect(&client, &SocketAddrV4::new(Ipv4Addr::LOCALHOST, port))?;
    let client = TcpStream::from(client);
    client.set_read_timeout(Some(MOVES_WITHIN))?;
    Ok(client)
}

/// The most memory a fresh proxy had while a large value passed, in megabytes.
fn large(bench: &Bench, servers: &Servers, kind: Kind, passage: Passage) -> Result<f64> {
    let proxy = Proxy::start(bench, kind, servers, 1, &bench.layout.tested, "")?;
    let whole = || proxy.failed_at(passage.label);
    if passage.write {
        write_large(proxy.port, || stall_servers(servers, passage.stall)).with_context(whole)?;
    } else {
        // Whichever server the key belongs to has it.
        for server in &servers.ports {
            write_large(*server, || Ok(())).context("store the large value")?;
        }
        read_large(proxy.port, || {
            if passage.stall {
                pause(STALL)
            }
        })
        .with_context(whole)?;
    }
    usage::resident_peak(proxy.pid()).map(megabytes)
}

/// Stops all servers, and lets them go on after the stall while the caller keeps writing.
fn stall_servers(servers: &Servers, stall: bool) -> Result<()> {
    if !stall {
        return Ok(());
    }
    for server in servers.children() {
        server.signal(Signal::STOP)?;
    }
    let pids: Vec<u32> = servers.children().map(|server| server.pid()).collect();
    std::thread::spawn(move || {
        pause(STALL);
        for pid in pids {
            let pid = i32::try_from(pid).ok().and_then(rustix::process::Pid::from_raw);
            // It fails only for a server that is gone.
            let _ = pid.map(|pid| rustix::process::kill_process(pid, Signal::CONT));
        }
    });
    Ok(())
}

/// Sends the large value; `half_way` is called once in the middle.
fn write_large(port: u16, half_way: impl Fn() -> Result<()>) -> Result<()> {
    let mut stream = stream_to(port)?;
    let head = format!("*3\r\n$3\r\nSET\r\n${}\r\n{KEY}\r\n${LARGE}\r\n", KEY.len());
    stream.write_all(head.as_bytes())?;
    for (offset, piece) in pieces() {
        if offset == LARGE / 2 / PIECE * PIECE {
            half_way()?;
        }
        stream.write_all(&piece).with_context(|| format!("write at {offset}"))?;
    }
    stream.write_all(b"\r\n")?;
    let mut reply = [0; 5];
    stream.read_exact(&mut reply).context("read the reply to SET")?;
    ensure!(&reply == b"+OK\r\n", "found {}", reply.escape_ascii());
    Ok(())
}

/// Reads the large value and checks every byte.
fn read_large(port: u16, half_way: impl Fn()) -> Result<()> {
    let mut stream = stream_to(port)?;
    let request = format!("*2\r\n$3\r\nGET\r\n${}\r\n{KEY}\r\n", KEY.len());
    stream.write_all(request.as_bytes())?;
    let head = format!("${LARGE}\r\n");
    let mut found = vec![0; head.len()];
    stream.read_exact(&mut found)?;
    ensure!(found == head.as_bytes(), "found {}", found.escape_ascii());
    for (offset, piece) in pieces() {
        if offset == LARGE / 2 / PIECE * PIECE {
            half_way();
        }
        found.resize(piece.len(), 0);
        stream.read_exact(&mut found).with_context(|| format!("read at {offset}"))?;
        ensure!(found == piece, "the value differs after byte {offset}");
    }
    let mut end = [0; 2];
    stream.read_exact(&mut end)?;
    ensure!(&end == b"\r\n", "the value does not end");
    Ok(())
}

fn stream_to(port: u16) -> Result<TcpStream> {
    let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
    stream.set_read_timeout(Some(MOVES_WITHIN))?;
    stream.set_write_timeout(Some(MOVES_WITHIN))?;
    Ok(stream)
}

/// The large value, piece by piece, with the offset of each: random bytes, so that no piece passes
/// for another.
fn pieces() -> impl Iterator<Item = (usize, Vec<u8>)> {
    let mut random = Random::new(2);
    (0..LARGE).step_by(PIECE).map(move |offset| {
        let mut piece = Vec::with_capacity(PIECE);
        while piece.len() < PIECE {
            piece.extend_from_slice(&random.next().to_le_bytes());
        }
        piece.truncate(LARGE - offset);
        (offset, piece)
    })
}

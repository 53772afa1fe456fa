//! What one log entry of renewals costs a member: decoded, applied, encoded, as many as a busy
//! group puts into one entry; and a snapshot of a thousand elections.

use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use leader_elector::codec::Writer;
use leader_elector::election::{Acquire, Command, Session, Table};
use leader_elector::replica::Proposal;
use leader_elector::wire::{decode_proposals, encode_proposals};

/// Renewals that share an entry when 16 connections renew.
const BATCH: u64 = 16;
/// Elections of a large group.
const ELECTIONS: u64 = 1_000;

fn name(number: u64) -> Arc<str> {
    format!("election-{number}").into()
}

fn table(elections: u64) -> Table {
    let mut table = Table::default();
    for number in 0..elections {
        let acquire = Command::Acquire(Acquire {
            election: name(number),
            holder: format!("pod-{number}").into(),
            session: Session(number),
            ttl: Duration::from_secs(5),
            priority: 0,
            wait: false,
            metadata: None,
            request_id: None,
        });
        table.apply(number + 1, acquire, &mut Vec::new());
    }
    table
}

fn renewals() -> Vec<Proposal> {
    let renew =
        |number| Command::Renew { election: name(number), session: Session(number), token: 0 };
    let proposal = |number| Proposal { origin: 7, request: number, command: renew(number) };
    (0..BATCH).map(proposal).collect()
}

fn entries(criterion: &mut Criterion) {
    let renewals = renewals();
    let mut writer = Writer::default();
    encode_proposals(&renewals, &mut writer);
    let bytes = writer.bytes;
    let mut group = criterion.benchmark_group("an entry of 16 renewals");
    group.throughput(Throughput::Elements(BATCH));
    group.bench_function("encode", |bench| {
        bench.iter(|| {
            let mut writer = Writer::default();
            encode_proposals(black_box(&renewals), &mut writer);
            writer.bytes
        });
    });
    group.bench_function("decode", |bench| bench.iter(|| decode_proposals(black_box(&bytes))));
    let mut table = table(ELECTIONS);
    let mut index = ELECTIONS;
    group.bench_function("apply", |bench| {
        bench.iter_batched(
            || renewals.clone(),
            |renewals| {
                index += 1;
                let mut changes = Vec::new();
                for proposal in renewals {
                    black_box(table.apply(index, proposal.command, &mut changes));
                }
            },
            criterion::BatchSize::SmallInput,
        );
    });
    group.finish();
}

fn snapshots(criterion: &mut Criterion) {
    let table = table(ELECTIONS);
    let bytes = table.to_bytes();
    let mut group = criterion.benchmark_group("a table of 1000 elections");
    group.throughput(Throughput::Bytes(bytes.len() as u64));
    group.bench_function("write", |bench| bench.iter(|| black_box(&table).to_bytes()));
    group.bench_function("read", |bench| bench.iter(|| Table::from_bytes(black_box(&bytes))));
    group.finish();
}

fn benches(criterion: &mut Criterion) {
    entries(criterion);
    snapshots(criterion);
}

criterion_group!(election_benches, benches);
criterion_main!(election_benches);

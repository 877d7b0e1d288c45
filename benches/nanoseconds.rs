//! Nanoseconds of each step that a message takes through one core, without the kernel. For people: compare runs on one
//! machine. `cargo bench --bench nanoseconds`; with `-- --test` each step runs once.

#[path = "../tests/crowd/mod.rs"]
mod crowd;

use bytes::{Bytes, BytesMut};
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use crowd::Crowd;
use fanout::engine::topic::TopicHasher;
use fanout::wire::frame;
use fanout::wire::resp::push::{self, Heard};
use fanout::wire::ws::{Decoder, Input};
use std::hint::black_box;

/// An ordinary event, and one that is longer than a 16-bit length needs.
const PAYLOADS_BYTES: [usize; 3] = [200, 4_000, 100_000];

/// Events that one read from Redis brings under load.
const EVENTS_PER_BATCH: usize = 100;

const CONNECTIONS: [usize; 4] = [1, 100, 1_000, 10_000];
const MESSAGES_PER_TURN: [usize; 2] = [1, 16];

const CHANNEL: &[u8] = b"workflow:events:00000000-0000-4000-8000-000000000000";
const EVENT_BYTES_MAX: usize = 1 << 20;

fn seal(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("seal in place");
    for payload_bytes in PAYLOADS_BYTES {
        let mut chunk = BytesMut::new();
        let payload = crowd::push(&mut chunk, CHANNEL, payload_bytes);
        group.bench_function(BenchmarkId::from_parameter(payload_bytes), |bencher| {
            bencher.iter(|| frame::seal_in_place(black_box(&mut chunk), payload.clone()));
        });
    }
}

fn decode_batch(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("decode pmessage");
    let mut chunk = BytesMut::new();
    for _ in 0..EVENTS_PER_BATCH {
        crowd::push(&mut chunk, CHANNEL, PAYLOADS_BYTES[0]);
    }
    group.throughput(Throughput::Elements(EVENTS_PER_BATCH as u64));
    group.bench_function(BenchmarkId::from_parameter(format!("batch of {EVENTS_PER_BATCH}")), |bencher| {
        bencher.iter(|| decode_all(black_box(&chunk)));
    });
}

fn decode_all(chunk: &[u8]) {
    let mut at = 0;
    while at < chunk.len() {
        match push::decode(&chunk[at..], EVENT_BYTES_MAX) {
            Ok(Heard::Whole { push, bytes }) => {
                black_box(push);
                at += bytes;
            }
            other => panic!("a whole event stands at {at}: {other:?}"),
        }
    }
}

fn hash_topic(criterion: &mut Criterion) {
    let hasher = TopicHasher::random();
    let name = Bytes::from_static(CHANNEL);
    criterion.bench_function("hash topic", |bencher| bencher.iter(|| hasher.topic(black_box(name.clone()))));
}

fn deliver(criterion: &mut Criterion) {
    for messages_per_turn in MESSAGES_PER_TURN {
        let mut group = criterion.benchmark_group(format!("deliver, {messages_per_turn} per turn"));
        for connections in CONNECTIONS {
            let mut crowd = Crowd::new(connections, 1);
            let messages = crowd.events(0, messages_per_turn, PAYLOADS_BYTES[0]);
            group.throughput(Throughput::Elements((connections * messages_per_turn) as u64));
            group.bench_function(BenchmarkId::from_parameter(connections), |bencher| {
                bencher.iter(|| crowd.turn(black_box(&messages)));
            });
        }
    }
}

fn decode_client_frame(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("decode client frame");
    for payload_bytes in [20_u16, 200, 4_000] {
        // Unmasked in place, so every other round sees the masked bytes again; the time is the same.
        let mut received = client_frame(payload_bytes);
        let mut decoder = Decoder::default();
        group.throughput(Throughput::Bytes(u64::from(payload_bytes)));
        group.bench_function(BenchmarkId::from_parameter(payload_bytes), |bencher| {
            bencher.iter(|| {
                let mut input = Input::new(black_box(&mut received));
                let event = decoder.next(&mut input, EVENT_BYTES_MAX).expect("a good frame");
                assert!(event.is_some(), "a whole frame");
            });
        });
    }
}

/// A binary message as a client sends it: masked.
fn client_frame(payload_bytes: u16) -> Vec<u8> {
    let mut frame = vec![0x82];
    match u8::try_from(payload_bytes) {
        Ok(short) if short < 126 => frame.push(0x80 | short),
        _ => {
            frame.push(0x80 | 0x7e);
            frame.extend(payload_bytes.to_be_bytes());
        }
    }
    frame.extend([0x37, 0xfa, 0x21, 0x3d]);
    frame.resize(frame.len() + usize::from(payload_bytes), b'x');
    frame
}

criterion_group!(steps, seal, decode_batch, hash_topic, deliver, decode_client_frame);
criterion_main!(steps);

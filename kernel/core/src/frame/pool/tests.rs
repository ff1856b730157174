//! Tests of pools: places are apart, come back, and no frame is lost.

use std::sync::Arc;

use super::super::tests::{CPUS, Fixture, as_cpu};
use super::slots::MAGAZINE;
use super::*;

#[repr(align(64))]
#[derive(Debug)]
struct Process {
    number: u64,
    _rest: [u8; 500],
}

fn process(number: u64) -> Process {
    Process { number, _rest: [0xa5; 500] }
}

#[test]
fn objects_keep_their_values_and_their_distance() {
    let memory = Fixture::new(64);
    let pool = Pool::new(&memory.allocator);
    let objects: Vec<_> = (0..100).map(|n| pool.allocate(process(n)).unwrap()).collect();
    assert!((0..).zip(&objects).all(|(n, object)| object.number == n));
    let statistics = pool.statistics();
    assert_eq!((statistics.live, statistics.slots_per_slab), (100, 7));
    assert_eq!(u64::from(statistics.slabs), memory.allocator.statistics().used_for(FrameUse::ObjectPool));
    drop(objects);
    assert_eq!(pool.statistics().live, 0);
    drop(pool);
    memory.assert_no_frame_lost();
}

#[test]
fn a_pool_gives_slabs_back_before_it_goes() {
    let memory = Fixture::new(64);
    let pool = Pool::new(&memory.allocator);
    drop((0..100).map(|n| pool.allocate(process(n)).unwrap()).collect::<Vec<_>>());
    // What stays is one spare slab, and what the magazine's slots keep.
    let slabs = pool.statistics().slabs;
    assert!(slabs <= 1 + u32::try_from(MAGAZINE).unwrap(), "{slabs} slabs for no object");
}

#[test]
fn an_object_is_dropped_once() {
    let memory = Fixture::new(16);
    let pool = Pool::new(&memory.allocator);
    let token = Arc::new(());
    let object = pool.allocate(Arc::clone(&token)).unwrap();
    assert_eq!(Arc::strong_count(&token), 2);
    drop(object);
    assert_eq!(Arc::strong_count(&token), 1);
}

#[test]
fn out_of_frames_is_out_of_memory_and_a_freed_place_can_be_used_again() {
    let memory = Fixture::new(4);
    let pool = Pool::new(&memory.allocator);
    let mut objects = Vec::new();
    let refused = loop {
        match pool.allocate(process(0)) {
            Ok(object) => objects.push(object),
            Err(refused) => break refused,
        }
    };
    assert_eq!(refused, OutOfMemory { bytes: size_of::<Process>() });
    assert_eq!(objects.len(), 4 * 7);
    objects.pop();
    assert_eq!(pool.allocate(process(7)).unwrap().number, 7);
    drop(objects);
    drop(pool);
    memory.assert_no_frame_lost();
}

#[test]
fn objects_made_on_one_cpu_may_go_on_another() {
    const ROUNDS: u64 = if cfg!(miri) { 20 } else { 5_000 };
    let memory = Fixture::new(64);
    let pool = Pool::new(&memory.allocator);
    std::thread::scope(|scope| {
        let (give, take) = std::sync::mpsc::sync_channel(32);
        for cpu in 1..CPUS {
            let (give, pool) = (give.clone(), &pool);
            scope.spawn(move || {
                as_cpu(cpu);
                for n in 0..ROUNDS {
                    give.send(pool.allocate(process(n)).unwrap()).unwrap();
                }
            });
        }
        drop(give);
        let sum: u64 = take.into_iter().map(|object| object.number).sum();
        assert_eq!(sum, (CPUS as u64 - 1) * ROUNDS * (ROUNDS - 1) / 2);
    });
    assert_eq!(pool.statistics().live, 0);
    drop(pool);
    memory.assert_no_frame_lost();
}

//! Tests of memory by size: it is as large and as aligned as asked for, apart, comes back, and no frame is lost.

use super::super::tests::{CPUS, Fixture, as_cpu};
use super::*;
use crate::hal::fake::FakeCpu;

fn classes() -> Box<SizeClasses<FakeCpu>> {
    Box::new(SizeClasses::new())
}

fn layout(size: usize, align: usize) -> Layout {
    Layout::from_size_align(size, align).unwrap()
}

#[test]
fn each_layout_gets_the_smallest_size_that_is_enough_and_aligned() {
    const STEP: usize = if cfg!(miri) { 31 } else { 1 };
    for align in [1, 2, 4, 8, 16, 32, 64] {
        for size in (0..=LARGEST).step_by(STEP) {
            let enough = |bytes: &&u16| {
                usize::from(**bytes) >= size.max(1).next_multiple_of(align) && usize::from(**bytes) % align == 0
            };
            let expected = SIZES.iter().find(enough);
            let found = Class::of(layout(size, align)).map(|class| &SIZES[usize::from(class.0)]);
            assert_eq!(found, expected, "{size} bytes aligned to {align}");
        }
    }
}

#[test]
fn what_is_too_large_or_too_aligned_is_refused() {
    let most = usize::try_from(isize::MAX).unwrap();
    for (size, align) in [(LARGEST + 1, 8), (8, 128), (1 << 40, 1), (LARGEST, 64), (most, 1), (most - 63, 64)] {
        assert_eq!(Class::of(layout(size, align)), None);
    }
}

#[test]
fn a_frame_is_used_but_for_a_tenth() {
    for bytes in SIZES.map(usize::from).into_iter() {
        let used = geometry(bytes).slots() * bytes;
        assert!(used * 10 >= (PAGE_SIZE - 64) * 9, "{used} bytes of a frame in slots of {bytes}");
    }
}

#[test]
fn memory_is_aligned_apart_and_comes_back() {
    const ROUNDS: usize = if cfg!(miri) { 60 } else { 2000 };
    let memory = Fixture::new(256);
    let classes = classes();
    let mut held: Vec<(NonNull<u8>, Layout, Class, u8)> = Vec::new();
    for round in 0..ROUNDS {
        let size = 1 + (round * 7919) % LARGEST;
        let layout = layout(size, 1 << (round % 7));
        if let Some(class) = Class::of(layout)
            && let Some(block) = classes.allocate(class, || &memory.allocator)
        {
            assert!(block.addr().get().is_multiple_of(layout.align()));
            let byte = u8::try_from(round % 251).unwrap();
            // SAFETY: the block is as large as its layout says, and ours.
            unsafe { block.write_bytes(byte, size) };
            held.push((block, layout, class, byte));
        }
        if held.len() > 40 {
            let (block, layout, class, byte) = held.swap_remove(round % 40);
            // SAFETY: written above, and ours still.
            let contents = unsafe { core::slice::from_raw_parts(block.as_ptr(), layout.size()) };
            assert!(contents.iter().all(|&found| found == byte), "round {round}");
            // SAFETY: allocated above with this class.
            unsafe { classes.free(block, class, || &memory.allocator) };
        }
    }
    for (block, _, class, _) in held {
        // SAFETY: allocated above with this class.
        unsafe { classes.free(block, class, || &memory.allocator) };
    }
    assert_eq!(classes.statistics().live, 0);
    classes.drain(&memory.allocator);
    assert_eq!(classes.statistics(), HeapStatistics::default());
    memory.assert_no_frame_lost();
}

#[test]
fn out_of_frames_is_none_and_what_comes_back_can_be_had_again() {
    let memory = Fixture::new(4);
    let classes = classes();
    let class = Class::of(layout(1000, 8)).unwrap();
    let mut held: Vec<_> = core::iter::from_fn(|| classes.allocate(class, || &memory.allocator)).collect();
    assert_eq!(held.len(), 4 * 3);
    let last = held.pop().unwrap();
    // SAFETY: allocated above with this class.
    unsafe { classes.free(last, class, || &memory.allocator) };
    held.push(classes.allocate(class, || &memory.allocator).unwrap());
    for block in held {
        // SAFETY: allocated above with this class.
        unsafe { classes.free(block, class, || &memory.allocator) };
    }
    classes.drain(&memory.allocator);
    memory.assert_no_frame_lost();
}

/// Memory on its way to another thread.
struct Block(NonNull<u8>);

// SAFETY: nobody else uses it.
unsafe impl Send for Block {}

#[test]
fn memory_may_come_back_on_another_cpu() {
    const ROUNDS: usize = if cfg!(miri) { 20 } else { 5_000 };
    let memory = Fixture::new(64);
    let classes = classes();
    std::thread::scope(|scope| {
        let (give, take) = std::sync::mpsc::sync_channel(32);
        for cpu in 1..CPUS {
            let (give, classes, allocator) = (give.clone(), &classes, &memory.allocator);
            scope.spawn(move || {
                as_cpu(cpu);
                for n in 0..ROUNDS {
                    let class = Class::of(layout(16 + n % 300, 16)).unwrap();
                    let block = classes.allocate(class, || allocator).unwrap();
                    give.send((Block(block), class)).unwrap();
                }
            });
        }
        drop(give);
        for (Block(block), class) in take {
            // SAFETY: allocated by another thread with this class, and sent here to be freed.
            unsafe { classes.free(block, class, || &memory.allocator) };
        }
    });
    assert_eq!(classes.statistics().live, 0);
    classes.drain(&memory.allocator);
    memory.assert_no_frame_lost();
}

//! Host threads as CPUs: they allocate, share, pass on and free at the same time.

use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use super::*;

const ROUNDS: u32 = if cfg!(miri) { 60 } else { 20_000 };

/// A small generator with a fixed seed for each thread: runs differ by their interleaving alone.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        // Xorshift (Marsaglia 2003).
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit
    }
}

/// A CPU with the handles that it has at the moment.
struct Worker<'a> {
    allocator: &'a FrameAllocator<FakeMemory, FakeCpu>,
    random: Random,
    mine: Vec<Handle<'a>>,
    /// Handles from the CPU before, to be freed or passed on here.
    inbox: Receiver<Handle<'a>>,
    next: SyncSender<Handle<'a>>,
}

impl Worker<'_> {
    fn step(&mut self) {
        match self.random.below(8) {
            0..3 => self.allocate(),
            3 => self.pass_on(),
            4 => drop(self.allocator.reserve(u32::try_from(self.random.below(6)).unwrap())),
            5 => self.mine.extend(self.inbox.try_recv()),
            _ if !self.mine.is_empty() => {
                let at = self.random.below(self.mine.len() as u64);
                drop(self.mine.swap_remove(usize::try_from(at).unwrap()));
            }
            _ => {}
        }
        if self.mine.len() > 24 {
            self.mine.clear();
        }
    }

    fn allocate(&mut self) {
        let order = order(u8::try_from(self.random.below(4)).unwrap());
        let Ok(mut block) = self.allocator.allocate(order, FrameUse::Kernel, Zeroing::Zeroed) else { return };
        let page = block.page_mut(0).expect("a fresh block has one reference");
        assert_eq!((page[0], page[4095]), (0, 0), "somebody wrote to free memory");
        page.fill(0xff);
        self.mine.push(block);
    }

    /// A full inbox of the next CPU means that the reference goes here and now.
    fn pass_on(&mut self) {
        if let Some(block) = self.mine.last().map(Handle::share) {
            drop(self.next.try_send(block));
        }
    }
}

#[test]
fn cpus_that_allocate_share_and_free_at_once_lose_no_frame() {
    let memory = Fixture::new(256);
    std::thread::scope(|scope| {
        let (mut senders, receivers): (Vec<_>, Vec<_>) = (0..CPUS).map(|_| sync_channel::<Handle<'_>>(8)).unzip();
        senders.rotate_left(1);
        for (cpu, (inbox, next)) in receivers.into_iter().zip(senders).enumerate() {
            let allocator = &memory.allocator;
            scope.spawn(move || {
                as_cpu(cpu);
                let random = Random(0x9e37_79b9_7f4a_7c15 ^ cpu as u64);
                let mut worker = Worker { allocator, random, mine: Vec::new(), inbox, next };
                (0..ROUNDS).for_each(|_| worker.step());
            });
        }
    });
    memory.assert_no_frame_lost();
}

#[test]
fn the_last_of_many_references_frees_the_frame_once() {
    let memory = Fixture::new(8);
    for _ in 0..ROUNDS / 20 {
        let frame = memory.single(FrameUse::UserAnonymous);
        std::thread::scope(|scope| {
            for cpu in 0..CPUS {
                let reference = frame.share();
                scope.spawn(move || {
                    as_cpu(cpu);
                    drop(reference.share());
                    drop(reference);
                });
            }
            drop(frame);
        });
        assert_eq!(memory.allocator.statistics().used(), 0);
    }
    memory.assert_no_frame_lost();
}

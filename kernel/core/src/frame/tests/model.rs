//! Random sequences of everything that the allocator can do, against a naive model: a map of who has what.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

const LOW: u64 = 1024;
/// The largest order that is asked for; Miri zeroes a byte at a time.
const LARGEST: u8 = if cfg!(miri) { 2 } else { 8 };

#[derive(Clone, Debug)]
enum Step {
    Allocate { order: u8, kind: usize, zeroed: bool },
    Dma { order: u8 },
    Share(usize),
    Drop(usize),
    Raw(usize),
    Reserve(u32),
    Take { zeroed: bool },
    EndReservation,
    Stock,
    Drain,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (prop_oneof![4 => Just(0), 1 => 0..=LARGEST], 1..FrameUse::COUNT, any::<bool>())
            .prop_map(|(order, kind, zeroed)| Step::Allocate { order, kind, zeroed }),
        1 => (0u8..4).prop_map(|order| Step::Dma { order }),
        2 => any::<usize>().prop_map(Step::Share),
        5 => any::<usize>().prop_map(Step::Drop),
        1 => any::<usize>().prop_map(Step::Raw),
        1 => (0u32..12).prop_map(Step::Reserve),
        1 => any::<bool>().prop_map(|zeroed| Step::Take { zeroed }),
        1 => Just(Step::EndReservation),
        1 => Just(Step::Stock),
        1 => Just(Step::Drain),
    ]
}

/// What the model knows of a block.
#[derive(Debug)]
struct Block {
    frames: u64,
    references: u32,
    kind: FrameUse,
    stamp: u8,
}

struct World<'a> {
    allocator: &'a FrameAllocator<FakeMemory, FakeCpu>,
    handles: Vec<Handle<'a>>,
    blocks: BTreeMap<u64, Block>,
    reservation: Option<Reservation<'a, FakeMemory, FakeCpu>>,
    promised: u64,
    stamp: u8,
}

impl<'a> World<'a> {
    fn run(&mut self, step: &Step) {
        match *step {
            Step::Allocate { order: log2, kind, zeroed } => {
                let kind = FrameUse::ALL[kind];
                let available = self.allocator.statistics().available();
                match self.allocator.allocate(order(log2), kind, contents(zeroed)) {
                    Ok(handle) => self.received(handle, log2, kind, zeroed),
                    Err(refused) => {
                        assert_eq!(refused.order, order(log2));
                        assert!(available < 1 << log2 || log2 > 0, "refused with {available} frames free");
                    }
                }
            }
            Step::Dma { order: log2 } => {
                if let Ok(handle) = self.allocator.allocate_dma(order(log2), Zeroing::Zeroed) {
                    assert!(handle.frame().number() + (1 << log2) <= LOW);
                    self.received(handle, log2, FrameUse::Dma, true);
                }
            }
            Step::Share(at) => {
                if let Some(handle) = self.pick(at).map(|at| self.handles[at].share()) {
                    self.blocks.get_mut(&handle.frame().number()).unwrap().references += 1;
                    self.handles.push(handle);
                }
            }
            Step::Drop(at) => {
                if let Some(at) = self.pick(at) {
                    let handle = self.handles.swap_remove(at);
                    self.given_up(&handle);
                }
            }
            Step::Raw(at) => self.by_number(at),
            Step::Reserve(count) => {
                self.end_reservation();
                let available = self.allocator.statistics().available();
                self.reservation = self.allocator.reserve(count).ok();
                assert_eq!(self.reservation.is_some(), u64::from(count) <= available);
                self.promised = self.reservation.as_ref().map_or(0, |_| count.into());
            }
            Step::Take { zeroed } => {
                if let Some(reservation) = self.reservation.as_mut().filter(|r| r.left() > 0) {
                    let handle = reservation.take(FrameUse::PageTable, contents(zeroed));
                    self.promised -= 1;
                    self.received(handle, 0, FrameUse::PageTable, zeroed);
                }
            }
            Step::EndReservation => self.end_reservation(),
            Step::Stock => {
                let _ = self.allocator.stock_zeroed();
            }
            Step::Drain => self.allocator.drain_caches(),
        }
    }

    /// A new block: it overlaps none, is zero if that was asked for, and gets a stamp that must survive.
    fn received(&mut self, mut handle: Handle<'a>, log2: u8, kind: FrameUse, zeroed: bool) {
        let (start, frames) = (handle.frame().number(), 1 << log2);
        let below = self.blocks.range(..start + frames).next_back();
        assert!(below.is_none_or(|(other, block)| other + block.frames <= start), "{handle:?} overlaps {below:?}");
        self.stamp = self.stamp.wrapping_add(1) | 1;
        for at in 0..1 << log2 {
            let page = handle.page_mut(at).expect("a new block has one reference");
            assert!(!zeroed || *page == ZEROES);
            page[..8].fill(self.stamp);
            page[4088..].fill(self.stamp);
        }
        self.blocks.insert(start, Block { frames, references: 1, kind, stamp: self.stamp });
        self.handles.push(handle);
    }

    /// A reference is about to go: nobody wrote to the block meanwhile.
    fn given_up(&mut self, handle: &Handle<'a>) {
        let start = handle.frame().number();
        let block = self.blocks.get_mut(&start).unwrap();
        assert_eq!(handle.references(), block.references);
        for at in 0..handle.order().frames() {
            let page = handle.page(at).unwrap();
            assert!(page[..8].iter().chain(&page[4088..]).all(|&byte| byte == block.stamp));
        }
        block.references -= 1;
        if block.references == 0 {
            self.blocks.remove(&start);
        }
    }

    /// There and back through bare numbers.
    fn by_number(&mut self, at: usize) {
        let Some(at) = self.pick(at) else { return };
        let handle = self.handles.swap_remove(at);
        let frame = handle.into_raw();
        // SAFETY: the reference of the handle is ours.
        unsafe { self.allocator.add_reference(frame) };
        // SAFETY: one of the two references that we have.
        assert!(unsafe { self.allocator.drop_reference(frame) }.is_none());
        // SAFETY: the other one.
        self.handles.push(unsafe { self.allocator.from_raw(frame) });
    }

    fn end_reservation(&mut self) {
        self.reservation = None;
        self.promised = 0;
    }

    fn pick(&self, at: usize) -> Option<usize> {
        at.checked_rem(self.handles.len())
    }

    /// The books agree with the model.
    fn check(&self) {
        self.allocator.check();
        let statistics = self.allocator.statistics();
        for kind in FrameUse::ALL {
            let blocks = self.blocks.values().filter(|block| block.kind == kind).map(|block| block.frames).sum::<u64>();
            let promised = if kind == FrameUse::Promised { self.promised } else { 0 };
            assert_eq!(statistics.used_for(kind), blocks + promised, "{}", kind.name());
        }
        for (&start, block) in &self.blocks {
            assert_eq!(self.allocator.references(PhysFrame::from_number(start)), block.references);
        }
        assert_eq!(self.allocator.free_at_least(), statistics.free);
    }
}

fn contents(zeroed: bool) -> Zeroing {
    if zeroed { Zeroing::Zeroed } else { Zeroing::Unspecified }
}

proptest! {
    #![proptest_config(ProptestConfig {
        failure_persistence: None,
        ..ProptestConfig::with_cases(if cfg!(miri) { 1 } else { 128 })
    })]

    #[test]
    fn the_allocator_does_what_a_map_of_owners_does(
        steps in prop::collection::vec((step(), 0..CPUS), 1..if cfg!(miri) { 12 } else { 200 })
    ) {
        // Two pieces below the limit with a hole between them, and one above.
        let memory = Fixture::with_banks(&[3..130, 200..331, LOW..LOW + 77], LOW);
        let mut world = World {
            allocator: &memory.allocator,
            handles: Vec::new(),
            blocks: BTreeMap::new(),
            reservation: None,
            promised: 0,
            stamp: 0,
        };
        for (step, cpu) in &steps {
            as_cpu(*cpu);
            world.run(step);
            world.check();
        }
        drop(world);
        memory.assert_no_frame_lost();
    }
}

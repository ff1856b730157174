//! Tests of the locks with ordinary threads.

use std::sync::Arc;
use std::thread;
use std::vec::Vec;

use super::*;
use crate::addr::{CpuId, MAX_CPUS};
use crate::hal::Cpu;
use crate::hal::fake::FakeCpu;

type Spin<T> = SpinLock<T, FakeCpu>;
type Irq<T> = IrqLock<T, FakeCpu>;
type Stock<T> = StockLock<T, FakeCpu>;

#[test]
fn a_lock_can_stand_in_a_static() {
    static LOCK: SpinLock<u32, FakeCpu> = SpinLock::new(Rank::TestSpinOuter, 1);
    *LOCK.lock() += 1;
    assert_eq!(*LOCK.lock(), 2);
}

#[test]
fn a_held_lock_is_not_taken_again() {
    let lock = Arc::new(Spin::new(Rank::TestSpinOuter, ()));
    let guard = lock.lock();
    let other = Arc::clone(&lock);
    assert!(thread::spawn(move || other.try_lock().is_none()).join().unwrap());
    drop(guard);
    assert!(lock.try_lock().is_some());
}

#[test]
fn no_addition_under_a_lock_is_lost() {
    let (irq, stock) = (Irq::new(Rank::TestIrqOuter, 0), Stock::new(Rank::TestIrqOuter, 0));
    let rounds = if cfg!(miri) { 20 } else { 2_000 };
    four_at_once(|| (0..rounds).for_each(|_| *irq.lock() += 1));
    four_at_once(|| (0..rounds).for_each(|_| *stock.lock() += 1));
    assert_eq!(*irq.lock(), 4 * rounds);
    assert_eq!(*stock.lock(), 4 * rounds);
}

/// Does the work on four threads, and waits for them.
fn four_at_once(work: impl Fn() + Sync) {
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(&work);
        }
    });
}

#[test]
fn a_stock_lock_masks_interrupts_and_puts_the_mask_back() {
    let (outer, inner) = (Stock::new(Rank::WaitQueue, ()), Stock::new(Rank::RunQueue, ()));
    let guard = outer.lock();
    drop(inner.lock());
    assert!(FakeCpu::irqs_masked(), "the inner lock restores the masked state it found");
    assert_eq!(FakeCpu::preempt_depth(), 0);
    drop(guard);
    assert!(!FakeCpu::irqs_masked());
}

#[test]
#[should_panic(expected = "lock order: test irq outer taken while test irq inner is held")]
#[cfg(debug_assertions)]
fn a_stock_lock_has_its_place_in_the_order() {
    let (above, below) = (Stock::new(Rank::TestIrqInner, ()), Stock::new(Rank::TestIrqOuter, ()));
    let _above = above.lock();
    drop(below.lock());
}

#[test]
fn a_spin_lock_disables_preemption_and_nothing_else() {
    let lock = Spin::new(Rank::TestSpinOuter, ());
    let guard = lock.lock();
    assert_eq!((FakeCpu::preempt_depth(), FakeCpu::irqs_masked()), (1, false));
    drop(guard);
    assert_eq!(FakeCpu::preempt_depth(), 0);
}

#[test]
fn an_irq_lock_masks_interrupts_and_puts_the_mask_back() {
    let (outer, inner) = (Irq::new(Rank::WaitQueue, ()), Irq::new(Rank::RunQueue, ()));
    let guard = outer.lock();
    drop(inner.lock());
    assert!(FakeCpu::irqs_masked(), "the inner lock restores the masked state it found");
    drop(guard);
    assert!(!FakeCpu::irqs_masked());
}

#[test]
fn an_irq_lock_taken_quietly_masks_interrupts_and_excludes() {
    let lock = Irq::new(Rank::TestIrqOuter, 0_u32);
    let guard = lock.lock_quietly();
    assert!(FakeCpu::irqs_masked());
    thread::scope(|scope| {
        scope.spawn(|| assert!(lock.try_lock().is_none()));
    });
    drop(guard);
    assert!(!FakeCpu::irqs_masked());
    let rounds = if cfg!(miri) { 20 } else { 2_000 };
    four_at_once(|| {
        for _ in 0..rounds {
            *lock.lock_quietly() += 1;
            *lock.lock() += 1;
        }
    });
    assert_eq!(*lock.lock(), 8 * rounds);
}

#[test]
fn a_failed_try_lock_leaves_no_trace() {
    let lock = Arc::new(Irq::new(Rank::TestIrqOuter, ()));
    let guard = lock.lock();
    let other = Arc::clone(&lock);
    thread::spawn(move || {
        assert!(other.try_lock().is_none());
        assert!(!FakeCpu::irqs_masked());
        assert_none_held::<FakeCpu>(None);
    })
    .join()
    .unwrap();
    drop(guard);
}

#[test]
fn locks_may_be_given_back_in_any_order() {
    let (low, high) = (Spin::new(Rank::Threads, ()), Irq::new(Rank::FrameAllocator, ()));
    let first = low.lock();
    let second = high.lock();
    drop(first);
    assert_eq!(FakeCpu::held_ranks().load(core::sync::atomic::Ordering::Relaxed), Rank::FrameAllocator.bit());
    drop(second);
    assert_none_held::<FakeCpu>(None);
}

#[test]
#[cfg_attr(debug_assertions, should_panic(expected = "lock order: wait queue taken while run queue is held"))]
fn a_wrong_order_is_a_panic_with_both_names() {
    let (run, wait) = (Irq::new(Rank::RunQueue, ()), Irq::new(Rank::WaitQueue, ()));
    let _run = run.lock();
    let _wait = wait.lock();
}

#[test]
#[cfg_attr(debug_assertions, should_panic(expected = "lock order: run queue taken while run queue is held"))]
fn two_locks_of_one_rank_are_not_held_together() {
    let (one, two) = (Irq::new(Rank::RunQueue, ()), Irq::new(Rank::RunQueue, ()));
    let _one = one.lock();
    let _two = two.lock();
}

#[test]
#[cfg_attr(debug_assertions, should_panic(expected = "lock console is held across a sleep"))]
fn a_lock_held_across_a_sleep_is_named() {
    let lock = Irq::new(Rank::Console, ());
    let _guard = lock.lock();
    assert_none_held::<FakeCpu>(Some(Rank::RunQueue));
}

#[test]
fn the_lock_that_the_switch_itself_holds_is_excepted() {
    let lock = Irq::new(Rank::RunQueue, ());
    let _guard = lock.lock();
    assert_none_held::<FakeCpu>(Some(Rank::RunQueue));
}

#[test]
#[should_panic(expected = "a SpinLock needs a rank of its band")]
fn a_spin_lock_refuses_the_rank_of_an_interrupt_handler() {
    let _refused = Spin::new(Rank::Console, ());
}

#[test]
fn ranks_ascend_in_the_order_they_are_listed() {
    assert!(Rank::ALL.is_sorted_by(|a, b| a < b));
    assert_eq!(Rank::highest(Rank::Heap.bit() | Rank::Timers.bit()), Some(Rank::Heap));
    assert_eq!(Rank::highest(0), None);
}

#[test]
fn a_value_leaves_its_lock_by_value() {
    let mut lock = Irq::new(Rank::TestIrqInner, 1);
    *lock.get_mut() = 2;
    assert_eq!(lock.into_inner(), 2);
}

#[test]
fn a_pinned_thread_finds_its_own_slot() {
    let slots = PerCpu::from_fn(CpuId::index);
    for cpu in CpuId::all() {
        FakeCpu::set_id(cpu);
        assert_eq!(*slots.this(&NoPreempt::<FakeCpu>::new()), cpu.index());
        assert_eq!(*slots.this(&IrqMasked::<FakeCpu>::new()), cpu.index());
    }
    assert_eq!(slots.iter().count(), MAX_CPUS);
}

#[test]
fn slots_share_no_cache_line() {
    let slots = PerCpu::new([const { Padded(0_u8) }; MAX_CPUS]);
    assert_eq!(size_of_val(&slots), MAX_CPUS * 64);
}

#[test]
fn a_pair_gives_both_values_in_the_order_named() {
    let locks = [Spin::new(Rank::TestSpinOuter, 1), Spin::new(Rank::TestSpinOuter, 2)];
    for (one, other) in [(0, 1), (1, 0)] {
        let mut pair = SpinPair::lock(&locks[one], &locks[other]);
        assert_eq!(FakeCpu::preempt_depth(), 1);
        let (first, second) = pair.both();
        assert_eq!((*first, second.copied()), ([1, 2][one], Some([1, 2][other])));
    }
    assert_eq!(FakeCpu::preempt_depth(), 0);
    assert!(locks.iter().all(|lock| lock.try_lock().is_some()));
}

#[test]
fn a_pair_of_one_lock_is_that_lock() {
    let lock = Spin::new(Rank::TestSpinOuter, 1);
    let mut pair = SpinPair::lock(&lock, &lock);
    assert_eq!(pair.both(), (&mut 1, None));
    drop(pair);
    assert_eq!(*lock.lock(), 1);
}

#[test]
fn pairs_in_opposite_orders_do_not_wait_for_each_other() {
    let rounds = if cfg!(miri) { 10 } else { 1_000 };
    let locks = Arc::new([Spin::new(Rank::TestSpinOuter, 0), Spin::new(Rank::TestSpinOuter, 0)]);
    let threads: Vec<_> = [(0, 1), (1, 0), (0, 0)]
        .map(|(one, other)| {
            let locks = Arc::clone(&locks);
            thread::spawn(move || {
                for _ in 0..rounds {
                    *SpinPair::lock(&locks[one], &locks[other]).both().0 += 1;
                }
            })
        })
        .into();
    threads.into_iter().for_each(|thread| thread.join().unwrap());
    let sum: u32 = locks.iter().map(|lock| *lock.lock()).sum();
    assert_eq!(sum, 3 * rounds);
}

#[test]
#[cfg_attr(
    debug_assertions,
    should_panic(expected = "lock order: test spin outer taken while test spin outer is held")
)]
fn a_pair_is_taken_at_once_or_not() {
    let locks = [(); 3].map(|()| Spin::new(Rank::TestSpinOuter, ()));
    let _one = locks[0].lock();
    let _pair = SpinPair::lock(&locks[1], &locks[2]);
}

#[test]
fn a_weak_reference_is_found_once_set_and_as_long_as_its_target_is_there() {
    let weak = WeakOnce::new();
    assert_eq!(weak.get(), None);
    let target = Arc::new(7);
    weak.set(&target);
    assert_eq!((weak.get(), Arc::weak_count(&target)), (Some(Arc::clone(&target)), 1));
    drop(target);
    assert_eq!(weak.get(), None);
}

#[test]
fn a_weak_reference_is_given_up_with_its_place() {
    let target = Arc::new(7);
    let weak = WeakOnce::new();
    weak.set(&target);
    drop(weak.get());
    drop(weak);
    assert_eq!((Arc::strong_count(&target), Arc::weak_count(&target)), (1, 0));
}

#[test]
fn who_finds_a_lock_taken_is_counted() {
    let lock = Spin::new(Rank::TestSpinOuter, ());
    let before = contention();
    // Until one has waited for the other; it may find the lock free just before it would.
    let work = || {
        while contention().spins == before.spins {
            let held = lock.lock();
            thread::yield_now();
            drop(held);
        }
    };
    thread::scope(|scope| {
        scope.spawn(work);
        scope.spawn(work);
    });
    assert!(contention().waits > before.waits);
}

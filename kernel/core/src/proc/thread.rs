//! A thread of a process: the seeds' `struct proc`.

use alloc::sync::Arc;
use core::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};

use super::handling::Handling;
use super::id::visible;
use super::ppwait::Gate;
use super::process::Process;
use super::space::AddressSpace;
use super::system::System;
use super::usage::Usage;
use crate::addr::UserAddr;
use crate::sched::{self, ThreadName, Tid, unpark};
use crate::signal::{AlternateStack, MaskChange, Pending, Signal, SignalSet};
use crate::sync::atomic::Ordering::{Acquire, Release, SeqCst};
use crate::sync::atomic::fence;
use crate::sync::{Rank, SpinGuard, SpinLock, WeakOnce};
use crate::time::{Sampled, Split};
use crate::util::place::arc_with;

/// Why a thread must not go on in its program before it has been through
/// [`before_user`](super::signal::before_user). A bit each.
pub(super) mod attention {
    /// A signal is pending that it does not block.
    pub(in crate::proc) const SIGNAL: u32 = 1;
    /// Its process is being stopped.
    pub(in crate::proc) const STOP: u32 = 1 << 1;
    /// It is to end: with its process, or because another thread executes a program.
    pub(in crate::proc) const END: u32 = 1 << 2;
    /// No reason by itself, but a note beside them: a signal may be pending, blocked or not, that a change of the mask has
    /// to look at.
    pub(in crate::proc) const PENDING: u32 = 1 << 3;

    /// All reasons.
    pub(in crate::proc) const REASONS: u32 = SIGNAL | STOP | END;
}

/// A thread of a process.
///
/// What is scheduled is a [`sched::Thread`], which the kernel makes around a reference to this.
pub struct Thread<S: System> {
    process: Arc<Process<S>>,
    /// 1 to 0x80000; no other thread has it.
    number: u32,
    /// The number that its program knows it by. Changed when it executes a program, by itself.
    visible: AtomicU32,
    attention: AtomicU32,
    /// Which signals it blocks. Written by the thread itself, which then looks whether [`attention::PENDING`] is noted.
    /// Whoever posts a signal notes that, and then looks at the mask. With a fence between both steps of both, one sees
    /// the other.
    mask: AtomicU64,
    /// What is scheduled; set once, before anybody finds the thread.
    machine: WeakOnce<sched::Thread<S::Payload>>,
    own: SpinLock<Own, S::Cpu>,
    handling: Handling,
    /// Where it waits for a child in `vfork`.
    pub(super) gate: Gate<S>,
    /// The signals that reached its group while it forks. The child is not in the group yet, and gets them when it is.
    missed: AtomicU64,
    /// Its number is stored here, in its own memory, before it runs; 0 is nowhere.
    announce_at: AtomicU64,
    /// Zero is stored here when it ends, and a waiter woken; 0 is nowhere.
    clear_at: AtomicU64,
    robust_list: AtomicU64,
    robust_bytes: AtomicU64,
    /// How many samples of the clock found it in its program. Written by the CPU that runs it.
    user_samples: AtomicU64,
    /// How many found it in the kernel. Written by the CPU that runs it.
    system_samples: AtomicU64,
    minor_faults: AtomicU64,
    major_faults: AtomicU64,
}

/// Where a sample of the clock found a thread.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Mode {
    /// In its program.
    User,
    /// In the kernel.
    System,
}

/// What a thread guards by its own lock.
pub(super) struct Own {
    /// The signals sent to this thread.
    pub(super) pending: Pending,
    /// The signals that it waits for in `sigtimedwait`, blocked or not.
    pub(super) wanted: SignalSet,
    pub(super) name: ThreadName,
    /// What was told last of its processor time.
    told_time: Split,
}

/// What a new thread has of its parent's.
pub(super) struct Inherited {
    pub(super) mask: SignalSet,
    pub(super) alternate: AlternateStack,
    pub(super) name: ThreadName,
}

/// Where a new thread's number is stored, and where zero is when it ends.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct TidPointers {
    /// In the thread's own memory, before it runs.
    pub announce: Option<UserAddr>,
    /// In its memory, when it ends.
    pub clear: Option<UserAddr>,
}

impl<S: System> Thread<S> {
    #[inline(always)]
    #[expect(clippy::inline_always, reason = "it is put together where it stays")]
    pub(super) fn new(
        process: Arc<Process<S>>,
        number: u32,
        visible: Tid,
        inherited: Inherited,
        pointers: TidPointers,
    ) -> Arc<Self> {
        let Inherited { mask, alternate, name } = inherited;
        let own = Own { pending: Pending::new(), wanted: SignalSet::EMPTY, name, told_time: Split::ZERO };
        let place = |at: Option<UserAddr>| AtomicU64::new(at.map_or(0, UserAddr::get));
        arc_with(|| Self {
            process,
            number,
            visible: AtomicU32::new(visible.0),
            attention: AtomicU32::new(0),
            mask: AtomicU64::new(mask.bits()),
            machine: WeakOnce::new(),
            own: SpinLock::new(Rank::Thread, own),
            handling: Handling::new(alternate),
            gate: Gate::new(),
            missed: AtomicU64::new(0),
            announce_at: place(pointers.announce),
            clear_at: place(pointers.clear),
            robust_list: AtomicU64::new(0),
            robust_bytes: AtomicU64::new(0),
            user_samples: AtomicU64::new(0),
            system_samples: AtomicU64::new(0),
            minor_faults: AtomicU64::new(0),
            major_faults: AtomicU64::new(0),
        })
    }

    /// Whose thread it is.
    pub fn process(&self) -> &Arc<Process<S>> {
        &self.process
    }

    /// The number by which its program knows it: its process's, for the main thread.
    pub fn tid(&self) -> Tid {
        Tid(self.visible.load(Relaxed))
    }

    /// The number that OpenBSD's `getthrid` tells: never a process's.
    pub fn thread_id(&self) -> Tid {
        visible(self.number)
    }

    pub(super) fn number(&self) -> u32 {
        self.number
    }

    /// Whether it is its process's main thread.
    pub fn is_main(&self) -> bool {
        self.tid().0 == self.process.pid().0
    }

    pub(super) fn become_main(&self) {
        self.visible.store(self.process.pid().0, Relaxed);
    }

    /// Whether it must pass through [`before_user`](super::signal::before_user) before it goes on in its program, and
    /// whether an interruptible sleep ends.
    pub fn attention(&self) -> bool {
        self.attention.load(Acquire) & attention::REASONS != 0
    }

    /// Its process locked: sets a reason for attention and makes the thread notice.
    pub(super) fn alert(&self, reason: u32) {
        self.attention.fetch_or(reason, Release);
        self.nudge();
    }

    /// By the thread itself, its process locked: sets a reason for attention. It is awake, and in the kernel.
    pub(super) fn note(&self, reason: u32) {
        self.attention.fetch_or(reason, Release);
    }

    /// Its process locked: a signal is pending that it might take. A look at its mask after a fence is the latest, or the
    /// thread's change of it finds the note.
    pub(super) fn note_pending(&self) {
        self.attention.fetch_or(attention::PENDING, Relaxed);
    }

    /// Its process locked: what it has to attend to is exactly this. If it is anything, it is made to pass by for that: the
    /// thread itself has only looked, and a new one has been told by nobody.
    pub(super) fn set_attention(&self, reasons: u32) {
        self.attention.store(reasons, Release);
        if reasons & attention::REASONS != 0
            && let Some(machine) = self.machine()
        {
            S::kick(&machine);
        }
    }

    /// Wakes it if it sleeps; makes it pass through the kernel if it runs.
    pub(super) fn nudge(&self) {
        if S::kick_current(self) {
            return;
        }
        if let Some(machine) = self.machine() {
            // First the note, then the waking: whoever wakes, here or from a wait that ends at this moment, reads it.
            S::kick(&machine);
            let _ = unpark::<S>(machine);
        }
    }

    /// What is scheduled of it; `None` once that has ended.
    pub fn machine(&self) -> Option<Arc<sched::Thread<S::Payload>>> {
        self.machine.get()
    }

    #[inline]
    pub(super) fn set_machine(&self, machine: &Arc<sched::Thread<S::Payload>>) {
        self.machine.set(machine);
    }

    /// Which signals it blocks.
    pub fn mask(&self) -> SignalSet {
        SignalSet::from_bits(self.mask.load(Relaxed))
    }

    /// By the thread itself: changes which signals it blocks, and returns those before. While nothing is pending no lock is
    /// taken.
    pub fn change_mask(&self, change: MaskChange, signals: SignalSet) -> SignalSet {
        let before = self.mask();
        self.mask.store(before.changed(change, signals).bits(), Relaxed);
        fence(SeqCst);
        if self.attention.load(Relaxed) & attention::PENDING != 0 {
            self.review_mask();
        }
        before
    }

    /// Something may be pending that the mask lets through now, or does not any more.
    #[cold]
    #[inline(never)]
    fn review_mask(&self) {
        let mut body = self.process.body();
        body.review(self);
        body.leave_to_others(body.pending.set().intersection(self.mask()), self);
    }

    /// By the thread itself: blocks exactly these signals until a handler has run, or until
    /// [`restore_mask`](Self::restore_mask).
    pub fn exchange_mask(&self, signals: SignalSet) {
        let before = self.change_mask(MaskChange::Set, signals);
        self.handling.save_mask(before);
    }

    /// By the thread itself: goes back to the mask before [`exchange_mask`](Self::exchange_mask), if no handler has.
    pub fn restore_mask(&self) {
        if let Some(mask) = self.take_saved_mask() {
            self.change_mask(MaskChange::Set, mask);
        }
    }

    /// By the thread itself: the mask that a handler's return shall restore instead of the present one; it is a handler's now.
    pub fn take_saved_mask(&self) -> Option<SignalSet> {
        self.handling.take_saved_mask()
    }

    /// By the thread itself: what a handler about to run begins with. The mask that its return shall restore, as
    /// [`take_saved_mask`](Self::take_saved_mask) says if it has one, and the alternate stack.
    #[inline]
    pub fn begin_handler(&self) -> (SignalSet, AlternateStack) {
        (self.handling.take_saved_mask().unwrap_or_else(|| self.mask()), self.handling.alternate())
    }

    /// A fork begins: what reaches the group from now on is the child's, too.
    pub(super) fn forget_missed(&self) {
        self.missed.store(0, Relaxed);
    }

    /// The tree locked: a signal has reached the group.
    pub(super) fn note_missed(&self, signal: Signal) {
        self.missed.fetch_or(SignalSet::EMPTY.with(signal).bits(), Relaxed);
    }

    /// The tree locked: the signals since the fork began.
    pub(super) fn take_missed(&self) -> SignalSet {
        SignalSet::from_bits(self.missed.swap(0, Relaxed))
    }

    /// The signals pending for it or its process.
    pub fn pending(&self) -> SignalSet {
        let body = self.process.body();
        let own = self.own().pending.set();
        own | body.pending.set()
    }

    /// By the thread itself: its alternate signal stack.
    #[inline]
    pub fn alternate_stack(&self) -> AlternateStack {
        self.handling.alternate()
    }

    /// By the thread itself: sets its alternate signal stack.
    pub fn set_alternate_stack(&self, stack: AlternateStack) {
        self.handling.set_alternate(stack);
    }

    /// Its name.
    pub fn name(&self) -> ThreadName {
        self.own().name.clone()
    }

    /// By the thread itself: its alternate signal stack and its name.
    pub(super) fn stack_and_name(&self) -> (AlternateStack, ThreadName) {
        (self.handling.alternate(), self.name())
    }

    /// Sets its name; the main thread's is also its process's.
    pub fn set_name(&self, name: ThreadName) {
        if self.is_main() {
            self.process.set_name(name.clone());
        }
        self.own().name = name;
    }

    /// The space that it runs in; a thread of the kernel has none.
    pub fn space(&self) -> Option<Arc<AddressSpace<S>>> {
        self.process.space()
    }

    /// `set_tid_address`: where zero is stored when it ends.
    pub fn set_clear_at(&self, at: UserAddr) {
        self.clear_at.store(at.get(), Relaxed);
    }

    pub(super) fn take_clear_at(&self) -> Option<UserAddr> {
        take_place(&self.clear_at)
    }

    pub(super) fn take_announce_at(&self) -> Option<UserAddr> {
        take_place(&self.announce_at)
    }

    /// The head and length of its list of robust futexes.
    pub fn robust_list(&self) -> (UserAddr, u64) {
        (UserAddr::new(self.robust_list.load(Relaxed)), self.robust_bytes.load(Relaxed))
    }

    /// Sets them.
    pub fn set_robust_list(&self, head: UserAddr, bytes: u64) {
        self.robust_list.store(head.get(), Relaxed);
        self.robust_bytes.store(bytes, Relaxed);
    }

    /// By the thread itself: nothing of the old program's memory is known any more.
    pub(super) fn forget_addresses(&self) {
        self.set_robust_list(UserAddr::new(0), 0);
        self.set_clear_at(UserAddr::new(0));
        self.handling.set_alternate(AlternateStack::DISABLED);
        let _forgotten = self.handling.take_saved_mask();
    }

    /// A fault was answered without waiting for a device.
    pub fn count_minor_fault(&self) {
        self.minor_faults.fetch_add(1, Relaxed);
    }

    /// A fault was answered that waited for a device.
    pub fn count_major_fault(&self) {
        self.major_faults.fetch_add(1, Relaxed);
    }

    /// The statistics clock found it running: in its program, or in the kernel. Called by the CPU that runs it, with interrupts
    /// masked.
    pub fn count_sample(&self, mode: Mode) {
        let samples = match mode {
            Mode::User => &self.user_samples,
            Mode::System => &self.system_samples,
        };
        // Nobody else writes.
        samples.store(samples.load(Relaxed).saturating_add(1), Relaxed);
    }

    /// How much processor time it used, in nanoseconds: up to now, if it is the current one.
    pub fn run_time_ns(&self) -> u64 {
        self.machine().map_or(0, |machine| S::run_time_ns(&machine))
    }

    /// The same, with the samples of where.
    pub(super) fn sampled_time(&self) -> Sampled {
        Sampled {
            ran_ns: self.run_time_ns(),
            user_samples: self.user_samples.load(Relaxed),
            system_samples: self.system_samples.load(Relaxed),
        }
    }

    /// What it has used.
    pub fn usage(&self) -> Usage {
        let sampled = self.sampled_time();
        let Split { user_ns, system_ns } = {
            let mut own = self.own();
            own.told_time = own.told_time.tell(sampled);
            own.told_time
        };
        Usage { user_ns, system_ns, ..self.usage_but_time() }
    }

    /// The same without processor time.
    pub(super) fn usage_but_time(&self) -> Usage {
        Usage {
            minor_faults: self.minor_faults.load(Relaxed),
            major_faults: self.major_faults.load(Relaxed),
            ..Usage::ZERO
        }
    }

    pub(super) fn own(&self) -> SpinGuard<'_, Own, S::Cpu> {
        self.own.lock()
    }
}

fn take_place(place: &AtomicU64) -> Option<UserAddr> {
    match place.swap(0, Relaxed) {
        0 => None,
        at => Some(UserAddr::new(at)),
    }
}

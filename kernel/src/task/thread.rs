//! What the machine keeps of a thread.

use alloc::boxed::Box;
use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;
use core::cell::UnsafeCell;
use core::ptr::NonNull;
use core::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use kcore::addr::{Asid, CpuSet, PhysFrame, UserAddr};
use kcore::futex::Seat;
use kcore::proc::{self, Files, Start, System};
use kcore::sched::{self, Leaving, Priority, ThreadName, Tid};
use kcore::sync::{Once, Rank, SpinLock};

use super::lower_half::LowerHalf;
use super::switch::{self, Kernel};
use super::timers::{self, Action, Timer};
use super::{UserThread, Waiters};
use crate::arch::context::Context;
use crate::arch::cpu::{self, Arm, Header};
use crate::arch::fp::{self, FpRegisters, FpState};
use crate::arch::user::{self, UserArea};
use crate::arch::vectors::Frame;
use crate::dev::clock;
use crate::mem::stacks::{KernelStack, NoStack};

/// A thread.
pub(crate) type Thread = sched::Thread<Machine>;

/// The machine's share of a thread.
pub(crate) struct Machine {
    /// What the lowest layers keep; `TPIDR_EL1` points here while the thread runs.
    pub(super) header: Header,
    /// The registers while it does not run.
    pub(super) context: ContextCell,
    /// The program's space that it runs in.
    pub(crate) lower_half: LowerHalf,
    /// Wakes it at a deadline.
    timer: Once<Arc<Timer>>,
    /// Lets it look at its process's processor time, if that has an end.
    time_watch: Once<Arc<Timer>>,
    /// Whether it is to do so on its way to its program.
    time_due: AtomicBool,
    /// Set when it has ended, before `joiners` are woken.
    ended: AtomicBool,
    joiners: Waiters,
    /// What it shall run; taken by its first instructions.
    start: SpinLock<Option<Box<dyn FnOnce() + Send>>, Arm>,
    /// The program's thread that it is, if it is one's.
    program: Option<Arc<UserThread>>,
    /// What it keeps to wait on futexes; most threads never do.
    seat: Once<Arc<Seat>>,
    /// Its process's open files, at hand.
    files: OwnFiles,
    /// Its stack; an idle thread has its CPU's boot stack.
    stack: Option<KernelStack>,
}

impl Machine {
    /// Inlined, so that the thread is put together where it stays.
    #[inline(always)]
    fn new(
        context: Context,
        lower_half: LowerHalf,
        stack: Option<KernelStack>,
        program: Option<Arc<UserThread>>,
    ) -> Self {
        Self {
            header: Header::new(0, 0),
            context: ContextCell(UnsafeCell::new(context)),
            lower_half,
            timer: Once::new(),
            time_watch: Once::new(),
            time_due: AtomicBool::new(false),
            ended: AtomicBool::new(false),
            joiners: Waiters::new(),
            start: SpinLock::new(Rank::ThreadStart, None),
            program,
            seat: Once::new(),
            files: OwnFiles(UnsafeCell::new(None)),
            stack,
        }
    }

    /// The program's thread that it is, if it is one's.
    pub(crate) fn program(&self) -> Option<&Arc<UserThread>> {
        self.program.as_ref()
    }

    /// What the lowest layers keep.
    pub(crate) fn header(&self) -> &Header {
        &self.header
    }

    /// The program's space that it runs in.
    pub(crate) fn lower_half(&self) -> &LowerHalf {
        &self.lower_half
    }

    /// Where the program's registers are kept.
    fn area(&self) -> Option<NonNull<UserArea>> {
        self.stack.as_ref().map(|stack| user::area_of(stack.top()))
    }
}

/// Registers of a thread that is switched away from.
pub(super) struct ContextCell(UnsafeCell<Context>);

// SAFETY: only `switch` reaches the context, and only on the one CPU that is leaving or entering the thread: the
// scheduler queues a thread after it has left its CPU, and gives it to one CPU at a time.
unsafe impl Sync for ContextCell {}

impl ContextCell {
    /// Where the registers are kept.
    pub(super) fn get(&self) -> *mut Context {
        self.0.get()
    }
}

/// A thread's own reference to its process's table of files, so that most calls need not ask the process. It is taken by the
/// first call that wants it. The process's table becomes another one only when the thread executes a program, or goes with
/// its last thread: both are the thread's own doing, and it forgets the reference before ([`forget_files`]).
struct OwnFiles(UnsafeCell<Option<Arc<Files<Kernel>>>>);

// SAFETY: only the thread itself reaches it, by `with_files` and `forget_files`.
unsafe impl Sync for OwnFiles {}

/// Shows the open files of the current thread's process to `look`, which looks at nothing else; `None` if it has none.
pub(crate) fn with_files<T>(look: impl FnOnce(&Files<Kernel>) -> T) -> Option<T> {
    switch::with_current(|me| {
        let machine = me.payload();
        // SAFETY: the current thread's own, and `look` does not come back here.
        let own = unsafe { &mut *machine.files.0.get() };
        if own.is_none() {
            *own = machine.program.as_ref()?.process().files();
        }
        own.as_deref().map(look)
    })
}

/// Gives up the current thread's reference to its process's files: it is about to end or to execute a program,
/// or the process to get a table of its own.
pub(crate) fn forget_files() {
    // SAFETY: the current thread's own; taken out before it is dropped, so that nobody comes back here meanwhile.
    let files = switch::with_current(|me| unsafe { (*me.payload().files.0.get()).take() });
    drop(files);
}

/// The timer that wakes `thread`; most threads never need one.
pub(super) fn timer_of(thread: &Arc<Thread>) -> &Arc<Timer> {
    thread.payload().timer.call_once(|| Arc::new(Timer::new(Action::Unpark(Arc::downgrade(thread)))))
}

/// Lets the current thread look at its process's processor time after `after_ns`.
pub(super) fn watch_processor_time(after_ns: u64) {
    switch::with_current(|me| {
        let timer = me.payload().time_watch.call_once(|| Arc::new(Timer::new(Action::LookAtTime(Arc::downgrade(me)))));
        timers::arm(timer, clock::now_ns().saturating_add(after_ns));
    });
}

/// Lets `thread` do so on its way to its program, soon if it runs there; one that sleeps is left alone.
pub(super) fn look_at_processor_time(thread: &Arc<Thread>) {
    thread.payload().time_due.store(true, Ordering::Release);
    Kernel::kick(thread);
}

/// Lets the current thread look no more: it is about to end, and a timer that waited on for its hour would keep what is left
/// of it, or be the last to let go of it, in a handler.
pub(super) fn forget_processor_time() {
    switch::with_current(|me| {
        if let Some(timer) = me.payload().time_watch.get() {
            timers::disarm(timer);
        }
    });
}

/// Whether the current thread has to look.
pub(super) fn take_time_due() -> bool {
    switch::with_current(|me| {
        me.payload().time_due.load(Ordering::Acquire) && me.payload().time_due.swap(false, Ordering::Acquire)
    })
}

/// Why there is no new thread.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum SpawnError {
    /// No stack, or no memory for the thread's objects.
    OutOfMemory,
}

impl From<NoStack> for SpawnError {
    fn from(_: NoStack) -> Self {
        Self::OutOfMemory
    }
}

/// Every thread, for lists; ended ones are swept when a new one comes.
static THREADS: SpinLock<Vec<Weak<Thread>>, Arm> = SpinLock::new(Rank::Threads, Vec::new());
static NEXT_ID: AtomicU32 = AtomicU32::new(1);

/// Starts a kernel thread on one of `cpus`.
pub(crate) fn spawn(
    name: &str,
    priority: Priority,
    cpus: CpuSet,
    run: impl FnOnce() + Send + 'static,
) -> Result<Arc<Thread>, SpawnError> {
    let stack = KernelStack::new()?;
    let top = stack.top();
    let machine = Machine::new(Context::new(top, first_steps, 0), LowerHalf::none(), Some(stack), None);
    *machine.start.lock() = Some(Box::new(run));
    let thread = Thread::new(Tid(NEXT_ID.fetch_add(1, Ordering::Relaxed)), name, priority, machine);
    // A thread for no CPU is a thread for all of them.
    let _ = thread.set_affinity(cpus);
    register(&thread)?;
    switch::start(Arc::clone(&thread));
    Ok(thread)
}

/// The idle thread of a CPU: it is made of what the CPU boots with.
pub(super) fn new_idle(cpu: kcore::addr::CpuId, name: &str) -> Result<Arc<Thread>, SpawnError> {
    let machine = Machine::new(Context::default(), LowerHalf::none(), None, None);
    machine.header.set_cpu(cpu);
    let thread = Thread::idle(Tid(NEXT_ID.fetch_add(1, Ordering::Relaxed)), name, cpu, machine);
    register(&thread)?;
    Ok(thread)
}

fn register(thread: &Arc<Thread>) -> Result<(), SpawnError> {
    let mut threads = THREADS.lock();
    threads.retain(|thread| thread.strong_count() > 0);
    threads.try_reserve(1).map_err(|_| SpawnError::OutOfMemory)?;
    threads.push(Arc::downgrade(thread));
    Ok(())
}

/// Every thread that there is.
pub(crate) fn all() -> Vec<Arc<Thread>> {
    THREADS.lock().iter().filter_map(Weak::upgrade).collect()
}

/// Waits until `thread` has ended.
#[cfg_attr(not(feature = "ktest"), expect(dead_code, reason = "the kernel's own threads never end"))]
pub(crate) fn join(thread: &Thread) {
    let machine = thread.payload();
    machine.joiners.wait_while(|| !machine.ended.load(Ordering::Acquire));
}

/// Where a new thread starts: in the scheduler, with interrupts masked. It takes no kernel-wide lock, for there is none.
extern "C" fn first_steps(_argument: usize) -> ! {
    switch::finish();
    cpu::irqs_unmask();
    let run = switch::with_current(|me| me.payload().start.lock().take());
    if let Some(run) = run {
        run();
    }
    enter_program();
    end()
}

/// Where a new thread of a program starts: as [`first_steps`], but that what it runs is its program.
extern "C" fn first_steps_of_program(_argument: usize) {
    switch::finish();
    cpu::irqs_unmask();
    switch::with_current(|me| me.payload().program().map(proc::child_return));
}

/// Goes on in the program, if there is one: a thread that began in the kernel has executed it.
fn enter_program() {
    let top = switch::with_current(|me| {
        let machine = me.payload();
        machine.lower_half.is_some().then(|| machine.stack.as_ref().map(KernelStack::top)).flatten()
    });
    if let Some(top) = top {
        // SAFETY: the thread runs on the stack that ends there, and the exec has written the area; what the thread
        // called has returned.
        unsafe { user::enter(top) }
    }
}

/// Makes what is scheduled of a program's new thread. Its registers are those of the current program, but for what
/// `start` says.
pub(super) fn for_program(
    stack: KernelStack,
    thread: &Arc<UserThread>,
    start: Start,
    space: Option<(PhysFrame, Asid)>,
) -> Arc<Thread> {
    let lower_half = space.map(|(root, tag)| LowerHalf::of(root, tag)).unwrap_or_default();
    let (stack_pointer, tls) = match start {
        Start::Kernel(function, argument) => return for_kernel(stack, thread, lower_half, function, argument),
        Start::Fork => (None, None),
        Start::Thread { stack, tls } => (stack, tls),
    };
    let top = stack.top();
    let tls = tls.map_or_else(cpu::user_tls, UserAddr::get);
    switch::with_current(|me| {
        copy_registers(me, top, stack_pointer);
        let context = Context::for_program(top, first_steps_of_program, 0, tls);
        let machine = Machine::new(context, lower_half, Some(stack), Some(Arc::clone(thread)));
        // The program's thread has the name.
        let made = Thread::new(thread.thread_id(), ThreadName::default(), Priority::DEFAULT, machine);
        made.inherit(me);
        made
    })
}

/// As [`for_program`], for one that begins in the kernel.
#[cold]
fn for_kernel(
    stack: KernelStack,
    thread: &Arc<UserThread>,
    lower_half: LowerHalf,
    function: fn(usize),
    argument: usize,
) -> Arc<Thread> {
    // Below the area, which is to hold the registers of the program that it executes.
    let below = user::area_of(stack.top()).addr().get() as u64;
    let context = Context::new(below, first_steps, 0);
    let machine = Machine::new(context, lower_half, Some(stack), Some(Arc::clone(thread)));
    *machine.start.lock() = Some(Box::new(move || function(argument)));
    Thread::new(thread.thread_id(), ThreadName::default(), Priority::DEFAULT, machine)
}

/// Gives the thread whose stack ends at `top` the registers of the program that `me` runs, the current thread, with 0 for
/// the result of its call.
#[inline]
fn copy_registers(me: &Thread, top: u64, stack_pointer: Option<UserAddr>) {
    let parent = me.payload().area().expect("a program's thread has a stack of its own");
    // SAFETY: the area is the current thread's own, written when it came into the kernel, and stays until it leaves.
    let parent = unsafe { parent.as_ref() };
    let child = user::area_of(top).as_ptr();
    // Part by part, in its place: most of the area is not to be written at all.
    // SAFETY: the area lies on the new stack.
    let frame = unsafe { &raw mut (*child).frame };
    // SAFETY: nobody else uses that stack yet.
    unsafe { parent.frame.copy_to(frame) };
    // SAFETY: just written, and still ours alone.
    let frame = unsafe { &mut *frame };
    frame.x[0] = 0;
    if let Some(stack_pointer) = stack_pointer {
        frame.sp = stack_pointer.get();
    }
    // SAFETY: as for the frame.
    let fp = unsafe { &raw mut (*child).fp };
    // SAFETY: as for the frame.
    let fp = unsafe { FpState::begin(fp) };
    fp::clone_into(&parent.fp, fp);
}

/// Lets the program that the current thread has executed begin with no register used: floating point, thread pointer.
/// The general ones are in its frame.
pub(super) fn forget_registers() {
    with_fp(fp::discard);
    cpu::set_user_tls(0);
}

/// As [`forget_registers`], for a thread that has no frame yet, and gets this one.
pub(super) fn begin_first_program(frame: Frame) {
    switch::with_current(|me| {
        let area = me.payload().area().expect("a program's thread has a stack of its own");
        // SAFETY: the area is the current thread's own; it began below it, and nothing has referred to it yet.
        unsafe { area.write(UserArea { frame, fp: FpState::new() }) };
    });
    cpu::set_user_tls(0);
}

/// Shows the current program's floating-point registers to `look`.
pub(super) fn with_fp_registers<T>(look: impl FnOnce(&FpRegisters) -> T) -> T {
    with_fp(|state| fp::read(state, look))
}

/// Lets `set` say what they hold from now on.
pub(super) fn set_fp_registers<T>(set: impl FnOnce(&mut FpRegisters) -> T) -> T {
    with_fp(|state| fp::write(state, set))
}

/// Shows where the current program's floating-point registers are kept to `work`.
fn with_fp<T>(work: impl FnOnce(&FpState) -> T) -> T {
    switch::with_current(|me| {
        let area = me.payload().area().expect("a program's thread has a stack of its own");
        // SAFETY: the area is the current thread's own, and of it only this part is referred to.
        work(unsafe { &(*area.as_ptr()).fp })
    })
}

/// Shows what the current thread keeps to wait on futexes to `work`.
pub(crate) fn with_seat<T>(work: impl FnOnce(&Arc<Seat>) -> T) -> T {
    switch::with_current(|me| work(me.payload().seat.call_once(Arc::default)))
}

/// Ends the current thread.
fn end() -> ! {
    switch::with_current(|me| {
        me.payload().ended.store(true, Ordering::Release);
        me.payload().joiners.wake_all();
    });
    switch::leave(Leaving::Exited);
    unreachable!("an ended thread is not switched to")
}

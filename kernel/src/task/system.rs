//! The kernel as processes need it: `kcore::proc::System`.

use alloc::sync::Arc;
use core::fmt;
use core::sync::atomic::{Ordering, fence};

use kcore::addr::{Asid, PhysFrame, UserAddr};
use kcore::hal::{Cpu, UserMemory};
use kcore::proc::{self, AddressSpace, ExitStatus, OutOfMemory, Processes, Start, System};
use kcore::sched::{self, ParkState};
use kcore::vm::Asids;

use super::switch::{self, Kernel, with_current};
use super::thread::{self, Machine, Thread};
use super::{filesystems, futexes, robust};
use crate::arch::cpu::{self, Arm};
use crate::arch::user_copy::CurrentUser;
use crate::dev::clock;
use crate::dev::irq::{self, Ipi};
use crate::dev::{power, random, tty};
use crate::log::println;
use crate::mem::stacks::KernelStack;
use crate::mem::user::{MEMORY, UserMemorySystem};

static PROCESSES: Processes<Kernel> = Processes::new();
static ASIDS: Asids<Arm> = Asids::new();

impl System for Kernel {
    type Memory = UserMemorySystem;
    type Seed = KernelStack;

    fn processes() -> &'static Processes<Self> {
        &PROCESSES
    }

    fn memory() -> &'static UserMemorySystem {
        &MEMORY
    }

    fn has_room() -> bool {
        kcore::vm::MemorySystem::has_room(&MEMORY)
    }

    fn uniform(bound: u64) -> u64 {
        random::uniform(bound)
    }

    fn uniform_several(bound: u64, out: &mut [u64]) -> usize {
        random::fill_uniform(bound, out);
        out.len()
    }

    fn log(message: fmt::Arguments<'_>) {
        println!("{message}");
    }

    fn take_asid() -> Option<Asid> {
        ASIDS.take()
    }

    fn give_asid(asid: Asid) {
        ASIDS.give(asid);
    }

    fn reserve_thread() -> Result<KernelStack, OutOfMemory> {
        if !Self::has_room() {
            return Err(OutOfMemory);
        }
        KernelStack::new().map_err(|_| OutOfMemory)
    }

    fn make_thread(
        stack: KernelStack,
        thread: &Arc<proc::Thread<Self>>,
        start: Start,
        space: Option<(PhysFrame, Asid)>,
    ) -> Arc<Thread> {
        thread::for_program(stack, thread, start, space)
    }

    fn start_thread(thread: Arc<Thread>) {
        switch::start(thread);
    }

    fn thread_of(payload: &Machine) -> Option<&Arc<proc::Thread<Self>>> {
        payload.program()
    }

    fn kick(thread: &Arc<sched::Thread<Machine>>) {
        let header = thread.payload().header();
        header.request_attention();
        // The caller itself passes by on its way back.
        if core::ptr::eq(header, cpu::header()) {
            return;
        }
        // The request is seen before where the thread is gets asked; the other half is the barrier of the switch.
        fence(Ordering::SeqCst);
        if thread.park().state() != ParkState::Running {
            return;
        }
        // If it runs elsewhere it shall come into the kernel; if it does not run, it passes by before it does.
        let state = Arm::irq_save();
        let cpu = thread.last_cpu();
        if cpu != Arm::id() {
            irq::send(kcore::addr::CpuSet::only(cpu), Ipi::Reschedule);
        }
        Arm::irq_restore(state);
    }

    #[inline]
    fn kick_current(thread: &proc::Thread<Self>) -> bool {
        with_current(|me| {
            let is_current = me.payload().program().is_some_and(|own| core::ptr::eq(Arc::as_ptr(own), thread));
            if is_current {
                cpu::header().request_attention();
                if me.park().state() != ParkState::Running {
                    // It has not gone yet: there is nothing to queue.
                    let _ = me.park().unpark();
                }
            }
            is_current
        })
    }

    fn run_time_ns(thread: &Thread) -> u64 {
        switch::run_time_ns(thread)
    }

    fn epoch_ns() -> u64 {
        clock::epoch_ns()
    }

    fn watch_processor_time(after_ns: u64) {
        thread::watch_processor_time(after_ns);
    }

    fn look_at_processor_time(thread: &Arc<Thread>) {
        thread::look_at_processor_time(thread);
    }

    fn user_memory() -> &'static dyn UserMemory {
        &CurrentUser
    }

    fn adopt_space(space: &Arc<AddressSpace<Self>>) {
        with_current(|me| me.payload().lower_half().enter(space.root(), space.tag()));
    }

    fn leave_space() {
        with_current(|me| me.payload().lower_half().leave());
    }

    fn wake_futex(at: UserAddr) {
        futexes::wake_one(at);
    }

    fn thread_leaves(thread: &Arc<proc::Thread<Self>>) {
        robust::mark(thread);
    }

    fn hang_up_terminal(terminal: u64) {
        tty::hang_up(terminal);
    }

    fn init_exited(status: ExitStatus) {
        println!("init {}; nothing is left to do", Described(status));
        filesystems::sync();
        power::power_off()
    }
}

/// How a process ended, in words.
struct Described(ExitStatus);

impl fmt::Display for Described {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            ExitStatus::Exited(code) => write!(f, "exited with status {code}"),
            ExitStatus::Killed { signal, .. } => write!(f, "was killed by {}", signal.name()),
        }
    }
}

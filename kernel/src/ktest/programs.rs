//! Programs: into EL0 and back, what they may touch, what the kernel may touch for them, and what of them is kept.

use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use core::time::Duration;

use kcore::addr::{Asid, CpuId, CpuSet, PAGE_SIZE, USER_END, UserAddr};
use kcore::hal::syndrome::{Access, Cause, Fault, Origin, Syndrome};
use kcore::hal::{Cpu, UserFault, UserMemory};
use kcore::paging::{Attributes, UserAccess, UserTree, VirtRange};
use kcore::sched::Priority;
use kcore::sync::{NoPreempt, Rank, SpinLock};
use kcore::vm::MemorySystem;

use super::harness::{Dice, Failure, Outcome, Team, cpus, ensure, spin, wait_for};
use crate::arch::cpu::{self, Arm};
use crate::arch::ktest_asm::Registers;
use crate::arch::ktest_programs::{Call, Program, code};
use crate::arch::ktest_user::{Next, Supervisor};
use crate::arch::upcall::KernelFault;
use crate::arch::user_copy::{self, CurrentUser};
use crate::arch::vectors::Frame;
use crate::mem::stacks::KernelStack;
use crate::mem::user::UserMemorySystem;
use crate::task::{self, Mutex, switch, thread};

const PAGE: u64 = PAGE_SIZE as u64;
/// The programs' code.
const CODE: u64 = 0x1_0000;
/// Two pages to read and write; behind them nothing is mapped.
const DATA: u64 = 0x20_0000;
const DATA_END: u64 = DATA + 2 * PAGE;
/// A page to read.
const CONSTANTS: u64 = 0x40_0000;
/// Pages that are there once they have been asked for.
const LATER: u64 = 0x60_0000;
const LATER_END: u64 = LATER + 4 * PAGE;

/// A program's memory.
struct World {
    tree: Mutex<UserTree>,
    tag: Asid,
}

impl World {
    fn new(tag: u16) -> Result<Self, Failure> {
        let tag = Asid(tag);
        let tree = UserTree::new(&UserMemorySystem, tag).map_err(no_memory)?;
        let world = Self { tree: Mutex::new(Rank::TestSleepOuter, tree), tag };
        let frame = world.map(CODE, UserAccess::ReadExecute)?;
        UserMemorySystem.write(frame, 0, code());
        UserMemorySystem.make_executable(frame);
        for page in [DATA, DATA + PAGE] {
            world.map(page, UserAccess::ReadWrite)?;
        }
        world.map(CONSTANTS, UserAccess::ReadOnly)?;
        Ok(world)
    }

    fn map(&self, at: u64, access: UserAccess) -> Result<kcore::addr::PhysFrame, Failure> {
        let frame = UserMemorySystem.zeroed().map_err(no_memory)?;
        let range = VirtRange::new(UserAddr::new(at), PAGE).map_err(no_memory)?;
        let mapped = self.tree.lock().map_pages(&UserMemorySystem, range, frame.start(), Attributes::normal(access));
        mapped.map(|()| frame).map_err(no_memory)
    }

    /// Runs `program` with these first arguments until `supervisor` ends it.
    fn run(&self, supervisor: &dyn Supervisor, program: Program, arguments: &[u64]) -> Outcome {
        let mut stack = KernelStack::new().map_err(no_memory)?;
        let root = self.tree.lock().activate();
        switch::with_current(|me| me.payload().lower_half.enter(root, self.tag));
        let mut frame = Frame::for_program(CODE + program.offset(), DATA);
        frame.x[..arguments.len()].copy_from_slice(arguments);
        stack.run_program(supervisor, frame);
        switch::with_current(|me| me.payload().lower_half.leave());
        Ok(())
    }

    fn end(self) {
        self.tree.into_inner().destroy(&UserMemorySystem);
    }
}

fn no_memory(error: impl core::fmt::Debug) -> Failure {
    Failure::new(format_args!("no memory for a program: {error:?}"))
}

/// A supervisor that answers calls by a function, and keeps what else came.
struct Test<'a, A> {
    world: &'a World,
    ask: A,
    /// How the program ended: x0, or what it did last.
    ending: SpinLock<Option<Ending>, Arm>,
    attention: AtomicU32,
    resolved: AtomicU32,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Ending {
    Call(u64),
    Exception { cause: Cause, far: u64, elr: u64 },
    Attention,
}

impl<'a, A: Fn(&mut Frame) -> Next + Sync> Test<'a, A> {
    fn new(world: &'a World, ask: A) -> Self {
        let ending = SpinLock::new(Rank::TestSpinOuter, None);
        Self { world, ask, ending, attention: AtomicU32::new(0), resolved: AtomicU32::new(0) }
    }

    fn run(&self, program: Program, arguments: &[u64]) -> Result<Ending, Failure> {
        self.world.run(self, program, arguments)?;
        let ending = self.ending.lock().take();
        ending.ok_or_else(|| Failure::new(format_args!("{program:?} ended for no reason")))
    }

    fn end(&self, ending: Ending) -> Next {
        *self.ending.lock() = Some(ending);
        Next::End
    }
}

impl<A: Fn(&mut Frame) -> Next + Sync> Supervisor for Test<'_, A> {
    fn system_call(&self, frame: &mut Frame) -> Next {
        match Call::of(frame.x[8]) {
            Some(Call::End) => self.end(Ending::Call(frame.x[0])),
            _ => (self.ask)(frame),
        }
    }

    fn exception(&self, frame: &mut Frame, syndrome: Syndrome) -> Next {
        self.end(Ending::Exception { cause: syndrome.cause, far: frame.far, elr: frame.elr })
    }

    fn before_user(&self, _frame: &mut Frame) -> Next {
        self.attention.fetch_add(1, Ordering::Relaxed);
        self.end(Ending::Attention)
    }

    fn kernel_fault(&self, address: UserAddr, _access: Access) -> KernelFault {
        let page = address.page_down().get();
        if !(LATER..LATER_END).contains(&page) || self.world.map(page, UserAccess::ReadWrite).is_err() {
            return KernelFault::Refused;
        }
        self.resolved.fetch_add(1, Ordering::Relaxed);
        KernelFault::Resolved
    }
}

fn go_on(_frame: &mut Frame) -> Next {
    Next::GoOn
}

/// Fails when one pair of `save_registers` or of `restore_and_return` names another register or place.
pub(super) fn every_register_survives_a_system_call() -> Outcome {
    let world = World::new(101)?;
    for seed in 0..32 {
        let mut put = Registers::pattern(seed);
        put.x[8] = Call::Nothing as u64;
        let mut words: Vec<u64> = put.x.to_vec();
        words.push(put.nzcv);
        let mut bytes = Vec::new();
        words.iter().for_each(|word| bytes.extend_from_slice(&word.to_le_bytes()));
        let frame = world.tree.lock().tables().walk(kcore::paging::Mmu::memory(&UserMemorySystem), UserAddr::new(DATA));
        let frame = frame.mapping().ok_or_else(|| Failure::new(format_args!("no data page")))?;
        let frame = kcore::addr::PhysFrame::containing(frame.phys);
        UserMemorySystem.write(frame, 256, &bytes);
        let kernel_leaves_none = |frame: &mut Frame| {
            // A preemption in the middle.
            switch::yield_now();
            if frame.flags() == put.nzcv && frame.x == put.x { Next::GoOn } else { Next::End }
        };
        let ending = Test::new(&world, kernel_leaves_none).run(Program::Registers, &[])?;
        ensure!(
            ending == Ending::Call(DATA),
            "seed {seed}: the program ended by {ending:?}, its stack pointer {DATA:#x}"
        );
        let mut found = [0; 256];
        UserMemorySystem.read(frame, 0, &mut found);
        let differs = (0..32).find(|&n| found[8 * n..8 * n + 8] != bytes[8 * n..8 * n + 8]);
        ensure!(differs.is_none(), "seed {seed}: register {differs:?} (31 is the flags) did not survive");
    }
    world.end();
    Ok(())
}

/// Fails when `el0_fault` saves `FAR_EL1` in another place.
pub(super) fn a_fault_is_reported_with_its_address() -> Outcome {
    let world = World::new(102)?;
    let cases: &[(&[u64], u64, Access)] = &[
        (&[DATA_END + 7], DATA_END + 7, Access::Read),
        (&[0x12_3456_7890], 0x12_3456_7890, Access::Read),
        (&[DATA, CONSTANTS + 5, 1], CONSTANTS + 5, Access::Write),
        (&[DATA, DATA_END, 1], DATA_END, Access::Write),
        (&[USER_END], USER_END, Access::Read),
        (&[0xffff_ff80_0008_0000], 0xffff_ff80_0008_0000, Access::Read),
        (&[0xffff_ffff_8008_0000], 0xffff_ffff_8008_0000, Access::Read),
        (&[0, 0xffff_ffff_8008_0000, 1], 0xffff_ffff_8008_0000, Access::Write),
        (&[0, 0, 0, DATA], DATA, Access::Execute),
        (&[0, 0, 0, 0xffff_ffff_8008_0000], 0xffff_ffff_8008_0000, Access::Execute),
    ];
    for &(arguments, address, access) in cases {
        let ending = Test::new(&world, go_on).run(Program::Touch, arguments)?;
        let Ending::Exception { cause: Cause::DataAbort(abort) | Cause::InstructionAbort(abort), far, elr } = ending
        else {
            return Err(Failure::new(format_args!("{arguments:x?}: {ending:?}")));
        };
        ensure!(far == address && abort.address_valid, "{arguments:x?}: reported at {far:#x}");
        ensure!(abort.access == access && abort.origin == Origin::User, "{arguments:x?}: {abort:?}");
        let at_home = (CODE..CODE + PAGE).contains(&elr) || (access == Access::Execute && elr == address);
        ensure!(at_home, "{arguments:x?}: from {elr:#x}");
        let kind = matches!(abort.fault, Fault::Translation(_) | Fault::Permission(_));
        ensure!(kind, "{arguments:x?}: {abort:?}");
    }
    world.end();
    Ok(())
}

/// Fails when `SCTLR_OFF` or `CNTKCTL_EL1` lacks one of the bits that let programs do these.
pub(super) fn a_program_may_keep_time_and_caches() -> Outcome {
    let world = World::new(103)?;
    let ending = Test::new(&world, go_on).run(Program::Allowed, &[DATA + 64])?;
    ensure!(matches!(ending, Ending::Call(_)), "{ending:?}");
    world.end();
    Ok(())
}

/// Fails without the store to `MDSCR_EL1` in `mmu_on`.
pub(super) fn what_a_program_may_not_is_its_exception() -> Outcome {
    const FORBIDDEN: u64 = 8;
    let world = World::new(104)?;
    let root = world.tree.lock().activate();
    for number in 0..FORBIDDEN {
        let test = Test::new(&world, go_on);
        let mut stack = KernelStack::new().map_err(no_memory)?;
        switch::with_current(|me| me.payload().lower_half.enter(root, world.tag));
        let at = CODE + Program::Forbidden.offset() + 4 * number;
        stack.run_program(&test, Frame::for_program(at, DATA));
        switch::with_current(|me| me.payload().lower_half.leave());
        let ending = test.ending.lock().take();
        let Some(Ending::Exception { cause, elr, .. }) = ending else {
            return Err(Failure::new(format_args!("instruction {number}: {ending:?}")));
        };
        ensure!(elr == at, "instruction {number}: {cause:?} at {elr:#x}, not {at:#x}");
        ensure!(matches!(cause, Cause::Unknown | Cause::SystemRegister(_)), "instruction {number}: {cause:?}");
    }
    world.end();
    Ok(())
}

/// Fails when `return_to_user` does not look at the header.
pub(super) fn a_program_that_never_calls_is_preempted_and_gives_attention() -> Outcome {
    for cpu in cpus() {
        let world = Arc::new(World::new(110)?);
        let theirs = Arc::clone(&world);
        let header = Arc::new(AtomicU64::new(0));
        let published = Arc::clone(&header);
        let mut team = Team::default();
        team.add("loop", Priority::DEFAULT, CpuSet::only(cpu), move || {
            published.store(1, Ordering::Release);
            let ending = Test::new(&theirs, go_on).run(Program::Loop, &[0, DATA])?;
            ensure!(ending == Ending::Attention, "{ending:?}");
            Ok(())
        })?;
        wait_for("the looping program", || header.load(Ordering::Acquire) != 0)?;
        // Another thread of that CPU gets its turn, several times, while the program loops.
        let other = thread::spawn("other", Priority::DEFAULT, CpuSet::only(cpu), || {
            for _ in 0..3 {
                spin(Duration::from_micros(300));
                switch::yield_now();
            }
        })?;
        thread::join(&other);
        drop(other);
        let thread = thread::all().into_iter().find(|thread| thread.name().as_str() == "loop");
        let thread = thread.ok_or_else(|| Failure::new(format_args!("cpu {cpu}: the looping thread is gone")))?;
        switch::request_attention(&thread);
        drop(thread);
        team.join()?;
        Arc::into_inner(world).ok_or_else(|| Failure::new(format_args!("the world is shared")))?.end();
    }
    Ok(())
}

/// Fails when `fp::switch_out` does not save, and when `on_trap` compares the state's CPU or the CPU's state only.
pub(super) fn floating_point_survives_switches_between_cpus() -> Outcome {
    const PROGRAMS: u16 = 6;
    const MOVES: u64 = 60;
    let mut team = Team::default();
    for number in 0..PROGRAMS {
        team.add("fp", Priority::DEFAULT, CpuSet::ALL, move || {
            let world = World::new(120 + number)?;
            let dice = SpinLock::<_, Arm>::new(Rank::TestSpinOuter, Dice::new(number.into()));
            let test = Test::new(&world, |_: &mut Frame| {
                let all: Vec<CpuId> = cpus().collect();
                let cpu = all[dice.lock().below(all.len())];
                switch::with_current(|me| me.set_affinity(CpuSet::only(cpu))).unwrap_or(());
                task::sleep(Duration::from_micros(30));
                Next::GoOn
            });
            let ending = test.run(Program::Fp, &[0x1234_5678_0000 + u64::from(number), MOVES])?;
            ensure!(ending == Ending::Call(0), "program {number}: {ending:?}");
            world.end();
            Ok(())
        })?;
    }
    team.join()
}

/// Fails when `user_copy_in_bytes` is not what a fault in a turn of `user_copy_in` goes on with.
pub(super) fn copies_stop_at_the_first_address_that_fails() -> Outcome {
    let world = World::new(105)?;
    let failure = SpinLock::<_, Arm>::new(Rank::TestSpinInner, None);
    let test = Test::new(&world, |_: &mut Frame| {
        if let Err(reason) = copies() {
            *failure.lock() = Some(reason);
        }
        Next::GoOn
    });
    test.run(Program::Ask, &[0, 1])?;
    world.end();
    failure.lock().take().map_or(Ok(()), Err)
}

fn copies() -> Outcome {
    const MOST: usize = 200;
    let pattern: Vec<u8> = (0..MOST).map(|n| u8::try_from(n % 251 + 1).unwrap_or(0)).collect();
    for length in 0..MOST {
        for before in [0, 1, 2, 7, 8, 9, 31, 63, 64, 65, 130] {
            let start = UserAddr::new(DATA_END - before);
            let fits = usize::try_from(before).unwrap_or(0).min(length);
            let expected = if fits == length { Ok(()) } else { Err(UserFault { at: UserAddr::new(DATA_END) }) };
            let zeroed = user_copy::zero(UserAddr::new(DATA_END - 256), 256);
            ensure!(zeroed == Ok(()), "{zeroed:?}");
            let out = CurrentUser.copy_out(&pattern[..length], start);
            ensure!(out == expected, "{length} bytes out to {start}: {out:?}");
            let mut found = vec![0xee; length];
            let back = CurrentUser.copy_in(start, &mut found);
            ensure!(back == expected, "{length} bytes in from {start}: {back:?}");
            ensure!(found[..fits] == pattern[..fits], "{length} bytes from {start} differ");
            ensure!(found[fits..].iter().all(|&byte| byte == 0xee), "{length} bytes from {start}: too much");
            let zeroed = user_copy::zero(start, length);
            ensure!(zeroed == expected, "{length} zeroes at {start}: {zeroed:?}");
            let mut found = [0xee; 256];
            let all = CurrentUser.copy_in(UserAddr::new(DATA_END - 256), &mut found);
            ensure!(all == Ok(()) && found == [0; 256], "{length} zeroes at {start} are none");
        }
    }
    limits()?;
    strings()?;
    words()
}

fn limits() -> Outcome {
    let mut byte = [0];
    for at in [USER_END, USER_END + 1, u64::MAX, 0xffff_ffff_8008_0000] {
        let at = UserAddr::new(at);
        ensure!(CurrentUser.copy_in(at, &mut byte) == Err(UserFault { at }), "a byte was read from {at}");
        ensure!(CurrentUser.copy_out(&byte, at) == Err(UserFault { at }), "a byte was written to {at}");
        ensure!(user_copy::load_u64(at).is_err() && user_copy::store_u32(at, 0).is_err(), "a word at {at}");
        ensure!(user_copy::copy_in_string(at, &mut byte).is_err(), "a string at {at}");
    }
    let last = UserAddr::new(USER_END - 4);
    ensure!(user_copy::load_u64(last) == Err(UserFault { at: last }), "a word across the end");
    let constants = UserAddr::new(CONSTANTS);
    ensure!(CurrentUser.copy_in(constants, &mut byte) == Ok(()), "constants cannot be read");
    ensure!(CurrentUser.copy_out(&byte, constants) == Err(UserFault { at: constants }), "constants were written");
    Ok(())
}

fn strings() -> Outcome {
    for length in 0..40_u64 {
        let text = vec![b'x'; usize::try_from(length).unwrap_or(0)];
        for behind in 1..10 {
            // The zero is the last byte, or nearly, before nothing.
            let start = UserAddr::new(DATA_END - length - behind);
            let written = CurrentUser
                .copy_out(&text, start)
                .and_then(|()| CurrentUser.copy_out(&[0], UserAddr::new(DATA_END - behind)));
            ensure!(written == Ok(()), "{written:?}");
            for room in [0, 1, 7, 8, 16, 39, 40, 64] {
                let mut found = vec![0xee; room];
                let end = user_copy::copy_in_string(start, &mut found);
                let expected = (text.len() < room).then_some(text.len());
                ensure!(end == Ok(expected), "a string of {length} at {start} in {room}: {end:?}");
                let whole = found.iter().zip(&text).all(|(found, put)| found == put);
                ensure!(whole, "a string of {length} at {start} in {room} differs");
                ensure!(text.len() >= room || found[text.len()] == 0, "its end is missing");
            }
        }
        let start = UserAddr::new(DATA_END - length);
        let written = CurrentUser.copy_out(&text, start);
        ensure!(written == Ok(()), "{written:?}");
        let end = user_copy::copy_in_string(start, &mut [0; 64]);
        ensure!(end == Err(UserFault { at: UserAddr::new(DATA_END) }), "a string of {length} without an end: {end:?}");
    }
    Ok(())
}

fn exchanges(at: UserAddr) -> Outcome {
    ensure!(user_copy::store_u32(at, 7) == Ok(()), "no store");
    ensure!(user_copy::exchange_u32(at, 6, 1) == Ok(false), "another word was exchanged");
    ensure!(user_copy::exchange_u32_no_fault(at, 7, 8) == Ok(true), "the word was not exchanged");
    ensure!(user_copy::load_u32(at) == Ok(8), "the exchange stored nothing");
    let odd = UserAddr::new(at.get() + 2);
    ensure!(user_copy::exchange_u32(odd, 0, 1) == Err(UserFault { at: odd }), "a misaligned word was exchanged");
    let constant = UserAddr::new(CONSTANTS);
    ensure!(user_copy::exchange_u32(constant, 0, 1) == Err(UserFault { at: constant }), "a constant was exchanged");
    Ok(())
}

fn words() -> Outcome {
    let at = UserAddr::new(LATER + 8);
    ensure!(user_copy::load_u32_no_fault(at).is_err(), "a look resolved a fault");
    let guard = NoPreempt::<Arm>::new();
    ensure!(user_copy::load_u32(at).is_err(), "a fault was resolved with preemption off");
    drop(guard);
    let masked = Arm::irq_save();
    let loaded = user_copy::load_u32(at);
    Arm::irq_restore(masked);
    ensure!(loaded.is_err(), "a fault was resolved with interrupts masked");
    ensure!(user_copy::load_u32(at) == Ok(0), "a fault was not resolved");
    ensure!(user_copy::store_u64(at, 0x1234_5678_9abc_def0) == Ok(()), "no store");
    ensure!(user_copy::load_u32_no_fault(at) == Ok(0x9abc_def0), "another word");
    ensure!(user_copy::load_u64(at) == Ok(0x1234_5678_9abc_def0), "another word");
    exchanges(at)?;
    // Across three pages that are not there yet.
    let bytes = [0x5a; 2 * PAGE_SIZE];
    let start = UserAddr::new(LATER + PAGE + 100);
    ensure!(CurrentUser.copy_out(&bytes, start) == Ok(()), "faults of one copy were not resolved");
    let mut found = vec![0; bytes.len()];
    ensure!(CurrentUser.copy_in(start, &mut found) == Ok(()) && found == bytes, "the copy differs");
    ensure!(cpu::header().preempt_count() == 0, "preemption is off");
    Ok(())
}

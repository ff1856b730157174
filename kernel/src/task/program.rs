//! What programs ask of the kernel, beside system calls: faults, exceptions, the way back, their beginning and their end.

use alloc::sync::Arc;
use core::fmt;

use kcore::addr::UserAddr;
use kcore::elf::stack::{Arguments, Facts, Identity};
use kcore::fs::{self, Base, BufferSink, FileError, Follow, MountFlags, OpenFile};
use kcore::hal::syndrome::{Access, Cause, Fault as Abort, Syndrome};
use kcore::proc::cred::{Credentials, SetIds};
use kcore::proc::exec::{self, ExecError, Executable, ReadError, Request, WriteExecute};
use kcore::proc::limit::{Limits, Resource};
use kcore::proc::{self, AddressSpace, ExitStatus, NewImage, Next, System};
use kcore::sched::{Leaving, ThreadName};
use kcore::signal::{Info, Signal, code};
use kcore::vm::{self, AccessKind, Fault, Pager};
use zerocopy::{FromBytes, IntoBytes};

use super::switch::{self, Kernel};
use super::{UserThread, signals, thread, with_current_user};
use crate::arch::cpu;
use crate::arch::upcall::KernelFault;
use crate::arch::vectors::Frame;
use crate::dev::random;
use crate::log::println;
use crate::mem::user::MEMORY;
use crate::mem::vdso;

/// A program did what is no system call.
#[unsafe(no_mangle)]
fn tine_user_exception(frame: &mut Frame, syndrome: Syndrome) {
    let far = UserAddr::new(frame.far);
    let pc = UserAddr::new(frame.elr);
    let info = match syndrome.cause {
        Cause::DataAbort(abort) | Cause::InstructionAbort(abort) => match abort.fault {
            Abort::Translation(_) | Abort::Permission(_) | Abort::AccessFlag(_) => {
                return fault(frame, far, kind(abort.access));
            }
            Abort::Alignment => Info::fault(Signal::BUS, code::ALIGNMENT, far),
            Abort::AddressSize(_) => Info::fault(Signal::SEGV, code::NOT_MAPPED, far),
            Abort::External
            | Abort::ExternalOnWalk(_)
            | Abort::Parity
            | Abort::TlbConflict
            | Abort::UnsupportedExclusive
            | Abort::Other(_) => Info::fault(Signal::BUS, code::OBJECT_ERROR, far),
        },
        Cause::PcAlignment => Info::fault(Signal::BUS, code::ALIGNMENT, far),
        Cause::SpAlignment => Info::fault(Signal::BUS, code::ALIGNMENT, UserAddr::new(frame.sp)),
        Cause::Brk(_) => Info::fault(Signal::TRAP, code::BREAKPOINT, pc),
        Cause::Breakpoint | Cause::Watchpoint => Info::fault(Signal::TRAP, code::HARDWARE_BREAKPOINT, pc),
        Cause::SoftwareStep => Info::fault(Signal::TRAP, code::TRACE, pc),
        Cause::FpException => Info::fault(Signal::FPE, code::FLOAT_UNKNOWN, pc),
        Cause::Unknown
        | Cause::WaitTrapped
        | Cause::FpTrapped
        | Cause::IllegalState
        | Cause::SystemCall(_)
        | Cause::SystemRegister(_)
        | Cause::Other(_) => Info::fault(Signal::ILL, code::ILLEGAL_OPCODE, pc),
    };
    post(frame, info);
}

const fn kind(access: Access) -> AccessKind {
    match access {
        Access::Read => AccessKind::Read,
        Access::Write => AccessKind::Write,
        Access::Execute => AccessKind::Execute,
        // It needs the right to read only (Arm ARM D8.17, cache maintenance by address), whatever WnR says.
        Access::CacheMaintenance => AccessKind::Read,
    }
}

/// Brings in what the program missed, or says what is wrong.
fn fault(frame: &Frame, at: UserAddr, access: AccessKind) {
    let info = match resolve(at, access) {
        Fault::Resolved => return,
        Fault::NotMapped => Info::fault(Signal::SEGV, code::NOT_MAPPED, at),
        Fault::Denied => Info::fault(Signal::SEGV, code::ACCESS, at),
        Fault::BeyondEnd => Info::fault(Signal::BUS, code::BEYOND_END, at),
        Fault::OutOfMemory => return out_of_memory(),
    };
    post(frame, info);
}

fn resolve(at: UserAddr, access: AccessKind) -> Fault {
    with_current_user(|me| {
        let Some(space) = me.space() else { return Fault::NotMapped };
        let outcome = space.lock().fault(&MEMORY, at, access);
        if outcome == Fault::Resolved {
            me.count_minor_fault();
        }
        outcome
    })
}

fn post(frame: &Frame, info: Info) {
    with_current_user(|me| {
        if proc::post_fault(me, info) == proc::FaultPosted::Fatal {
            defmt::info!(
                "signal {=u8} ends process {=u32} at {=u64:#x}, address {=u64:#x}",
                info.signal.number(),
                me.process().pid().0,
                frame.elr,
                frame.far
            );
        }
    });
}

/// There is no memory for what the current program needs to go on, whatever it was promised: it ends, nobody else.
fn out_of_memory() {
    with_current_user(|me| {
        println!("out of memory: killed process {} ({})", me.process().pid().0, me.process().name().as_str());
        let _ = proc::signal(me.process(), None, Info::kernel(Signal::KILL));
    });
}

/// The kernel missed something of the program's memory, in the program's name.
#[unsafe(no_mangle)]
fn tine_kernel_fault(address: UserAddr, access: Access) -> KernelFault {
    match resolve(address, kind(access)) {
        Fault::Resolved => KernelFault::Resolved,
        Fault::NotMapped | Fault::Denied | Fault::BeyondEnd => KernelFault::Refused,
        Fault::OutOfMemory => {
            out_of_memory();
            KernelFault::Refused
        }
    }
}

/// Somebody asked for the attention of the current thread before it goes on in its program.
#[unsafe(no_mangle)]
fn tine_before_user(frame: &mut Frame) {
    with_current_user(|me| {
        if thread::take_time_due() {
            proc::check_processor_time(me);
        }
        loop {
            match proc::before_user(me) {
                Next::Run => return,
                Next::Exit(status) => exit_thread(me, status),
                Next::Handle(info, action) => signals::deliver(me, frame, info, &action),
            }
        }
    });
}

/// Ends the current thread, and with the last one its process.
pub(crate) fn exit_thread(me: &Arc<UserThread>, status: ExitStatus) -> ! {
    prepare_to_leave();
    proc::exit_thread(me, status);
    leave()
}

/// Ends the current thread's process.
pub(crate) fn exit_process(me: &Arc<UserThread>, status: ExitStatus) -> ! {
    prepare_to_leave();
    proc::exit_process(me, status);
    leave()
}

/// Gives up what the current thread has for itself.
fn prepare_to_leave() {
    thread::forget_files();
    thread::forget_processor_time();
}

fn leave() -> ! {
    switch::leave(Leaving::Exited);
    unreachable!("an ended thread is not switched to")
}

/// A program's file, as the loader reads it.
pub(crate) struct ProgramFile(Arc<OpenFile>);

impl Executable for ProgramFile {
    fn read_at(&self, offset: u64, to: &mut [u8]) -> Result<usize, ReadError> {
        self.0.read_at(offset, &mut BufferSink::new(to)).map_err(|error| match error {
            FileError::OutOfMemory => ReadError::OutOfMemory,
            _ => ReadError::Io,
        })
    }

    fn pager(&self) -> Option<Arc<dyn Pager>> {
        self.0.pager()
    }

    fn bytes(&self) -> u64 {
        self.0.metadata().size
    }
}

/// Why there is no other program.
#[derive(Debug)]
pub(crate) enum ExecFailure {
    /// The program that there is goes on.
    Refused(ExecError<FileError>),
    /// The thread is to end: its process does, or another of its threads executes something.
    Ended,
}

/// What is random about a new program.
#[derive(Default, IntoBytes, FromBytes)]
#[repr(C)]
struct Drawn {
    /// For its own use.
    own: [u8; Facts::RANDOM_BYTES],
    /// Where its parts go: a number each, of the whole range.
    places: [u64; 5],
}

/// Executes `file`, which was opened by `path`, in the current thread, and says how its frame shall be to begin the new
/// program.
#[inline(never)]
pub(crate) fn execute(
    me: &Arc<UserThread>,
    file: Arc<OpenFile>,
    path: &[u8],
    arguments: Arguments,
) -> Result<Frame, ExecFailure> {
    if !Kernel::has_room() {
        return Err(ExecFailure::Refused(ExecError::OutOfMemory));
    }
    let process = me.process();
    let tag = Kernel::take_asid().ok_or(ExecFailure::Refused(ExecError::OutOfMemory))?;
    let before = process.credentials();
    // All that chance has to say about a program comes in one draw.
    let mut drawn = Drawn::default();
    random::fill(drawn.as_mut_bytes());
    let mut places = drawn.places.into_iter();
    let mut uniform = |bound: u64| match places.next() {
        // Of 2^64 equally likely parts of the range, `bound` at most are not within one number's.
        Some(place) => ((u128::from(place) * u128::from(bound)) >> 64) as u64,
        None => random::uniform(bound),
    };
    let request = Request {
        path,
        arguments,
        identity: &|file: &ProgramFile| identity(&before, file),
        hardware: cpu::hardware_capabilities(),
        random: drawn.own,
        uniform: &mut uniform,
        limits: space_limits(&process.limits()),
        write_execute: if write_execute_allowed() { WriteExecute::Allowed } else { WriteExecute::Refused },
        kernel_object: vdso::pager().map(Arc::clone),
        tag,
    };
    let mut open = |path: &[u8]| open_program(me, path).map(ProgramFile);
    let loaded = exec::load(&MEMORY, ProgramFile(file), request, &mut open).map_err(|error| {
        Kernel::give_asid(tag);
        ExecFailure::Refused(error)
    })?;
    let executed = before.executed(set_ids(&loaded.file));
    let name = core::str::from_utf8(loaded.name.as_bytes()).unwrap_or("?");
    let image = NewImage {
        space: AddressSpace::<Kernel>::adopt(loaded.space),
        program: Some(loaded.file.0),
        name: ThreadName::new(name),
        credentials: (executed.credentials != *before).then(|| Arc::new(executed.credentials)),
        set_id: executed.secure,
    };
    thread::forget_files();
    proc::exec_commit(me, image).map_err(|_ended| ExecFailure::Ended)?;
    thread::forget_registers();
    Ok(Frame::for_program(loaded.entry.get(), loaded.stack_pointer.get()))
}

fn open_program(thread: &UserThread, path: &[u8]) -> Result<Arc<OpenFile>, FileError> {
    let process = thread.process();
    let context = process.context().ok_or(FileError::NotFound)?;
    let context = context.lock().clone();
    let credentials = process.credentials();
    let ids = credentials.access_ids();
    let id = fs::AccessId { uid: ids.uid, gid: ids.gid, groups: ids.groups };
    fs::open_program(&context, Base::Working, path, Follow::Yes, id)
}

fn set_ids(file: &ProgramFile) -> SetIds {
    let mut protection = file.0.metadata().protection;
    if file.0.inode().mount_flags().contains(MountFlags::NO_SET_ID) {
        protection.permissions &= 0o1777;
    }
    SetIds::of_file(protection.mode(), protection.uid, protection.gid)
}

fn identity(before: &Credentials, file: &ProgramFile) -> Identity {
    let executed = before.executed(set_ids(file));
    Identity {
        uid: executed.credentials.uid.real,
        effective_uid: executed.credentials.uid.effective,
        gid: executed.credentials.gid.real,
        effective_gid: executed.credentials.gid.effective,
        is_secure: executed.secure,
    }
}

/// Whether the boot allowed memory that is writable and executable at once.
fn write_execute_allowed() -> bool {
    false
}

/// Those limits of a process that its address space keeps.
pub(crate) fn space_limits(limits: &Limits) -> vm::Limits {
    vm::Limits {
        address_space: limits.soft(Resource::AddressSpace),
        data: limits.soft(Resource::Data),
        stack: limits.soft(Resource::Stack),
        locked: limits.soft(Resource::LockedMemory),
    }
}

/// The first program could not be started.
#[derive(Debug)]
pub(crate) enum InitError {
    /// It could not be opened.
    Open(FileError),
    /// It could not be loaded.
    Exec(ExecFailure),
    /// No memory for its words.
    Arguments,
}

impl fmt::Display for InitError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Open(error) => write!(f, "{error}"),
            Self::Exec(ExecFailure::Refused(error)) => write!(f, "{error:?}"),
            Self::Exec(ExecFailure::Ended) => f.write_str("it ended"),
            Self::Arguments => f.write_str("its arguments are too long"),
        }
    }
}

/// Executes the first program at `path` in the current thread, which is process 1's.
pub(crate) fn execute_init<'a>(
    path: &[u8],
    arguments: impl Iterator<Item = &'a str>,
    environment: impl Iterator<Item = &'a str>,
) -> Result<(), InitError> {
    with_current_user(|me| {
        let file = open_program(me, path).map_err(InitError::Open)?;
        let mut strings = Arguments::new(kcore::elf::stack::MIN_TOTAL_BYTES);
        strings.push(path).map_err(|_| InitError::Arguments)?;
        for argument in arguments {
            strings.push(argument.as_bytes()).map_err(|_| InitError::Arguments)?;
        }
        strings.begin_environment();
        for variable in environment {
            strings.push(variable.as_bytes()).map_err(|_| InitError::Arguments)?;
        }
        let frame = execute(me, file, path, strings).map_err(InitError::Exec)?;
        thread::begin_first_program(frame);
        Ok(())
    })
}

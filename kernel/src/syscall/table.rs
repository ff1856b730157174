//! The table of system calls.
//!
//! One line a call: its number, its name, the types of its arguments (which also say how a tracer shows them), the promise
//! that a pledged program must have made, and the handler. A number that is not here gives `ENOSYS`, and a trace record.
//!
//! At the end stands `whole` where the handler needs all of the program's registers in the frame (see
//! [`crate::arch::vectors`]): where it makes a thread, or replaces the registers, or waits, so that a signal's handler may
//! run before it returns. Such a handler takes a [`WholeCaller`](super::WholeCaller), and only that can wait.

use kcore::addr::UserAddr;
use linux_raw_sys::general as linux;

use super::argument::{Argument, Bits, Descriptor, Format, Maybe, Text};
use super::errno::Errno;
use super::socket::{messages, options, transfer};
use super::{
    attributes, capability, contents, epoll, exec, file, futex, identity, lock, make, make_whole, memfd, memory, mount,
    names, path, pipe, poll, process, schedule, signal, socket, splice, system, time, timer,
};
use crate::arch::upcall::{SystemCall, TABLE_NUMBERS};
use crate::arch::vectors::{Frame, system_call_whole};

/// What a pledged program must have promised to make a call (`pledge(2)`).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[expect(dead_code, reason = "pledge(2) reads it")]
pub(super) enum Promise {
    /// Always allowed: leaving.
    Always,
    /// What every program does.
    Stdio,
    /// Looking at files.
    Rpath,
    /// Changing files.
    Fpath,
    /// Making processes and telling them apart.
    Proc,
    /// Running programs.
    Exec,
    /// Becoming somebody else.
    Id,
    /// Setting the clock.
    Settime,
    /// Making executable memory.
    ProtExec,
    /// Not to be had.
    Never,
}

/// A system call.
pub(super) struct Call {
    /// Its name, with the module that makes it.
    #[expect(dead_code, reason = "ktrace(2) reads it")]
    pub(super) name: &'static str,
    /// What it needs.
    #[expect(dead_code, reason = "pledge(2) reads it")]
    pub(super) promise: Promise,
    /// What its arguments are.
    #[expect(dead_code, reason = "ktrace(2) reads it")]
    pub(super) arguments: &'static [Format],
    /// Which frame it needs.
    frames: Frames,
    /// Makes it.
    run: SystemCall,
}

/// Which of the program's registers are in the frame of a call.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Frames {
    /// All but x19 to x28, which the call keeps.
    Quick,
    /// All.
    Whole,
}

/// Where OpenBSD's numbers begin.
const OPENBSD_BASE: usize = 0x1000;
/// Behind the last number of OpenBSD's that is looked up.
const OPENBSD_END: usize = 336;

/// The vectors' table of Linux's calls. Next to them, for they reach no farther than a MiB with one instruction.
#[unsafe(no_mangle)]
#[unsafe(link_section = ".vectors.calls")]
static TINE_QUICK_CALLS: [SystemCall; TABLE_NUMBERS] = place(0, Frames::Quick);
/// The same for those who have a whole frame.
#[unsafe(no_mangle)]
#[unsafe(link_section = ".vectors.calls")]
static TINE_WHOLE_CALLS: [SystemCall; TABLE_NUMBERS] = place(0, Frames::Whole);
static OPENBSD: [SystemCall; OPENBSD_END] = place(OPENBSD_BASE, Frames::Whole);

/// Lays the calls from `base` on out by their numbers.
const fn place<const N: usize>(base: usize, frames: Frames) -> [SystemCall; N] {
    let mut taken = [false; N];
    let mut places = [UNKNOWN; N];
    let mut at = 0;
    while at < CALLS.len() {
        let (number, call) = &CALLS[at];
        if *number >= base && *number < base + N {
            assert!(!taken[*number - base], "a number stands for one call");
            taken[*number - base] = true;
            places[*number - base] = if matches!((call.frames, frames), (Frames::Whole, Frames::Quick)) {
                system_call_whole
            } else {
                call.run
            };
        }
        at += 1;
    }
    places
}

/// The call with this number, for a whole frame.
pub(super) fn find(number: u64) -> SystemCall {
    let number = usize::try_from(number).unwrap_or(usize::MAX);
    match TINE_WHOLE_CALLS.get(number) {
        Some(call) => *call,
        None if number == abi::counters::CALL => COUNTERS.run,
        None => number.checked_sub(OPENBSD_BASE).and_then(|number| OPENBSD.get(number)).copied().unwrap_or(UNKNOWN),
    }
}

const UNKNOWN: SystemCall = unknown;

extern "C" fn unknown(_: u64, _: u64, _: u64, _: u64, _: u64, _: u64, frame: &mut Frame) -> u64 {
    defmt::info!("system call {=u64:#x} is not known", frame.x[8]);
    Errno::ENOSYS.to_register()
}

macro_rules! call {
    ($handler:path, ($($argument:ty),*), $promise:ident) => {
        call!($handler, ($($argument),*), $promise, Frames::Quick, make)
    };
    ($handler:path, ($($argument:ty),*), $promise:ident, whole) => {
        call!($handler, ($($argument),*), $promise, Frames::Whole, make_whole)
    };
    ($handler:path, ($($argument:ty),*), $promise:ident, $frames:expr, $make:ident) => {
        Call {
            name: stringify!($handler),
            promise: Promise::$promise,
            arguments: &[$(<$argument as Argument>::FORMAT),*],
            frames: $frames,
            run: {
                extern "C" fn run(a: u64, b: u64, c: u64, d: u64, e: u64, f: u64, frame: &mut Frame) -> u64 {
                    $make(frame, #[inline(always)] |caller| {
                        let mut registers = [a, b, c, d, e, f].into_iter();
                        let _ = &mut registers;
                        $handler(caller, $(<$argument>::decode(registers.next().unwrap_or(0))?),*)
                    })
                }
                run
            },
        }
    };
}

macro_rules! calls {
    ($($number:expr, $handler:path, ($($argument:ty),*), $promise:ident $(, $whole:ident)?;)*) => {
        &[$(($number as usize, call!($handler, ($($argument),*), $promise $(, $whole)?)),)*]
    };
}

/// The kernel's own, beyond both ranges.
static COUNTERS: Call = call!(system::tine_counters, (UserAddr, u64), Stdio);

static CALLS: &[(usize, Call)] = calls! {
    // ---- files
    linux::__NR_getcwd, path::getcwd, (UserAddr, u64), Rpath;
    linux::__NR_dup, file::dup, (Descriptor), Stdio;
    linux::__NR_dup3, file::dup3, (Descriptor, Descriptor, Bits), Stdio;
    linux::__NR_fcntl, file::fcntl, (Descriptor, u32, u64), Stdio, whole;
    linux::__NR_flock, lock::flock, (Descriptor, Bits), Stdio, whole;
    linux::__NR_ioctl, file::ioctl, (Descriptor, u32, u64), Stdio, whole;
    linux::__NR_faccessat, path::faccessat, (Descriptor, Text, Bits), Rpath;
    linux::__NR_faccessat2, path::faccessat2, (Descriptor, Text, Bits, Bits), Rpath;
    linux::__NR_chdir, path::chdir, (Text), Rpath;
    linux::__NR_fchdir, path::fchdir, (Descriptor), Rpath;
    linux::__NR_chroot, path::chroot, (Text), Never;
    linux::__NR_openat, path::openat, (Descriptor, Text, Bits, u32), Rpath, whole;
    linux::__NR_openat2, path::openat2, (Descriptor, Text, UserAddr, u64), Rpath, whole;
    linux::__NR_close, file::close, (Descriptor), Stdio;
    linux::__NR_close_range, file::close_range, (u32, u32, Bits), Stdio;
    linux::__NR_getdents64, file::getdents64, (Descriptor, UserAddr, u64), Rpath;
    linux::__NR_lseek, file::lseek, (Descriptor, i64, u32), Stdio;
    linux::__NR_read, file::read, (Descriptor, UserAddr, u64), Stdio, whole;
    linux::__NR_write, file::write, (Descriptor, UserAddr, u64), Stdio, whole;
    linux::__NR_readv, file::readv, (Descriptor, UserAddr, i32), Stdio, whole;
    linux::__NR_writev, file::writev, (Descriptor, UserAddr, i32), Stdio, whole;
    linux::__NR_pread64, file::pread64, (Descriptor, UserAddr, u64, i64), Stdio;
    linux::__NR_pwrite64, file::pwrite64, (Descriptor, UserAddr, u64, i64), Stdio;
    linux::__NR_readlinkat, path::readlinkat, (Descriptor, Text, UserAddr, i64), Rpath;
    linux::__NR_newfstatat, path::newfstatat, (Descriptor, Text, UserAddr, Bits), Rpath;
    linux::__NR_fstat, file::fstat, (Descriptor, UserAddr), Stdio;
    linux::__NR_statx, path::statx, (Descriptor, Text, Bits, Bits, UserAddr), Rpath;
    linux::__NR_setxattr, attributes::setxattr, (Text, Text, UserAddr, u64, Bits), Fpath;
    linux::__NR_lsetxattr, attributes::lsetxattr, (Text, Text, UserAddr, u64, Bits), Fpath;
    linux::__NR_fsetxattr, attributes::fsetxattr, (Descriptor, Text, UserAddr, u64, Bits), Fpath;
    linux::__NR_getxattr, attributes::getxattr, (Text, Text, UserAddr, u64), Rpath;
    linux::__NR_lgetxattr, attributes::lgetxattr, (Text, Text, UserAddr, u64), Rpath;
    linux::__NR_fgetxattr, attributes::fgetxattr, (Descriptor, Text, UserAddr, u64), Stdio;
    linux::__NR_listxattr, attributes::listxattr, (Text, UserAddr, u64), Rpath;
    linux::__NR_llistxattr, attributes::llistxattr, (Text, UserAddr, u64), Rpath;
    linux::__NR_flistxattr, attributes::flistxattr, (Descriptor, UserAddr, u64), Stdio;
    linux::__NR_removexattr, attributes::removexattr, (Text, Text), Fpath;
    linux::__NR_lremovexattr, attributes::lremovexattr, (Text, Text), Fpath;
    linux::__NR_fremovexattr, attributes::fremovexattr, (Descriptor, Text), Fpath;
    linux::__NR_ppoll, poll::ppoll, (UserAddr, u32, Maybe, Maybe, u64), Stdio, whole;
    linux::__NR_pselect6, poll::pselect6, (i32, Maybe, Maybe, Maybe, Maybe, Maybe), Stdio, whole;
    linux::__NR_epoll_create1, epoll::epoll_create1, (Bits), Stdio;
    linux::__NR_epoll_ctl, epoll::epoll_ctl, (Descriptor, u32, Descriptor, Maybe), Stdio;
    linux::__NR_epoll_pwait, epoll::epoll_pwait, (Descriptor, UserAddr, i32, i32, Maybe, u64), Stdio, whole;
    linux::__NR_epoll_pwait2, epoll::epoll_pwait2, (Descriptor, UserAddr, i32, Maybe, Maybe, u64), Stdio, whole;
    linux::__NR_memfd_create, memfd::memfd_create, (Text, Bits), Stdio;
    linux::__NR_eventfd2, epoll::eventfd2, (u32, Bits), Stdio;
    linux::__NR_pipe2, pipe::pipe2, (UserAddr, Bits), Stdio;
    linux::__NR_mount, mount::mount, (Maybe, Text, Maybe, u64, Maybe), Never;
    linux::__NR_umount2, mount::umount2, (Text, u32), Never;
    linux::__NR_umask, path::umask, (u32), Stdio;
    linux::__NR_mkdirat, names::mkdirat, (Descriptor, Text, u32), Fpath;
    linux::__NR_mknodat, names::mknodat, (Descriptor, Text, u32, u32), Fpath;
    linux::__NR_symlinkat, names::symlinkat, (Text, Descriptor, Text), Fpath;
    linux::__NR_linkat, names::linkat, (Descriptor, Text, Descriptor, Text, Bits), Fpath;
    linux::__NR_unlinkat, names::unlinkat, (Descriptor, Text, Bits), Fpath;
    linux::__NR_renameat, names::renameat, (Descriptor, Text, Descriptor, Text), Fpath;
    linux::__NR_renameat2, names::renameat2, (Descriptor, Text, Descriptor, Text, Bits), Fpath;
    linux::__NR_truncate, names::truncate, (Text, i64), Fpath;
    linux::__NR_ftruncate, contents::ftruncate, (Descriptor, i64), Stdio;
    linux::__NR_fallocate, contents::fallocate, (Descriptor, Bits, i64, i64), Stdio;
    linux::__NR_fchmod, names::fchmod, (Descriptor, u32), Fpath;
    linux::__NR_fchmodat, names::fchmodat, (Descriptor, Text, u32), Fpath;
    linux::__NR_fchmodat2, names::fchmodat2, (Descriptor, Text, u32, Bits), Fpath;
    linux::__NR_fchown, names::fchown, (Descriptor, u32, u32), Fpath;
    linux::__NR_fchownat, names::fchownat, (Descriptor, Text, u32, u32, Bits), Fpath;
    linux::__NR_utimensat, names::utimensat, (Descriptor, Maybe, Maybe, Bits), Fpath;
    linux::__NR_statfs, names::statfs, (Text, UserAddr), Rpath;
    linux::__NR_fstatfs, names::fstatfs, (Descriptor, UserAddr), Stdio;
    linux::__NR_fsync, contents::fsync, (Descriptor), Stdio;
    linux::__NR_fdatasync, contents::fsync, (Descriptor), Stdio;
    linux::__NR_syncfs, contents::syncfs, (Descriptor), Stdio;
    linux::__NR_sync_file_range, contents::sync_file_range, (Descriptor, i64, i64, Bits), Stdio;
    linux::__NR_readahead, contents::readahead, (Descriptor, i64, u64), Stdio;
    linux::__NR_fadvise64, contents::fadvise64, (Descriptor, i64, i64, u32), Stdio;
    linux::__NR_preadv, contents::preadv, (Descriptor, UserAddr, i32, i64), Stdio;
    linux::__NR_pwritev, contents::pwritev, (Descriptor, UserAddr, i32, i64), Stdio;
    linux::__NR_preadv2, contents::preadv2, (Descriptor, UserAddr, i32, i64, u64, Bits), Stdio, whole;
    linux::__NR_pwritev2, contents::pwritev2, (Descriptor, UserAddr, i32, i64, u64, Bits), Stdio, whole;
    linux::__NR_sendfile, contents::sendfile, (Descriptor, Descriptor, Maybe, u64), Stdio, whole;
    linux::__NR_copy_file_range, contents::copy_file_range, (Descriptor, Maybe, Descriptor, Maybe, u64, Bits), Stdio;
    linux::__NR_splice, splice::splice, (Descriptor, Maybe, Descriptor, Maybe, u64, Bits), Stdio, whole;
    linux::__NR_tee, splice::tee, (Descriptor, Descriptor, u64, Bits), Stdio, whole;
    linux::__NR_vmsplice, splice::vmsplice, (Descriptor, UserAddr, u64, Bits), Stdio, whole;
    linux::__NR_sync, system::sync, (), Stdio;
    // ---- sockets
    linux::__NR_socket, socket::socket, (u32, u32, u32), Stdio;
    linux::__NR_socketpair, socket::socketpair, (u32, u32, u32, UserAddr), Stdio;
    linux::__NR_bind, socket::bind, (Descriptor, UserAddr, u32), Stdio;
    linux::__NR_listen, socket::listen, (Descriptor, i32), Stdio;
    linux::__NR_accept, socket::accept, (Descriptor, Maybe, Maybe), Stdio, whole;
    linux::__NR_accept4, socket::accept4, (Descriptor, Maybe, Maybe, Bits), Stdio, whole;
    linux::__NR_connect, socket::connect, (Descriptor, UserAddr, u32), Stdio, whole;
    linux::__NR_getsockname, socket::getsockname, (Descriptor, UserAddr, UserAddr), Stdio;
    linux::__NR_getpeername, socket::getpeername, (Descriptor, UserAddr, UserAddr), Stdio;
    linux::__NR_sendto, transfer::sendto, (Descriptor, UserAddr, u64, Bits, Maybe, u32), Stdio, whole;
    linux::__NR_recvfrom, transfer::recvfrom, (Descriptor, UserAddr, u64, Bits, Maybe, Maybe), Stdio, whole;
    linux::__NR_sendmsg, transfer::sendmsg, (Descriptor, UserAddr, Bits), Stdio, whole;
    linux::__NR_recvmsg, transfer::recvmsg, (Descriptor, UserAddr, Bits), Stdio, whole;
    linux::__NR_sendmmsg, messages::sendmmsg, (Descriptor, UserAddr, u32, Bits), Stdio, whole;
    linux::__NR_recvmmsg, messages::recvmmsg, (Descriptor, UserAddr, u32, Bits, Maybe), Stdio, whole;
    linux::__NR_shutdown, socket::shutdown, (Descriptor, u32), Stdio;
    linux::__NR_setsockopt, options::setsockopt, (Descriptor, u32, u32, UserAddr, u32), Stdio;
    linux::__NR_getsockopt, options::getsockopt, (Descriptor, u32, u32, UserAddr, UserAddr), Stdio;
    // ---- processes and threads
    linux::__NR_clone, process::clone, (u64, Maybe, Maybe, u64, Maybe), Proc, whole;
    linux::__NR_clone3, process::clone3, (UserAddr, u64), Proc, whole;
    linux::__NR_unshare, process::unshare, (u64), Proc;
    linux::__NR_execve, exec::execve, (Text, UserAddr, UserAddr), Exec, whole;
    linux::__NR_execveat, exec::execveat, (Descriptor, Text, UserAddr, UserAddr, Bits), Exec, whole;
    linux::__NR_exit, process::exit, (u32), Always;
    linux::__NR_exit_group, process::exit_group, (u32), Always;
    linux::__NR_wait4, process::wait4, (i32, Maybe, Bits, Maybe), Stdio, whole;
    linux::__NR_waitid, process::waitid, (u32, i32, Maybe, Bits, Maybe), Stdio, whole;
    linux::__NR_set_tid_address, process::set_tid_address, (Maybe), Stdio;
    linux::__NR_prctl, process::prctl, (u32, u64, u64, u64, u64), Stdio;
    linux::__NR_prlimit64, process::prlimit64, (i32, u32, Maybe, Maybe), Stdio;
    linux::__NR_getrlimit, process::getrlimit, (u32, UserAddr), Stdio;
    linux::__NR_setrlimit, process::setrlimit, (u32, UserAddr), Proc;
    linux::__NR_getrusage, process::getrusage, (i32, UserAddr), Stdio;
    linux::__NR_times, process::times, (Maybe), Stdio;
    // ---- who a process is
    linux::__NR_getpid, identity::getpid, (), Stdio;
    linux::__NR_getppid, identity::getppid, (), Stdio;
    linux::__NR_gettid, identity::gettid, (), Stdio;
    linux::__NR_getuid, identity::getuid, (), Stdio;
    linux::__NR_geteuid, identity::geteuid, (), Stdio;
    linux::__NR_getgid, identity::getgid, (), Stdio;
    linux::__NR_getegid, identity::getegid, (), Stdio;
    linux::__NR_setuid, identity::setuid, (u32), Id;
    linux::__NR_setgid, identity::setgid, (u32), Id;
    linux::__NR_setreuid, identity::setreuid, (u32, u32), Id;
    linux::__NR_setregid, identity::setregid, (u32, u32), Id;
    linux::__NR_setresuid, identity::setresuid, (u32, u32, u32), Id;
    linux::__NR_setresgid, identity::setresgid, (u32, u32, u32), Id;
    linux::__NR_getresuid, identity::getresuid, (UserAddr, UserAddr, UserAddr), Stdio;
    linux::__NR_getresgid, identity::getresgid, (UserAddr, UserAddr, UserAddr), Stdio;
    linux::__NR_setfsuid, identity::setfsuid, (u32), Id;
    linux::__NR_setfsgid, identity::setfsgid, (u32), Id;
    linux::__NR_getgroups, identity::getgroups, (i32, UserAddr), Stdio;
    linux::__NR_setgroups, identity::setgroups, (i32, UserAddr), Id;
    linux::__NR_capget, capability::capget, (UserAddr, Maybe), Stdio;
    linux::__NR_capset, capability::capset, (UserAddr, UserAddr), Id;
    linux::__NR_setpgid, identity::setpgid, (i32, i32), Proc;
    linux::__NR_getpgid, identity::getpgid, (i32), Stdio;
    linux::__NR_setsid, identity::setsid, (), Proc;
    linux::__NR_getsid, identity::getsid, (i32), Stdio;
    // ---- signals
    linux::__NR_kill, signal::kill, (i32, u32), Proc;
    linux::__NR_tkill, signal::tkill, (i32, u32), Proc;
    linux::__NR_tgkill, signal::tgkill, (i32, i32, u32), Proc;
    linux::__NR_rt_sigaction, signal::rt_sigaction, (u32, Maybe, Maybe, u64), Stdio;
    linux::__NR_rt_sigprocmask, signal::rt_sigprocmask, (u32, Maybe, Maybe, u64), Stdio;
    linux::__NR_rt_sigpending, signal::rt_sigpending, (UserAddr, u64), Stdio;
    linux::__NR_rt_sigsuspend, signal::rt_sigsuspend, (UserAddr, u64), Stdio, whole;
    linux::__NR_rt_sigtimedwait, signal::rt_sigtimedwait, (UserAddr, Maybe, Maybe, u64), Stdio, whole;
    linux::__NR_rt_sigqueueinfo, signal::rt_sigqueueinfo, (i32, u32, UserAddr), Proc;
    linux::__NR_rt_tgsigqueueinfo, signal::rt_tgsigqueueinfo, (i32, i32, u32, UserAddr), Proc;
    linux::__NR_restart_syscall, signal::restart_syscall, (), Stdio;
    linux::__NR_rt_sigreturn, signal::rt_sigreturn, (), Stdio, whole;
    linux::__NR_sigaltstack, signal::sigaltstack, (Maybe, Maybe), Stdio;
    // ---- scheduling
    linux::__NR_sched_yield, schedule::sched_yield, (), Stdio;
    linux::__NR_sched_setaffinity, schedule::sched_setaffinity, (i32, u64, UserAddr), Proc;
    linux::__NR_sched_getaffinity, schedule::sched_getaffinity, (i32, u64, UserAddr), Stdio;
    linux::__NR_sched_getscheduler, schedule::sched_getscheduler, (i32), Stdio;
    linux::__NR_sched_getparam, schedule::sched_getparam, (i32, UserAddr), Stdio;
    linux::__NR_sched_setscheduler, schedule::sched_setscheduler, (i32, u32, UserAddr), Proc;
    linux::__NR_sched_setparam, schedule::sched_setparam, (i32, UserAddr), Proc;
    linux::__NR_sched_get_priority_max, schedule::sched_get_priority_max, (u32), Stdio;
    linux::__NR_sched_get_priority_min, schedule::sched_get_priority_min, (u32), Stdio;
    linux::__NR_sched_rr_get_interval, schedule::sched_rr_get_interval, (i32, UserAddr), Stdio;
    linux::__NR_getpriority, schedule::getpriority, (u32, i32), Stdio;
    linux::__NR_setpriority, schedule::setpriority, (u32, i32, i32), Proc;
    linux::__NR_getcpu, schedule::getcpu, (Maybe, Maybe, Maybe), Stdio;
    // ---- memory
    linux::__NR_brk, memory::brk, (UserAddr), Stdio;
    linux::__NR_mmap, memory::mmap, (UserAddr, u64, Bits, Bits, Descriptor, u64), Stdio;
    linux::__NR_munmap, memory::munmap, (UserAddr, u64), Stdio;
    linux::__NR_mprotect, memory::mprotect, (UserAddr, u64, Bits), Stdio;
    linux::__NR_mremap, memory::mremap, (UserAddr, u64, u64, Bits, UserAddr), Stdio;
    linux::__NR_madvise, memory::madvise, (UserAddr, u64, u32), Stdio;
    linux::__NR_mincore, memory::mincore, (UserAddr, u64, UserAddr), Stdio;
    linux::__NR_msync, memory::msync, (UserAddr, u64, Bits), Stdio;
    linux::__NR_mlock, memory::mlock, (UserAddr, u64), Stdio;
    linux::__NR_mlock2, memory::mlock2, (UserAddr, u64, Bits), Stdio;
    linux::__NR_munlock, memory::munlock, (UserAddr, u64), Stdio;
    linux::__NR_mlockall, memory::mlockall, (Bits), Stdio;
    linux::__NR_munlockall, memory::munlockall, (), Stdio;
    linux::__NR_futex, futex::futex, (UserAddr, u32, u32, u64, UserAddr, u32), Stdio, whole;
    linux::__NR_set_robust_list, futex::set_robust_list, (Maybe, u64), Stdio;
    linux::__NR_get_robust_list, futex::get_robust_list, (i32, UserAddr, UserAddr), Stdio;
    // ---- clocks
    linux::__NR_clock_gettime, time::clock_gettime, (u32, UserAddr), Stdio;
    linux::__NR_clock_settime, time::clock_settime, (u32, UserAddr), Settime;
    linux::__NR_clock_getres, time::clock_getres, (u32, Maybe), Stdio;
    linux::__NR_clock_nanosleep, time::clock_nanosleep, (u32, Bits, UserAddr, Maybe), Stdio, whole;
    linux::__NR_nanosleep, time::nanosleep, (UserAddr, Maybe), Stdio, whole;
    linux::__NR_gettimeofday, time::gettimeofday, (Maybe, Maybe), Stdio;
    // ---- timers
    linux::__NR_getitimer, timer::getitimer, (u32, UserAddr), Stdio;
    linux::__NR_setitimer, timer::setitimer, (u32, Maybe, Maybe), Stdio;
    linux::__NR_timer_create, timer::timer_create, (u32, Maybe, UserAddr), Stdio;
    linux::__NR_timer_settime, timer::timer_settime, (i32, Bits, UserAddr, Maybe), Stdio;
    linux::__NR_timer_gettime, timer::timer_gettime, (i32, UserAddr), Stdio;
    linux::__NR_timer_getoverrun, timer::timer_getoverrun, (i32), Stdio;
    linux::__NR_timer_delete, timer::timer_delete, (i32), Stdio;
    linux::__NR_timerfd_create, timer::timerfd_create, (u32, Bits), Stdio;
    linux::__NR_timerfd_settime, timer::timerfd_settime, (Descriptor, Bits, UserAddr, Maybe), Stdio;
    linux::__NR_timerfd_gettime, timer::timerfd_gettime, (Descriptor, UserAddr), Stdio;
    // ---- the system
    linux::__NR_uname, system::uname, (UserAddr), Stdio;
    linux::__NR_sethostname, system::sethostname, (UserAddr, i32), Never;
    linux::__NR_setdomainname, system::setdomainname, (UserAddr, i32), Never;
    linux::__NR_syslog, system::syslog, (u32, UserAddr, i32), Never, whole;
    linux::__NR_membarrier, system::membarrier, (u32, Bits, i32), Stdio;
    linux::__NR_personality, system::personality, (u32), Stdio;
    linux::__NR_sysinfo, system::sysinfo, (UserAddr), Stdio;
    linux::__NR_getrandom, system::getrandom, (UserAddr, u64, Bits), Stdio;
    linux::__NR_reboot, system::reboot, (u32, u32, u32, Maybe), Never;
    // ---- OpenBSD's
    OPENBSD_BASE + 2, process::fork, (), Proc, whole;
    OPENBSD_BASE + 8, process::tfork, (UserAddr, u64), Stdio, whole;
    OPENBSD_BASE + 66, process::vfork, (), Proc, whole;
    OPENBSD_BASE + 250, memory::minherit, (UserAddr, u64, u32), Stdio;
    OPENBSD_BASE + 253, identity::issetugid, (), Stdio;
    OPENBSD_BASE + 299, identity::getthrid, (), Stdio;
};

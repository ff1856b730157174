//! Processors: which one, which ones, and registers across calls.

use std::arch::asm;

use bsd::Errno;

use crate::call::{call, input, int, output};
use crate::number;

/// The processor that the caller runs on, a moment ago.
///
/// # Errors
///
/// `NOSYS`.
pub fn current() -> Result<u32, Errno> {
    let mut cpu = 0_u32;
    // SAFETY: one number is stored.
    unsafe { call(number::GETCPU, [output(&mut cpu), 0, 0]) }?;
    Ok(cpu)
}

/// The processors that a thread (0: the caller) may run on, one bit each.
///
/// # Errors
///
/// `SRCH`.
pub fn affinity(tid: i32) -> Result<u64, Errno> {
    let mut mask = [0_u64; 16];
    // SAFETY: at most 128 bytes are stored.
    unsafe { call(number::SCHED_GETAFFINITY, [int(tid), size_of_val(&mask), output(&mut mask)]) }?;
    Ok(mask[0])
}

/// Sets them.
///
/// # Errors
///
/// `INVAL` when none of them is there, `SRCH`, `PERM`.
pub fn set_affinity(tid: i32, mask: u64) -> Result<(), Errno> {
    // SAFETY: 8 bytes are read.
    unsafe { call(number::SCHED_SETAFFINITY, [int(tid), size_of_val(&mask), input(&mask)]) }?;
    Ok(())
}

/// Lets others run.
///
/// # Errors
///
/// `NOSYS`.
pub fn yield_now() -> Result<(), Errno> {
    // SAFETY: no memory.
    unsafe { call(number::SCHED_YIELD, []) }?;
    Ok(())
}

/// What stands between filling the registers and looking at them again.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Across {
    /// A call that does next to nothing.
    NullCall,
    /// A call that switches threads.
    Yield,
    /// A fork: the registers of parent and child are looked at.
    Fork,
    /// The same after a call that switches threads.
    ForkAfterYield,
    /// So many rounds of a loop, long enough to be preempted.
    Loop(u64),
}

impl Across {
    /// The call, its first argument, and the rounds of a loop before it.
    const fn call(self) -> (usize, usize, u64) {
        const FORK_FLAGS: usize = 17;
        match self {
            Self::NullCall => (number::GETPPID, 0, 0),
            Self::Yield => (number::SCHED_YIELD, 0, 0),
            Self::Fork | Self::ForkAfterYield => (number::CLONE, FORK_FLAGS, 0),
            Self::Loop(rounds) => (number::GETPPID, 0, rounds),
        }
    }
}

/// Values for `v0` to `v31`.
fn values(seed: u64) -> [u64; 64] {
    let mut value = seed;
    [(); 64].map(|()| {
        value = value.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        value
    })
}

/// What the registers were afterwards.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Registers {
    /// What the call returned; 0 in the child of a fork.
    pub returned: isize,
    /// Whether `v0` to `v31` were what they had been.
    pub vectors_kept: bool,
    /// Whether `x1` to `x7` and `x9` to `x15` were.
    pub generals_kept: bool,
    /// Whether `FPCR` and `FPSR` were.
    pub control_kept: bool,
}

/// Fills the registers with values made from `seed`, does what is `across`, and looks at them again.
#[must_use]
pub fn registers(seed: u64, across: Across) -> Registers {
    let forks = matches!(across, Across::Fork | Across::ForkAfterYield);
    let (number, first, mut rounds) = across.call();
    let before = values(seed);
    // Arguments 1 to 4 of a fork have to be 0.
    let base = if forks { 0 } else { seed };
    let before_it = if across == Across::ForkAfterYield { number::SCHED_YIELD } else { 0 };
    let mut after = [0_u64; 64];
    let mut generals = [0_u64; 7];
    // Rounding towards zero, and the cumulative flags of inexact and underflow.
    let (control, status): (u64, u64) = (3 << 22, 0x18);
    let (control_after, status_after): (u64, u64);
    let returned: isize;
    // SAFETY: reads `before`, writes `after`, changes only the registers named; the control registers are put back. A
    // fork copies memory, so both processes may go on.
    unsafe {
        asm!(
            "mrs x20, fpcr",
            "mrs x21, fpsr",
            "msr fpcr, x22",
            "msr fpsr, x23",
            "ldp q0, q1, [x24]", "ldp q2, q3, [x24, #32]", "ldp q4, q5, [x24, #64]", "ldp q6, q7, [x24, #96]",
            "ldp q8, q9, [x24, #128]", "ldp q10, q11, [x24, #160]", "ldp q12, q13, [x24, #192]", "ldp q14, q15, [x24, #224]",
            "ldp q16, q17, [x24, #256]", "ldp q18, q19, [x24, #288]", "ldp q20, q21, [x24, #320]", "ldp q22, q23, [x24, #352]",
            "ldp q24, q25, [x24, #384]", "ldp q26, q27, [x24, #416]", "ldp q28, q29, [x24, #448]", "ldp q30, q31, [x24, #480]",
            "mov x9, x26", "mov x10, x26", "mov x11, x26", "mov x12, x26", "mov x13, x26", "mov x14, x26", "mov x15, x26",
            "2:",
            "cbz x27, 3f",
            "sub x27, x27, #1",
            "b 2b",
            "3:",
            "cbz x28, 4f",
            "mov x16, x0",
            "mov x17, x8",
            "mov x8, x28",
            "svc #0",
            "mov x0, x16",
            "mov x8, x17",
            "4:",
            "svc #0",
            "stp q0, q1, [x25]", "stp q2, q3, [x25, #32]", "stp q4, q5, [x25, #64]", "stp q6, q7, [x25, #96]",
            "stp q8, q9, [x25, #128]", "stp q10, q11, [x25, #160]", "stp q12, q13, [x25, #192]", "stp q14, q15, [x25, #224]",
            "stp q16, q17, [x25, #256]", "stp q18, q19, [x25, #288]", "stp q20, q21, [x25, #320]", "stp q22, q23, [x25, #352]",
            "stp q24, q25, [x25, #384]", "stp q26, q27, [x25, #416]", "stp q28, q29, [x25, #448]", "stp q30, q31, [x25, #480]",
            "mrs x22, fpcr",
            "mrs x23, fpsr",
            "msr fpcr, x20",
            "msr fpsr, x21",
            inlateout("x0") first => returned,
            inlateout("x1") base => generals[0],
            inlateout("x2") base => generals[1],
            inlateout("x3") base => generals[2],
            inlateout("x4") base => generals[3],
            inlateout("x5") base => generals[4],
            inlateout("x6") base => generals[5],
            inlateout("x7") base => generals[6],
            in("x8") number,
            lateout("x9") _, lateout("x10") _, lateout("x11") _, lateout("x12") _, lateout("x13") _, lateout("x14") _,
            lateout("x15") _, lateout("x16") _, lateout("x17") _,
            out("x20") _, out("x21") _,
            inlateout("x22") control => control_after,
            inlateout("x23") status => status_after,
            in("x24") before.as_ptr(),
            in("x25") after.as_mut_ptr(),
            in("x26") base,
            inout("x27") rounds,
            in("x28") before_it,
            out("v0") _, out("v1") _, out("v2") _, out("v3") _, out("v4") _, out("v5") _, out("v6") _, out("v7") _,
            out("v8") _, out("v9") _, out("v10") _, out("v11") _, out("v12") _, out("v13") _, out("v14") _, out("v15") _,
            out("v16") _, out("v17") _, out("v18") _, out("v19") _, out("v20") _, out("v21") _, out("v22") _, out("v23") _,
            out("v24") _, out("v25") _, out("v26") _, out("v27") _, out("v28") _, out("v29") _, out("v30") _, out("v31") _,
            options(nostack),
        );
    }
    Registers {
        returned,
        vectors_kept: before == after,
        generals_kept: rounds == 0 && generals.iter().all(|&general| general == base),
        control_kept: (control_after, status_after) == (control, status),
    }
}

/// `uname`: system, node, release, version, machine, domain.
///
/// # Errors
///
/// `NOSYS`.
pub fn names() -> Result<[String; 6], Errno> {
    let mut names = [[0_u8; 65]; 6];
    // SAFETY: six names of 65 bytes are stored.
    unsafe { call(number::UNAME, [output(&mut names)]) }?;
    Ok(names.map(|name| String::from_utf8_lossy(name.split(|&byte| byte == 0).next().unwrap_or(&[])).into_owned()))
}

/// `sethostname`
///
/// # Errors
///
/// `PERM` unless root; `INVAL` for more than 64 bytes.
pub fn set_node_name(name: &str) -> Result<(), Errno> {
    // SAFETY: the name's bytes are read.
    unsafe { call(number::SETHOSTNAME, [name.as_ptr().expose_provenance(), name.len()]) }.map(drop)
}

/// `syslog` with `SYSLOG_ACTION_READ_ALL`: the end of what the kernel said, as much as `buffer` holds. Returns how many bytes.
///
/// # Errors
///
/// `NOSYS`.
pub fn kernel_lines(buffer: &mut [u8]) -> Result<usize, Errno> {
    const READ_ALL: usize = 3;
    // SAFETY: at most the buffer's bytes are stored.
    unsafe { call(number::SYSLOG, [READ_ALL, buffer.as_mut_ptr().expose_provenance(), buffer.len()]) }
}

/// `syslog` with any action.
///
/// # Errors
///
/// As of the call.
pub fn log(action: usize, buffer: &mut [u8]) -> Result<usize, Errno> {
    // SAFETY: at most the buffer's bytes are stored.
    unsafe { call(number::SYSLOG, [action, buffer.as_mut_ptr().expose_provenance(), buffer.len()]) }
}

/// `syslog` with `SYSLOG_ACTION_CLEAR`: what the kernel said until now is not shown any more.
///
/// # Errors
///
/// `PERM` unless root.
pub fn clear_kernel_lines() -> Result<(), Errno> {
    const CLEAR: usize = 5;
    // SAFETY: no memory is named.
    unsafe { call(number::SYSLOG, [CLEAR, 0, 0]) }.map(drop)
}

/// `sysinfo`: bytes of memory, and of free memory.
///
/// # Errors
///
/// `NOSYS`.
pub fn memory() -> Result<(u64, u64), Errno> {
    let mut info = [0_u64; 14];
    // SAFETY: `struct sysinfo` has 112 bytes.
    unsafe { call(number::SYSINFO, [output(&mut info)]) }?;
    // The unit stands in the 32 bits that end the structure.
    let unit = (info[13] & 0xffff_ffff).max(1);
    Ok((info[4].saturating_mul(unit), info[5].saturating_mul(unit)))
}

/// Fills a buffer with random bytes.
///
/// # Errors
///
/// As of `getrandom`.
pub fn random(buffer: &mut [u8]) -> Result<usize, Errno> {
    // SAFETY: at most the buffer's bytes are stored.
    unsafe { call(number::GETRANDOM, [buffer.as_mut_ptr().expose_provenance(), buffer.len(), 0]) }
}

//! Every call with every kind of bad pointer: it returns, and the kernel stores nothing where the program may not.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::fd::AsRawFd as _;
use std::time::Duration;

use sys::Mapping;
use sys::memory::{PAGE, Protection};
use sys::sacrifice::{Attempt, End, Outcome, sacrifice};

use crate::expect::{Checked, Failure, ensure, equal};

super::tests!("hostile": linux_calls, openbsd_calls, clone_with_bad_pointers, calls_that_read_or_write_answer_efault, calls_on_the_edge_of_a_mapping);

/// What is at fault with an address.
const NULL: usize = 0;
/// The end of the user half.
const USER_END: usize = 1 << 39;

/// Calls that end, stop or reboot something, wait for ever when they succeed, or signal others.
const NOT_SURVIVABLE: &[usize] = &[
    58,  // vhangup
    72,  // pselect6
    73,  // ppoll
    93,  // exit
    94,  // exit_group
    98,  // futex
    129, // kill
    130, // tkill
    131, // tgkill
    133, // rt_sigsuspend
    137, // rt_sigtimedwait
    138, // rt_sigqueueinfo
    139, // rt_sigreturn
    142, // reboot
    220, // clone: has a test of its own
    240, // rt_tgsigqueueinfo
    424, // pidfd_send_signal
    449, // futex_waitv
];

/// Calls that change the caller's own memory, or what it may do: it may die of them, the kernel may not.
const MAY_END_THE_CALLER: &[usize] = &[
    117,    // ptrace: TRACEME
    164,    // setrlimit
    167,    // prctl
    214,    // brk
    215,    // munmap
    216,    // mremap
    222,    // mmap
    226,    // mprotect
    233,    // madvise
    234,    // remap_file_pages
    277,    // seccomp: strict
    0x10fa, // minherit
];

/// It gives up all memory where it is asked to (`MADV_FREE` of everything), the constant with it. Whether the caller survives
/// that long enough to see it depends on what the compiler keeps in registers.
const MADVISE: usize = 233;

/// One after the last of Linux's numbers.
const LINUX_END: usize = 461;
/// OpenBSD's numbers, and the counters.
const OPENBSD: std::ops::Range<usize> = 0x1002..0x1150;
const COUNTERS: usize = 0x1f00;
/// How long a call may take.
const PATIENCE: Duration = Duration::from_secs(5);

fn linux_calls() -> Checked {
    (0..LINUX_END).try_for_each(attack)
}

fn openbsd_calls() -> Checked {
    OPENBSD.chain([COUNTERS]).try_for_each(attack)
}

/// Memory at whose edges things go wrong.
struct Ground {
    /// A page that can be written, and then one that cannot even be read.
    edge: Mapping,
    /// A page that can only be read, full of [`MARK`].
    constant: Mapping,
}

const MARK: u8 = 0x5a;

impl Ground {
    fn new() -> Result<Self, Failure> {
        let edge = Mapping::private(2 * PAGE)?;
        edge.protect(PAGE, PAGE, Protection::NONE)?;
        let constant = Mapping::private(PAGE)?;
        (0..PAGE).for_each(|offset| constant.write(offset, MARK));
        constant.protect(0, PAGE, Protection::READ)?;
        Ok(Self { edge, constant })
    }

    fn bad_addresses(&self) -> Vec<usize> {
        let edge = self.edge.address();
        vec![
            NULL,
            1,
            PAGE,
            PAGE + 3,
            edge + 1,
            edge + PAGE - 1,
            edge + PAGE - 4,
            edge + PAGE,
            self.constant.address(),
            USER_END - 4,
            USER_END,
            1 << 48,
            0x00ff_ffff_ffff_f000,
            0x8000_0000_0000_0000,
            0xffff_ff80_0008_0000,
            0xffff_ffff_8008_0000,
            0xffff_ffff_ffff_fff0,
            usize::MAX,
        ]
    }

    /// Has a child make the calls, with nothing to wait for at its standard descriptors. It ends with 0 when the constant
    /// is what it was.
    fn sacrifice(&self, calls: &[Attempt]) -> Result<Outcome, Failure> {
        let quiet = own_device("/dev/null", 3)?;
        let prepare = || {
            // What cannot be replaced stays: then a read may wait, and shows.
            let _ = sys::file::replace_standard(&quiet);
        };
        Ok(sacrifice(calls, PATIENCE, prepare, || i32::from(!self.is_intact()))?)
    }

    fn is_intact(&self) -> bool {
        (0..PAGE).all(|offset| self.constant.read(offset) == MARK)
    }
}

/// `/dev/null` (minor number 3) or `/dev/zero` (5) by a node of one's own: calls that change it shall not change what others have.
fn own_device(name: &str, minor: usize) -> io::Result<File> {
    const PATH: &str = "/tmp/hostile-device";
    const MEMORY: usize = 1 << 8;
    let _ = fs::remove_file(PATH);
    if sys::names::make_node(c"/tmp/hostile-device", 0o020_600, MEMORY | minor).is_err() {
        return OpenOptions::new().read(true).write(true).open(name);
    }
    let file = OpenOptions::new().read(true).write(true).open(PATH);
    fs::remove_file(PATH)?;
    file
}

/// Every arrangement of one bad address that is worth trying.
fn arrangements(number: usize, bad: usize, descriptor: usize, fine: usize) -> impl Iterator<Item = Attempt> {
    /// Relative to the current directory.
    const AT_FDCWD: usize = 0usize.wrapping_sub(100);
    let all = [
        [bad; 6],
        [0, bad, 8, bad, bad, bad],
        [descriptor, bad, 64, bad, bad, bad],
        [descriptor, bad, 0, 0, 0, 0],
        [AT_FDCWD, bad, 0, bad, bad, bad],
        [AT_FDCWD, bad, bad, 128, 0, 0],
        [bad, 8, bad, 8, bad, 8],
        [bad, 0, 0, 0, 0, 0],
        [1, bad, bad, bad, bad, 8],
        [1, bad, bad, 8, bad, 0],
        [descriptor, fine, usize::MAX, bad, 0, 0],
        [fine, usize::MAX, bad, 0, 0, 0],
    ];
    all.into_iter().map(move |arguments| Attempt { number, arguments })
}

/// Tries everything on one call.
fn attack(number: usize) -> Checked {
    if NOT_SURVIVABLE.contains(&number) {
        return Ok(());
    }
    let ground = Ground::new()?;
    let zero = own_device("/dev/zero", 5)?;
    let descriptor = usize::try_from(zero.as_raw_fd()).unwrap_or(0);
    let fine = ground.edge.address();
    let attempts: Vec<Attempt> =
        ground.bad_addresses().into_iter().flat_map(|bad| arrangements(number, bad, descriptor, fine)).collect();
    let mut rest = &attempts[..];
    while !rest.is_empty() {
        let outcome = ground.sacrifice(rest)?;
        let arguments = rest.get(outcome.returned.len()).map(|attempt| attempt.arguments);
        match outcome.end {
            End::Done(status) => {
                let is_intact = status.success() || number == MADVISE;
                return ensure(is_intact, &format!("call {number} wrote to a constant"));
            }
            End::Died(_) if MAY_END_THE_CALLER.contains(&number) => rest = &rest[outcome.returned.len() + 1..],
            End::Died(status) => return Err(Failure::new(format!("call {number} {arguments:x?}: {status}"))),
            End::Hung => return Err(Failure::new(format!("call {number} {arguments:x?}: does not return"))),
        }
    }
    Ok(())
}

fn clone_with_bad_pointers() -> Checked {
    const CLONE: usize = 220;
    const SIGCHLD: usize = 17;
    const PARENT_SETTID: usize = 0x10_0000;
    const CHILD_SETTID_AND_CLEARTID: usize = 0x0100_0000 | 0x20_0000;
    const SETTLS: usize = 0x8_0000;
    let ground = Ground::new()?;
    for bad in ground.bad_addresses() {
        // A child may not come to life, or die at once: its parent goes on in any case.
        let calls = [
            [SIGCHLD | PARENT_SETTID, 0, bad, 0, 0, 0],
            [SIGCHLD | CHILD_SETTID_AND_CLEARTID, 0, 0, 0, bad, 0],
            [SIGCHLD | SETTLS, 0, 0, bad, 0, 0],
            [SIGCHLD, bad & !0xf, 0, 0, 0, 0],
            [SIGCHLD, 0, bad, bad, bad, bad],
        ];
        let outcome = ground.sacrifice(&calls.map(|arguments| Attempt { number: CLONE, arguments }))?;
        match outcome.end {
            End::Done(status) => ensure(status.success(), "a constant changed")?,
            other => return Err(Failure::new(format!("{bad:#x}: {other:?}"))),
        }
    }
    Ok(())
}

const UNAME: usize = 160;

fn calls_that_read_or_write_answer_efault() -> Checked {
    const EFAULT: i32 = -14;
    let ground = Ground::new()?;
    let file = File::open("/etc/motd")?;
    let root = File::open("/")?;
    let (file, root) = (usize::try_from(file.as_raw_fd()).unwrap_or(0), usize::try_from(root.as_raw_fd()).unwrap_or(0));
    let here = 0usize.wrapping_sub(100);
    let bad = [PAGE, ground.edge.address() + PAGE, USER_END, 0xffff_ff80_0008_0000, usize::MAX - 0xfff];
    for bad in bad {
        let calls: &[(usize, [usize; 6])] = &[
            (63, [file, bad, 16, 0, 0, 0]),   // read
            (65, [file, bad, 1, 0, 0, 0]),    // readv
            (61, [root, bad, 512, 0, 0, 0]),  // getdents64
            (56, [here, bad, 0, 0, 0, 0]),    // openat
            (79, [here, bad, bad, 0, 0, 0]),  // newfstatat
            (80, [file, bad, 0, 0, 0, 0]),    // fstat
            (78, [here, bad, bad, 64, 0, 0]), // readlinkat
            (17, [bad, 64, 0, 0, 0, 0]),      // getcwd
            (113, [1, bad, 0, 0, 0, 0]),      // clock_gettime
            (101, [bad, 0, 0, 0, 0, 0]),      // nanosleep
            (UNAME, [bad, 0, 0, 0, 0, 0]),    // uname
            (179, [bad, 0, 0, 0, 0, 0]),      // sysinfo
            (261, [0, 7, 0, bad, 0, 0]),      // prlimit64
            (261, [0, 7, bad, 0, 0, 0]),      // prlimit64
            (278, [bad, 16, 0, 0, 0, 0]),     // getrandom
            (134, [10, bad, 0, 8, 0, 0]),     // rt_sigaction
            (134, [10, 0, bad, 8, 0, 0]),     // rt_sigaction
            (135, [0, bad, 0, 8, 0, 0]),      // rt_sigprocmask
            (123, [0, 128, bad, 0, 0, 0]),    // sched_getaffinity
            (122, [0, 8, bad, 0, 0, 0]),      // sched_setaffinity
            (165, [0, bad, 0, 0, 0, 0]),      // getrusage
            (221, [bad, bad, bad, 0, 0, 0]),  // execve
            (49, [bad, 0, 0, 0, 0, 0]),       // chdir
        ];
        for &(number, arguments) in calls {
            let outcome = ground.sacrifice(&[Attempt { number, arguments }])?;
            equal((number, bad, &outcome.returned[..]), (number, bad, &[EFAULT][..]))?;
        }
    }
    Ok(())
}

fn calls_on_the_edge_of_a_mapping() -> Checked {
    const EFAULT: i32 = -14;
    let ground = Ground::new()?;
    let end = ground.edge.address() + PAGE;
    // `struct utsname` has 390 bytes: the last place that is right, the first that is not, and a constant.
    let call = |address| Attempt { number: UNAME, arguments: [address, 0, 0, 0, 0, 0] };
    let calls = [call(end - 390), call(end - 389), call(end - 1), call(ground.constant.address())];
    let outcome = ground.sacrifice(&calls)?;
    equal(&outcome.returned[..], &[0, EFAULT, EFAULT, EFAULT][..])?;
    match outcome.end {
        End::Done(status) => ensure(status.success(), "a constant changed"),
        other => Err(Failure::new(format!("{other:?}"))),
    }
}

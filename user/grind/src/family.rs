//! Children and threads.

use std::ffi::{CStr, CString};
use std::os::unix::process::ExitStatusExt as _;
use std::process::ExitStatus;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use sys::process::{self, Signal, Which, exec, kill, option, spawn, wait, wait_for};
use sys::random::Random;
use sys::sync::{self, Scope};
use sys::{Errno, Forked, Pid, machine, thread, time};

use crate::wrong::{Checked, Wrong, ensure, unless_short};

/// The argument with which this program executes itself, and ends with [`leaf_status`] of the next one.
pub(crate) const LEAF: &str = "--leaf";
/// Children that are not waited for, at most.
const MOST: usize = 8;

/// What a child must end with.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Expected {
    Status(i32),
    Signal(Signal),
}

/// The children of a process.
#[derive(Default)]
pub(crate) struct Family {
    children: Vec<(Pid, Expected)>,
}

/// What the executed program ends with.
pub(crate) fn leaf_status(number: u64) -> u8 {
    u8::try_from(number % 97).unwrap_or(0) + 1
}

impl Family {
    /// Does something with children or threads, but for forks that go on like their parents ([`adopt`](Self::adopt)).
    pub(crate) fn act(&mut self, random: &mut Random) -> Checked {
        match random.below(12) {
            0 | 1 => self.exec(random),
            2 => self.sleeper(random),
            3 => self.vfork(random),
            4 => self.openbsd(random),
            5 => threads(random),
            6 => self.group(random),
            7 => {
                machine::yield_now()?;
                Ok(())
            }
            8 => {
                let answer = wait_for(Which::Pid(Pid(1)), option::NOHANG);
                ensure(answer.err() == Some(Errno::CHILD), "the first process is a child")
            }
            _ => self.wait_for_one(random),
        }
    }

    /// Remembers a child that ends with this status.
    pub(crate) fn adopt(&mut self, pid: Pid, status: i32) -> Checked {
        self.remember(pid, Expected::Status(status))
    }

    fn remember(&mut self, pid: Pid, expected: Expected) -> Checked {
        let twice = self.children.iter().any(|&(other, _)| other == pid);
        self.children.push((pid, expected));
        ensure(!twice, &format!("pid {pid} twice"))?;
        if self.children.len() > MOST { self.wait_for(0) } else { Ok(()) }
    }

    fn wait_for_one(&mut self, random: &mut Random) -> Checked {
        if self.children.is_empty() {
            return ensure(wait(Which::Any).err() == Some(Errno::CHILD), "a child that nobody made");
        }
        if random.one_in(3) {
            // Whoever it is.
            let Some((pid, status)) = wait_for(Which::Any, option::NOHANG)? else { return Ok(()) };
            let index = self.children.iter().position(|&(child, _)| child == pid);
            let index = index.ok_or_else(|| Wrong::new(format!("{pid} is no child")))?;
            let (_, expected) = self.children.swap_remove(index);
            return judge(pid, status, expected);
        }
        self.wait_for(random.below(self.children.len()))
    }

    fn wait_for(&mut self, index: usize) -> Checked {
        let (pid, expected) = self.children.swap_remove(index);
        let (_, status) = wait(Which::Pid(pid))?;
        judge(pid, status, expected)
    }

    /// Waits for all.
    pub(crate) fn clear(&mut self) -> Checked {
        while !self.children.is_empty() {
            self.wait_for(0)?;
        }
        ensure(wait(Which::Any).err() == Some(Errno::CHILD), "a child that nobody made")
    }

    /// The children belong to somebody else: this is a child itself.
    pub(crate) fn forget(&mut self) {
        self.children.clear();
    }

    fn exec(&mut self, random: &mut Random) -> Checked {
        let number = random.next();
        if let Some(pid) = unless_short(spawn(|| become_leaf(number)))? {
            self.remember(pid, Expected::Status(leaf_status(number).into()))?;
        }
        Ok(())
    }

    /// A child that sleeps until a signal ends it.
    fn sleeper(&mut self, random: &mut Random) -> Checked {
        let signal = [Signal::TERM, Signal::KILL, Signal::INT][random.below(3)];
        let stop_first = random.one_in(2);
        let endless = || loop {
            if time::sleep(Duration::from_secs(1000)) == Err(Errno::NOSYS) {
                let _ = machine::yield_now();
            }
        };
        let Some(pid) = unless_short(spawn(endless))? else { return Ok(()) };
        if stop_first {
            kill(pid.0, Signal::STOP)?;
            kill(pid.0, Signal::CONT)?;
        }
        kill(pid.0, signal)?;
        self.remember(pid, Expected::Signal(signal))
    }

    fn vfork(&mut self, random: &mut Random) -> Checked {
        let status = i32::from(random.byte());
        let mut seen = 0;
        let exec_it = random.one_in(2);
        let number = random.next();
        let child = thread::shared_vfork(|| {
            seen = status;
            if exec_it { become_leaf(number) } else { status }
        });
        if let Some(pid) = unless_short(child)? {
            ensure(seen == status, "the child's store is lost")?;
            let status = if exec_it { leaf_status(number).into() } else { status };
            self.remember(pid, Expected::Status(status))?;
        }
        Ok(())
    }

    fn openbsd(&mut self, random: &mut Random) -> Checked {
        let status = i32::from(random.byte());
        match random.below(3) {
            0 => {
                if let Some(thread) = unless_short(thread::tfork())? {
                    ensure(thread.stored == thread.returned.0, "the number that was stored")?;
                }
                return Ok(());
            }
            which => match unless_short(if which == 1 { bsd::fork() } else { bsd::vfork() })? {
                Some(Forked::Child) => process::exit(status),
                Some(Forked::Parent(pid)) => self.remember(pid, Expected::Status(status))?,
                None => {}
            },
        }
        Ok(())
    }

    fn group(&mut self, random: &mut Random) -> Checked {
        let Some(&(pid, _)) = self.children.last() else { return Ok(()) };
        // It may have executed something, or be gone.
        match process::set_group(pid, if random.one_in(2) { pid } else { Pid(0) }) {
            Ok(()) | Err(Errno::ACCES | Errno::SRCH | Errno::PERM) => Ok(()),
            Err(errno) => Err(errno.into()),
        }
    }
}

fn judge(pid: Pid, status: ExitStatus, expected: Expected) -> Checked {
    let right = match expected {
        Expected::Status(expected) => status.code() == Some(expected),
        Expected::Signal(signal) => status.signal() == Some(signal.0),
    };
    ensure(right, &format!("{pid}: {status}, not {expected:?}"))
}

/// Becomes this program, as a leaf. The status if that fails.
fn become_leaf(number: u64) -> i32 {
    let path = process::own_path();
    let Ok(number) = CString::new(number.to_string()) else { return 255 };
    let arguments: [&CStr; 3] = [&path, c"--leaf", &number];
    exec(&path, &arguments, &[]);
    255
}

/// Threads that add to a word and wait for each other. They are joined: a scope waits until their work is done, but a fork
/// while one of them still holds a lock of the library as it ends would leave the child with that lock held for ever.
fn threads(random: &mut Random) -> Checked {
    let count = 1 + u32::try_from(random.below(4)).unwrap_or(0);
    let (sum, gate) = (AtomicU32::new(0), AtomicU32::new(0));
    std::thread::scope(|scope| {
        let work = || {
            sync::wait_while(&gate, 0, Scope::Private);
            sum.fetch_add(1, Ordering::SeqCst);
        };
        let threads = (0..count).filter_map(|_| std::thread::Builder::new().spawn_scoped(scope, work).ok());
        let threads: Vec<_> = threads.collect();
        let timeout = Some(Duration::from_micros(random.next() % 300));
        let answer = sync::wait(&gate, 0, timeout, Scope::Private);
        sync::set(&gate, 1, Scope::Private);
        ensure(!matches!(answer, Err(Errno::AGAIN | Errno::FAULT)), "a wait")?;
        let (made, joined) = (threads.len(), threads.into_iter().filter_map(|thread| thread.join().ok()).count());
        ensure(joined == made, "a thread panicked")?;
        Ok::<usize, Wrong>(made)
    })
    .and_then(|made| ensure(usize::try_from(sum.load(Ordering::SeqCst)) == Ok(made), "a thread did nothing"))
}

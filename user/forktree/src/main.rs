//! Forks a tree of processes and waits for it: `forktree [LEVELS [WIDTH]]`, 3 and 3 unless said otherwise.
//!
//! Each process prints one line, forks its children, waits for them and ends with the number of processes of its
//! subtree, modulo [`MODULUS`], as its status. A parent knows that number, so a subtree that is lost anywhere shows.

use std::process::{ExitCode, ExitStatus};

use sys::process::{self, Which};
use sys::{Errno, Pid};

/// A status has eight bits; those above are for what went wrong.
const MODULUS: u64 = 101;
/// Status of a process that found something wrong.
const WRONG: i32 = 200;

#[derive(Clone, Copy)]
struct Tree {
    levels: u32,
    width: u32,
}

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1).map(|argument| argument.parse());
    let (Ok(levels), Ok(width)) = (arguments.next().unwrap_or(Ok(3)), arguments.next().unwrap_or(Ok(3))) else {
        eprintln!("usage: forktree [LEVELS [WIDTH]]");
        return ExitCode::from(2);
    };
    let tree = Tree { levels, width };
    match tree.grow(0) {
        Ok(()) => {
            println!("forktree: {} processes", tree.processes(0));
            ExitCode::SUCCESS
        }
        Err(wrong) => {
            println!("forktree: {wrong}");
            ExitCode::FAILURE
        }
    }
}

impl Tree {
    /// How many processes the subtree of a process at `level` has.
    fn processes(self, level: u32) -> u64 {
        (level..self.levels).rev().fold(0, |below, _| 1 + u64::from(self.width) * below)
    }

    /// What a process at `level` ends with.
    fn status(self, level: u32) -> i32 {
        i32::try_from(self.processes(level) % MODULUS).unwrap_or(WRONG)
    }

    /// Makes everything below the calling process, which is at `level`, and waits for it.
    fn grow(self, level: u32) -> Result<(), Wrong> {
        println!(
            "{:indent$}pid {} parent {} level {level}",
            "",
            process::pid(),
            process::parent(),
            indent = 2 * level as usize
        );
        if level + 1 >= self.levels {
            return Ok(());
        }
        let children: Result<Vec<Pid>, Errno> = (0..self.width).map(|_| self.spawn(level + 1)).collect();
        let mut children = children.map_err(Wrong::Fork)?;
        while !children.is_empty() {
            let (pid, status) = process::wait(Which::Any).map_err(Wrong::Wait)?;
            let index = children.iter().position(|&child| child == pid).ok_or(Wrong::Stranger(pid))?;
            children.swap_remove(index);
            if status.code() != Some(self.status(level + 1)) {
                return Err(Wrong::Status(pid, status));
            }
        }
        Ok(())
    }

    fn spawn(self, level: u32) -> Result<Pid, Errno> {
        let parent = process::pid();
        process::spawn(|| {
            let wrong = if process::parent() == parent { self.grow(level).err() } else { Some(Wrong::Parent(parent)) };
            match wrong {
                None => self.status(level),
                Some(wrong) => {
                    println!("forktree: pid {}: {wrong}", process::pid());
                    WRONG
                }
            }
        })
    }
}

/// What a process found.
enum Wrong {
    Fork(Errno),
    Wait(Errno),
    Parent(Pid),
    Stranger(Pid),
    Status(Pid, ExitStatus),
}

impl std::fmt::Display for Wrong {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Fork(errno) => write!(f, "fork: {errno}"),
            Self::Wait(errno) => write!(f, "wait: {errno}"),
            Self::Parent(parent) => write!(f, "the parent is not {parent}"),
            Self::Stranger(pid) => write!(f, "{pid} ended, but is no child"),
            Self::Status(pid, status) => write!(f, "{pid} ended with {status}"),
        }
    }
}

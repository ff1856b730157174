//! A process that draws what it does.

use std::time::Instant;

use sys::process::{self, spawn};
use sys::random::Random;

use crate::Until;
use crate::family::Family;
use crate::files::Files;
use crate::memory::Memory;
use crate::wrong::{Checked, unless_short};

/// Forks within forks, at most.
const DEPTH: u32 = 2;
/// What a child of a worker draws before it ends.
const CHILDS_CALLS: u64 = 30;
/// What a worker ends with that found something wrong.
const WRONG: i32 = 1;

/// The state of a process, and what it knows of it.
pub(crate) struct Worker {
    random: Random,
    memory: Memory,
    files: Files,
    family: Family,
    depth: u32,
}

impl Worker {
    pub(crate) fn new(random: Random) -> Self {
        Self { random, memory: Memory::default(), files: Files::new(), family: Family::default(), depth: 0 }
    }

    /// Goes on until it is time to end; the status to end with.
    pub(crate) fn run(mut self, until: Until) -> i32 {
        match self.go_on(until) {
            Ok(()) => 0,
            Err(wrong) => {
                println!("grind: pid {}: {wrong}", process::pid());
                WRONG
            }
        }
    }

    fn go_on(&mut self, until: Until) -> Checked {
        let mut done = 0;
        while match until {
            Until::Count(count) => done < count,
            Until::Moment(moment) => Instant::now() < moment,
        } {
            self.act()?;
            done += 1;
        }
        self.memory.check()?;
        self.family.clear()?;
        self.memory.check()?;
        self.memory.clear();
        self.files.clear();
        Ok(())
    }

    fn act(&mut self) -> Checked {
        match self.random.below(20) {
            0..11 => self.memory.act(&mut self.random),
            11..14 => self.files.act(&mut self.random),
            14..18 => self.family.act(&mut self.random),
            _ => self.fork(),
        }
    }

    /// Makes a child that knows all its parent knows, and goes on for a while.
    fn fork(&mut self) -> Checked {
        if self.depth == DEPTH {
            return self.memory.check();
        }
        let seed = self.random.next();
        let status = i32::from(self.random.byte());
        let calls = self.random.next() % CHILDS_CALLS;
        let child = spawn(|| {
            self.random = Random::new(seed);
            self.depth += 1;
            self.family.forget();
            // Offsets are shared with the parent, and no two processes here agree on them.
            self.files.clear();
            let outcome = self.memory.check().and_then(|()| self.go_on(Until::Count(calls)));
            match outcome {
                Ok(()) => status,
                Err(wrong) => {
                    println!("grind: pid {}: {wrong}", process::pid());
                    0
                }
            }
        });
        match unless_short(child)? {
            Some(pid) => self.family.adopt(pid, status),
            None => Ok(()),
        }
    }
}

//! Programs arrive in memory as their files say, and when they do not, nothing is lost.

#![expect(clippy::arithmetic_side_effects, clippy::indexing_slicing, reason = "a test that overflows fails")]

mod interpreters;
mod memory;
mod programs;

use std::cell::Cell;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::vec::Vec;

use super::{ExecError, Executable, Loaded, ReadError, Request, WriteExecute, load};
use crate::addr::{Asid, PAGE_SIZE, PhysFrame, UserAddr};
use crate::elf::fake::Program;
use crate::elf::stack::{Arguments, Identity, total_limit};
use crate::vm::fake::{FakeFile, Machine};
use crate::vm::{Limits, Pager, Space};

/// Files by path, and a machine to run them.
struct Disk {
    machine: &'static Machine,
    files: BTreeMap<Vec<u8>, File>,
}

#[derive(Clone)]
struct File {
    contents: Arc<Vec<u8>>,
    pager: Option<Arc<FakeFile>>,
    broken: bool,
    identity: Identity,
}

/// There is no such file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Missing;

type Failed = ExecError<Missing>;

const NOBODY: Identity = Identity { uid: 7, effective_uid: 7, gid: 8, effective_gid: 8, is_secure: false };

impl Executable for File {
    fn read_at(&self, offset: u64, to: &mut [u8]) -> Result<usize, ReadError> {
        if self.broken {
            return Err(ReadError::Io);
        }
        let rest = usize::try_from(offset).ok().and_then(|offset| self.contents.get(offset..)).unwrap_or_default();
        let bytes = rest.len().min(to.len());
        to[..bytes].copy_from_slice(&rest[..bytes]);
        Ok(bytes)
    }

    fn pager(&self) -> Option<Arc<dyn Pager>> {
        self.pager.clone().map(|pager| pager as Arc<dyn Pager>)
    }

    fn bytes(&self) -> u64 {
        u64::try_from(self.contents.len()).unwrap()
    }
}

/// What a test wants otherwise.
struct Options<'a> {
    arguments: &'a [&'a str],
    environment: &'a [&'a str],
    limits: Limits,
    write_execute: WriteExecute,
    /// What all random numbers are made of.
    chance: u64,
    /// What all programs have.
    kernel_object: Option<Arc<dyn Pager>>,
}

impl Default for Options<'_> {
    fn default() -> Self {
        let (arguments, environment) = (&["name", "argument"][..], &["A=b"][..]);
        let (limits, write_execute) = (Limits::DEFAULT, WriteExecute::Refused);
        Self { arguments, environment, limits, write_execute, chance: 0, kernel_object: None }
    }
}

impl Disk {
    fn new() -> Self {
        Self { machine: Machine::plain(), files: BTreeMap::new() }
    }

    fn with(mut self, path: &str, contents: &[u8]) -> Self {
        let pager = Some(FakeFile::with_contents(self.machine, contents));
        let file = File { contents: Arc::new(contents.to_vec()), pager, broken: false, identity: NOBODY };
        self.files.insert(path.as_bytes().to_vec(), file);
        self
    }

    fn with_program(self, path: &str, program: &Program) -> Self {
        self.with(path, &program.link())
    }

    fn file(&mut self, path: &str) -> &mut File {
        self.files.get_mut(path.as_bytes()).unwrap()
    }

    fn open(&self, path: &[u8]) -> Result<File, Missing> {
        self.files.get(path).cloned().ok_or(Missing)
    }

    fn load(&self, path: &str) -> Result<Loaded<File>, Failed> {
        self.load_with(path, &Options::default())
    }

    fn load_with(&self, path: &str, options: &Options<'_>) -> Result<Loaded<File>, Failed> {
        let mut arguments = Arguments::new(total_limit(options.limits.stack));
        for argument in options.arguments {
            arguments.push(argument.as_bytes()).unwrap();
        }
        arguments.begin_environment();
        for variable in options.environment {
            arguments.push(variable.as_bytes()).unwrap();
        }
        let state = Cell::new(options.chance);
        let mut uniform = |bound: u64| {
            state.set(state.get().wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(options.chance));
            (state.get() >> 33) % bound
        };
        let request = Request {
            path: path.as_bytes(),
            arguments,
            identity: &|file: &File| file.identity,
            hardware: [0x3, 0],
            random: [0x5a; 16],
            uniform: &mut uniform,
            limits: options.limits,
            write_execute: options.write_execute,
            kernel_object: options.kernel_object.clone(),
            tag: Asid(1),
        };
        load(self.machine, self.open(path.as_bytes())?, request, &mut |path| self.open(path))
    }

    /// Pages and tables that are out.
    fn out(&self) -> (BTreeMap<PhysFrame, u32>, usize) {
        (self.machine.pages(), self.machine.lab.tables.used().len())
    }

    /// The failure, which has cost nothing.
    fn refused(&self, path: &str, options: &Options<'_>) -> Failed {
        let before = self.out();
        let error = match self.load_with(path, options) {
            Ok(loaded) => panic!("{} was loaded", loaded.name),
            Err(error) => error,
        };
        assert_eq!(self.out(), before);
        error
    }

    /// Ends a program, and proves that nothing is left of it or of the files.
    fn finish(self, loaded: Loaded<File>) {
        loaded.space.destroy(self.machine);
        let machine = self.machine;
        drop((self.files, loaded.file));
        machine.expect_empty();
    }
}

impl From<Missing> for Failed {
    fn from(error: Missing) -> Self {
        Self::Open(error)
    }
}

/// A program's memory, as it sees it.
struct Memory<'a> {
    machine: &'static Machine,
    space: &'a mut Space,
}

impl Memory<'_> {
    fn of<'a>(disk: &Disk, loaded: &'a mut Loaded<File>) -> Memory<'a> {
        Memory { machine: disk.machine, space: &mut loaded.space }
    }

    fn bytes(&mut self, at: u64, length: usize) -> Vec<u8> {
        let mut bytes = std::vec![0; length];
        self.space.read_bytes(self.machine, UserAddr::new(at), &mut bytes).unwrap();
        bytes
    }

    fn word(&mut self, at: u64) -> u64 {
        u64::from_le_bytes(self.bytes(at, 8).try_into().unwrap())
    }

    fn string(&mut self, at: u64) -> String {
        let bytes = (at..).map(|at| self.bytes(at, 1)[0]).take_while(|&byte| byte != 0).collect();
        String::from_utf8(bytes).unwrap()
    }

    /// Arguments, environment, auxiliary vector.
    fn stack(&mut self, stack_pointer: UserAddr) -> Stack {
        let mut at = stack_pointer.get();
        let mut next = |memory: &mut Self| {
            at += 8;
            memory.word(at - 8)
        };
        let mut stack = Stack::default();
        for _ in 0..next(self) {
            let argument = next(self);
            stack.arguments.push(self.string(argument));
        }
        assert_eq!(next(self), 0);
        loop {
            match next(self) {
                0 => break,
                variable => stack.environment.push(self.string(variable)),
            }
        }
        loop {
            match (next(self), next(self)) {
                (0, _) => break,
                (key, value) => drop(stack.auxiliary.insert(key, value)),
            }
        }
        stack
    }
}

#[derive(Default)]
struct Stack {
    arguments: Vec<String>,
    environment: Vec<String>,
    auxiliary: BTreeMap<u64, u64>,
}

/// `AT_` numbers that tests ask for.
const PHDR: u64 = 3;
const PHNUM: u64 = 5;
const BASE: u64 = 7;
const ENTRY: u64 = 9;
const UID: u64 = 11;
const SECURE: u64 = 23;
const RANDOM: u64 = 25;
const SYSINFO_EHDR: u64 = 33;
const EXECFN: u64 = 31;

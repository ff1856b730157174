//! Programs that others load or read.

use ::elf::abi;

use super::{BASE, Disk, ENTRY, EXECFN, ExecError, Memory, Missing, Options, PHDR};
use crate::elf::fake::{Program, RX, load};
use crate::elf::{ElfError, ScriptError};

const LINKER: &str = "/lib/ld-musl-aarch64.so.1";

fn linker() -> Program {
    Program::new(abi::ET_DYN, 0x200, &[load(RX, 0, 0, (0x1000, 0x1000), 0x1_0000)])
}

#[test]
fn an_interpreter_is_loaded_and_started_instead() {
    for chance in [0, 3] {
        let program = Program::musl_pie(0x1_0000).with_interpreter(LINKER);
        let disk = Disk::new().with_program("/bin/dynamic", &program).with_program(LINKER, &linker());
        let mut loaded = disk.load_with("/bin/dynamic", &Options { chance, ..Options::default() }).unwrap();
        let (entry, stack_pointer) = (loaded.entry.get(), loaded.stack_pointer);
        let stack = Memory::of(&disk, &mut loaded).stack(stack_pointer);
        let value = |key| stack.auxiliary[&key];
        let base = value(BASE);
        assert_eq!(entry, base + 0x200);
        assert_eq!(base % 0x1_0000, 0, "it is aligned as it asks");
        assert_eq!(value(ENTRY) - value(PHDR), 0x1_3b9c - 0x40);
        assert!(base > value(ENTRY));
        assert_eq!(Memory::of(&disk, &mut loaded).bytes(base, 4), b"\x7fELF");
        // The gap that was looked for is not left behind.
        assert!(loaded.space.areas().all(|area| !area.protection.is_empty()));
        disk.finish(loaded);
    }
}

#[test]
fn an_interpreter_at_a_fixed_place_is_loaded_there_or_not_at_all() {
    let fixed = |at: u64| Program::new(abi::ET_EXEC, at, &[load(RX, 0, at, (0x1000, 0x1000), 0x1000)]);
    let program = Program::tiny().with_interpreter("/ld");
    let disk = Disk::new().with_program("/bin/x", &program).with_program("/ld", &fixed(0x100_0000));
    let loaded = disk.load("/bin/x").unwrap();
    assert_eq!(loaded.entry.get(), 0x100_0000);
    disk.finish(loaded);
    let disk = Disk::new().with_program("/bin/x", &program).with_program("/ld", &fixed(0x40_1000));
    assert_eq!(disk.refused("/bin/x", &Options::default()), ExecError::NoPlace);
}

#[test]
fn an_interpreter_that_is_missing_or_no_program_stops_the_load() {
    let disk = Disk::new().with_program("/bin/x", &Program::tiny().with_interpreter("/ld"));
    assert_eq!(disk.refused("/bin/x", &Options::default()), ExecError::Open(Missing));
    let disk = disk.with("/ld", b"no program at all, but long enough that it could be one: 64 bytes");
    let refused = disk.refused("/bin/x", &Options::default());
    assert_eq!(refused, ExecError::BadInterpreter(ElfError::Magic(*b"no p")));
}

#[test]
fn a_path_without_an_end_is_refused() {
    let mut program = Program::tiny().with_interpreter("/ld");
    program.contents[0].1 = b"/lib".to_vec();
    let disk = Disk::new().with_program("/bin/x", &program);
    let expected = ExecError::NotAProgram(ElfError::InterpreterPath(4));
    assert_eq!(disk.refused("/bin/x", &Options::default()), expected);
}

#[test]
fn a_script_becomes_an_argument_of_its_interpreter() {
    let disk = Disk::new().with("/tmp/run.sh", b"#! /bin/sh -e x\necho").with_program("/bin/sh", &Program::tiny());
    let mut loaded = disk.load("/tmp/run.sh").unwrap();
    assert_eq!(loaded.name.as_bytes(), b"run.sh");
    let stack_pointer = loaded.stack_pointer;
    let mut memory = Memory::of(&disk, &mut loaded);
    let stack = memory.stack(stack_pointer);
    assert_eq!(stack.arguments, ["/bin/sh", "-e x", "/tmp/run.sh", "argument"]);
    assert_eq!(memory.string(stack.auxiliary[&EXECFN]), "/tmp/run.sh");
    disk.finish(loaded);
}

#[test]
fn the_identity_is_that_of_the_program_and_not_of_a_script() {
    let mut disk = Disk::new().with("/run.sh", b"#!/bin/sh\n").with_program("/bin/sh", &Program::tiny());
    disk.file("/run.sh").identity.effective_uid = 0;
    let loaded = disk.load("/run.sh").unwrap();
    assert_eq!(loaded.identity.effective_uid, 7);
    disk.finish(loaded);
}

#[test]
fn scripts_follow_each_other_so_far_and_no_farther() {
    let disk = Disk::new()
        .with("/4", b"#!/3 four\n")
        .with("/3", b"#!/2\n")
        .with("/2", b"#!/1 two\n")
        .with("/1", b"#!/sh\n")
        .with("/5", b"#!/4\n")
        .with("/loop", b"#!/loop\n")
        .with_program("/sh", &Program::tiny());
    let mut loaded = disk.load("/4").unwrap();
    let stack_pointer = loaded.stack_pointer;
    let stack = Memory::of(&disk, &mut loaded).stack(stack_pointer);
    assert_eq!(stack.arguments, ["/sh", "/1", "two", "/2", "/3", "four", "/4", "argument"]);
    assert_eq!(disk.refused("/5", &Options::default()), ExecError::TooDeep);
    assert_eq!(disk.refused("/loop", &Options::default()), ExecError::TooDeep);
    disk.finish(loaded);
}

#[test]
fn a_script_without_arguments_gets_its_path_all_the_same() {
    let disk = Disk::new().with("/run", b"#!/sh").with_program("/sh", &Program::tiny());
    let mut loaded = disk.load_with("/run", &Options { arguments: &[], ..Options::default() }).unwrap();
    let stack_pointer = loaded.stack_pointer;
    assert_eq!(Memory::of(&disk, &mut loaded).stack(stack_pointer).arguments, ["/sh", "/run"]);
    disk.finish(loaded);
}

#[test]
fn a_bad_script_is_refused() {
    let disk = Disk::new().with("/empty", b"#!\n").with("/lost", b"#!/nowhere\n");
    let expected = ExecError::BadScript(ScriptError::NoInterpreter);
    assert_eq!(disk.refused("/empty", &Options::default()), expected);
    assert_eq!(disk.refused("/lost", &Options::default()), ExecError::Open(Missing));
}

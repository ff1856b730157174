//! What a program finds in memory.

use ::elf::abi;

use super::{
    Arc, BASE, Disk, ENTRY, EXECFN, ExecError, FakeFile, Limits, Memory, Options, PAGE_SIZE, PHDR, PHNUM, Pager,
    RANDOM, SECURE, SYSINFO_EHDR, UID, UserAddr, WriteExecute,
};
use crate::elf::fake::{Program, R, RW, RX, filler, load};
use crate::elf::{ElfError, SegmentError};
use crate::vm::{AccessKind, AreaKind, Fault, Protection};

/// What the file has from `offset` on.
fn file(offset: u64, length: u64) -> Vec<u8> {
    (offset..offset + length).map(filler).collect()
}

#[test]
fn a_static_program_arrives_as_its_file_says() {
    for align in [0x1000, 0x1_0000] {
        let disk = Disk::new().with_program("/bin/hello", &Program::musl(align));
        let mut loaded = disk.load("/bin/hello").unwrap();
        assert_eq!(loaded.entry.get(), 0x20_0000 + align + 0x3b9c);
        assert_eq!(loaded.name.as_bytes(), b"hello");
        let mut memory = Memory::of(&disk, &mut loaded);
        assert_eq!(memory.bytes(0x20_0000, 4), b"\x7fELF");
        assert_eq!(memory.bytes(0x20_0000 + 0x1000, 0x2b9c), file(0x1000, 0x2b9c));
        assert_eq!(memory.bytes(0x20_0000 + align + 0x3b9c, 0xc78c), file(0x3b9c, 0xc78c));
        let data = 0x20_0000 + align * 3 + 0x1_0360;
        assert_eq!(memory.bytes(data, 0x108), file(0x1_0360, 0x108));
        assert_eq!(memory.bytes(data + 0x108, 0x1_8888 - 0x108), vec![0; 0x1_8888 - 0x108]);
        let relro = 0x20_0000 + align * 2 + 0x1_0328;
        assert_eq!(memory.bytes(relro, 0x38), file(0x1_0328, 0x38));
        assert_eq!(memory.bytes(relro + 0x38, 0xca0), vec![0; 0xca0]);
        disk.finish(loaded);
    }
}

#[test]
fn segments_have_the_rights_that_the_file_gives_them() {
    let disk = Disk::new().with_program("/bin/hello", &Program::musl(0x1_0000));
    let loaded = disk.load("/bin/hello").unwrap();
    let areas: Vec<_> = loaded.space.areas().map(|area| (area.start.get(), area.protection, area.kind)).collect();
    let rights: Vec<_> = areas.iter().map(|(_, protection, _)| *protection).collect();
    let rw = Protection::READ_WRITE;
    assert_eq!(rights, [Protection::READ, Protection::READ_EXECUTE, rw, rw, rw, rw]);
    assert_eq!(areas.last().unwrap().2, AreaKind::Stack);
    disk.finish(loaded);
}

#[test]
fn pages_are_the_files_own_until_they_are_written() {
    let disk = Disk::new().with_program("/bin/hello", &Program::musl(0x1_0000));
    let before = disk.machine.pages().len();
    let mut loaded = disk.load("/bin/hello").unwrap();
    // One page of stack, and the ends of two segments.
    assert_eq!(disk.machine.pages().len(), before + 3);
    let mut memory = Memory::of(&disk, &mut loaded);
    memory.bytes(0x20_0000, 0x3b9c);
    memory.bytes(0x21_3b9c, 0xc78c);
    memory.bytes(0x24_0468, 0x1_8000);
    assert_eq!(disk.machine.pages().len(), before + 3, "reading takes no memory");
    disk.finish(loaded);
}

#[test]
fn a_program_finds_its_stack() {
    let mut disk = Disk::new().with_program("/bin/hello", &Program::musl(0x1000));
    disk.file("/bin/hello").identity.is_secure = true;
    let mut loaded = disk.load("/bin/hello").unwrap();
    assert_eq!(loaded.stack_pointer.get() % 16, 0);
    assert!(loaded.identity.is_secure);
    let (stack_pointer, strings) = (loaded.stack_pointer, loaded.strings.clone());
    let mut memory = Memory::of(&disk, &mut loaded);
    let stack = memory.stack(stack_pointer);
    assert_eq!(stack.arguments, ["name", "argument"]);
    assert_eq!(stack.environment, ["A=b"]);
    let value = |key| stack.auxiliary[&key];
    assert_eq!((value(PHDR), value(PHNUM)), (0x20_0040, 9));
    assert_eq!((value(BASE), value(ENTRY)), (0, 0x20_4b9c));
    assert_eq!((value(UID), value(SECURE)), (7, 1));
    assert_eq!(memory.bytes(value(RANDOM), 16), [0x5a; 16]);
    assert_eq!(memory.string(value(EXECFN)), "/bin/hello");
    let length = usize::try_from(strings.environment.end - strings.arguments.start).unwrap();
    assert_eq!(memory.bytes(strings.arguments.start, length), b"name\0argument\0A=b\0");
    disk.finish(loaded);
}

#[test]
fn the_kernels_own_object_is_mapped_and_found_where_it_is_moved_to() {
    let disk = Disk::new().with_program("/bin/hello", &Program::musl(0x1_0000));
    let object: Arc<dyn Pager> = FakeFile::new(disk.machine, PAGE_SIZE, 0x77);
    let options = || Options { kernel_object: Some(Arc::clone(&object)), ..Options::default() };
    let mut loaded = disk.load_with("/bin/hello", &options()).unwrap();
    let at = loaded.space.place_of(&*object, 0x10).unwrap();
    let pointer = loaded.stack_pointer;
    let mut memory = Memory::of(&disk, &mut loaded);
    assert_eq!(memory.stack(pointer).auxiliary[&SYSINFO_EHDR] + 0x10, at.get());
    assert_eq!(memory.bytes(at.get(), 1), [0x77]);
    let page = at.page_down();
    let space = &mut loaded.space;
    assert_eq!(space.fault(disk.machine, page, AccessKind::Execute), Fault::Resolved);
    assert_eq!(space.fault(disk.machine, page, AccessKind::Write), Fault::Denied);
    assert!(space.protect(disk.machine, page, PAGE_SIZE as u64, Protection::READ_WRITE).is_err());
    space.unmap(disk.machine, page, PAGE_SIZE as u64).unwrap();
    assert_eq!(space.place_of(&*object, 0x10), None);
    drop(object);
    disk.finish(loaded);
}

#[test]
fn a_static_pie_is_somewhere_else_each_time() {
    let disk = Disk::new().with_program("/bin/pie", &Program::musl_pie(0x1_0000));
    let mut entries = std::collections::BTreeSet::new();
    for chance in 1..20 {
        let mut loaded = disk.load_with("/bin/pie", &Options { chance, ..Options::default() }).unwrap();
        entries.insert(loaded.entry);
        let (entry, stack_pointer) = (loaded.entry.get(), loaded.stack_pointer);
        let base = entry - 0x1_3b9c;
        assert_eq!(base % 0x1_0000, 0, "segments are aligned as they ask");
        let mut memory = Memory::of(&disk, &mut loaded);
        assert_eq!(memory.bytes(base, 4), b"\x7fELF");
        assert_eq!(memory.bytes(entry, 0x100), file(0x3b9c, 0x100));
        let stack = memory.stack(stack_pointer);
        let value = |key| stack.auxiliary[&key];
        assert_eq!((value(PHDR), value(BASE), value(ENTRY)), (base + 0x40, 0, entry));
        loaded.space.destroy(disk.machine);
    }
    assert!(entries.len() > 15);
}

#[test]
fn a_file_that_was_linked_high_is_moved_down() {
    let high = 0x7f_0000_0000;
    let program = Program::new(abi::ET_DYN, high, &[load(RX, 0, high, (0x1000, 0x1000), 0x1000)]);
    let disk = Disk::new().with_program("/bin/high", &program);
    let loaded = disk.load("/bin/high").unwrap();
    assert!(loaded.entry.get() < high);
    disk.finish(loaded);
}

#[test]
fn the_break_begins_behind_the_program_and_moves() {
    for (name, program) in [("/fixed", Program::tiny()), ("/pie", Program::musl_pie(0x1000))] {
        let disk = Disk::new().with_program(name, &program);
        let mut loaded = disk.load_with(name, &Options { chance: 5, ..Options::default() }).unwrap();
        let end = loaded.space.areas().filter(|area| area.kind != AreaKind::Stack).last().unwrap().end;
        let start = loaded.space.set_break(disk.machine, UserAddr::new(0));
        assert!(start >= end);
        let wanted = UserAddr::new(start.get() + 0x5000);
        assert_eq!(loaded.space.set_break(disk.machine, wanted), wanted);
        disk.finish(loaded);
    }
}

#[test]
fn the_stack_grows_to_its_limit_and_not_beyond() {
    let disk = Disk::new().with_program("/bin/hello", &Program::tiny());
    let limits = Limits { stack: 1 << 20, ..Limits::DEFAULT };
    let mut loaded = disk.load_with("/bin/hello", &Options { limits, ..Options::default() }).unwrap();
    let top = loaded.space.layout().stack_top.get();
    let mut touch = |at| loaded.space.fault(disk.machine, UserAddr::new(at), AccessKind::Write);
    assert_eq!(touch(top - 0x1000), Fault::Resolved);
    assert_eq!(touch(top - (1 << 20)), Fault::Resolved);
    assert_eq!(touch(top - (1 << 20) - 1), Fault::NotMapped);
    disk.finish(loaded);
}

#[test]
fn a_read_only_segment_may_end_in_zeroes() {
    let headers = [load(RX, 0, 0x40_0000, (0x200, 0x200), 1), load(R, 0x200, 0x40_1200, (0x10, 0x2000), 1)];
    let disk = Disk::new().with_program("/bin/odd", &Program::new(abi::ET_EXEC, 0x40_0100, &headers));
    let mut loaded = disk.load("/bin/odd").unwrap();
    let mut memory = Memory::of(&disk, &mut loaded);
    assert_eq!(memory.bytes(0x40_1200, 0x10), file(0x200, 0x10));
    assert_eq!(memory.bytes(0x40_1210, 0x1ff0), vec![0; 0x1ff0]);
    let fault = loaded.space.fault(disk.machine, UserAddr::new(0x40_1200), AccessKind::Write);
    assert_eq!(fault, Fault::Denied);
    disk.finish(loaded);
}

#[test]
fn program_headers_far_behind_are_read() {
    let mut program = Program::tiny();
    program.bytes = 0x9000;
    program.table_offset = 0x8f00;
    let disk = Disk::new().with_program("/bin/far", &program);
    let loaded = disk.load("/bin/far").unwrap();
    assert_eq!(loaded.entry.get(), 0x40_0100);
    disk.finish(loaded);
}

#[test]
fn writable_and_executable_memory_is_refused_unless_it_is_allowed() {
    let wx = RW | abi::PF_X;
    let mut stack = Program::tiny();
    stack.headers.push(Program::stack(wx));
    let segment = Program::new(abi::ET_EXEC, 0x40_0000, &[load(wx, 0, 0x40_0000, (0x1000, 0x2000), 1)]);
    for program in [stack, segment] {
        let disk = Disk::new().with_program("/bin/wx", &program);
        assert_eq!(disk.refused("/bin/wx", &Options::default()), ExecError::WriteAndExecute);
        let options = Options { write_execute: WriteExecute::Allowed, ..Options::default() };
        let loaded = disk.load_with("/bin/wx", &options).unwrap();
        assert!(loaded.space.areas().any(|area| area.protection == Protection::all()));
        assert!(loaded.space.wx_allowed());
        disk.finish(loaded);
    }
}

#[test]
fn files_that_are_no_programs_are_refused() {
    let mut disk = Disk::new().with("/text", b"echo hello\n").with("/empty", b"").with("/elf", b"\x7fELF");
    disk = disk.with_program("/dev/null", &Program::tiny()).with_program("/bad/disk", &Program::tiny());
    disk.file("/dev/null").pager = None;
    disk.file("/bad/disk").broken = true;
    let refused = |path| disk.refused(path, &Options::default());
    assert_eq!(refused("/text"), ExecError::NotAProgram(ElfError::Truncated(11)));
    assert_eq!(refused("/empty"), ExecError::NotAProgram(ElfError::Truncated(0)));
    assert_eq!(refused("/elf"), ExecError::NotAProgram(ElfError::Truncated(4)));
    assert_eq!(refused("/dev/null"), ExecError::NotMappable);
    assert_eq!(refused("/bad/disk"), ExecError::Io);
}

#[test]
fn a_torn_program_is_refused() {
    let whole = Program::musl(0x1000).link();
    let disk = Disk::new().with("/torn", &whole[..0x8000]);
    let error = SegmentError::BeyondEnd(0x3b9c);
    let expected = ExecError::NotAProgram(ElfError::Segment { index: 2, error });
    assert_eq!(disk.refused("/torn", &Options::default()), expected);
}

#[test]
fn a_program_that_does_not_fit_is_refused() {
    let huge = load(RW, 0, 0x50_0000, (0, 0x7e_0000_0000), 1);
    let program = Program::new(abi::ET_DYN, 0x40_0000, &[load(RX, 0, 0x40_0000, (1, 1), 1), huge]);
    let disk = Disk::new().with_program("/huge", &program).with_program("/hello", &Program::musl(0x1000));
    assert_eq!(disk.refused("/huge", &Options::default()), ExecError::NoPlace);
    let limits = Limits { address_space: 0x2_0000, ..Limits::DEFAULT };
    assert_eq!(disk.refused("/hello", &Options { limits, ..Options::default() }), ExecError::NoPlace);
}

#[test]
fn arguments_that_the_stack_cannot_hold_are_refused() {
    let disk = Disk::new().with_program("/hello", &Program::musl(0x1000));
    let long = "x".repeat(0x1_0000);
    let limits = Limits { stack: 0x8000, ..Limits::DEFAULT };
    let options = Options { arguments: &[&long], limits, ..Options::default() };
    assert_eq!(disk.refused("/hello", &options), ExecError::ArgumentsTooLong);
    let mut loaded = disk.load_with("/hello", &Options { arguments: &[&long, &long], ..Options::default() }).unwrap();
    let stack_pointer = loaded.stack_pointer;
    let first = Memory::of(&disk, &mut loaded).word(stack_pointer.get() + 8);
    assert_eq!(Memory::of(&disk, &mut loaded).bytes(first, 0x1_0000), long.as_bytes());
    disk.finish(loaded);
}

#[test]
fn a_name_is_the_last_part_of_the_path_and_short() {
    let name = |path: &[u8]| super::super::CommandName::of_path(path).as_bytes().to_vec();
    assert_eq!(name(b"/bin/a-name-that-is-rather-long"), b"a-name-that-is-");
    assert_eq!(name(b"init"), b"init");
    assert_eq!(name(b"/"), b"");
}

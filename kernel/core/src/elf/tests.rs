//! Well-formed files are understood, and all others refused.

#![expect(clippy::arithmetic_side_effects, clippy::indexing_slicing, reason = "a test that overflows fails")]

mod hostile;
mod scripts;
mod stacks;

use std::boxed::Box;
use std::vec;
use std::vec::Vec;

use ::elf::abi;

use super::fake::{Program, R, RW, RX, load};
use super::{ElfError, Header, Image, Kind, MAX_SEGMENTS, SegmentError, StackAccess, parse};
use crate::addr::USER_END;

fn parse_file(file: &[u8]) -> Result<Box<Image>, ElfError> {
    parse(file, u64::try_from(file.len()).unwrap())
}

fn parse_program(program: &Program) -> Result<Box<Image>, ElfError> {
    parse_file(&program.link())
}

fn refused(headers: &[::elf::segment::ProgramHeader]) -> SegmentError {
    match parse_program(&Program::new(abi::ET_EXEC, 0x40_0000, headers)) {
        Err(ElfError::Segment { error, .. }) => error,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_static_musl_program_is_understood() {
    for align in [0x1000, 0x1_0000] {
        let image = parse_program(&Program::musl(align)).unwrap();
        assert_eq!(image.kind, Kind::Fixed);
        assert_eq!(image.segments.len(), 4);
        assert_eq!(image.program_headers, Some(0x20_0040));
        assert_eq!(image.program_header_count, 9);
        assert_eq!(image.interpreter, None);
        assert_eq!(image.stack, StackAccess::ReadWrite);
        assert_eq!(image.alignment(), align);
        assert_eq!(image.thread_local.unwrap().bytes, 0x10);
        let data = &image.segments[3];
        let base = 0x20_0000 + align * 3;
        assert_eq!(data.file_pages(), base + 0x1_0000..base + 0x1_1000);
        assert_eq!(data.file_page_offset(), 0x1_0000);
        assert_eq!(data.tail(), base + 0x1_0468..base + 0x1_1000);
        assert_eq!(data.zero_pages(), base + 0x1_1000..base + 0x2_9000);
    }
}

#[test]
fn a_static_pie_is_relocatable_and_begins_at_zero() {
    let image = parse_program(&Program::musl_pie(0x1_0000)).unwrap();
    assert_eq!(image.kind, Kind::Relocatable);
    assert_eq!(image.pages(), 0..0x3_0000 + 0x2_9000);
    assert_eq!(image.program_headers, Some(0x40));
}

#[test]
fn an_interpreter_is_found_and_only_the_first_counts() {
    let program = Program::musl_pie(0x1000).with_interpreter("/lib/second").with_interpreter("/lib/first");
    let file = program.link();
    let range = parse_file(&file).unwrap().interpreter.unwrap();
    let offset = usize::try_from(range.offset).unwrap();
    assert_eq!(&file[offset..offset + range.bytes], b"/lib/first\0");
}

#[test]
fn an_interpreter_without_a_path_or_beyond_the_end_is_refused() {
    for (offset, bytes) in [(0, 0), (0, 1), (0, 4097), (4090, 10), (u64::MAX, 2)] {
        let mut program = Program::tiny();
        program.headers.push(Program::other(abi::PT_INTERP, offset, 0, bytes));
        assert_eq!(parse_program(&program), Err(ElfError::InterpreterPath(bytes)), "{offset:#x} {bytes}");
    }
}

#[test]
fn program_headers_that_are_not_loaded_are_not_announced() {
    let mut program = Program::tiny();
    program.table_offset = 0x800;
    let image = parse_program(&program).unwrap();
    assert_eq!(image.program_headers, None);
    // Unless the file itself says where they will be.
    program.headers.push(Program::other(abi::PT_PHDR, 0x800, 0x40_0180, 56 * 3));
    assert_eq!(parse_program(&program).unwrap().program_headers, Some(0x40_0180));
    program.headers[2].p_vaddr = 0x50_0000;
    assert_eq!(parse_program(&program).unwrap().program_headers, None);
}

#[test]
fn a_table_far_from_the_header_is_read_separately() {
    let mut program = Program::tiny();
    program.bytes = 0x9000;
    program.table_offset = 0x8f00;
    let file = program.link();
    assert_eq!(parse(&file[..1024], 0x9000), Err(ElfError::TableBeyondEnd(0x8f00)));
    let header = Header::parse(&file[..1024]).unwrap();
    let table = header.table();
    let offset = usize::try_from(table.offset).unwrap();
    let image = header.image(&file[offset..offset + table.bytes], 0x9000).unwrap();
    assert_eq!(Ok(image), parse_file(&file));
}

#[test]
fn an_executable_stack_is_asked_for_by_its_header_alone() {
    let mut program = Program::tiny();
    program.headers.push(Program::stack(RW | abi::PF_X));
    assert_eq!(parse_program(&program).unwrap().stack, StackAccess::ReadWriteExecute);
    program.headers[2].p_flags = RW;
    assert_eq!(parse_program(&program).unwrap().stack, StackAccess::ReadWrite);
}

#[test]
fn notes_properties_and_unknown_headers_are_somebody_elses() {
    let mut program = Program::tiny();
    for kind in [abi::PT_NOTE, abi::PT_GNU_PROPERTY, abi::PT_DYNAMIC, abi::PT_NULL, 0x6123_4567] {
        program.headers.push(Program::other(kind, u64::MAX, u64::MAX, u64::MAX));
    }
    assert_eq!(parse_program(&program).unwrap().segments, parse_program(&Program::tiny()).unwrap().segments);
}

#[test]
fn other_files_are_refused_by_name() {
    let with = |offset: usize, bytes: &[u8]| {
        let mut file = Program::tiny().link();
        file[offset..offset + bytes.len()].copy_from_slice(bytes);
        parse_file(&file).unwrap_err()
    };
    assert_eq!(with(0, b"#!/b"), ElfError::Magic(*b"#!/b"));
    assert_eq!(with(4, &[1]), ElfError::Class(1));
    assert_eq!(with(4, &[9]), ElfError::Class(9));
    assert_eq!(with(5, &[2]), ElfError::Encoding(2));
    assert_eq!(with(6, &[7]), ElfError::Version(7));
    assert_eq!(with(16, &[1, 0]), ElfError::Kind(1));
    assert_eq!(with(18, &[62, 0]), ElfError::Machine(62));
    assert_eq!(with(54, &[32, 0]), ElfError::EntrySize(32));
    assert_eq!(with(56, &[0, 0]), ElfError::EntryCount(0));
    assert_eq!(with(56, &[0xff, 0xff]), ElfError::EntryCount(0xffff));
    assert_eq!(with(32, &u64::MAX.to_le_bytes()), ElfError::TableBeyondEnd(u64::MAX));
}

#[test]
fn a_file_that_ends_in_its_header_is_truncated() {
    let file = Program::tiny().link();
    for length in 0..64 {
        assert_eq!(parse_file(&file[..length]), Err(ElfError::Truncated(length)));
    }
    for length in 64..64 + 2 * 56 {
        assert_eq!(parse_file(&file[..length]), Err(ElfError::TableBeyondEnd(64)));
    }
}

#[test]
fn segments_stay_in_the_user_half_and_away_from_zero() {
    let at = |address, bytes| refused(&[load(RX, 0, address, (0, bytes), 1)]);
    assert_eq!(at(0, 0x1000), SegmentError::Address(0));
    assert_eq!(at(0xffff, 0x10), SegmentError::Address(0xffff));
    assert_eq!(at(USER_END, 1), SegmentError::Address(USER_END));
    assert_eq!(at(USER_END - 0x1000, 0x1001), SegmentError::Address(USER_END - 0x1000));
    assert_eq!(at(u64::MAX, 2), SegmentError::Address(u64::MAX));
    assert_eq!(at(0x1_0000, u64::MAX), SegmentError::Address(0x1_0000));
    let last = load(RX, 0, USER_END - 0x1000, (0x1000, 0x1000), 1);
    assert!(parse_program(&Program::new(abi::ET_EXEC, USER_END - 4, &[last])).is_ok());
}

#[test]
fn what_a_segment_takes_from_the_file_must_be_there() {
    let from = |offset, sizes| {
        refused(&[load(RX, 0, 0x40_0000, (0x1000, 0x1000), 1), {
            let mut second = load(RW, 0, 0x50_0000, (0, 0), 1);
            second.p_offset = offset;
            (second.p_filesz, second.p_memsz) = sizes;
            second
        }])
    };
    let with = |offset: u64, bytes: u64| {
        let mut program = Program::tiny();
        program.headers[1] = load(RW, offset, 0x50_0000 | offset & 0xfff, (bytes, bytes), 1);
        parse_program(&program).unwrap_err()
    };
    let error = |error| ElfError::Segment { index: 1, error };
    assert_eq!(with(0x1000, 1), error(SegmentError::BeyondEnd(0x1000)));
    assert_eq!(with(0xfff, 2), error(SegmentError::BeyondEnd(0xfff)));
    assert_eq!(with(u64::MAX, 2), error(SegmentError::BeyondEnd(u64::MAX)));
    assert_eq!(from(0, (2, 1)), SegmentError::FileBytes(2));
    assert_eq!(from(8, (1, 1)), SegmentError::Offset(8));
}

#[test]
fn segments_ascend_and_share_no_page() {
    let second =
        |address, bytes| refused(&[load(RX, 0, 0x40_0000, (0, 0x1800), 1), load(RW, 0, address, (0, bytes), 1)]);
    for address in [0x40_0000, 0x40_17ff, 0x40_1fff, 0x3f_ffff, 0x20_0000] {
        assert_eq!(second(address, 1), SegmentError::Overlap(address));
    }
    let next = [load(RX, 0, 0x40_0000, (0, 0x1800), 1), load(RW, 0, 0x40_2000, (0, 1), 1)];
    assert!(parse_program(&Program::new(abi::ET_EXEC, 0x40_0000, &next)).is_ok());
}

#[test]
fn alignments_are_powers_of_two_within_reason() {
    for align in [3, 0x1001, 1 << 31, 1 << 63, u64::MAX] {
        assert_eq!(refused(&[load(RX, 0, 0x40_0000, (1, 1), align)]), SegmentError::Alignment(align));
    }
    for align in [0, 1, 2, 0x1000, 1 << 30] {
        let program = Program::new(abi::ET_EXEC, 0x40_0000, &[load(RX, 0, 0x40_0000, (1, 1), align)]);
        assert_eq!(parse_program(&program).unwrap().alignment(), align.max(1));
    }
}

#[test]
fn segments_without_memory_do_not_count() {
    let empty = load(RW, 0, 0, (0, 0), 3);
    let program = Program::new(abi::ET_EXEC, 0x40_0000, &[empty, load(RX, 0, 0x40_0000, (1, 1), 1), empty]);
    assert_eq!(parse_program(&program).unwrap().segments.len(), 1);
    assert_eq!(parse_program(&Program::new(abi::ET_EXEC, 0, &[empty])), Err(ElfError::NoSegments));
}

#[test]
fn the_entry_point_must_be_executable() {
    for entry in [0, 0x40_0200, 0x40_1200, 0x3f_ffff, u64::MAX] {
        let mut program = Program::tiny();
        program.entry = entry;
        assert_eq!(parse_program(&program), Err(ElfError::EntryPoint(entry)));
    }
}

#[test]
fn there_is_a_most_of_segments() {
    let segments: Vec<_> = (0_u64..).map(|n| load(RX, 0, 0x40_0000 + n * 0x1000, (0, 1), 1)).take(17).collect();
    let with = |count: usize| parse_program(&Program::new(abi::ET_EXEC, 0x40_0000, &segments[..count]));
    assert_eq!(with(MAX_SEGMENTS).unwrap().segments.len(), MAX_SEGMENTS);
    assert_eq!(with(MAX_SEGMENTS + 1), Err(ElfError::TooManySegments(MAX_SEGMENTS)));
}

#[test]
fn a_segment_that_is_zero_altogether_needs_nothing_of_the_file() {
    let headers = vec![load(RX, 0, 0x40_0000, (1, 1), 1), load(RW, 0xdead_beef, 0x50_0010, (0, 0x2000), 1)];
    let mut program = Program::new(abi::ET_EXEC, 0x40_0000, &headers[..1]);
    program.headers = headers;
    let image = parse_program(&program).unwrap();
    assert!(image.segments[1].file_pages().is_empty() && image.segments[1].tail().is_empty());
    assert_eq!(image.segments[1].zero_pages(), 0x50_0000..0x50_3000);
    let access = image.segments[0].access();
    assert!(access.read && access.execute && !access.write);
    assert_eq!(R, abi::PF_R);
}

//! Files that were tampered with are refused or harmless.

use std::vec::Vec;

use proptest::prelude::{Just, Strategy, any, prop, prop_oneof, proptest};
use proptest::test_runner::Config;

use super::{Image, Kind, MAX_SEGMENTS, Program, parse_file};
use crate::addr::USER_END;
use crate::elf::{LOWEST_ADDRESS, MAX_ALIGNMENT, MAX_PROGRAM_HEADERS, Script};

/// What the module's head promises of an image.
fn check(image: &Image, file_bytes: u64) {
    assert!((1..=MAX_SEGMENTS).contains(&image.segments.len()));
    assert!((1..=MAX_PROGRAM_HEADERS).contains(&image.program_header_count));
    let mut last = match image.kind {
        Kind::Fixed => LOWEST_ADDRESS,
        Kind::Relocatable => 0,
    };
    let mut enters = false;
    for segment in &image.segments {
        let (pages, memory, file) = (segment.pages(), segment.memory(), segment.file());
        assert!(pages.start >= last && pages.start <= memory.start && memory.start < memory.end);
        assert!(memory.end <= pages.end && pages.end <= USER_END);
        assert!(pages.start % 4096 == 0 && pages.end % 4096 == 0);
        if !file.is_empty() {
            assert!(file.end <= file_bytes && file.end - file.start <= memory.end - memory.start);
            assert_eq!(segment.file_page_offset(), file.start & !0xfff);
            assert_eq!(file.start % 4096, memory.start % 4096);
        }
        let (from_file, zero, tail) = (segment.file_pages(), segment.zero_pages(), segment.tail());
        assert!(from_file.start == pages.start && from_file.end == zero.start && zero.end == pages.end);
        if !tail.is_empty() {
            assert!(tail.end == from_file.end && tail.start == memory.start + (file.end - file.start));
        }
        assert!(segment.alignment().is_power_of_two() && segment.alignment() <= MAX_ALIGNMENT);
        enters |= segment.access().execute && memory.contains(&image.entry);
        last = pages.end;
    }
    assert!(enters);
    assert_eq!(image.pages().end, last);
    if let Some(at) = image.program_headers {
        assert!(image.segments.iter().any(|segment| segment.memory().contains(&at)));
    }
    if let Some(path) = image.interpreter {
        let bytes = u64::try_from(path.bytes).unwrap();
        assert!((2..=4096).contains(&bytes) && path.offset + bytes <= file_bytes);
    }
}

#[derive(Clone, Debug)]
enum Change {
    Flip(usize, u8),
    Truncate(usize),
    /// A field of a program header.
    Field(usize, usize, u64),
    /// The same word of the file header.
    Head(usize, u64),
}

fn words() -> impl Strategy<Value = u64> {
    prop_oneof![
        any::<u64>(),
        (0_u32..64).prop_map(|shift| 1 << shift),
        (0_u32..64).prop_map(|shift| u64::MAX << shift),
        (0_u64..0x40).prop_map(|near| USER_END - 0x20 + near),
        (0_u64..0x30).prop_map(|page| page * 0x800),
        Just(0),
    ]
}

fn changes() -> impl Strategy<Value = Change> {
    prop_oneof![
        3 => (0..640_usize, any::<u8>()).prop_map(|(at, bits)| Change::Flip(at, bits)),
        1 => any::<prop::sample::Index>().prop_map(|at| Change::Truncate(at.index(0x1_0500))),
        6 => (0..10_usize, 0..7_usize, words()).prop_map(|(header, field, word)| Change::Field(header, field, word)),
        1 => (3..5_usize, words()).prop_map(|(field, word)| Change::Head(field, word)),
    ]
}

fn tamper(file: &mut Vec<u8>, change: &Change) {
    let mut put = |offset: usize, word: u64| {
        if let Some(bytes) = file.get_mut(offset..offset + 8) {
            bytes.copy_from_slice(&word.to_le_bytes());
        }
    };
    match *change {
        Change::Flip(at, bits) => file.iter_mut().skip(at).take(1).for_each(|byte| *byte ^= bits),
        Change::Truncate(length) => file.truncate(length),
        Change::Field(header, field, word) => put(64 + header * 56 + field * 8, word),
        Change::Head(field, word) => put(field * 8, word),
    }
}

fn bases() -> impl Strategy<Value = Program> {
    prop_oneof![
        Just(Program::musl(0x1000)),
        Just(Program::musl_pie(0x1_0000)),
        Just(Program::musl_pie(0x1000).with_interpreter("/lib/ld-musl-aarch64.so.1")),
        Just(Program::tiny()),
    ]
}

proptest! {
    #![proptest_config(Config { cases: 4096, failure_persistence: None, ..Config::default() })]

    #[test]
    fn a_file_that_was_tampered_with_is_refused_or_keeps_the_rules(
        program in bases(),
        changes in prop::collection::vec(changes(), 1..5),
    ) {
        let mut file = program.link();
        changes.iter().for_each(|change| tamper(&mut file, change));
        if let Ok(image) = parse_file(&file) {
            check(&image, u64::try_from(file.len()).unwrap());
        }
    }

    #[test]
    fn noise_is_refused_or_keeps_the_rules(noise in prop::collection::vec(any::<u8>(), 0..1024)) {
        let mut file = Program::tiny().link();
        // The header is left, for otherwise nothing else is ever looked at.
        file.truncate(64);
        file.extend(&noise);
        if let Ok(image) = parse_file(&file) {
            check(&image, u64::try_from(file.len()).unwrap());
        }
        assert!(parse_file(&noise).is_err());
    }

    #[test]
    fn a_script_is_read_as_linux_reads_it(line in "[ \t\0\n/a#!]{0,300}") {
        let file = [b"#!", line.as_bytes()].concat();
        if let Ok(script) = Script::parse(&file) {
            let script = script.expect("it begins as one");
            assert!(!script.interpreter.is_empty() && script.interpreter.len() < 254);
            assert!(!script.interpreter.iter().any(|byte| b" \t\0\n".contains(byte)));
            if let Some(argument) = script.argument {
                assert!(!argument.is_empty() && !argument.iter().any(|byte| b"\0\n".contains(byte)));
                assert!(!b" \t".contains(&argument[0]) && !b" \t".contains(argument.last().unwrap()));
            }
        }
    }
}

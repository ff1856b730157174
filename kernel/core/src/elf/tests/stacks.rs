//! What a program finds on its stack.

use std::ffi::CStr;
use std::vec;
use std::vec::Vec;

use proptest::prelude::{any, prop, proptest};
use proptest::test_runner::Config;

use crate::addr::UserAddr;
use crate::elf::stack::{
    Arguments, ArgumentsError, Facts, FillError, Identity, MAX_STRING_BYTES, Piece, StackError, StackImage, total_limit,
};

const TOP: u64 = 0x7f_ffff_f000;

fn facts() -> Facts {
    Facts {
        program_headers: Some(UserAddr::new(0x40_0040)),
        program_header_count: 9,
        interpreter_base: None,
        kernel_object: Some(UserAddr::new(0x7f_0000)),
        entry: UserAddr::new(0x40_1234),
        identity: Identity { uid: 10, effective_uid: 11, gid: 12, effective_gid: 13, is_secure: true },
        hardware: 0x803,
        hardware2: 5,
        random: *b"sixteen bytes!!!",
    }
}

fn arguments(arguments: &[&str], environment: &[&str], path: &str) -> Arguments {
    let mut all = Arguments::new(total_limit(8 << 20));
    for argument in arguments {
        all.push(argument.as_bytes()).unwrap();
    }
    all.begin_environment();
    for variable in environment {
        all.push(variable.as_bytes()).unwrap();
    }
    all.finish(path.as_bytes()).unwrap();
    all
}

/// The memory of a program that has just started, as the program would read it.
struct Started {
    memory: Vec<u8>,
    base: u64,
}

impl Started {
    fn new(top: u64, arguments: &Arguments) -> Self {
        let image = StackImage::build(UserAddr::new(top), arguments, &facts()).unwrap();
        let base = image.stack_pointer().get();
        assert_eq!(base % 16, 0);
        assert_eq!(image.strings_at().get() - base, u64::try_from(image.bytes().len()).unwrap());
        let mut memory = image.bytes().to_vec();
        memory.extend_from_slice(arguments.bytes());
        memory.extend([0; 8]);
        assert_eq!(base + u64::try_from(memory.len()).unwrap(), top);
        assert_eq!(image.strings().arguments.start, image.strings_at().get());
        assert_eq!(image.strings().arguments.end, image.strings().environment.start);
        Self { memory, base }
    }

    fn from(&self, at: u64) -> &[u8] {
        &self.memory[usize::try_from(at - self.base).unwrap()..]
    }

    fn word(&self, index: u64) -> u64 {
        u64::from_le_bytes(*self.from(self.base + index * 8).first_chunk().unwrap())
    }

    fn string(&self, at: u64) -> &str {
        CStr::from_bytes_until_nul(self.from(at)).unwrap().to_str().unwrap()
    }

    /// The strings of a list of pointers and the index of what follows its NULL.
    fn list(&self, mut index: u64) -> (Vec<&str>, u64) {
        let mut list = vec![];
        while self.word(index) != 0 {
            list.push(self.string(self.word(index)));
            index += 1;
        }
        (list, index + 1)
    }

    fn auxiliary(&self, mut index: u64) -> Vec<(u64, u64)> {
        let mut vector = vec![];
        while self.word(index) != 0 {
            vector.push((self.word(index), self.word(index + 1)));
            index += 2;
        }
        vector
    }
}

#[test]
fn a_program_finds_its_arguments_environment_and_auxiliary_vector() {
    let arguments = arguments(&["ls", "-l", ""], &["HOME=/", "TERM=vt100"], "/bin/ls");
    let started = Started::new(TOP, &arguments);
    assert_eq!(started.word(0), 3);
    let (found, next) = started.list(1);
    assert_eq!(found, ["ls", "-l", ""]);
    let (found, next) = started.list(next);
    assert_eq!(found, ["HOME=/", "TERM=vt100"]);
    let vector = started.auxiliary(next);
    let value = |key| vector.iter().find(|(found, _)| *found == key).unwrap().1;
    assert_eq!((value(3), value(4), value(5)), (0x40_0040, 56, 9));
    assert_eq!((value(6), value(7), value(8), value(9)), (4096, 0, 0, 0x40_1234));
    assert_eq!((value(11), value(12), value(13), value(14), value(23)), (10, 11, 12, 13, 1));
    assert_eq!((value(16), value(26), value(17), value(33)), (0x803, 5, 100, 0x7f_0000));
    assert_eq!(&started.from(value(25))[..16], b"sixteen bytes!!!");
    assert_eq!(started.string(value(15)), "aarch64");
    assert_eq!(started.string(value(31)), "/bin/ls");
    // The strings follow each other to the path.
    let strings = b"ls\0-l\0\0HOME=/\0TERM=vt100\0/bin/ls\0";
    assert!(started.from(started.word(1)).starts_with(strings));
}

#[test]
fn a_program_without_arguments_gets_an_empty_name() {
    let arguments = arguments(&[], &["A=b"], "/bin/x");
    let started = Started::new(TOP, &arguments);
    let (found, next) = started.list(1);
    assert_eq!((started.word(0), found), (1, vec![""]));
    assert_eq!(started.list(next).0, ["A=b"]);
}

#[test]
fn the_first_argument_is_replaced_by_several() {
    let mut list = Arguments::new(1000);
    for argument in ["script", "one"] {
        list.push(argument.as_bytes()).unwrap();
    }
    list.begin_environment();
    list.push(b"A=b").unwrap();
    list.replace_first(&[b"/bin/sh", b"-e", b"/tmp/script"]).unwrap();
    let texts = |list: &Arguments| list.arguments().map(|text| text.to_str().unwrap().to_owned()).collect::<Vec<_>>();
    assert_eq!(texts(&list), ["/bin/sh", "-e", "/tmp/script", "one"]);
    assert_eq!(list.environment().collect::<Vec<_>>(), [c"A=b"]);
    let before = list.clone();
    assert_eq!(list.replace_first(&[&[b'x'; 2000]]), Err(ArgumentsError::TooLong));
    assert_eq!(list, before);
    list.replace_first(&[b""]).unwrap();
    assert_eq!(texts(&list), ["", "-e", "/tmp/script", "one"]);
}

#[test]
fn limits_hold_for_one_string_and_for_all() {
    let mut list = Arguments::new(total_limit(u64::MAX));
    let longest = vec![b'x'; MAX_STRING_BYTES - 1];
    assert_eq!(list.push(&longest), Ok(()));
    assert_eq!(list.push(&vec![b'x'; MAX_STRING_BYTES]), Err(ArgumentsError::TooLong));
    let mut list = Arguments::new(100);
    // 2 bytes and 8 for the pointer each.
    for _ in 0..10 {
        assert_eq!(list.push(b"x"), Ok(()));
    }
    assert_eq!(list.push(b""), Err(ArgumentsError::TooLong));
    assert_eq!(list.finish(b"/bin/x"), Err(ArgumentsError::TooLong));
    assert_eq!(list.argument_count(), 10);
}

#[test]
fn a_quarter_of_the_stack_is_for_arguments_within_reason() {
    assert_eq!(total_limit(8 << 20), 2 << 20);
    assert_eq!(total_limit(0), 128 << 10);
    assert_eq!(total_limit(1 << 30), 6 << 20);
    assert_eq!(total_limit(u64::MAX), 6 << 20);
}

#[test]
fn a_string_is_read_piece_by_piece() {
    let long = vec![b'y'; 1000];
    for step in [1, 7, 127, 128, 1000] {
        let mut list = Arguments::new(10_000);
        list.push(b"first").unwrap();
        let read = |done: usize, room: &mut [u8]| {
            // What is in the room behind the piece is not used.
            room.fill(b'n');
            let bytes = room.len().min(step).min(long.len() - done);
            room[..bytes].copy_from_slice(&long[done..done + bytes]);
            Ok::<Piece, ()>(if done + bytes == long.len() { Piece::Last(bytes) } else { Piece::More(bytes) })
        };
        list.fill(read).unwrap();
        assert_eq!(list.bytes(), [b"first\0", &long[..], b"\0"].concat());
        assert_eq!(list.argument_count(), 2);
    }
}

#[test]
fn a_string_that_cannot_be_read_or_does_not_end_leaves_nothing_behind() {
    let mut list = Arguments::new(10_000);
    list.push(b"first").unwrap();
    let before = list.clone();
    let mut reads = 0;
    let fails = |_: usize, room: &mut [u8]| {
        reads += 1;
        room.fill(b'z');
        if reads < 3 { Ok(Piece::More(room.len())) } else { Err("fault") }
    };
    assert_eq!(list.fill(fails), Err(FillError::Failed("fault")));
    assert_eq!(list, before);
    let endless = |_: usize, room: &mut [u8]| {
        room.fill(b'z');
        Ok::<Piece, ()>(Piece::More(room.len()))
    };
    assert_eq!(list.fill(endless), Err(FillError::Refused(ArgumentsError::TooLong)));
    assert_eq!(list, before);
    assert_eq!(list.fill(|_, _| Ok::<Piece, ()>(Piece::More(0))), Err(FillError::Refused(ArgumentsError::TooLong)));
    assert_eq!(list, before);
}

#[test]
fn a_top_without_room_below_is_refused() {
    let arguments = arguments(&["x"], &[], "x");
    for top in [0, 8, 100, 370] {
        assert_eq!(StackImage::build(UserAddr::new(top), &arguments, &facts()), Err(StackError::NoRoom));
    }
}

proptest! {
    #![proptest_config(Config { cases: 512, failure_persistence: None, ..Config::default() })]

    #[test]
    fn every_list_of_strings_arrives(
        first in prop::collection::vec("[a-z]{0,12}", 1..8),
        second in prop::collection::vec("[A-Z]{1,4}=[a-z]{0,40}", 0..8),
        path in "[a-z/]{0,40}",
        below in 0..4096_u64,
        script in any::<bool>(),
    ) {
        let first: Vec<&str> = first.iter().map(|text| &**text).collect();
        let second: Vec<&str> = second.iter().map(|text| &**text).collect();
        let mut list = arguments(&first, &second, &path);
        let mut expected = first;
        if script {
            list.replace_first(&[b"/bin/sh", b"script"]).unwrap();
            expected.splice(..1, ["/bin/sh", "script"]);
        }
        let started = Started::new(TOP - below, &list);
        let (found, next) = started.list(1);
        assert_eq!(&found, &expected);
        assert_eq!(started.word(0), u64::try_from(expected.len()).unwrap());
        let (found, next) = started.list(next);
        assert_eq!(found, second);
        let vector = started.auxiliary(next);
        assert_eq!(vector.len(), 19);
        assert_eq!(started.string(vector.iter().find(|(key, _)| *key == 31).unwrap().1), path);
    }
}

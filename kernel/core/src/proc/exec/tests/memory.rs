//! Nothing is lost when memory is missing or the file is hostile.

use proptest::prelude::{any, prop, proptest};
use proptest::test_runner::Config;

use super::{Disk, ExecError, Options};
use crate::elf::fake::{Program, R, load};
use crate::vm::MemorySystem;

/// A program with everything: an interpreter, zeroes behind both kinds of segments, several pages of arguments.
fn disk() -> Disk {
    let mut program = Program::musl_pie(0x1000).with_interpreter("/ld");
    program.headers.push(load(R, 0x200, 0x10_0200, (0x10, 0x2000), 1));
    Disk::new().with("/run", b"#!/bin/x\n").with_program("/bin/x", &program).with_program("/ld", &Program::tiny_pie())
}

/// Lets `limit` set bounds that grow until the load succeeds.
fn starve(limit: impl Fn(&Disk, Option<usize>)) -> usize {
    let disk = disk();
    let long = "x".repeat(5000);
    let options = Options { environment: &[&long, &long], ..Options::default() };
    for bound in 0..100 {
        limit(&disk, Some(bound));
        let before = disk.out();
        match disk.load_with("/run", &options) {
            Ok(loaded) => {
                limit(&disk, None);
                disk.finish(loaded);
                return bound;
            }
            Err(error) => assert_eq!(error, ExecError::OutOfMemory),
        }
        assert_eq!(disk.out(), before);
        assert_eq!(disk.machine.commitments().pages(), 0);
    }
    panic!("it never succeeds");
}

#[test]
fn when_any_page_is_missing_nothing_is_lost() {
    let pages = starve(|disk, bound| disk.machine.set_page_budget(bound));
    // Four ends of segments, four pages of stack.
    assert!((7..=9).contains(&pages), "{pages}");
}

#[test]
fn when_any_table_is_missing_nothing_is_lost() {
    let tables = starve(|disk, bound| disk.machine.lab.tables.set_budget(bound));
    assert!((4..=9).contains(&tables), "{tables}");
}

#[test]
fn when_there_is_no_room_for_objects_nothing_is_begun() {
    let disk = disk();
    disk.machine.set_room(false);
    assert_eq!(disk.refused("/run", &Options::default()), ExecError::OutOfMemory);
    disk.machine.set_room(true);
    let loaded = disk.load("/run").unwrap();
    disk.finish(loaded);
}

proptest! {
    #![proptest_config(Config { cases: 512, failure_persistence: None, ..Config::default() })]

    #[test]
    fn a_hostile_file_is_refused_or_loaded_and_nothing_is_lost(
        changes in prop::collection::vec((0..10_u64, 0..7_u64, any::<u8>(), 0..8_u64), 1..4),
        interpreter in any::<bool>(),
    ) {
        let program = Program::musl_pie(0x1000).with_interpreter("/ld");
        let (mut main, mut other) = (program.link(), Program::tiny_pie().link());
        let file = if interpreter { &mut other } else { &mut main };
        for (header, field, bits, byte) in changes {
            let at = usize::try_from(64 + header * 56 + field * 8 + byte).unwrap();
            file[at] ^= bits;
        }
        let disk = Disk::new().with("/bin/x", &main).with("/ld", &other);
        let before = disk.out();
        if let Ok(loaded) = disk.load("/bin/x") {
            loaded.space.destroy(disk.machine);
        }
        assert_eq!(disk.out(), before);
        assert_eq!(disk.machine.lab.sim.mistakes(), []);
    }
}

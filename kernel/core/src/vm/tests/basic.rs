//! Mapping, faults, unmapping.

use super::*;

#[test]
fn what_is_mapped_reads_as_zero_and_keeps_what_is_written() {
    let machine = Machine::new(16, 64, &[0x10_0000]);
    let mut space = start(machine, 1);
    map(machine, &mut space, 0x10_0000, 4, Protection::READ_WRITE);
    assert_eq!(load(machine, &mut space, 0x10_0000), 0);
    assert_eq!(machine.pages().len(), 0, "reading costs no page");
    store(machine, &mut space, 0x10_0000, 7);
    assert_eq!(load(machine, &mut space, 0x10_0000), 7);
    let mut child = space.fork(machine, Asid(2)).unwrap();
    store(machine, &mut child, 0x10_0000, 8);
    assert_eq!(load(machine, &mut space, 0x10_0000), 7);
    end(machine, child);
    assert_eq!(space.unmap(machine, UserAddr::new(0x10_0000), 4 * PAGE), Ok(()));
    assert_eq!(fault(machine, &mut space, 0x10_0000, AccessKind::Read), Fault::NotMapped);
    end(machine, space);
    machine.expect_empty();
}

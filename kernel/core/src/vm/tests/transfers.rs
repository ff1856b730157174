//! Reading and writing from outside.

use super::*;
use crate::hal::UserFault;

const AT: u64 = 0x20_0000;

#[test]
fn bytes_go_across_pages_as_the_program_would_see_them() {
    let machine = Machine::plain();
    let mut space = start(machine, 1);
    map(machine, &mut space, AT, 3, Protection::READ_WRITE);
    let text: Vec<u8> = (0..6000_u32).map(|number| u8::try_from(number % 251).unwrap()).collect();
    let at = UserAddr::new(AT + 1000);
    assert_eq!(space.write_bytes(machine, at, &text), Ok(()));
    let mut child = space.fork(machine, Asid(2)).unwrap();
    machine.lab.load_ttbr(Owner::User(2), child.activate());
    assert_eq!(space.write_bytes(machine, at, &[0xff; 6000]), Ok(()));
    let mut found = vec![0; 6000];
    assert_eq!(child.read_bytes(machine, at, &mut found), Ok(()));
    assert_eq!(found, text);
    finish(machine, [space, child]);
}

#[test]
fn a_transfer_stops_where_the_program_would_fault() {
    let machine = Machine::plain();
    let mut space = start(machine, 1);
    map(machine, &mut space, AT, 1, Protection::READ_WRITE);
    map(machine, &mut space, AT + PAGE, 1, Protection::READ);
    let stop = Err(UserFault { at: UserAddr::new(AT + PAGE) });
    assert_eq!(space.write_bytes(machine, UserAddr::new(AT + 4000), &[1; 200]), stop);
    assert_eq!(load(machine, &mut space, AT + 4095), 1, "what comes before was written");
    let stop = Err(UserFault { at: UserAddr::new(AT + 2 * PAGE) });
    assert_eq!(space.read_bytes(machine, UserAddr::new(AT + PAGE), &mut [0; 5000]), stop);
    let stop = Err(UserFault { at: UserAddr::new(u64::MAX) });
    assert_eq!(space.read_bytes(machine, UserAddr::new(u64::MAX), &mut [0; 2]), stop);
    assert_eq!(space.read_bytes(machine, UserAddr::new(u64::MAX), &mut []), Ok(()));
    finish(machine, [space]);
}

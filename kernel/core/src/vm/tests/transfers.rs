//! Reading and writing from outside.

use super::*;
use crate::hal::UserFault;
use crate::vm::fake::FakeFile;

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

#[test]
fn a_page_is_cut_where_an_objects_part_ends() {
    let machine = Machine::plain();
    let mut space = start(machine, 1);
    let file = FakeFile::ready(machine, 3 * 4096, 7);
    let own = file.page(1).unwrap();
    machine.release(own);
    map_object(machine, &mut space, AT, 3, Sharing::Private, file);
    // It need not be writable for that.
    assert_eq!(space.protect(machine, UserAddr::new(AT), 3 * PAGE, Protection::READ), Ok(()));
    assert_eq!(space.cut_page(machine, UserAddr::new(AT + PAGE + 100)), Ok(()));
    assert_eq!(space.statistics().resident, 1);
    assert!(!is_writable(machine, &space, AT + PAGE));
    let cut = frame(machine, &space, AT + PAGE).unwrap();
    assert_ne!(cut, own);
    let mut found = [1; 200];
    assert_eq!(space.read_bytes(machine, UserAddr::new(AT + PAGE), &mut found), Ok(()));
    assert!(found[..100].iter().all(|&byte| byte == 8) && found[100..].iter().all(|&byte| byte == 0));
    assert_eq!(load(machine, &mut space, AT + 2 * PAGE - 1), 0, "up to the page's end");
    // The object keeps what it had, and gave no reference away.
    assert_eq!((machine.first_byte(own), machine.pages()[&own]), (8, 1));
    // It is the program's own, so that it is written in place once that is allowed.
    assert_eq!(space.protect(machine, UserAddr::new(AT), 3 * PAGE, Protection::READ_WRITE), Ok(()));
    store(machine, &mut space, AT + PAGE, 99);
    assert_eq!(frame(machine, &space, AT + PAGE), Some(cut));
    finish(machine, [space]);
}

#[test]
fn only_a_page_of_a_private_object_that_nobody_touched_is_cut() {
    let machine = Machine::plain();
    let mut space = start(machine, 1);
    let at = |page: u64| UserAddr::new(AT + page * PAGE + 8);
    assert_eq!(space.cut_page(machine, at(0)), Err(Fault::NotMapped));
    map(machine, &mut space, AT, 1, Protection::READ_WRITE);
    assert_eq!(space.cut_page(machine, at(0)), Err(Fault::Denied));
    map_object(machine, &mut space, AT + PAGE, 1, Sharing::Shared, FakeFile::new(machine, 4096, 1));
    assert_eq!(space.cut_page(machine, at(1)), Err(Fault::Denied));
    map_object(machine, &mut space, AT + 2 * PAGE, 3, Sharing::Private, FakeFile::new(machine, 2 * 4096, 1));
    assert_eq!(space.cut_page(machine, at(4)), Err(Fault::BeyondEnd), "the object is shorter than its area");
    assert_eq!(load(machine, &mut space, AT + 2 * PAGE), 1);
    assert_eq!(space.cut_page(machine, at(2)), Err(Fault::Denied), "it is there");
    machine.set_page_budget(Some(0));
    let before = machine.pages();
    assert_eq!(space.cut_page(machine, at(3)), Err(Fault::OutOfMemory));
    assert_eq!(machine.pages(), before);
    machine.set_page_budget(None);
    assert_eq!(space.cut_page(machine, at(3)), Ok(()));
    finish(machine, [space]);
}

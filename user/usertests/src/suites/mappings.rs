//! Mapping, unmapping, protecting, moving memory; the break.

use std::fs::File;

use sys::memory::{Advice, Mapping, PAGE, Protection, Request, exercise_break, flag};
use sys::process::Signal;
use sys::{Errno, die};

use crate::expect::{Checked, dies, ensure, equal, in_child, known, on_tine, refused};

super::tests!("map":
    anonymous_memory_is_zero, sizes_and_offsets_are_checked, a_hint_is_a_hint, noreplace_does_not_replace,
    fixed_replaces, a_hole_can_be_made, protection_holds, protection_of_a_hole_is_refused, growing_keeps_contents,
    shrinking_unmaps, the_break_moves, dontneed_forgets, hints_are_accepted, residency, a_file_is_mapped,
    beyond_the_end_of_a_file, a_shared_mapping_of_a_constant_file, writable_and_executable_is_refused,
    too_much_is_refused, five_hundred_pieces, unmapping_nothing_is_fine, locked_memory_is_resident, none_is_reserved_only);

const ANONYMOUS: usize = flag::PRIVATE | flag::ANONYMOUS;

fn request(bytes: usize) -> Request<'static> {
    Request { address: 0, bytes, protection: Protection::WRITE, flags: ANONYMOUS, file: None }
}

fn anonymous_memory_is_zero() -> Checked {
    for bytes in [1, PAGE, PAGE + 1, 3 << 20] {
        let memory = Mapping::private(bytes)?;
        ensure((0..bytes).step_by(512).all(|offset| memory.read(offset) == 0), "not zero")?;
        memory.write_pages(1);
        ensure(memory.pages_are(1), "a store is lost")?;
    }
    // Frames that come back are zero again.
    let memory = Mapping::private(3 << 20)?;
    ensure(memory.pages_are(0), "not zero the second time")
}

fn sizes_and_offsets_are_checked() -> Checked {
    refused(Mapping::private(0), Errno::INVAL)?;
    refused(Mapping::private(usize::MAX), Errno::NOMEM)?;
    refused(Mapping::private(1 << 50), Errno::NOMEM)?;
    refused(Mapping::new(Request { flags: flag::ANONYMOUS, ..request(PAGE) }), Errno::INVAL)?;
    refused(Mapping::new(Request { flags: flag::PRIVATE, ..request(PAGE) }), Errno::BADF)?;
    let file = File::open("/etc/motd")?;
    refused(Mapping::file(&file, 1, PAGE, Protection::READ), Errno::INVAL)?;
    refused(Mapping::file(&file, 100, PAGE, Protection::READ), Errno::INVAL)
}

fn a_hint_is_a_hint() -> Checked {
    let address = {
        let memory = Mapping::private(4 * PAGE)?;
        memory.address()
    };
    let there = Mapping::new(Request { address, ..request(PAGE) })?;
    equal(there.address(), address)?;
    let elsewhere = Mapping::new(Request { address, ..request(PAGE) })?;
    ensure(elsewhere.address() != address, "two mappings at one address")?;
    Mapping::new(Request { address: 1 << 60, ..request(PAGE) })?;
    Ok(())
}

fn noreplace_does_not_replace() -> Checked {
    let memory = Mapping::private(4 * PAGE)?;
    memory.write_pages(1);
    let flags = ANONYMOUS | flag::FIXED_NOREPLACE;
    let again = Request { address: memory.address() + PAGE, flags, ..request(PAGE) };
    refused(Mapping::new(again), Errno::EXIST)?;
    ensure(memory.pages_are(1), "replaced")
}

fn fixed_replaces() -> Checked {
    let mut memory = Mapping::private(4 * PAGE)?;
    memory.write_pages(1);
    memory.replace(PAGE, request(2 * PAGE))?;
    equal([0, 1, 2, 3].map(|page| memory.read(page * PAGE)), [1, 0, 0, 1])?;
    memory.write_pages(2);
    ensure(memory.pages_are(2), "a store is lost")
}

fn a_hole_can_be_made() -> Checked {
    let mut memory = Mapping::private(8 * PAGE)?;
    memory.write_pages(1);
    memory.unmap(2 * PAGE, 3 * PAGE)?;
    let address = memory.address();
    for page in 2..5 {
        dies(Signal::SEGV, || die::reading(address + page * PAGE))?;
    }
    equal([0, 1, 5, 6, 7].map(|page| memory.read(page * PAGE)), [1; 5])
}

fn unmapping_nothing_is_fine() -> Checked {
    in_child(|| {
        let mut memory = Mapping::private(2 * PAGE)?;
        memory.unmap(0, PAGE)?;
        let mut whole = Mapping::private(PAGE)?;
        refused(whole.unmap(0, 0), Errno::INVAL)?;
        refused(whole.unmap(1, 1), Errno::INVAL)
    })
}

fn protection_holds() -> Checked {
    let memory = Mapping::private(4 * PAGE)?;
    memory.write_pages(1);
    let address = memory.address();
    memory.protect(PAGE, PAGE, Protection::READ)?;
    memory.protect(2 * PAGE, PAGE, Protection::NONE)?;
    equal(memory.read(PAGE), 1)?;
    dies(Signal::SEGV, || die::writing(address + PAGE))?;
    dies(Signal::SEGV, || die::reading(address + 2 * PAGE))?;
    dies(Signal::SEGV, || die::executing(address))?;
    memory.protect(0, 4 * PAGE, Protection::WRITE)?;
    ensure(memory.pages_are(1), "contents are lost")?;
    memory.write_pages(2);
    ensure(memory.pages_are(2), "a store is lost")
}

fn protection_of_a_hole_is_refused() -> Checked {
    let mut outer = Mapping::private(4 * PAGE)?;
    let address = outer.address();
    refused(outer.protect(1, PAGE, Protection::READ), Errno::INVAL)?;
    let call = sys::sacrifice::Attempt { number: 226, arguments: [address, 4 * PAGE, 1, 0, 0, 0] };
    // The hole is made when everything is mapped that the sacrifice needs: it would be the place for that.
    let make_hole = || {
        let _ = outer.unmap(PAGE, PAGE);
    };
    let outcome = sys::sacrifice::sacrifice(&[call], std::time::Duration::from_secs(5), make_hole, || 0)?;
    equal(outcome.returned, vec![-i32::from(Errno::NOMEM.0)])
}

fn growing_keeps_contents() -> Checked {
    let mut memory = Mapping::private(4 * PAGE)?;
    memory.write_pages(7);
    known(memory.resize(64 * PAGE, true))?;
    equal([0, 1, 2, 3].map(|page| memory.read(page * PAGE)), [7; 4])?;
    ensure((4..64).all(|page| memory.read(page * PAGE) == 0), "new pages are not zero")?;
    // Something is right behind it, so it can only move.
    let wall =
        Request { address: memory.address() + 64 * PAGE, flags: ANONYMOUS | flag::FIXED_NOREPLACE, ..request(PAGE) };
    let wall = Mapping::new(wall);
    refused(memory.resize(65 * PAGE, false), Errno::NOMEM)?;
    memory.resize(65 * PAGE, true)?;
    equal(memory.read(3 * PAGE), 7)?;
    drop(wall);
    refused(memory.resize(0, true), Errno::INVAL)
}

fn shrinking_unmaps() -> Checked {
    let mut memory = Mapping::private(8 * PAGE)?;
    memory.write_pages(1);
    known(memory.resize(2 * PAGE, false))?;
    ensure(memory.pages_are(1), "contents are lost")?;
    let address = memory.address();
    dies(Signal::SEGV, || die::reading(address + 2 * PAGE))
}

fn the_break_moves() -> Checked {
    for bytes in [PAGE, 16 * PAGE, 1 << 20] {
        let [before, top, after] = exercise_break(bytes)?;
        equal(top, before + bytes)?;
        equal(after, before)?;
        // Given back, and zero when it comes again.
        exercise_break(bytes)?;
        dies(Signal::SEGV, || die::reading(before + bytes - 1))?;
    }
    Ok(())
}

fn dontneed_forgets() -> Checked {
    let memory = Mapping::private(4 * PAGE)?;
    memory.write_pages(1);
    memory.advise(PAGE, 2 * PAGE, Advice::DONTNEED)?;
    equal([0, 1, 2, 3].map(|page| memory.read(page * PAGE)), [1, 0, 0, 1])?;
    memory.write_pages(2);
    ensure(memory.pages_are(2), "a store is lost")
}

fn hints_are_accepted() -> Checked {
    let memory = Mapping::private(2 << 20)?;
    for advice in [Advice(0), Advice(1), Advice(2), Advice(3), Advice::FREE, Advice::HUGEPAGE, Advice::NOHUGEPAGE] {
        // A kernel without large pages may refuse to hear of them.
        match memory.advise(0, 2 << 20, advice) {
            Err(Errno::INVAL) if !crate::expect::is_tine() => {}
            result => result?,
        }
    }
    refused(memory.advise(0, PAGE, Advice(999)), Errno::INVAL)?;
    refused(memory.advise(1, PAGE, Advice::DONTNEED), Errno::INVAL)
}

fn residency() -> Checked {
    let memory = Mapping::private(8 * PAGE)?;
    memory.write(2 * PAGE, 1);
    memory.write(5 * PAGE, 1);
    let resident = known(memory.resident())?;
    equal(resident, vec![false, false, true, false, false, true, false, false])
}

fn locked_memory_is_resident() -> Checked {
    let memory = Mapping::private(8 * PAGE)?;
    known(memory.lock(0, 4 * PAGE))?;
    let resident = known(memory.resident())?;
    ensure(resident[..4].iter().all(|&page| page), "locked and not there")?;
    memory.unlock(0, 4 * PAGE)?;
    Ok(())
}

fn a_file_is_mapped() -> Checked {
    let text = std::fs::read("/etc/motd")?;
    let file = File::open("/etc/motd")?;
    let memory = Mapping::file(&file, 0, PAGE, Protection::READ)?;
    drop(file);
    equal(memory.copy_out(0, text.len()), text.clone())?;
    ensure((text.len()..PAGE).all(|offset| memory.read(offset) == 0), "not zero behind the end")?;
    let address = memory.address();
    dies(Signal::SEGV, || die::writing(address))
}

fn beyond_the_end_of_a_file() -> Checked {
    let file = File::open("/etc/motd")?;
    let memory = Mapping::file(&file, 0, 2 * PAGE, Protection::READ)?;
    let address = memory.address();
    dies(Signal::BUS, || die::reading(address + PAGE))
}

fn a_shared_mapping_of_a_constant_file() -> Checked {
    let file = File::open("/etc/motd")?;
    let shared = |protection| {
        let file = Some((&file, 0));
        Mapping::new(Request { address: 0, bytes: PAGE, protection, flags: flag::SHARED, file })
    };
    refused(shared(Protection::WRITE), Errno::ACCES)?;
    let memory = shared(Protection::READ)?;
    refused(memory.protect(0, PAGE, Protection::WRITE), Errno::ACCES)?;
    equal(memory.read(0), std::fs::read("/etc/motd")?[0])
}

fn writable_and_executable_is_refused() -> Checked {
    on_tine()?;
    let both = Mapping::new(Request { protection: Protection::ALL, ..request(PAGE) });
    ensure(both.is_err(), "mapped")?;
    let memory = Mapping::private(PAGE)?;
    ensure(memory.protect(0, PAGE, Protection::ALL).is_err(), "protected")?;
    memory.protect(0, PAGE, Protection::EXECUTE)?;
    let address = memory.address();
    dies(Signal::SEGV, || die::writing(address))
}

fn too_much_is_refused() -> Checked {
    refused(Mapping::private(1 << 45), Errno::NOMEM).or_else(|failure| {
        // A machine with a larger address space may take it, as nobody touches it.
        if crate::expect::is_tine() { Err(failure) } else { Ok(()) }
    })?;
    Mapping::private(PAGE)?;
    Ok(())
}

fn five_hundred_pieces() -> Checked {
    let mut memory = Mapping::private(1000 * PAGE)?;
    memory.write_pages(1);
    for page in (0..1000).step_by(2) {
        memory.unmap(page * PAGE, PAGE)?;
    }
    ensure((1..1000).step_by(2).all(|page| memory.read(page * PAGE) == 1), "contents are lost")?;
    in_child(|| ensure((1..1000).step_by(2).all(|page| memory.read(page * PAGE) == 1), "lost by fork"))
}

fn none_is_reserved_only() -> Checked {
    let flags = ANONYMOUS | flag::NORESERVE | flag::STACK;
    let memory = Mapping::new(Request { protection: Protection::NONE, flags, ..request(1 << 30) })?;
    memory.protect(512 << 20, PAGE, Protection::WRITE)?;
    memory.write(512 << 20, 1);
    equal(memory.read(512 << 20), 1)
}

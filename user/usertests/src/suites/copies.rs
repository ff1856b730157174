//! Copy on write, sharing and inheritance of memory (F21, F62).

use bsd::Inheritance;
use sys::memory::{Advice, Mapping, PAGE, Protection};
use sys::process::{self, Signal};
use sys::{Errno, die, machine};

use crate::expect::{Checked, child, dies, ensure, equal, in_child, known, passes};
use crate::meeting::Meeting;

super::tests!("copy":
    a_child_sees_its_parents_memory, stores_of_the_child_are_its_own, stores_of_the_parent_are_its_own,
    a_page_stays_copy_on_write_over_a_second_fork, three_generations_write_the_same_pages, shared_memory_is_shared,
    shared_memory_stays_shared_beside_copied_pages, untouched_memory_is_zero_in_both, the_kernels_stores_are_copied_too,
    private_file_pages_are_copied, wipe_on_fork, dont_fork, f21_minherit, f21_locked_pages_are_copied,
    the_childs_unmap_protect_and_advice_are_its_own, parents_changes_after_fork_are_its_own, heap_and_stack_are_copied,
    siblings_end_in_any_order, two_gibibytes_apart, a_reader_of_a_shared_table_keeps_its_page);

/// Enough for several tables of the last level.
const LARGE: usize = 8 << 20;
const SMALL: usize = 16 * PAGE;

fn filled(bytes: usize, value: u8) -> Result<Mapping, Errno> {
    let memory = Mapping::private(bytes)?;
    memory.write_pages(value);
    Ok(memory)
}

fn a_child_sees_its_parents_memory() -> Checked {
    let memory = filled(LARGE, 3)?;
    in_child(|| ensure(memory.pages_are(3), "the child sees something else"))
}

fn stores_of_the_child_are_its_own() -> Checked {
    let memory = filled(LARGE, 3)?;
    in_child(|| {
        memory.write_pages(4);
        ensure(memory.pages_are(4), "a store of the child is lost")
    })?;
    ensure(memory.pages_are(3), "a store of the child is seen")
}

fn stores_of_the_parent_are_its_own() -> Checked {
    let memory = filled(LARGE, 3)?;
    let meeting = Meeting::new()?;
    let pid = child(|| {
        meeting.wait(0, 1);
        ensure(memory.pages_are(3), "a store of the parent is seen")
    })?;
    memory.write_pages(5);
    meeting.set(0, 1);
    ensure(memory.pages_are(5), "a store of the parent is lost")?;
    passes(pid)
}

fn a_page_stays_copy_on_write_over_a_second_fork() -> Checked {
    let memory = filled(SMALL, 1)?;
    let meeting = Meeting::new()?;
    let first = child(|| {
        meeting.wait(0, 1);
        ensure(memory.pages_are(1), "seen by the first child")
    })?;
    let second = child(|| {
        memory.write_pages(2);
        meeting.set(1, 1);
        meeting.wait(0, 1);
        ensure(memory.pages_are(2), "lost by the second child")
    })?;
    meeting.wait(1, 1);
    ensure(memory.pages_are(1), "seen by the parent")?;
    memory.write_pages(3);
    meeting.set(0, 1);
    passes(first)?;
    passes(second)
}

fn three_generations_write_the_same_pages() -> Checked {
    fn generation(memory: &Mapping, value: u8) -> Checked {
        ensure(memory.pages_are(value - 1), "inherited wrongly")?;
        memory.write_pages(value);
        if value < 6 {
            in_child(|| generation(memory, value + 1))?;
        }
        ensure(memory.pages_are(value), "changed by a descendant")
    }
    let memory = filled(SMALL, 1)?;
    in_child(|| generation(&memory, 2))?;
    ensure(memory.pages_are(1), "changed by a descendant")
}

fn shared_memory_is_shared() -> Checked {
    let memory = Mapping::shared(SMALL)?;
    memory.write(0, 1);
    in_child(|| {
        equal(memory.read(0), 1)?;
        memory.write_pages(7);
        Ok(())
    })?;
    ensure(memory.pages_are(7), "the child's stores are not seen")?;
    // Pages that nobody had touched before the fork, and a grandchild.
    let memory = Mapping::shared(LARGE)?;
    in_child(|| {
        in_child(|| {
            memory.write_pages(8);
            Ok(())
        })
    })?;
    ensure(memory.pages_are(8), "the grandchild's stores are not seen")
}

fn shared_memory_stays_shared_beside_copied_pages() -> Checked {
    // Within one table of the last level: a copy of the table must not take the shared page for a private one.
    let mut memory = Mapping::private(3 * PAGE)?;
    let flags = sys::memory::flag::SHARED | sys::memory::flag::ANONYMOUS;
    let request = sys::memory::Request { address: 0, bytes: PAGE, protection: Protection::WRITE, flags, file: None };
    memory.replace(PAGE, request)?;
    memory.write_pages(1);
    in_child(|| {
        memory.write(0, 2);
        memory.write(PAGE, 2);
        Ok(())
    })?;
    equal([memory.read(0), memory.read(PAGE), memory.read(2 * PAGE)], [1, 2, 1])
}

fn untouched_memory_is_zero_in_both() -> Checked {
    let memory = Mapping::private(LARGE)?;
    // Half of it is read before, so that it may be mapped already.
    ensure((0..LARGE / 2).step_by(PAGE).all(|offset| memory.read(offset) == 0), "not zero at first")?;
    in_child(|| {
        ensure(memory.pages_are(0), "not zero in the child")?;
        memory.write_pages(1);
        Ok(())
    })?;
    ensure(memory.pages_are(0), "not zero in the parent")
}

fn the_kernels_stores_are_copied_too() -> Checked {
    let mut buffer = vec![0_u8; 3 * PAGE];
    in_child(|| {
        known(machine::random(&mut buffer))?;
        ensure(buffer.iter().any(|&byte| byte != 0), "nothing was stored")
    })?;
    ensure(buffer.iter().all(|&byte| byte == 0), "what the kernel stored for the child is seen")?;
    known(machine::random(&mut buffer))?;
    let before = buffer.clone();
    in_child(|| {
        known(machine::random(&mut buffer))?;
        ensure(buffer != before, "nothing was stored")
    })?;
    ensure(buffer == before, "what the kernel stored for the child is seen")
}

fn private_file_pages_are_copied() -> Checked {
    let path = process::own_path();
    let file = std::fs::File::open(path.to_string_lossy().as_ref())?;
    let memory = Mapping::file(&file, 0, 4 * PAGE, Protection::WRITE)?;
    let magic = memory.copy_out(0, 4);
    equal(&magic[..], &b"\x7fELF"[..])?;
    in_child(|| {
        memory.write(0, 1);
        equal(memory.copy_out(0, 2), vec![1, b'E'])
    })?;
    equal(memory.copy_out(0, 4), magic.clone())?;
    memory.write(1, 2);
    let again = Mapping::file(&file, 0, PAGE, Protection::READ)?;
    equal(again.copy_out(0, 4), magic)
}

fn wipe_on_fork() -> Checked {
    let memory = filled(SMALL, 9)?;
    memory.advise(0, 4 * PAGE, Advice::WIPEONFORK)?;
    in_child(|| {
        let wiped = (0..4).all(|page| memory.read(page * PAGE) == 0);
        ensure(wiped, "not wiped")?;
        ensure((4..16).all(|page| memory.read(page * PAGE) == 9), "too much is wiped")?;
        // It stays so for the children of the child.
        memory.write(0, 1);
        in_child(|| equal(memory.read(0), 0))
    })?;
    ensure(memory.pages_are(9), "wiped in the parent")?;
    memory.advise(0, 4 * PAGE, Advice::KEEPONFORK)?;
    in_child(|| ensure(memory.pages_are(9), "still wiped"))
}

fn dont_fork() -> Checked {
    let memory = filled(SMALL, 9)?;
    memory.advise(PAGE, PAGE, Advice::DONTFORK)?;
    in_child(|| equal([memory.read(0), memory.read(2 * PAGE)], [9, 9]))?;
    dies(Signal::SEGV, || die::reading(memory.address() + PAGE))?;
    ensure(memory.pages_are(9), "gone in the parent")?;
    memory.advise(PAGE, PAGE, Advice::DOFORK)?;
    in_child(|| ensure(memory.pages_are(9), "still not forked"))
}

fn f21_minherit() -> Checked {
    let memory = filled(SMALL, 1)?;
    known(memory.inherit(0, PAGE, Inheritance::Share))?;
    memory.inherit(PAGE, PAGE, Inheritance::Copy)?;
    memory.inherit(2 * PAGE, PAGE, Inheritance::Zero)?;
    memory.inherit(3 * PAGE, PAGE, Inheritance::None)?;
    in_child(|| {
        equal([0, 1, 2].map(|page| memory.read(page * PAGE)), [1, 1, 0])?;
        [0, 1, 2].into_iter().for_each(|page| memory.write(page * PAGE, 5));
        Ok(())
    })?;
    equal([0, 1, 2, 3].map(|page| memory.read(page * PAGE)), [5, 1, 1, 1])?;
    dies(Signal::SEGV, || die::reading(memory.address() + 3 * PAGE))?;
    // Bad ones: an unknown kind, a hole.
    let bad = bsd::minherit(memory.address(), usize::MAX, Inheritance::Copy);
    ensure(bad.is_err(), "a length beyond the end of memory")
}

fn f21_locked_pages_are_copied() -> Checked {
    let memory = filled(SMALL, 1)?;
    known(memory.lock(0, 8 * PAGE))?;
    let meeting = Meeting::new()?;
    let pid = child(|| {
        ensure(memory.pages_are(1), "lost by fork")?;
        memory.write_pages(2);
        meeting.set(0, 1);
        meeting.wait(1, 1);
        ensure(memory.pages_are(2), "changed by the parent")
    })?;
    meeting.wait(0, 1);
    ensure(memory.pages_are(1), "changed by the child")?;
    memory.write_pages(3);
    meeting.set(1, 1);
    passes(pid)?;
    ensure(memory.pages_are(3), "lost")?;
    memory.unlock(0, 8 * PAGE)?;
    Ok(())
}

fn the_childs_unmap_protect_and_advice_are_its_own() -> Checked {
    let mut memory = filled(SMALL, 1)?;
    in_child(|| {
        memory.unmap(PAGE, 2 * PAGE)?;
        memory.protect(4 * PAGE, PAGE, Protection::READ)?;
        memory.advise(6 * PAGE, PAGE, Advice::DONTNEED)?;
        equal(memory.read(6 * PAGE), 0)?;
        equal(memory.read(4 * PAGE), 1)?;
        let address = memory.address();
        dies(Signal::SEGV, || die::reading(address + PAGE))?;
        dies(Signal::SEGV, || die::writing(address + 4 * PAGE))
    })?;
    ensure(memory.pages_are(1), "changed by the child")?;
    memory.write_pages(2);
    ensure(memory.pages_are(2), "a store is lost")
}

fn parents_changes_after_fork_are_its_own() -> Checked {
    let mut memory = filled(SMALL, 1)?;
    let meeting = Meeting::new()?;
    let pid = child(|| {
        meeting.wait(0, 1);
        ensure(memory.pages_are(1), "changed by the parent")?;
        memory.write_pages(2);
        ensure(memory.pages_are(2), "a store is lost")
    })?;
    memory.unmap(PAGE, PAGE)?;
    memory.protect(4 * PAGE, PAGE, Protection::NONE)?;
    memory.advise(6 * PAGE, PAGE, Advice::DONTNEED)?;
    meeting.set(0, 1);
    passes(pid)
}

fn heap_and_stack_are_copied() -> Checked {
    static STATIC: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(1);
    let mut heap: Vec<u32> = (0..100_000).collect();
    let mut stack = std::hint::black_box([1_u32; 2048]);
    in_child(|| {
        heap.iter_mut().for_each(|word| *word += 1);
        stack.fill(2);
        STATIC.store(2, std::sync::atomic::Ordering::Relaxed);
        std::hint::black_box(&mut stack);
        ensure(heap[99_999] == 100_000 && stack[2047] == 2, "a store is lost")
    })?;
    ensure(heap.iter().enumerate().all(|(index, &word)| index == word as usize), "heap")?;
    ensure(std::hint::black_box(stack).iter().all(|&word| word == 1), "stack")?;
    equal(STATIC.load(std::sync::atomic::Ordering::Relaxed), 1)
}

fn siblings_end_in_any_order() -> Checked {
    let memory = filled(SMALL, 1)?;
    let meeting = Meeting::new()?;
    let order = [3_u32, 1, 4, 2, 5];
    let children: Result<Vec<_>, Errno> = order
        .iter()
        .map(|&turn| {
            let value = u8::try_from(turn).unwrap_or(0) + 10;
            child(|| {
                if turn % 2 == 0 {
                    memory.write_pages(value);
                }
                meeting.wait(0, turn);
                ensure(memory.pages_are(if turn % 2 == 0 { value } else { 1 }), "changed by a sibling")
            })
        })
        .collect();
    let children = children?;
    for turn in 1..=5 {
        meeting.set(0, turn);
        let index = order.iter().position(|&other| other == turn).unwrap_or(0);
        passes(children[index])?;
    }
    ensure(memory.pages_are(1), "changed by a child")
}

fn two_gibibytes_apart() -> Checked {
    // Two entries of the root, and one that neither uses.
    let first = filled(SMALL, 1)?;
    let far = sys::memory::Request {
        address: first.address().wrapping_sub(3 << 30) & !(PAGE - 1),
        bytes: SMALL,
        protection: Protection::WRITE,
        flags: sys::memory::flag::PRIVATE | sys::memory::flag::ANONYMOUS | sys::memory::flag::FIXED_NOREPLACE,
        file: None,
    };
    let second = Mapping::new(far)?;
    second.write_pages(2);
    in_child(|| {
        ensure(first.pages_are(1) && second.pages_are(2), "inherited wrongly")?;
        second.write_pages(3);
        Ok(())
    })?;
    ensure(first.pages_are(1) && second.pages_are(2), "changed by the child")
}

fn a_reader_of_a_shared_table_keeps_its_page() -> Checked {
    // The parent reads a page, the child has it copied, the parent reads it again: no stale translation may show.
    let memory = filled(SMALL, 1)?;
    for round in 2..20 {
        in_child(|| {
            memory.write(0, round);
            equal(memory.read(0), round)
        })?;
        equal(memory.read(0), round - 1)?;
        memory.write(0, round);
        equal(memory.read(0), round)?;
    }
    Ok(())
}

//! Robust futexes: the locks that a thread held when it ended (`Documentation/locking/robust-futex-ABI` of Linux).
//!
//! A C library keeps a list, in the program's memory, of the robust locks that the thread holds, and tells the kernel where
//! it begins. When the thread ends, the kernel walks the list, marks the words whose owner it was, and wakes a waiter for
//! each, who finds out that the owner died. The list is the program's: it may be a ring, or nonsense.

use kcore::addr::UserAddr;
use kcore::futex::EVERY_BIT;

use super::{UserThread, futexes};
use crate::arch::user_copy;

/// Entries after which the list is taken for a ring, as Linux does (`ROBUST_LIST_LIMIT`).
const LONGEST: usize = 2048;
/// The word's bits: somebody waits, the owner died, who owns it.
const WAITERS: u32 = 0x8000_0000;
const OWNER_DIED: u32 = 0x4000_0000;
const OWNER: u32 = 0x3fff_ffff;
/// The lowest bit of a link says that the lock hands priority on.
const PRIORITY: u64 = 1;

/// Marks what the current thread, which is about to end, still holds.
pub(super) fn mark(thread: &UserThread) {
    let (head, _bytes) = thread.robust_list();
    if head.get() == 0 {
        return;
    }
    let (Some(first), Some(distance), Some(pending)) = (load(head, 0), load(head, 8), load(head, 16)) else { return };
    let mut link = first;
    for _ in 0..LONGEST {
        let entry = link & !PRIORITY;
        if entry == head.get() || entry == 0 {
            break;
        }
        // Read before the entry is marked: the one who is woken may free it.
        let next = load(UserAddr::new(entry), 0);
        if entry != pending & !PRIORITY {
            mark_word(thread, UserAddr::new(entry.wrapping_add(distance)), false);
        }
        let Some(next) = next else { break };
        link = next;
    }
    // What it was about to take or give when it ended.
    if pending & !PRIORITY != 0 {
        mark_word(thread, UserAddr::new((pending & !PRIORITY).wrapping_add(distance)), true);
    }
}

fn load(at: UserAddr, offset: u64) -> Option<u64> {
    user_copy::load_u64(at.checked_add(offset)?).ok()
}

fn mark_word(thread: &UserThread, word: UserAddr, pending: bool) {
    if !word.is_aligned(4) {
        return;
    }
    loop {
        let Ok(now) = user_copy::load_u32(word) else { return };
        // A lock that was given back, but whose waiters were not yet told.
        if pending && now & OWNER == 0 {
            wake(thread, word);
            return;
        }
        if now & OWNER != thread.tid().0 {
            return;
        }
        match user_copy::exchange_u32(word, now, now & WAITERS | OWNER_DIED) {
            Ok(true) if now & WAITERS != 0 => return wake(thread, word),
            Ok(true) | Err(_) => return,
            Ok(false) => {}
        }
    }
}

fn wake(thread: &UserThread, word: UserAddr) {
    // A robust lock may be shared or private; its waiters wait under the one key or under the other.
    let keys = [futexes::private_key(thread, word), futexes::shared_key(thread, word)];
    for key in keys.into_iter().flatten() {
        futexes::wake(key, 1, EVERY_BIT);
    }
}

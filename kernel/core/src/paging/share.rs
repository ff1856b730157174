//! Fork by sharing whole translation tables: a child gets a root of its own and, below it, its parent's tables.
//!
//! Fork copies the root's few descriptors and makes them read-only (`APTable[1]`, which forbids stores in the whole
//! subtree) in the parent and in the child. It looks at nothing below, so that it costs the same whatever is mapped.
//! Copying is put off until somebody changes something, and is done one table at a time, down the one path that the
//! change needs: a table of 1 GiB, a table of 2 MiB, a page. Whoever exits or executes another program gives up his
//! references at the root, and what nobody copied meanwhile was never looked at.
//!
//! One page, or two, is better divided than shared: that of the stack, to which both sides return and store at once.
//! Fork can give the child a copy of it, with tables of its own on the way there. (Module `divide`.)
//!
//! A [`UserTree`] is a tree that can do so. Its verbs:
//!
//! * [`fork`](UserTree::fork): share everything; [`fork_dividing`](UserTree::fork_dividing): all but a page or two
//!   that both are about to write
//! * [`unshare`](UserTree::unshare): make one path ours
//! * [`slot`](UserTree::slot): the same, and the [`Slot`] at its end, where a fault maps, grants or replaces a page;
//!   [`write`](UserTree::write), [`replace`](UserTree::replace): both at once
//! * [`fill_vacant`](UserTree::fill_vacant): neighbours of a page that a fault has mapped
//! * [`relocate`](UserTree::relocate): the same pages at other addresses
//! * [`map_pages`](UserTree::map_pages), [`unmap`](UserTree::unmap), [`protect`](UserTree::protect): those of
//!   [`Tree`](super::Tree), which first make ours what they are going to change
//! * [`destroy`](UserTree::destroy): give everything up
//! * [`census`](UserTree::census): how many tables there are, and how many may be shared
//!
//! # Who owns what
//!
//! Every table has a count: the number of descriptors that name it, and of references in somebody's hand. Every frame
//! that a leaf maps has one too ([`LeafCounts`]): the number of leaves that map it, where a leaf in a table that ten
//! processes share is *one* leaf. The root is never shared.
//!
//! A table is *ours* if no descriptor on the way from our root to it is read-only. The lock of our address space
//! (`&mut UserTree`) lets us do with our tables as we like. Below a read-only descriptor begins what *may* be shared.
//! The topmost one on a path is the **barrier**: no walker of ours can store anything through it, whatever stands
//! below. A table's count says whether it is shared only if all above it is ours: a table with one descriptor naming
//! it is still seen by all who share the table where that descriptor stands.
//!
//! The tree holds pages only, no blocks: each of a block's pieces would need a count of its own.
//!
//! # The protocol
//!
//! Four CPUs may be at work on one table at a time, in the name of four processes, and each holds the lock of its own
//! address space only. No lock belongs to the table itself. Six rules make one needless:
//!
//! 1. **Only a holder shares.** A reference is made by somebody who has one (our descriptor, under our lock), so a
//!    count of 1 that a holder sees is his, and stays 1 until he shares.
//! 2. **One kind of store** is made to a table that may be shared: the *mark*. It makes a table descriptor read-only, or
//!    takes the right to store from a private leaf. Everything else waits until the table is ours.
//! 3. **A table is copied by marking it**: each entry is counted up, then marked in the old table, then written to the
//!    copy, marked. (Leaves of `MAP_SHARED` memory are counted and stay as they are.)
//! 4. **Everything below the barrier first.** Copies are hung in, and lower read-only bits are lifted, while the barrier
//!    stands. The copy that replaces the barrier's own table is hung in read-only, too.
//! 5. **Then forget, then let go, then lift.** Publish and invalidate the whole address space; only after that give up
//!    the references to the tables that were replaced; only after that make the barrier's descriptor writable.
//! 6. **The last one cleans up.** Whoever gives up the last reference, whenever that is, has the table alone: he gives
//!    up what it refers to and frees it.
//!
//! # Why it is right
//!
//! *Copiers do not disturb each other.* A mark depends on nothing but the entry, and entries of a shared table change by
//! marks alone (rule 2). Two CPUs that copy a table at once store the same values to it, in any order and any number of
//! times, and read entries that differ at most in a mark that both set anyway in their copy. Each has counted each child
//! up for its own copy. If both then let go of the old table, one of them is last and gives up the old table's own
//! references (rule 6). All that is lost is one copy that a lock would have saved, in a race that is rare, and no
//! process ever waits for another's fault.
//!
//! *Who sees a count of 1 finds the table finished.* A copier holds a reference to what it copies until it is done
//! (rule 5), so while the count is 1 nobody is copying. What former holders did to it has happened: their marks come
//! before their release, which is what [`TableCounts`](super::TableCounts) promises. The same holds one level down for
//! a child's count, which goes up before the old table is let go of: whoever finds himself alone with a table finds each
//! child with the count that its other copies gave it, and marked.
//!
//! *A count is never too low.* It is raised before the second descriptor exists (rule 3), and lowered after the one that
//! it stood for is gone from tables and caches (rule 5). So a frame is never freed under a walker, and a writable page is
//! never somebody else's as well.
//!
//! *Forking is the same thing at the root.* It takes references by rule 1 while other owners of these tables copy them
//! or let go of them; it marks descriptors in a root, which is ours. Where it divides a page it copies two tables by rule 3
//! that are ours, too, and so have no barrier above; the invalidation that every fork makes comes between their marks and
//! the moment that the child can run, and the parent's own page is copied only after it, while it still has its mark.
//!
//! # What a walker of any CPU may see
//!
//! *The same memory at every instant.* A copy maps what the original maps: the same output addresses, sizes and memory
//! types, only with fewer rights. So one table descriptor may be replaced by the other in a single store. Nothing that
//! calls for break-before-make changes (Arm ARM D8.16.1), and the program's other threads read on without a fault. Only
//! [`replace`](UserTree::replace), which gives a page another frame, breaks before it makes.
//!
//! *Never a right too many.* Until the barrier is lifted, no walk through it can store. The question is what a walker
//! might combine with the lifted descriptor. The architecture does not say whether a walk cache keeps what the tables
//! above forbid together with an entry, or each level's descriptor by itself. Take the second: then a cache might hold a
//! descriptor from below the barrier as it was before it was marked, harmless as long as the barrier stands, and a right
//! too many the moment it falls. Therefore the *whole* address space is invalidated *before* the lift, even where
//! nothing was copied: the page alone would leave the neighbours' descriptors behind. Whatever is read after that is
//! marked, for the marks were published (`dsb`) by whoever made them before he let go of his reference, and we saw
//! him let go.
//!
//! *Marking an old table is no news to its other owners.* They reach it through barriers of their own. What their TLBs
//! hold of it allows no store, so a mark takes nothing from them that an invalidation would have to take; and when they
//! lift their barrier they invalidate first, as we do.
//!
//! *Nothing freed is reachable.* We give up a reference after our address space has forgotten the way to the table;
//! each other owner did the same. The tables of one process are walked with its own ASID alone.
//!
//! *Refusals.* After the lift some TLB may remember that stores are forbidden. The page that was asked for is invalidated;
//! for others the fault finds a path that is open and a leaf that is writable, invalidates that page and returns: a
//! spurious fault, and [`Write::Granted`] like any other.
//!
//! # When there is no memory
//!
//! Fork allocates the child's root before it changes anything; where there is no memory to divide a page, it is shared. Unsharing allocates as it goes down: if a table is
//! missing, what was copied above stays hung in behind the barrier, which is not lifted. That state is as good as the
//! one before, a program cannot tell them apart, and the next attempt begins where this one ended.

mod census;
mod change;
mod copy;
mod counts;
mod divide;
mod fork;
#[cfg(test)]
#[cfg(loom)]
mod loom_models;
mod page;
mod relocate;
mod slot;
mod tree;
mod unshare;

pub use census::TableCensus;
pub use copy::without_store;
pub use counts::{LeafCounts, SharingMmu};
pub use divide::Pages;
pub use page::{ReplaceError, Write};
pub use slot::{FEW_PAGES, FewFrames, NO_FRAMES, Slot, SlotError};
pub use tree::UserTree;
pub use unshare::Unshared;

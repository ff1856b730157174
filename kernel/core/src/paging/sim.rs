//! A software MMU with the worst TLB that the architecture allows.
//!
//! It caches every valid translation of the watched pages at every moment that somebody could notice: when stores are
//! published, before each invalidation, each time a table is freed, at each check. It caches table descriptors with their accumulated
//! attributes as well, and walks on from them although the tables above have changed; and it caches each level's
//! table descriptor by itself, and combines it with whatever it finds above. It drops an entry only when it is told to. So it catches a missing invalidation, one that comes before the store, a frame that is freed too early,
//! and a missing break-before-make. Descriptors it decodes by itself, as an oracle for `descriptor` and `attr`.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use super::address::HALF_SIZE;
use super::attr::Rights;
use super::fake::FakeMemory;
use crate::addr::{Asid, PhysAddr, PhysFrame, UserAddr, VirtAddr};
use crate::hal::Tlb;

/// Whose translation an entry is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Owner {
    /// TTBR0 with this ASID.
    User(u16),
    /// TTBR1.
    Kernel,
}

/// A mistake of the code under test.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Mistake {
    /// A TLB allows what the tables do not.
    Stale {
        /// What the TLB holds.
        cached: Cached,
        /// The page's offset in its half.
        offset: u64,
    },
    /// Two translations of an address that differ in more than rights were in the TLB at once.
    NoBreakBeforeMake {
        /// One.
        old: Cached,
        /// The other.
        new: Cached,
    },
    /// A table was freed that a walk cache knows.
    TableFreedTooEarly(PhysFrame),
    /// Memory was released that a TLB entry leads to.
    MemoryReleasedTooEarly(Cached),
    /// A TLB lets a program store to private memory that another address space maps as well, if only for a moment.
    StoresToShared(Cached),
    /// An invalidation before the changed descriptors were published, or an operation that ended so.
    NotPublished,
    /// A leaf of a program is global, or one of the kernel is not.
    WrongTag(Cached),
    /// A leaf would take an access-flag fault.
    NoAccessFlag(Cached),
}

/// One TLB or walk cache entry.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Cached {
    owner: Owner,
    /// Bit number of the lowest address bit that is looked up.
    shift: u32,
    base: u64,
    content: Content,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Content {
    /// Go on in the table in frame `next`, with the hierarchical bits of all levels so far.
    Table {
        next: u64,
        limits: u64,
    },
    Leaf {
        output: u64,
        rights: u8,
        memory: u64,
    },
}

/// The MMU of all CPUs.
pub struct Sim {
    memory: Arc<FakeMemory>,
    watched: Vec<u64>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    roots: Vec<(Owner, PhysFrame)>,
    cached: BTreeSet<Cached>,
    /// Table descriptors by themselves, as a walk cache might keep them: not `limits` of all levels so far, but their own.
    single: BTreeSet<Cached>,
    published: Vec<Option<Cached>>,
    mistakes: Vec<Mistake>,
}

const HIERARCHICAL: u64 = 0xf << 59;
const ADDRESS: u64 = 0x0000_ffff_ffff_f000;
/// Set in leaves of memory that is mapped as shared.
const SHARED: u64 = 1 << 55;

impl Content {
    fn output(self) -> Option<u64> {
        match self {
            Self::Table { .. } => None,
            Self::Leaf { output, .. } => Some(output),
        }
    }

    fn without_limits(self) -> Self {
        match self {
            Self::Table { next, .. } => Self::Table { next, limits: 0 },
            leaf @ Self::Leaf { .. } => leaf,
        }
    }

    fn under(self, above: u64) -> Self {
        match self {
            Self::Table { next, limits } => Self::Table { next, limits: limits | above },
            leaf @ Self::Leaf { .. } => leaf,
        }
    }
}

impl Cached {
    fn stores(&self) -> bool {
        matches!(self.content, Content::Leaf { rights, .. } if Rights::from_bits_truncate(rights).intersects(Rights::WRITE))
    }

    fn covers(&self, offset: u64) -> bool {
        self.base >> self.shift == offset >> self.shift
    }

    fn output_of(&self, offset: u64) -> Option<(u64, Rights, u64)> {
        match self.content {
            Content::Table { .. } => None,
            Content::Leaf { output, rights, memory } => {
                Some((output + (offset - self.base), Rights::from_bits_truncate(rights), memory))
            }
        }
    }
}

impl Sim {
    /// An MMU that speculates on the pages at `watched` offsets of each half.
    pub fn new(memory: Arc<FakeMemory>, watched: &[u64]) -> Self {
        Self { memory, watched: watched.to_vec(), state: Mutex::default() }
    }

    /// Loads a TTBR: from now on `root` is walked.
    pub fn attach(&self, owner: Owner, root: PhysFrame) {
        self.state.lock().unwrap().roots.push((owner, root));
        self.note_published();
    }

    /// Takes `root` out of the TTBR. What is cached stays.
    pub fn detach(&self, root: PhysFrame) {
        self.speculate();
        self.state.lock().unwrap().roots.retain(|&(_, other)| other != root);
        self.note_published();
    }

    /// Everything that some CPU might now take for the translation of `offset`: the physical address and the rights.
    pub fn possible(&self, owner: Owner, offset: u64) -> Vec<(PhysAddr, Rights)> {
        self.speculate();
        let state = self.state.lock().unwrap();
        let entries = state.cached.iter().filter(|entry| entry.owner == owner && entry.covers(offset));
        entries.filter_map(|e| e.output_of(offset)).map(|(phys, rights, _)| (PhysAddr::new(phys), rights)).collect()
    }

    /// All mistakes so far, and those that can be seen now, between two operations.
    pub fn mistakes(&self) -> Vec<Mistake> {
        self.speculate();
        let now = self.translations();
        let mut state = self.state.lock().unwrap();
        if now != state.published {
            state.mistakes.push(Mistake::NotPublished);
        }
        let stale = self.stale(&state);
        state.mistakes.extend(stale);
        state.mistakes.clone()
    }

    /// Notes a mistake if a walk cache knows the table in `frame`.
    pub fn expect_table_unreachable(&self, frame: PhysFrame) {
        self.speculate();
        let mut state = self.state.lock().unwrap();
        let leads_here =
            |entry: &Cached| matches!(entry.content, Content::Table { next, .. } if next == frame.number());
        if state.cached.iter().any(leads_here) || state.roots.iter().any(|&(_, root)| root == frame) {
            state.mistakes.push(Mistake::TableFreedTooEarly(frame));
        }
    }

    /// Notes a mistake if a TLB still translates any of the `bytes` from `offset` on.
    pub fn expect_forgotten(&self, owner: Owner, offset: u64, bytes: u64) {
        self.speculate();
        let mut state = self.state.lock().unwrap();
        let found = state.cached.iter().copied().find(|entry| {
            entry.owner == owner
                && matches!(entry.content, Content::Leaf { .. })
                && entry.base < offset + bytes
                && offset < entry.base + (1 << entry.shift)
        });
        state.mistakes.extend(found.map(Mistake::MemoryReleasedTooEarly));
    }

    /// Notes a mistake if a TLB entry leads to the `bytes` of memory from `start` on.
    pub fn expect_output_unreachable(&self, start: u64, bytes: u64) {
        self.speculate();
        let mut state = self.state.lock().unwrap();
        let found = state.cached.iter().copied().find(|entry| {
            matches!(entry.content, Content::Leaf { output, .. }
                if output < start + bytes && start < output + (1 << entry.shift))
        });
        state.mistakes.extend(found.map(Mistake::MemoryReleasedTooEarly));
    }

    /// Caches whatever a walk can find, from the roots and from cached table descriptors.
    fn speculate(&self) {
        let mut state = self.state.lock().unwrap();
        let mut writable = Vec::new();
        for &offset in &self.watched {
            let mut starts: Vec<Cached> = state.roots.iter().map(|&(owner, root)| root_entry(owner, root)).collect();
            starts.extend(state.cached.iter().filter(|entry| entry.covers(offset)));
            while let Some(start) = starts.pop() {
                let found = self.walk_on(start, offset, |entry| {
                    state.insert(entry);
                });
                if let Some((leaf, raw)) = found {
                    state.judge(leaf, raw);
                    writable.extend((raw & SHARED == 0).then_some(leaf).filter(Cached::stores));
                }
                self.combine(&mut state, start, offset, &mut starts);
            }
        }
        let shared = writable.into_iter().find(|leaf| self.is_mapped_elsewhere(&state, leaf));
        state.mistakes.extend(shared.map(Mistake::StoresToShared));
    }

    /// Whether another address space maps a watched page to what `leaf` leads to.
    fn is_mapped_elsewhere(&self, state: &State, leaf: &Cached) -> bool {
        let others = state.roots.iter().filter(|(owner, _)| *owner != leaf.owner);
        let pages = others.flat_map(|&(owner, root)| self.watched.iter().map(move |&page| (owner, root, page)));
        let mut found = pages.filter_map(|(owner, root, page)| self.walk_on(root_entry(owner, root), page, |_| ()));
        found.any(|(other, _)| other.content.output() == leaf.content.output())
    }

    /// Keeps the table descriptor that a walk finds right below `above` by itself, and goes on from `above` with each one
    /// that is kept for this place: to `starts`, where they are new.
    fn combine(&self, state: &mut State, above: Cached, offset: u64, starts: &mut Vec<Cached>) {
        let Content::Table { limits, .. } = above.content else { return };
        let shift = above.shift - 9;
        let alone = Cached { content: above.content.without_limits(), ..above };
        let mut first = None;
        self.walk_on(alone, offset, |entry| first = first.or(Some(entry)));
        state.single.extend(first.filter(|entry| matches!(entry.content, Content::Table { .. })));
        let base = offset >> shift << shift;
        let kept = state.single.iter().filter(|one| one.owner == above.owner && one.shift == shift && one.base == base);
        let combined: Vec<Cached> = kept.map(|one| Cached { content: one.content.under(limits), ..*one }).collect();
        starts.extend(combined.into_iter().filter(|&entry| state.insert(entry)));
    }

    /// Walks from a cached table descriptor to the leaf for `offset`; shows `note` all that a TLB may keep.
    fn walk_on(&self, mut from: Cached, offset: u64, mut note: impl FnMut(Cached)) -> Option<(Cached, u64)> {
        while let Content::Table { next, limits } = from.content {
            let shift = from.shift - 9;
            let index = usize::try_from(offset >> shift & 0x1ff).expect("nine bits");
            let raw = self.memory.read(PhysFrame::from_number(next), index);
            let content = match (raw & 0b11, shift) {
                (0b11, 21 | 30) => Content::Table { next: (raw & ADDRESS) >> 12, limits: limits | raw & HIERARCHICAL },
                (0b01, 21 | 30) | (0b11, 12) => {
                    Content::Leaf { output: raw & ADDRESS, rights: rights(raw, limits).bits(), memory: raw >> 2 & 7 }
                }
                _ => return None,
            };
            from = Cached { owner: from.owner, shift, base: offset >> shift << shift, content };
            note(from);
            if matches!(content, Content::Leaf { .. }) {
                return Some((from, raw));
            }
        }
        None
    }

    /// What the tables say about every watched page of every root.
    fn translations(&self) -> Vec<Option<Cached>> {
        let roots = self.state.lock().unwrap().roots.clone();
        let pages = roots.iter().flat_map(|&(owner, root)| self.watched.iter().map(move |&page| (owner, root, page)));
        pages.map(|(owner, root, page)| Some(self.walk_on(root_entry(owner, root), page, |_| ())?.0)).collect()
    }

    fn stale(&self, state: &State) -> Vec<Mistake> {
        let mut found = Vec::new();
        for &offset in &self.watched {
            for &cached in state.cached.iter().filter(|entry| entry.covers(offset)) {
                let Some((output, rights, memory)) = cached.output_of(offset) else { continue };
                let root = state.roots.iter().find(|&&(owner, _)| owner == cached.owner);
                let now = root.and_then(|&(owner, root)| self.walk_on(root_entry(owner, root), offset, |_| ()));
                let allowed = now
                    .and_then(|(leaf, _)| leaf.output_of(offset))
                    .is_some_and(|now| now.0 == output && now.1.contains(rights) && now.2 == memory);
                if !allowed {
                    found.push(Mistake::Stale { cached, offset });
                }
            }
        }
        found
    }

    fn note_published(&self) {
        let now = self.translations();
        self.state.lock().unwrap().published = now;
    }

    fn forget(&self, matches: impl Fn(&Cached) -> bool) {
        self.speculate();
        let now = self.translations();
        let mut state = self.state.lock().unwrap();
        if now != state.published {
            state.mistakes.push(Mistake::NotPublished);
        }
        state.cached.retain(|entry| !matches(entry));
        state.single.retain(|entry| !matches(entry));
    }
}

impl State {
    /// Whether it is new.
    fn insert(&mut self, new: Cached) -> bool {
        if !self.cached.insert(new) {
            return false;
        }
        let clash = self.cached.iter().copied().find(|old| old.owner == new.owner && clash(old, &new));
        self.mistakes.extend(clash.map(|old| Mistake::NoBreakBeforeMake { old, new }));
        true
    }

    fn judge(&mut self, leaf: Cached, raw: u64) {
        if (raw & 1 << 11 != 0) != matches!(leaf.owner, Owner::User(_)) {
            self.mistakes.push(Mistake::WrongTag(leaf));
        }
        if raw & 1 << 10 == 0 {
            self.mistakes.push(Mistake::NoAccessFlag(leaf));
        }
    }
}

/// Two leaves for one address of different size, output address or memory type (Arm ARM D8.16.1).
fn clash(a: &Cached, b: &Cached) -> bool {
    let offset = a.base.max(b.base);
    if !(a.covers(offset) && b.covers(offset)) {
        return false;
    }
    match (a.output_of(offset), b.output_of(offset)) {
        (Some(x), Some(y)) => a.shift != b.shift || x.0 != y.0 || x.2 != y.2,
        _ => false,
    }
}

fn root_entry(owner: Owner, root: PhysFrame) -> Cached {
    Cached { owner, shift: 39, base: 0, content: Content::Table { next: root.number(), limits: 0 } }
}

/// Arm ARM D8.4.1, by the bits.
fn rights(leaf: u64, tables: u64) -> Rights {
    let leaf_bit = |n: u32| leaf >> n & 1 == 1;
    let table_bit = |n: u32| tables >> n & 1 == 1;
    let writable = !leaf_bit(7) && !table_bit(62);
    let user = leaf_bit(6) && !table_bit(61);
    let mut rights = Rights::KERNEL_READ;
    rights.set(Rights::KERNEL_WRITE, writable);
    rights.set(Rights::USER_READ, user);
    rights.set(Rights::USER_WRITE, user && writable);
    rights.set(Rights::USER_EXECUTE, !leaf_bit(54) && !table_bit(60));
    rights.set(Rights::KERNEL_EXECUTE, !(leaf_bit(53) || table_bit(59) || user && writable));
    rights
}

impl Tlb for Sim {
    fn publish(&self) {
        self.note_published();
        self.speculate();
    }

    fn flush_user_page(&self, asid: Asid, page: UserAddr) {
        self.forget(|entry| entry.owner == Owner::User(asid.0) && entry.covers(page.get()));
    }

    fn flush_asid(&self, asid: Asid) {
        self.forget(|entry| entry.owner == Owner::User(asid.0));
    }

    fn flush_kernel_page(&self, page: VirtAddr) {
        self.forget(|entry| entry.owner == Owner::Kernel && entry.covers(page.get() % HALF_SIZE));
    }

    fn flush_all(&self) {
        self.forget(|_| true);
    }
}

//! One range of an address space: what may be done with it, and where its contents come from.

use alloc::sync::Arc;

use bitflags::bitflags;

use super::range::PageRange;
use super::system::Pager;
use crate::addr::UserAddr;
use crate::paging::{Attributes, SoftwareBits, UserAccess};

bitflags! {
    /// What a program may do with a range. The bits are those of `PROT_READ`, `PROT_WRITE`, `PROT_EXEC`.
    #[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
    pub struct Protection: u8 {
        /// Load.
        const READ = 1;
        /// Store. Such memory can be loaded from, too.
        const WRITE = 2;
        /// Execute. Such memory can be loaded from, too.
        const EXECUTE = 4;
    }

    /// What else is true of an area.
    #[derive(Clone, Copy, PartialEq, Eq, Debug)]
    pub(super) struct AreaFlags: u8 {
        /// It grows downwards: a stack.
        const GROWS_DOWN = 1 << 0;
        /// Its pages are there before they are touched, and stay.
        const LOCKED = 1 << 1;
        /// Its pages are counted as promised.
        const CHARGED = 1 << 2;
        /// Its pages are not counted when it becomes writable.
        const NO_RESERVE = 1 << 3;
    }
}

impl Protection {
    /// Nothing may be done.
    pub const NONE: Self = Self::empty();
    /// Load and store.
    pub const READ_WRITE: Self = Self::READ.union(Self::WRITE);
    /// Load and execute.
    pub const READ_EXECUTE: Self = Self::READ.union(Self::EXECUTE);

    /// The rights of a leaf. The architecture has none that can only be stored to, and this kernel none that can only be
    /// executed.
    #[must_use]
    pub const fn access(self) -> UserAccess {
        match (self.contains(Self::WRITE), self.contains(Self::EXECUTE)) {
            (true, true) => UserAccess::ReadWriteExecute,
            (true, false) => UserAccess::ReadWrite,
            (false, true) => UserAccess::ReadExecute,
            (false, false) if self.contains(Self::READ) => UserAccess::ReadOnly,
            (false, false) => UserAccess::None,
        }
    }
}

/// What a program tried to do.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum AccessKind {
    /// A load.
    Read,
    /// A store.
    Write,
    /// An instruction fetch.
    Execute,
}

/// Whose a mapping's stores are.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Sharing {
    /// Only this program sees them.
    Private,
    /// All who map the object see them.
    Shared,
}

/// What a child gets of a range.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Inheritance {
    /// What [`Sharing`] says: a copy of what is private, a share in what is shared.
    Usual,
    /// A copy, also of what is shared: from then on the child's stores are its own.
    Copy,
    /// The range, full of zeroes.
    Zero,
    /// Nothing.
    None,
}

/// Where the contents of pages come from that nobody has touched.
#[derive(Clone, Debug)]
pub(super) enum Backing {
    /// They are zero.
    Anonymous,
    /// From an object, of which the area begins at `offset`.
    Object {
        /// The object.
        pager: Arc<dyn Pager>,
        /// In bytes; a multiple of the page size.
        offset: u64,
    },
}

/// One range.
#[derive(Clone, Debug)]
pub(super) struct Area {
    pub(super) range: PageRange,
    pub(super) protection: Protection,
    /// What `mprotect` may ask for.
    pub(super) maximum: Protection,
    pub(super) sharing: Sharing,
    pub(super) backing: Backing,
    pub(super) inheritance: Inheritance,
    pub(super) flags: AreaFlags,
}

impl Area {
    /// Whether the program may do that.
    pub(super) const fn allows(&self, access: AccessKind) -> bool {
        match access {
            AccessKind::Read => !self.protection.is_empty(),
            AccessKind::Write => self.protection.contains(Protection::WRITE),
            AccessKind::Execute => self.protection.contains(Protection::EXECUTE),
        }
    }

    /// What a leaf of the area says when nothing stands against it.
    pub(super) fn attributes(&self) -> Attributes<UserAccess> {
        let software = match self.sharing {
            Sharing::Private => SoftwareBits::empty(),
            Sharing::Shared => SoftwareBits::SHARED,
        };
        Attributes::normal(self.protection.access()).with_software(software)
    }

    /// Whether its pages may be written, and are then this program's own: what promises are counted for.
    pub(super) fn is_private_writable(&self) -> bool {
        self.sharing == Sharing::Private && self.protection.contains(Protection::WRITE)
    }

    /// Whether fork has to look at it.
    pub(super) fn is_special(&self) -> bool {
        self.inheritance != Inheritance::Usual || self.flags.contains(AreaFlags::LOCKED)
    }

    /// Where in its object `at` is, in bytes; 0 for anonymous memory.
    pub(super) fn offset_of(&self, at: UserAddr) -> u64 {
        match &self.backing {
            Backing::Anonymous => 0,
            Backing::Object { offset, .. } => offset + (at.get() - self.range.start().get()),
        }
    }

    /// The part of the area that lies in `range`, of which the area has something.
    pub(super) fn part(&self, range: PageRange) -> Option<Self> {
        let range = self.range.and(range)?;
        let mut part = Self { range, ..self.clone() };
        if let Backing::Object { offset, .. } = &mut part.backing {
            *offset += range.start().get() - self.range.start().get();
        }
        Some(part)
    }

    /// Whether this area and `next` may be one.
    pub(super) fn continues_in(&self, next: &Self) -> bool {
        self.range.end() == next.range.start()
            && self.protection == next.protection
            && self.maximum == next.maximum
            && self.sharing == next.sharing
            && self.inheritance == next.inheritance
            && self.flags == next.flags
            && match (&self.backing, &next.backing) {
                (Backing::Anonymous, Backing::Anonymous) => true,
                (Backing::Object { pager, .. }, Backing::Object { pager: other, offset }) => {
                    Arc::ptr_eq(pager, other) && self.offset_of(next.range.start()) == *offset
                }
                (Backing::Anonymous, Backing::Object { .. }) | (Backing::Object { .. }, Backing::Anonymous) => false,
            }
    }
}

/// What an area is to its program.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum AreaKind {
    /// Memory of no object.
    Anonymous,
    /// The memory that `brk` moves the end of.
    Heap,
    /// Memory that grows downwards.
    Stack,
    /// An object's contents.
    Object,
    /// Those of the kernel's own shared object.
    KernelObject,
}

/// One range of an address space, to look at.
#[derive(Clone, Debug)]
pub struct AreaView<'a> {
    /// The first address.
    pub start: UserAddr,
    /// The first address behind it.
    pub end: UserAddr,
    /// What the program may do.
    pub protection: Protection,
    /// Whose its stores are.
    pub sharing: Sharing,
    /// What a child gets of it.
    pub inheritance: Inheritance,
    /// Whether its pages stay.
    pub locked: bool,
    /// What it is.
    pub kind: AreaKind,
    /// The object that it maps.
    pub pager: Option<&'a Arc<dyn Pager>>,
    /// Where in the object it begins, in bytes.
    pub offset: u64,
}

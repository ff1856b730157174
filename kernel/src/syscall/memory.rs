//! The program's address space: `mmap(2)` and what belongs to it, `brk(2)`.

use bitflags::bitflags;
use kcore::addr::{PAGE_SIZE, UserAddr};
use kcore::fs::{Mapping, MountFlags};
use kcore::vm::{
    Advice, Inheritance, LockAll, MapFlags, MapRequest, Moving, Place, Protection, Sharing, Source, Space,
};
use linux_raw_sys::general as linux;

use super::argument::{Bits, Descriptor};
use super::errno::Errno;
use super::{Answer, Caller};
use crate::arch::user_copy::CurrentUser;
use crate::mem::user::MEMORY;
use kcore::hal::UserMemory;

bitflags! {
    /// `MAP_*` of `mmap(2)`. Those that say nothing to this kernel are known, too: programs pass them.
    #[derive(Clone, Copy)]
    struct Flags: u32 {
        const SHARED = linux::MAP_SHARED;
        const PRIVATE = linux::MAP_PRIVATE;
        const FIXED = linux::MAP_FIXED;
        const ANONYMOUS = linux::MAP_ANONYMOUS;
        const GROWS_DOWN = linux::MAP_GROWSDOWN;
        const LOCKED = linux::MAP_LOCKED;
        const NO_RESERVE = linux::MAP_NORESERVE;
        const POPULATE = linux::MAP_POPULATE;
        const STACK = linux::MAP_STACK;
        const FIXED_NO_REPLACE = linux::MAP_FIXED_NOREPLACE;
    }
}

/// `PROT_*`, decoded.
fn protection(bits: Bits) -> Result<Protection, Errno> {
    let known = linux::PROT_READ | linux::PROT_WRITE | linux::PROT_EXEC;
    if bits.0 & !known != 0 {
        return Err(Errno::EINVAL);
    }
    let mut protection = Protection::empty();
    protection.set(Protection::READ, bits.0 & linux::PROT_READ != 0);
    protection.set(Protection::WRITE, bits.0 & linux::PROT_WRITE != 0);
    protection.set(Protection::EXECUTE, bits.0 & linux::PROT_EXEC != 0);
    Ok(protection)
}

pub(super) fn mmap(
    caller: &mut Caller<'_>,
    address: UserAddr,
    bytes: u64,
    access: Bits,
    flags: Bits,
    file: Descriptor,
    offset: u64,
) -> Answer {
    let flags = Flags::from_bits_truncate(flags.0);
    let protection = protection(access)?;
    // MAP_SHARED_VALIDATE is both bits.
    let sharing = match (flags.contains(Flags::SHARED), flags.contains(Flags::PRIVATE)) {
        (true, _) => Sharing::Shared,
        (false, true) => Sharing::Private,
        (false, false) => return Err(Errno::EINVAL),
    };
    let place = if flags.contains(Flags::FIXED_NO_REPLACE) {
        Place::FixedNoReplace(address)
    } else if flags.contains(Flags::FIXED) {
        Place::Fixed(address)
    } else if address.get() == 0 {
        Place::Anywhere
    } else {
        Place::Hint(address)
    };
    if !offset.is_multiple_of(PAGE_SIZE as u64) {
        return Err(Errno::EINVAL);
    }
    let source = if flags.contains(Flags::ANONYMOUS) {
        Source::Anonymous
    } else {
        file_source(caller, file, protection, sharing, offset)?
    };
    let mut wanted = MapFlags::empty();
    wanted.set(MapFlags::NORESERVE, flags.contains(Flags::NO_RESERVE));
    wanted.set(MapFlags::LOCKED, flags.contains(Flags::LOCKED));
    wanted.set(MapFlags::POPULATE, flags.contains(Flags::POPULATE));
    wanted.set(MapFlags::STACK, flags.contains(Flags::STACK));
    wanted.set(MapFlags::GROWSDOWN, flags.contains(Flags::GROWS_DOWN));
    let request = MapRequest { place, bytes, protection, sharing, source, flags: wanted };
    Ok(caller.with_space(|space| space.map(&MEMORY, request))??.get())
}

/// What a mapping of the open file `file` shows.
fn file_source(
    caller: &Caller<'_>,
    file: Descriptor,
    wanted: Protection,
    sharing: Sharing,
    offset: u64,
) -> Result<Source, Errno> {
    let open = caller.file(file)?;
    if !open.status().is_readable() {
        return Err(Errno::EACCES);
    }
    let mut most = Protection::all();
    if sharing == Sharing::Shared && !open.status().is_writable() {
        most.remove(Protection::WRITE);
    }
    if open.inode().mount_flags().contains(MountFlags::NO_EXECUTION) {
        if wanted.contains(Protection::EXECUTE) {
            return Err(Errno::EPERM);
        }
        most.remove(Protection::EXECUTE);
    }
    if !most.contains(wanted) {
        return Err(Errno::EACCES);
    }
    let mapping = match sharing {
        Sharing::Private => open.mapping()?,
        Sharing::Shared => open.shared_mapping()?,
    };
    match mapping {
        Mapping::None => Err(Errno::ENODEV),
        Mapping::Anonymous => Ok(Source::Anonymous),
        Mapping::Pager(pager) => Ok(Source::File { pager, offset, max_protection: most }),
        // What cannot keep stores is mapped as long as there are none.
        Mapping::ReadOnly(_) if wanted.contains(Protection::WRITE) => Err(Errno::ENODEV),
        Mapping::ReadOnly(pager) => {
            most.remove(Protection::WRITE);
            Ok(Source::File { pager, offset, max_protection: most })
        }
    }
}

pub(super) fn munmap(caller: &mut Caller<'_>, address: UserAddr, bytes: u64) -> Answer {
    caller.with_space(|space| space.unmap(&MEMORY, address, bytes))??;
    Ok(0)
}

pub(super) fn mprotect(caller: &mut Caller<'_>, address: UserAddr, bytes: u64, access: Bits) -> Answer {
    let protection = protection(Bits(access.0 & !(linux::PROT_GROWSDOWN | linux::PROT_GROWSUP)))?;
    caller.with_space(|space| space.protect(&MEMORY, address, bytes, protection))??;
    Ok(0)
}

pub(super) fn mremap(
    caller: &mut Caller<'_>,
    old: UserAddr,
    old_bytes: u64,
    new_bytes: u64,
    flags: Bits,
    new: UserAddr,
) -> Answer {
    let moving = match flags.0 {
        0 => Moving::No,
        linux::MREMAP_MAYMOVE => Moving::May,
        bits if bits == linux::MREMAP_MAYMOVE | linux::MREMAP_FIXED => Moving::To(new),
        _ => return Err(Errno::EINVAL),
    };
    Ok(caller.with_space(|space| space.remap(&MEMORY, old, old_bytes, new_bytes, moving))??.get())
}

pub(super) fn brk(caller: &mut Caller<'_>, to: UserAddr) -> Answer {
    Ok(caller.with_space(|space| space.set_break(&MEMORY, to))?.get())
}

fn decode_advice(number: u32) -> Option<Advice> {
    Some(match number {
        linux::MADV_NORMAL
        | linux::MADV_RANDOM
        | linux::MADV_SEQUENTIAL
        | linux::MADV_WILLNEED
        | linux::MADV_MERGEABLE
        | linux::MADV_UNMERGEABLE
        | linux::MADV_HUGEPAGE
        | linux::MADV_NOHUGEPAGE
        | linux::MADV_DONTDUMP
        | linux::MADV_DODUMP
        | linux::MADV_COLD
        | linux::MADV_PAGEOUT
        | linux::MADV_COLLAPSE => Advice::Usage,
        linux::MADV_DONTNEED => Advice::DontNeed,
        linux::MADV_FREE => Advice::Free,
        linux::MADV_DONTFORK => Advice::DontFork,
        linux::MADV_DOFORK => Advice::DoFork,
        linux::MADV_WIPEONFORK => Advice::WipeOnFork,
        linux::MADV_KEEPONFORK => Advice::KeepOnFork,
        linux::MADV_POPULATE_READ | linux::MADV_POPULATE_WRITE => Advice::Populate,
        _ => return None,
    })
}

pub(super) fn madvise(caller: &mut Caller<'_>, address: UserAddr, bytes: u64, advice: u32) -> Answer {
    let advice = decode_advice(advice).ok_or(Errno::EINVAL)?;
    caller.with_space(|space| space.advise(&MEMORY, address, bytes, advice))??;
    Ok(0)
}

/// Pages that one look at the tables answers for; the vector is stored in pieces of this size.
const MINCORE_PIECE: usize = 256;

pub(super) fn mincore(caller: &mut Caller<'_>, address: UserAddr, bytes: u64, to: UserAddr) -> Answer {
    let pages = bytes.div_ceil(PAGE_SIZE as u64);
    let mut done = 0;
    while done < pages {
        let count = usize::try_from(pages - done).unwrap_or(MINCORE_PIECE).min(MINCORE_PIECE);
        let mut vector = [0; MINCORE_PIECE];
        let start = address.checked_add(done * PAGE_SIZE as u64).ok_or(Errno::ENOMEM)?;
        caller.with_space(|space| space.resident(&MEMORY, start, &mut vector[..count]))??;
        CurrentUser.copy_out(&vector[..count], to.checked_add(done).ok_or(Errno::EFAULT)?)?;
        done += count as u64;
    }
    Ok(0)
}

pub(super) fn msync(caller: &mut Caller<'_>, address: UserAddr, bytes: u64, flags: Bits) -> Answer {
    let known = linux::MS_ASYNC | linux::MS_INVALIDATE | linux::MS_SYNC;
    let both = linux::MS_ASYNC | linux::MS_SYNC;
    if flags.0 & !known != 0 || flags.0 & both == both {
        return Err(Errno::EINVAL);
    }
    caller.with_space(|space| space.sync(address, bytes))??;
    Ok(0)
}

pub(super) fn mlock(caller: &mut Caller<'_>, address: UserAddr, bytes: u64) -> Answer {
    caller.with_space(|space| space.lock(&MEMORY, address, bytes))??;
    Ok(0)
}

pub(super) fn mlock2(caller: &mut Caller<'_>, address: UserAddr, bytes: u64, flags: Bits) -> Answer {
    match flags.0 {
        0 => mlock(caller, address, bytes),
        _ => Err(Errno::EINVAL),
    }
}

pub(super) fn munlock(caller: &mut Caller<'_>, address: UserAddr, bytes: u64) -> Answer {
    caller.with_space(|space| space.unlock(address, bytes))??;
    Ok(0)
}

pub(super) fn mlockall(caller: &mut Caller<'_>, flags: Bits) -> Answer {
    let wanted = match flags.0 {
        linux::MCL_CURRENT => LockAll::Current,
        linux::MCL_FUTURE => LockAll::Future,
        both if both == linux::MCL_CURRENT | linux::MCL_FUTURE => LockAll::Both,
        _ => return Err(Errno::EINVAL),
    };
    caller.with_space(|space| space.lock_all(&MEMORY, wanted))??;
    Ok(0)
}

pub(super) fn munlockall(caller: &mut Caller<'_>) -> Answer {
    caller.with_space(Space::unlock_all)??;
    Ok(0)
}

/// OpenBSD's `minherit(2)`.
pub(super) fn minherit(caller: &mut Caller<'_>, address: UserAddr, bytes: u64, inherit: u32) -> Answer {
    let inheritance = match inherit {
        0 => {
            caller.with_space(|space| space.inherit_shared(&MEMORY, address, bytes))??;
            return Ok(0);
        }
        1 => Inheritance::Copy,
        2 => Inheritance::None,
        3 => Inheritance::Zero,
        _ => return Err(Errno::EINVAL),
    };
    caller.with_space(|space| space.inherit(&MEMORY, address, bytes, inheritance))??;
    Ok(0)
}

//! The kernel's own shared object, which programs find by `AT_SYSINFO_EHDR`: reading it as the C library does, and calling
//! its functions.

use std::time::Duration;

use bsd::Errno;

use crate::memory::PAGE;
use crate::time::Timespec;

unsafe extern "C" {
    safe fn getauxval(key: u64) -> u64;
}

/// `AT_SYSINFO_EHDR`
const KEY: u64 = 33;

/// The object, with the functions that it has under Linux's names and version.
#[derive(Clone, Copy, Debug)]
pub struct Object {
    base: usize,
    gettime: usize,
    timeofday: usize,
    getres: usize,
    /// Where handlers return to.
    pub sigreturn: usize,
}

/// The object's page, to look at.
struct Page(usize);

impl Page {
    fn bytes<const N: usize>(&self, offset: usize) -> Option<[u8; N]> {
        if offset.checked_add(N)? > PAGE {
            return None;
        }
        let at = std::ptr::with_exposed_provenance::<[u8; N]>(self.0 + offset);
        // SAFETY: within the page, which is mapped and can be read as long as nobody unmapped it; bytes are not aligned.
        Some(unsafe { at.read_volatile() })
    }

    fn half(&self, offset: usize) -> Option<u16> {
        self.bytes(offset).map(u16::from_le_bytes)
    }

    fn word(&self, offset: usize) -> Option<u32> {
        self.bytes(offset).map(u32::from_le_bytes)
    }

    fn long(&self, offset: usize) -> Option<usize> {
        usize::try_from(u64::from_le_bytes(self.bytes(offset)?)).ok()
    }

    fn text(&self, offset: usize) -> Option<String> {
        let bytes = (offset..).map_while(|at| self.bytes::<1>(at).filter(|[byte]| *byte != 0));
        String::from_utf8(bytes.map(|[byte]| byte).collect()).ok()
    }

    /// What the dynamic section says under `key`.
    fn dynamic(&self, key: usize) -> Option<usize> {
        let (table, count) = (self.long(32)?, usize::from(self.half(56)?));
        let segment = (0..count).map(|n| table + 56 * n).find(|&at| self.word(at) == Some(2))?;
        let at = self.long(segment + 8)?;
        (0..)
            .map(|n| at + 16 * n)
            .take_while(|&at| self.long(at).is_some_and(|found| found != 0))
            .find_map(|at| (self.long(at)? == key).then(|| self.long(at + 8)).flatten())
    }

    /// The name of version `number`.
    fn version(&self, number: u16) -> Option<String> {
        let mut at = self.dynamic(0x6fff_fffc)?;
        for _ in 0..self.dynamic(0x6fff_fffd)? {
            if self.half(at + 4)? == number && self.half(at + 2)? & 1 == 0 {
                let auxiliary = at + usize::try_from(self.word(at + 12)?).ok()?;
                return self.text(self.dynamic(5)? + usize::try_from(self.word(auxiliary)?).ok()?);
            }
            at += usize::try_from(self.word(at + 16)?).ok()?;
        }
        None
    }

    /// Where a function is, by the table of symbols that has as many entries as the hash table says.
    fn find(&self, name: &str) -> Option<usize> {
        let (symbols, strings) = (self.dynamic(6)?, self.dynamic(5)?);
        let count = usize::try_from(self.word(self.dynamic(4)? + 4)?).ok()?;
        let index = (1..count).find(|&index| {
            let entry = symbols + 24 * index;
            let at = self.word(entry).and_then(|at| usize::try_from(at).ok());
            at.and_then(|at| self.text(strings + at)).is_some_and(|found| found == name)
        })?;
        let version = self.version(self.half(self.dynamic(0x6fff_fff0)? + 2 * index)? & 0x7fff)?;
        let [info, other, section @ ..] = self.bytes::<4>(symbols + 24 * index + 4)?;
        let is_right = version == "LINUX_2.6.39" && info == 0x12 && other == 0 && section != [0; 2];
        self.long(symbols + 24 * index + 8).filter(|_| is_right).map(|value| self.0 + value)
    }
}

/// The address of the object, if there is one.
#[must_use]
pub fn base() -> Option<usize> {
    usize::try_from(getauxval(KEY)).ok().filter(|&base| base != 0)
}

/// The object; `None` if there is none, or if it lacks something.
#[must_use]
pub fn find() -> Option<Object> {
    let base = base()?;
    let page = Page(base);
    if page.bytes(0)? != *b"\x7fELF\x02\x01\x01" || page.half(16)? != 3 || page.half(18)? != 183 {
        return None;
    }
    Some(Object {
        base,
        gettime: page.find("__kernel_clock_gettime")?,
        timeofday: page.find("__kernel_gettimeofday")?,
        getres: page.find("__kernel_clock_getres")?,
        sigreturn: page.find("__kernel_rt_sigreturn")?,
    })
}

type TwoArguments = extern "C" fn(usize, usize) -> isize;

/// The function at `address`.
fn function(address: usize) -> TwoArguments {
    let address = std::ptr::with_exposed_provenance::<()>(address);
    // SAFETY: the object is an ELF file of the kernel's whose symbol table says that a function of two arguments is there.
    unsafe { std::mem::transmute::<*const (), TwoArguments>(address) }
}

fn checked(result: isize) -> Result<(), Errno> {
    bsd::check(result).map(drop)
}

impl Object {
    /// Where it is.
    #[must_use]
    pub const fn base(&self) -> usize {
        self.base
    }

    /// The same object where it has been moved to.
    #[must_use]
    pub fn moved_to(&self, base: usize) -> Self {
        let moved = |at: usize| at - self.base + base;
        Self {
            base,
            gettime: moved(self.gettime),
            timeofday: moved(self.timeofday),
            getres: moved(self.getres),
            sigreturn: moved(self.sigreturn),
        }
    }

    /// `__kernel_clock_gettime`
    ///
    /// # Errors
    ///
    /// `INVAL` for clocks that there are not.
    pub fn now(&self, clock: i32) -> Result<Duration, Errno> {
        let mut now = Timespec::default();
        checked(function(self.gettime)(crate::call::int(clock), crate::call::output(&mut now)))?;
        Ok(now.into())
    }

    /// `__kernel_clock_getres`
    ///
    /// # Errors
    ///
    /// As [`now`](Self::now).
    pub fn resolution(&self, clock: i32) -> Result<Duration, Errno> {
        checked(function(self.getres)(crate::call::int(clock), 0))?;
        let mut resolution = Timespec::default();
        checked(function(self.getres)(crate::call::int(clock), crate::call::output(&mut resolution)))?;
        Ok(resolution.into())
    }

    /// `__kernel_gettimeofday`, and what it says of the zone.
    ///
    /// # Errors
    ///
    /// None that a kernel has.
    pub fn time_of_day(&self) -> Result<(Duration, u64), Errno> {
        let (mut now, mut zone) = ([0_u64; 2], u64::MAX);
        checked(function(self.timeofday)(crate::call::output(&mut now), crate::call::output(&mut zone)))?;
        checked(function(self.timeofday)(0, 0))?;
        Ok((Duration::from_secs(now[0]) + Duration::from_micros(now[1]), zone))
    }
}

/// What the kernel says by a call: time and resolution.
///
/// # Errors
///
/// `INVAL` for clocks that there are not.
pub fn asked(clock: i32) -> Result<(Duration, Duration), Errno> {
    let (mut now, mut resolution) = (Timespec::default(), Timespec::default());
    let clock = crate::call::int(clock);
    // SAFETY: a `struct timespec` is stored.
    unsafe { crate::call::call(crate::number::CLOCK_GETTIME, [clock, crate::call::output(&mut now)]) }?;
    // SAFETY: as above.
    unsafe { crate::call::call(crate::number::CLOCK_GETRES, [clock, crate::call::output(&mut resolution)]) }?;
    Ok((now.into(), resolution.into()))
}

/// Moves the object elsewhere; from then on this process's C library calls nothing of it any more, or dies.
///
/// # Errors
///
/// As of `mremap`.
pub fn move_away(base: usize, to: &crate::Mapping) -> Result<usize, Errno> {
    const MAYMOVE_FIXED: usize = 3;
    // SAFETY: what lies at `to` is a mapping of the caller's, which it gives up; what calls the object finds nothing there.
    unsafe { crate::call::call(crate::number::MREMAP, [base, PAGE, PAGE, MAYMOVE_FIXED, to.address()]) }
}

/// Unmaps the object.
///
/// # Errors
///
/// As of `munmap`.
pub fn unmap(base: usize) -> Result<(), Errno> {
    // SAFETY: what calls the object finds nothing there.
    unsafe { crate::call::call(crate::number::MUNMAP, [base, PAGE]) }.map(drop)
}

/// Asks for other rights to the object's page.
///
/// # Errors
///
/// `ACCES` for such as nobody has.
pub fn protect(base: usize, protection: usize) -> Result<(), Errno> {
    // SAFETY: nobody writes there; what cannot be executed dies.
    unsafe { crate::call::call(crate::number::MPROTECT, [base, PAGE, protection]) }.map(drop)
}

/// Has the kernel store into the object's page, which it must not.
///
/// # Errors
///
/// `FAULT`
pub fn have_it_written(base: usize) -> Result<(), Errno> {
    // SAFETY: a `struct timespec` would be stored, where nobody relies on anything but this kernel's word.
    unsafe { crate::call::call(crate::number::CLOCK_GETTIME, [1, base + PAGE - 16]) }.map(drop)
}

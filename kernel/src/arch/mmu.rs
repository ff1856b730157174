//! The MMU's system registers and the TLB instructions.

use core::arch::asm;
use core::sync::atomic::{AtomicU64, Ordering};

use aarch64_cpu::registers::{TTBR0_EL1, Writeable};
use kcore::addr::{Asid, PhysAddr, PhysFrame, UserAddr, VirtAddr};
use kcore::hal::Tlb;

/// `MAIR_EL1`: attribute 0 Normal write-back, 1 Device-nGnRE, 2 Normal non-cacheable. The indices are those of
/// `kcore::paging`.
pub(crate) const MAIR_VALUE: u64 = 0x44_04_ff;

/// `TCR_EL1` while booting: 39 bits in both halves, 4 KiB granules, table walks through inner-shareable write-back
/// memory, 16-bit ASIDs of TTBR0, 40-bit physical addresses (the A53's range, enough for every board). The hierarchical-permission-disable bits (41, 42)
/// stay zero: fork shares tables by those permissions.
pub(crate) const TCR_BOOT_VALUE: u64 = 25              // T0SZ
    | 1 << 8 | 1 << 10 | 3 << 12                        // IRGN0, ORGN0, SH0
    | 25 << 16                                          // T1SZ
    | 1 << 24 | 1 << 26 | 3 << 28                       // IRGN1, ORGN1, SH1
    | 2 << 30                                           // TG1 = 4 KiB
    | 2 << 32                                           // IPS
    | 1 << 36; // AS

/// `TTBR0_EL1` while no program's space is entered: a table that maps nothing, and the tag 0, which no program has.
static EMPTY_SPACE: AtomicU64 = AtomicU64::new(0);

/// Names the frame of zeroes that stands for no program's space. Called once, by the boot CPU, before
/// [`leave_identity`].
pub(crate) fn set_empty_space(table: PhysFrame) {
    EMPTY_SPACE.store(table.start().get(), Ordering::Relaxed);
}

/// Takes the identity mapping of the boot code away: TTBR0 translates nothing until a program's space is entered.
/// Walks stay allowed, so that entering one is the store of one register. Called once on each CPU.
pub(crate) fn leave_identity() {
    leave_space();
    // SAFETY: invalidating translations has no effect on memory; the kernel itself runs through TTBR1, whose tables
    // hold all that it uses.
    unsafe { asm!("tlbi vmalle1", "dsb nsh", "isb", options(nostack, preserves_flags)) }
}

/// Makes the tables below `root` the lower half of this CPU's address space, their translations tagged with `asid`, which
/// is not 0: root and tag are one register (`TCR_EL1.A1` is 0), so no walk of the one is ever cached under the other. With
/// interrupts masked.
#[inline]
pub(crate) fn enter_space(root: PhysFrame, asid: Asid) {
    set_lower_half(root.start().get() | u64::from(asid.0) << 48);
}

/// Ends what [`enter_space`] began: no user address translates to anything on this CPU. A space that is destroyed must
/// have been left by every CPU.
#[inline]
pub(crate) fn leave_space() {
    set_lower_half(EMPTY_SPACE.load(Ordering::Relaxed));
}

#[inline]
fn set_lower_half(ttbr0: u64) {
    TTBR0_EL1.set(ttbr0);
    // Before the kernel itself reads or writes the program's memory; the return to EL0 would be barrier enough.
    // SAFETY: a barrier. What the lower half translates to concerns user accesses alone, which check for faults.
    unsafe { asm!("isb", options(nostack, preserves_flags)) }
}

/// The TLBs of all CPUs, through the inner-shareable instructions.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct HardwareTlb;

impl Tlb for HardwareTlb {
    fn publish(&self) {
        // SAFETY: barriers only.
        unsafe { asm!("dsb ishst", "isb", options(nostack, preserves_flags)) }
    }

    fn flush_user_page(&self, asid: Asid, page: UserAddr) {
        let operand = u64::from(asid.0) << 48 | (page.get() >> 12) & ((1 << 44) - 1);
        // SAFETY: invalidating translations has no effect on memory; what is still needed is walked for again.
        unsafe {
            asm!("dsb ishst", "tlbi vae1is, {}", "dsb ish", "isb", in(reg) operand, options(nostack, preserves_flags));
        }
    }

    fn flush_asid(&self, asid: Asid) {
        let operand = u64::from(asid.0) << 48;
        // SAFETY: as in `flush_user_page`.
        unsafe {
            asm!("dsb ishst", "tlbi aside1is, {}", "dsb ish", "isb", in(reg) operand, options(nostack, preserves_flags));
        }
    }

    fn flush_kernel_page(&self, page: VirtAddr) {
        let operand = (page.get() >> 12) & ((1 << 44) - 1);
        // SAFETY: as in `flush_user_page`.
        unsafe {
            asm!("dsb ishst", "tlbi vaae1is, {}", "dsb ish", "isb", in(reg) operand, options(nostack, preserves_flags));
        }
    }

    fn flush_all(&self) {
        // SAFETY: as in `flush_user_page`.
        unsafe { asm!("dsb ishst", "tlbi vmalle1is", "dsb ish", "isb", options(nostack, preserves_flags)) }
    }
}

macro_rules! translate {
    ($(#[$doc:meta])* $name:ident, $instruction:literal) => {
        $(#[$doc])*
        pub(crate) fn $name(address: VirtAddr) -> Option<PhysAddr> {
            let par: u64;
            let raw = address.get();
            // SAFETY: an address translation instruction reports in PAR_EL1 and touches nothing else; interrupts are
            // masked between it and the read, so that no handler's own use comes between.
            unsafe {
                asm!("mrs {s}, daif", "msr daifset, #3", $instruction, "isb", "mrs {p}, par_el1", "msr daif, {s}",
                    s = out(reg) _, a = in(reg) raw, p = out(reg) par, options(nostack));
            }
            translated(par, address)
        }
    };
}

translate! {
    /// The physical address that the kernel's own address `address` translates to for a write, by the MMU's own word;
    /// `None` where the write would fault.
    translate_write, "at s1e1w, {a}"
}
translate! {
    /// As [`translate_write`], for a read.
    translate_read, "at s1e1r, {a}"
}

/// What `PAR_EL1` says (Arm ARM D19.2.110): bit 0 for a fault, else the frame.
fn translated(par: u64, address: VirtAddr) -> Option<PhysAddr> {
    (par & 1 == 0).then(|| PhysAddr::new(par & 0x000f_ffff_ffff_f000 | address.page_offset()))
}

//! GIC-400, the interrupt controller of the Pi 4 (Arm IHI 0048B, "GIC Architecture Specification", version 2.0).
//!
//! An interrupt travels from its source through the one [`Distributor`], which knows whether it is enabled and which
//! cores want it, to the [`CpuInterface`] of a core, where it is acknowledged ([`Claim`]) and ended. Its number all the
//! way is its [`IntId`].
//!
//! The kernel runs non-secure on a board, behind a firmware stub that ran secure: every core's stub has put its
//! interrupts into group 1 (IGROUPR all ones) and set `GICC_CTLR` = 0x1e7, `GICC_PMR` = 0xff. In QEMU nothing ran
//! before and everything is in group 0. Bit 0 of `GICD_CTLR` and `GICC_CTLR` means "enable my group" from either side,
//! so these drivers use bit 0 alone and have no name for the IGROUPR registers: a write to them would cut interrupts
//! off in QEMU.
//!
//! What the non-secure side writes as a priority is stored in the lower half of the range: 0xa0 and 0xf0 below become
//! 0xd0 and 0xf8, still in the same order (IHI 0048B, section 3.6.5).

mod cpu_interface;
mod distributor;
mod int_id;

pub use cpu_interface::{Acknowledged, Claim, CpuInterface, CpuInterfaceRegisters};
pub use distributor::{Distributor, DistributorRegisters, SgiTarget};
pub use int_id::{IntId, Sgi};

/// The priority of every interrupt: one level, since the kernel does not let interrupts preempt each other.
const PRIORITY: u8 = 0xa0;
/// The priority mask of every core: all interrupts above the lowest level (`GICC_PMR`).
const PRIORITY_MASK: u32 = 0xf0;

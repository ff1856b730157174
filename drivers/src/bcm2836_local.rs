//! The ARM-local interrupt controller of the Pi 3 ("BCM2836 ARM-local peripherals", Broadcom document QA7 rev 3.4).
//!
//! It is the last stage before a core: each core has its own enables and its own [`IrqSources`] for its timers, its
//! four mailboxes and the one line of the legacy controller ([`bcm2835_irq`](crate::bcm2835_irq)), which is routed to
//! one core. Mailbox 0 of each core carries the interrupts between cores: 32 flags that senders set and the receiver
//! takes at once. The Pi 4 has the block too, but in QEMU it is connected to nothing there: use the GIC.

use bitflags::bitflags;
use tock_registers::interfaces::{Readable, Writeable};
use tock_registers::register_structs;

use crate::core_id::{CORES, Core};
use crate::mmio::{Mmio, ReadOnly, ReadWrite, WriteOnly};

register_structs! {
    /// The registers, at 0x40000000 on a Pi 3. The gap at 0 holds control and prescaler, which feed the generic timer:
    /// the stub sets them together with `CNTFRQ_EL0`, so they are not ours to change.
    pub LocalRegisters {
        (0x00 => _reserved_0),
        (0x0c => gpu_routing: ReadWrite<u32>),
        (0x10 => _reserved_1),
        (0x14 => pmu_routing_clear: WriteOnly<u32>),
        (0x18 => _reserved_2),
        (0x34 => local_timer_control: ReadWrite<u32>),
        (0x38 => local_timer_flags: WriteOnly<u32>),
        (0x3c => _reserved_3),
        (0x40 => timer_control: [ReadWrite<u32>; CORES]),
        (0x50 => mailbox_control: [ReadWrite<u32>; CORES]),
        (0x60 => irq_source: [ReadOnly<u32>; CORES]),
        (0x70 => _reserved_4),
        (0x80 => mailbox_set: [[WriteOnly<u32>; 4]; CORES]),
        (0xc0 => mailbox_clear: [[ReadWrite<u32>; 4]; CORES]),
        (0x100 => @END),
    }
}

bitflags! {
    /// Why a core is interrupted.
    #[derive(Clone, Copy, PartialEq, Eq, Debug)]
    pub struct IrqSources: u32 {
        /// CNTPS, the secure physical timer.
        const SECURE_PHYSICAL_TIMER = 1 << 0;
        /// CNTPNS, the non-secure physical timer.
        const PHYSICAL_TIMER = 1 << 1;
        /// CNTHP, the hypervisor's timer.
        const HYPERVISOR_TIMER = 1 << 2;
        /// CNTV, the virtual timer.
        const VIRTUAL_TIMER = 1 << 3;
        /// Mailbox 0: an interrupt from another core.
        const IPI = 1 << 4;
        /// Mailbox 1.
        const MAILBOX_1 = 1 << 5;
        /// Mailbox 2.
        const MAILBOX_2 = 1 << 6;
        /// Mailbox 3.
        const MAILBOX_3 = 1 << 7;
        /// The legacy controller has something.
        const GPU = 1 << 8;
        /// The performance monitor.
        const PMU = 1 << 9;
        /// The local timer.
        const LOCAL_TIMER = 1 << 11;
    }

    /// The timers of a core, as bits of its timer control.
    #[derive(Clone, Copy, PartialEq, Eq, Debug)]
    pub struct CoreTimers: u32 {
        /// CNTPNS, the non-secure physical timer.
        const PHYSICAL = 1 << 1;
        /// CNTV, the virtual timer.
        const VIRTUAL = 1 << 3;
    }
}

/// The local interrupt controller.
#[derive(Debug)]
pub struct LocalController {
    registers: Mmio<LocalRegisters>,
}

impl LocalController {
    /// Takes the registers. Nothing is touched before [`init`](Self::init).
    #[must_use]
    pub const fn new(registers: Mmio<LocalRegisters>) -> Self {
        Self { registers }
    }

    /// Silences everything: no timers, no mailboxes, no performance monitors, no local timer; the legacy controller's
    /// line goes to `gpu_core`. The boot core calls this once.
    pub fn init(&mut self, gpu_core: Core) {
        let registers = &self.registers;
        // Bits 3:0 route the IRQ, 7:4 the FIQ of the four cores' monitors. QEMU lacks the register and says so when
        // asked to log what is not implemented.
        registers.pmu_routing_clear.set(0xff);
        registers.local_timer_control.set(0);
        // Bit 31 clears the local timer's interrupt flag; writing bit 30 would reload it.
        registers.local_timer_flags.set(1 << 31);
        for core in Core::all() {
            self.set_timers(core, CoreTimers::empty());
            registers.mailbox_control[core.index()].set(0);
            for mailbox in &registers.mailbox_clear[core.index()] {
                mailbox.set(u32::MAX);
            }
        }
        self.route_gpu(gpu_core);
    }

    /// Sends the legacy controller's IRQ to `core`; its FIQ, which nothing uses, stays with core 0.
    pub fn route_gpu(&self, core: Core) {
        self.registers.gpu_routing.set(u32::from(core.number()));
    }

    /// Lets exactly `timers` interrupt `core`, as IRQ.
    pub fn set_timers(&self, core: Core, timers: CoreTimers) {
        self.registers.timer_control[core.index()].set(timers.bits());
    }

    /// Lets other cores interrupt `core`; mailboxes 1 to 3 stay silent.
    pub fn enable_ipi(&self, core: Core) {
        self.registers.mailbox_control[core.index()].set(1);
    }

    /// Why `core` is interrupted. Bits without a meaning are dropped.
    #[must_use]
    pub fn pending(&self, core: Core) -> IrqSources {
        IrqSources::from_bits_truncate(self.registers.irq_source[core.index()].get())
    }

    /// Adds `flags` to what `core` has pending from other cores and interrupts it. What it shall find in memory must be
    /// visible before: the caller issues `dsb ishst` first.
    pub fn send_ipi(&self, core: Core, flags: u32) {
        self.registers.mailbox_set[core.index()][0].set(flags);
    }

    /// Takes the flags that were sent to `core`, which calls this for itself. A flag that is sent meanwhile is either
    /// taken too or interrupts again: only what was read is cleared.
    #[must_use]
    pub fn take_ipi(&self, core: Core) -> u32 {
        let mailbox = &self.registers.mailbox_clear[core.index()][0];
        let flags = mailbox.get();
        mailbox.set(flags);
        flags
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mmio::fake::{Access, FakeDevice};

    fn controller() -> (FakeDevice<LocalRegisters>, LocalController) {
        let device = FakeDevice::new();
        let controller = LocalController::new(device.mmio());
        (device, controller)
    }

    fn core(number: usize) -> Core {
        Core::new(number).expect("both boards have four cores")
    }

    #[test]
    fn initialisation_silences_every_source() {
        let (device, mut controller) = controller();
        for offset in (0x34..0x60).step_by(4) {
            device.set(offset, u32::MAX);
        }
        controller.init(core(2));
        for silent in (0x40..0x60).step_by(4).chain([0x34]) {
            assert_eq!(device.get(silent), 0, "register {silent:#x}");
        }
        assert_eq!(device.get(0x0c), 2);
        let writes = device.writes();
        assert!((0xc0..0x100).step_by(4).all(|mailbox| writes.contains(&(mailbox, u32::MAX))));
        assert!(writes.contains(&(0x38, 1 << 31)));
    }

    #[test]
    fn the_time_base_of_the_stub_is_left_alone() {
        let (device, mut controller) = controller();
        controller.init(core(0));
        assert!(device.writes().iter().all(|&(offset, _)| offset >= 0x0c));
    }

    #[test]
    fn each_core_has_its_own_enables() {
        let (device, controller) = controller();
        controller.set_timers(core(3), CoreTimers::VIRTUAL);
        controller.enable_ipi(core(1));
        assert_eq!(device.writes(), [(0x4c, 0b1000), (0x54, 1)]);
    }

    #[test]
    fn the_source_register_is_decoded_for_the_asking_core() {
        let (device, controller) = controller();
        device.set(0x68, 1 << 3 | 1 << 8 | 1 << 31);
        assert_eq!(controller.pending(core(2)), IrqSources::VIRTUAL_TIMER | IrqSources::GPU);
        assert_eq!(controller.pending(core(0)), IrqSources::empty());
    }

    #[test]
    fn flags_reach_the_mailbox_of_the_core_they_are_sent_to() {
        let (device, controller) = controller();
        controller.send_ipi(core(1), 0b101);
        assert_eq!(device.writes(), [(0x90, 0b101)]);
    }

    #[test]
    fn a_flag_sent_while_others_are_taken_is_not_lost() {
        let (device, controller) = controller();
        device.set(0xd0, 0b01);
        // Hardware clears what is written as ones; between read and clear, another core adds a flag.
        device.script(|registers, offset, access| {
            if let (0xd0, Access::Write(ones)) = (offset, access) {
                registers.set(0xd0, (0b01 | 0b10) & !ones);
            }
        });
        assert_eq!(controller.take_ipi(core(1)), 0b01);
        assert_eq!(controller.take_ipi(core(1)), 0b10);
    }
}

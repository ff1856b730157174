//! The CPU interface: banked, each core reaches its own at the same address.

use tock_registers::interfaces::{Readable, Writeable};
use tock_registers::{register_bitfields, register_structs};

use super::int_id::INTID_LIMIT;
use super::{IntId, PRIORITY_MASK};
use crate::core_id::Core;
use crate::mmio::{Mmio, ReadOnly, ReadWrite, WriteOnly};

register_bitfields! {
    u32,
    CTLR [
        /// Signal interrupts of the accessor's own group.
        ENABLE OFFSET(0) NUMBITS(1) []
    ],
    IAR [
        CPU_ID OFFSET(10) NUMBITS(3) [],
        INTERRUPT_ID OFFSET(0) NUMBITS(10) []
    ]
}

register_structs! {
    /// The GICC registers, at 0xff842000 on a Pi 4 (IHI 0048B, section 4.4).
    pub CpuInterfaceRegisters {
        (0x00 => ctlr: ReadWrite<u32, CTLR::Register>),
        (0x04 => pmr: ReadWrite<u32>),
        (0x08 => bpr: ReadWrite<u32>),
        (0x0c => iar: ReadOnly<u32, IAR::Register>),
        (0x10 => eoir: WriteOnly<u32>),
        (0x14 => @END),
    }
}

/// What the CPU interface had for us.
#[must_use = "an acknowledged interrupt blocks all others on this core until it is ended"]
#[derive(PartialEq, Eq, Debug)]
pub enum Acknowledged {
    /// Nothing: the interrupt was withdrawn, or another core took it. There is nothing to end.
    Spurious,
    /// An interrupt, ours until it is ended.
    Interrupt(Claim),
}

/// An interrupt that this core acknowledged and has to end. It is no copyable number, so an interrupt cannot be ended
/// twice or without having been acknowledged.
#[must_use = "an acknowledged interrupt blocks all others on this core until it is ended"]
#[derive(PartialEq, Eq, Debug)]
pub struct Claim {
    iar: u32,
    id: IntId,
}

impl Claim {
    /// Which interrupt it is.
    #[must_use]
    pub const fn id(&self) -> IntId {
        self.id
    }

    /// The core that sent it, if it is software-generated.
    #[must_use]
    pub fn sender(&self) -> Option<Core> {
        self.id.as_sgi()?;
        let sender = IAR::CPU_ID.read(self.iar).to_le_bytes()[0];
        Core::new(usize::from(sender))
    }
}

/// The CPU interface of whichever core calls.
#[derive(Debug)]
pub struct CpuInterface {
    registers: Mmio<CpuInterfaceRegisters>,
}

impl CpuInterface {
    /// Takes the registers. Nothing is touched before [`init`](Self::init).
    #[must_use]
    pub const fn new(registers: Mmio<CpuInterfaceRegisters>) -> Self {
        Self { registers }
    }

    /// Lets the calling core receive interrupts; every core calls this once, after
    /// [`Distributor::init_core`](super::Distributor::init_core).
    ///
    /// `GICC_CTLR` is written whole: the stub's 0x1e7 had bits set that mean other things from the non-secure side. So
    /// an end-of-interrupt drops the priority and deactivates in one step (`EOImodeNS` = 0).
    pub fn init(&self) {
        self.registers.pmr.set(PRIORITY_MASK);
        self.registers.bpr.set(0);
        self.registers.ctlr.write(CTLR::ENABLE::SET);
    }

    /// Takes the pending interrupt of the highest priority.
    pub fn acknowledge(&self) -> Acknowledged {
        let iar = self.registers.iar.get();
        // 1020 and above: 1023 is "nothing pending", 1022 "pending, but of the other group"; neither is to be ended
        // (IHI 0048B, section 3.2.5).
        let id = IAR::INTERRUPT_ID.read(iar);
        match u16::try_from(id).ok().filter(|&id| id < INTID_LIMIT).and_then(IntId::new) {
            Some(id) => Acknowledged::Interrupt(Claim { iar, id }),
            None => Acknowledged::Spurious,
        }
    }

    /// Ends an interrupt, on the core that acknowledged it. The device must have withdrawn its request by then, or the
    /// interrupt comes again; the caller orders the two with a `dsb` where they are different peripherals.
    #[expect(clippy::needless_pass_by_value, reason = "ending an interrupt uses the claim up")]
    pub fn end_of_interrupt(&self, claim: Claim) {
        // The whole IAR value goes back: for an SGI the sender is part of the interrupt's identity.
        self.registers.eoir.set(claim.iar);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gic::Sgi;
    use crate::mmio::fake::FakeDevice;

    fn interface() -> (FakeDevice<CpuInterfaceRegisters>, CpuInterface) {
        let device = FakeDevice::new();
        let interface = CpuInterface::new(device.mmio());
        (device, interface)
    }

    fn claim(interface: &CpuInterface) -> Claim {
        match interface.acknowledge() {
            Acknowledged::Interrupt(claim) => claim,
            Acknowledged::Spurious => panic!("an interrupt is pending"),
        }
    }

    #[test]
    fn what_the_stub_left_is_overwritten_whole() {
        let (device, interface) = interface();
        device.set(0x00, 0x1e7);
        device.set(0x04, 0xff);
        interface.init();
        assert_eq!((device.get(0x00), device.get(0x04)), (1, 0xf0));
        assert_eq!(device.writes().last(), Some(&(0x00, 1)), "the core listens before its mask is set");
    }

    #[test]
    fn a_device_interrupt_has_no_sender() {
        let (device, interface) = interface();
        device.set(0x0c, 153);
        let claim = claim(&interface);
        assert_eq!((claim.id(), claim.sender()), (IntId::UART0, None));
        interface.end_of_interrupt(claim);
        assert_eq!(device.writes(), [(0x10, 153)]);
    }

    #[test]
    fn a_software_interrupt_is_ended_together_with_its_sender() {
        let (device, interface) = interface();
        device.set(0x0c, 2 << 10 | 5);
        let claim = claim(&interface);
        assert_eq!(claim.id().as_sgi(), Sgi::new(5));
        assert_eq!(claim.sender(), Core::new(2));
        interface.end_of_interrupt(claim);
        assert_eq!(device.writes(), [(0x10, 2 << 10 | 5)]);
    }

    #[test]
    fn the_special_numbers_are_spurious() {
        let (device, interface) = interface();
        for special in 1020..=1023 {
            device.set(0x0c, special);
            assert_eq!(interface.acknowledge(), Acknowledged::Spurious);
        }
        assert_eq!(device.writes(), []);
    }
}

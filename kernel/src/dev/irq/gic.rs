//! The Pi 4's GIC-400. Between CPUs: software-generated interrupts.

use drivers::core_id::{Core, CoreMask};
use drivers::gic::{
    Acknowledged, CpuInterface, CpuInterfaceRegisters, Distributor, DistributorRegisters, IntId, Sgi, SgiTarget,
};
use drivers::mmio::Mmio;
use kcore::addr::{CpuId, CpuSet};

use super::{Controller, Event, Ipi, core_of};
use crate::arch::cpu;

/// The distributor and every core's interface, which stands at one address for all.
pub(super) struct Gic {
    distributor: Distributor,
    cpu_interface: CpuInterface,
}

impl Gic {
    /// Sets the distributor up: every shared interrupt off, aimed at the boot CPU.
    pub(super) fn new(distributor: Mmio<DistributorRegisters>, cpu_interface: Mmio<CpuInterfaceRegisters>) -> Self {
        let mut distributor = Distributor::new(distributor);
        distributor.init(CoreMask::only(core_of(CpuId::BOOT)));
        Self { distributor, cpu_interface: CpuInterface::new(cpu_interface) }
    }
}

impl Controller for Gic {
    fn init_cpu(&self) {
        self.distributor.init_core();
        self.cpu_interface.init();
    }

    fn enable(&self, line: u32) {
        if let Some(id) = u16::try_from(line).ok().and_then(IntId::new) {
            self.distributor.enable(id);
        }
    }

    fn send(&self, targets: CpuSet, ipi: Ipi) {
        let sgi = Sgi::new(ipi.number()).expect("IPIs are numbered below 16");
        cpu::publish_to_devices();
        self.distributor.send_sgi(sgi, SgiTarget::Cores(CoreMask::from_bits(targets.bits())));
    }

    fn dispatch(&self, handle: &mut dyn FnMut(Event)) -> u32 {
        let mut meaningless = 0;
        while let Acknowledged::Interrupt(claim) = self.cpu_interface.acknowledge() {
            let id = claim.id();
            match id.as_sgi() {
                // An SGI is over once it is taken. Ended first: the answer to `Stop` does not return.
                Some(sgi) => {
                    debug_assert!(claim.sender().is_none_or(|core: Core| core.index() < Core::all().count()));
                    self.cpu_interface.end_of_interrupt(claim);
                    match Ipi::from_number(sgi.number()) {
                        Some(ipi) => handle(Event::Ipi(ipi)),
                        None => meaningless += 1,
                    }
                }
                None => {
                    handle(Event::Line(u32::from(id.number())));
                    // The device's request must be withdrawn before the interrupt ends, and the two are different
                    // peripherals.
                    cpu::publish_to_devices();
                    self.cpu_interface.end_of_interrupt(claim);
                }
            }
        }
        meaningless
    }
}

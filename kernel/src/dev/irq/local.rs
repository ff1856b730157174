//! The Pi 3's two controllers in a row: the BCM2836's per-core sources, and behind its source 8 the BCM2835's lines,
//! all of which go to the boot CPU. Between CPUs: mailbox 0, one bit a message.

use drivers::bcm2835_irq::{ArmIrq, GpuIrq, LegacyController, LegacyIrq, LegacyRegisters};
use drivers::bcm2836_local::{CoreTimers, IrqSources, LocalController, LocalRegisters};
use drivers::mmio::Mmio;
use kcore::addr::{CpuId, CpuSet};
use kcore::hal::Cpu;

use super::{Controller, Event, Ipi, core_of};
use crate::arch::cpu::{self, Arm};

/// First line of the Arm's own interrupts in the BCM2835 controller.
const FIRST_ARM: u32 = 64;
/// First line of the per-core sources.
const FIRST_LOCAL: u32 = 72;
/// Line of the virtual timer.
const VIRTUAL_TIMER: u32 = FIRST_LOCAL + IrqSources::VIRTUAL_TIMER.bits().trailing_zeros();

/// Both controllers.
pub(super) struct Local {
    local: LocalController,
    legacy: LegacyController,
}

impl Local {
    /// Silences both and aims the BCM2835 at the boot CPU.
    pub(super) fn new(local: Mmio<LocalRegisters>, legacy: Mmio<LegacyRegisters>) -> Self {
        let mut local = LocalController::new(local);
        local.init(core_of(CpuId::BOOT));
        let mut legacy = LegacyController::new(legacy);
        legacy.init();
        Self { local, legacy }
    }

    fn dispatch_legacy(&self, handle: &mut dyn FnMut(Event)) {
        for irq in self.legacy.pending() {
            handle(Event::Line(match irq {
                LegacyIrq::Gpu(gpu) => u32::from(gpu.number()),
                LegacyIrq::Arm(arm) => FIRST_ARM + u32::from(arm.number()),
            }));
        }
    }
}

impl Controller for Local {
    fn init_cpu(&self) {
        self.local.enable_ipi(core_of(Arm::id()));
    }

    fn enable(&self, line: u32) {
        if line == VIRTUAL_TIMER {
            self.local.set_timers(core_of(Arm::id()), CoreTimers::VIRTUAL);
        } else if let Some(irq) = legacy_of(line) {
            self.legacy.enable(irq);
        }
    }

    fn send(&self, targets: CpuSet, ipi: Ipi) {
        cpu::publish_to_devices();
        for target in targets.iter() {
            self.local.send_ipi(core_of(target), 1 << ipi.number());
        }
    }

    fn dispatch(&self, handle: &mut dyn FnMut(Event)) -> u32 {
        let core = core_of(Arm::id());
        let mut meaningless = 0;
        let sources = self.local.pending(core);
        if sources.contains(IrqSources::IPI) {
            let flags = self.local.take_ipi(core);
            for number in (0..32_u8).filter(|number| flags & 1 << number != 0) {
                match Ipi::from_number(number) {
                    Some(ipi) => handle(Event::Ipi(ipi)),
                    None => meaningless += 1,
                }
            }
        }
        if sources.contains(IrqSources::VIRTUAL_TIMER) {
            handle(Event::Line(VIRTUAL_TIMER));
        }
        if sources.contains(IrqSources::GPU) {
            self.dispatch_legacy(handle);
        }
        if sources.is_empty() { meaningless + 1 } else { meaningless }
    }
}

fn legacy_of(line: u32) -> Option<LegacyIrq> {
    let number = u8::try_from(line).ok()?;
    match line {
        0..FIRST_ARM => GpuIrq::new(number).map(LegacyIrq::Gpu),
        FIRST_ARM..FIRST_LOCAL => ArmIrq::new(number - 64).map(LegacyIrq::Arm),
        _ => None,
    }
}

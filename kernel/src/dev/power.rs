//! Switching off and starting again.

use core::time::Duration;

use drivers::pm::PowerManager;
use kcore::addr::CpuSet;
use kcore::hal::Cpu;

use super::card;
use super::irq::{self, Ipi};
use crate::arch::cpu::{self, Arm};
use crate::arch::semihosting;
use crate::log::panic::{self, LastActions};
use crate::log::{console, trace};
use crate::mem::devices;
use crate::task;

/// Gives a panic the means to stop the others and to reset.
pub(crate) fn init() {
    panic::set_last_actions(LastActions {
        stop_cpus: |cpus| irq::send(cpus, Ipi::Stop),
        reboot: || PowerManager::new(devices::pm()).restart(),
    });
}

/// Switches the board off, as far as it can be; QEMU ends with status 0.
pub(crate) fn power_off() -> ! {
    settle();
    PowerManager::new(devices::pm()).power_off();
    cpu::park()
}

/// Starts the board again; QEMU ends with status 0 under `-no-reboot`.
pub(crate) fn reboot() -> ! {
    settle();
    PowerManager::new(devices::pm()).restart();
    cpu::park()
}

/// Ends QEMU with `status` where semihosting is on; elsewhere as [`power_off`].
#[cfg_attr(not(feature = "ktest"), expect(dead_code, reason = "init's exit status is its other use"))]
pub(crate) fn exit(status: u8) -> ! {
    console::flush();
    semihosting::exit(status);
    power_off()
}

/// How long the trace's carrier is waited for.
const TRACE_PATIENCE_MS: u32 = 200;

/// Leaves the card idle, lets the last words and records out and stops the other CPUs.
fn settle() {
    card::finish();
    for _ in 0..TRACE_PATIENCE_MS {
        if trace::is_carried_off() {
            break;
        }
        task::sleep(Duration::from_millis(1));
    }
    console::flush();
    // For good: the others may stop with locks held, so no other thread shall run here any more.
    cpu::irqs_mask_all();
    irq::send(CpuSet::ALL.without(Arm::id()), Ipi::Stop);
}

//! What a CPU does when there is nothing to do: it puts zeroed frames by, then sleeps until an interrupt. No tick wakes it.

use kcore::frame::Stock;
use kcore::hal::Cpu;
use kcore::sched::Leaving;

use super::switch;
use crate::arch::cpu::{self, Arm};
use crate::mem::frames::frames;

/// The idle loop of the calling CPU.
pub(crate) fn run() -> ! {
    // The boot code's interrupts-masked state ends here.
    cpu::irqs_unmask();
    loop {
        while frames().stock_zeroed() == Stock::Added && !cpu::header().should_preempt() {}
        // From the question whether there is work to the wait for an interrupt nothing may come between.
        let state = Arm::irq_save();
        switch::pass(Leaving::Preempted);
        if !cpu::header().resched_requested() {
            cpu::wait_for_interrupt();
        }
        Arm::irq_restore(state);
    }
}

//! The handler's side.

use tock_registers::interfaces::{Readable, Writeable};

use super::registers::SdhciRegisters;
use crate::mmio::Mmio;

/// What an interrupt handler has of a controller.
#[derive(Debug)]
pub struct SdhciInterrupt {
    registers: Mmio<SdhciRegisters>,
}

impl SdhciInterrupt {
    /// Takes a window of its own onto the registers. Nothing is touched.
    #[must_use]
    pub const fn new(registers: Mmio<SdhciRegisters>) -> Self {
        Self { registers }
    }

    /// Called when the line is high: takes the controller's signals back, and says whether it had any. Then the thread
    /// that sleeps is to be woken.
    pub fn quiet(&self) -> bool {
        let signalled = self.registers.irpt_en.get() & self.registers.interrupt.get() != 0;
        if signalled {
            self.registers.irpt_en.set(0);
        }
        signalled
    }
}

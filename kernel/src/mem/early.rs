//! The end of a boot that took an exception before the kernel had its vectors: the ACT LED says so.
//!
//! This code runs at physical addresses with the MMU off, as [`super::boot_tables`] does, and by the same rules: no atomic, no
//! lock, no pointer that the linker wrote.

use core::ptr::NonNull;

use drivers::gpio::Gpio;
use drivers::mailbox::{Mailbox, MessageBuffer, PropertyChannel};
use drivers::mmio::Mmio;
use kcore::addr::PhysAddr;

use super::message;
use crate::arch::{cache, cpu};
use crate::board;
use crate::board::led::{Lamp, Trouble};

/// The head comes here from its vectors, on a stack.
#[unsafe(no_mangle)]
extern "C" fn early_trouble() -> ! {
    let board = board::by_part();
    // SAFETY: the record's address of the board that this core belongs to; the MMU is off, so all memory is device memory.
    let gpio = unsafe { physical(board.gpio) };
    // SAFETY: as above.
    let mailbox = unsafe { physical(board.mailbox) };
    if let (Some(gpio), Some(mailbox)) = (gpio, mailbox) {
        let mut channel = PropertyChannel::new(Mailbox::new(mailbox), PhysicalMessage);
        let lamp = Lamp::find(board, Gpio::new(gpio, board.gpio_chip()), &mut channel);
        if let Some(lamp) = lamp {
            lamp.repeat(Trouble::EarlyException.code());
        }
    }
    cpu::park()
}

/// # Safety
///
/// `base` is the address of a device with registers `R`, and the MMU is off.
unsafe fn physical<R>(base: PhysAddr) -> Option<Mmio<R>> {
    let base = NonNull::new(core::ptr::with_exposed_provenance_mut(usize::try_from(base.get()).ok()?))?;
    // SAFETY: the caller's contract; registers are word-aligned.
    Some(unsafe { Mmio::new(base) })
}

/// The one buffer of messages, by its physical address: nobody else has used it, or will.
struct PhysicalMessage;

impl MessageBuffer for PhysicalMessage {
    fn physical_address(&self) -> u32 {
        // The image lies below 1 GiB.
        u32::try_from(message::buffer().addr()).unwrap_or(u32::MAX)
    }

    fn words(&mut self) -> &mut [u32] {
        // SAFETY: there is one CPU, which never leaves this module; the pointer is that of a static array, as the program
        // counter sees it.
        unsafe { &mut *message::buffer() }
    }

    fn clean(&mut self) {
        let start = message::buffer().addr();
        cache::clean(&(start..start + message::BYTES));
    }

    fn invalidate(&mut self) {
        let start = message::buffer().addr();
        cache::clean_and_invalidate(&(start..start + message::BYTES));
    }
}

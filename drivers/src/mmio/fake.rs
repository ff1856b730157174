//! A device for tests: a register block in plain memory, with a record of all writes and, where a test asks for it, a
//! script that plays the hardware.
//!
//! Registers behave as memory until a script says otherwise. The script runs before each read and after each write
//! and may change any register: so a FIFO, a write-one-to-clear bit or a firmware answer is a few lines in the test
//! that needs it.

use core::marker::PhantomData;
use core::ptr::NonNull;
use std::alloc::{Layout, alloc_zeroed, dealloc, handle_alloc_error};
use std::cell::RefCell;
use std::rc::Rc;

use super::Mmio;

/// A register block of type `R`, all zeros at first.
pub(crate) struct FakeDevice<R> {
    registers: FakeRegisters,
    block: PhantomData<R>,
}

impl<R: 'static> FakeDevice<R> {
    /// A device whose registers are plain memory.
    pub(crate) fn new() -> Self {
        let layout = Layout::new::<R>();
        assert_ne!(layout.size(), 0, "a block of registers has registers");
        // SAFETY: the size is not zero.
        let memory = unsafe { alloc_zeroed(layout) };
        let Some(base) = NonNull::new(memory) else { handle_alloc_error(layout) };
        let registers = FakeRegisters { base, size: layout.size(), writes: Rc::default() };
        DEVICES.with_borrow_mut(|devices| devices.push(Device { registers: registers.clone(), script: None }));
        Self { registers, block: PhantomData }
    }

    /// The window that a driver takes.
    pub(crate) fn mmio(&self) -> Mmio<R> {
        // SAFETY: the memory has the layout of `R` and is all integers. It lives as long as `self`, not for the rest of
        // the program: each test keeps its device in a local that outlives the driver. No other thread knows of it.
        unsafe { Mmio::new(self.registers.base.cast()) }
    }

    /// Lets `script` play the hardware from now on.
    pub(crate) fn script(&self, script: impl FnMut(&FakeRegisters, usize, Access) + 'static) {
        let base = self.registers.base;
        DEVICES.with_borrow_mut(|devices| {
            if let Some(device) = devices.iter_mut().find(|device| device.registers.base == base) {
                device.script = Some(Box::new(script));
            }
        });
    }

    /// The 32-bit register at `offset`.
    pub(crate) fn get(&self, offset: usize) -> u32 {
        self.registers.get(offset)
    }

    /// The 8-bit register at `offset`.
    pub(crate) fn get_byte(&self, offset: usize) -> u8 {
        self.registers.get_byte(offset)
    }

    /// Puts `value` into the 32-bit register at `offset`, as hardware would: it is not recorded as a write.
    pub(crate) fn set(&self, offset: usize, value: u32) {
        self.registers.set(offset, value);
    }

    /// What the driver wrote since this was last asked, as (offset, value), in order.
    pub(crate) fn writes(&self) -> Vec<(usize, u32)> {
        self.registers.writes.take()
    }
}

impl<R> Drop for FakeDevice<R> {
    fn drop(&mut self) {
        let base = self.registers.base;
        DEVICES.with_borrow_mut(|devices| devices.retain(|device| device.registers.base != base));
        // SAFETY: `new` allocated this memory with the same layout, and only this drop frees it.
        unsafe { dealloc(base.as_ptr(), Layout::new::<R>()) };
    }
}

/// What a driver does to a register; a write shows the value.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Access {
    Read,
    Write(u32),
}

/// The registers of a fake device, as its script sees them.
#[derive(Clone)]
pub(crate) struct FakeRegisters {
    base: NonNull<u8>,
    size: usize,
    writes: Rc<RefCell<Vec<(usize, u32)>>>,
}

impl FakeRegisters {
    /// The 32-bit register at `offset`.
    pub(crate) fn get(&self, offset: usize) -> u32 {
        // SAFETY: `word` checked that the register lies within the block and is aligned.
        unsafe { self.word(offset).read_volatile() }
    }

    /// Puts `value` into the 32-bit register at `offset`.
    pub(crate) fn set(&self, offset: usize, value: u32) {
        // SAFETY: `word` checked that the register lies within the block and is aligned.
        unsafe { self.word(offset).write_volatile(value) }
    }

    fn get_byte(&self, offset: usize) -> u8 {
        assert!(offset < self.size, "no register at {offset:#x}");
        // SAFETY: the offset lies within the allocation.
        let register = unsafe { self.base.add(offset) };
        // SAFETY: as above, and the memory was initialised when it was allocated.
        unsafe { register.read_volatile() }
    }

    fn word(&self, offset: usize) -> NonNull<u32> {
        assert!(offset + 4 <= self.size && offset.is_multiple_of(4), "no register at {offset:#x}");
        // SAFETY: the offset lies within the allocation.
        let register: NonNull<u32> = unsafe { self.base.add(offset) }.cast();
        assert!(register.is_aligned(), "the block is aligned as its registers are");
        register
    }

    fn offset_of(&self, address: usize) -> Option<usize> {
        address.checked_sub(self.base.addr().get()).filter(|&offset| offset < self.size)
    }
}

type Script = Box<dyn FnMut(&FakeRegisters, usize, Access)>;

struct Device {
    registers: FakeRegisters,
    script: Option<Script>,
}

thread_local! {
    /// The devices of the running test; each test has its own thread.
    static DEVICES: RefCell<Vec<Device>> = const { RefCell::new(Vec::new()) };
}

/// Called by every register read, before it happens.
pub(super) fn before_read(address: usize) {
    play(address, Access::Read);
}

/// Called by every register write, after it happened.
pub(super) fn after_write(address: usize, value: u32) {
    play(address, Access::Write(value));
}

fn play(address: usize, access: Access) {
    DEVICES.with_borrow_mut(|devices| {
        for Device { registers, script } in devices {
            let Some(offset) = registers.offset_of(address) else { continue };
            if let Access::Write(value) = access {
                registers.writes.borrow_mut().push((offset, value));
            }
            if let Some(script) = script {
                script(registers, offset, access);
            }
        }
    });
}

mod tests {
    use tock_registers::interfaces::{Readable, Writeable};
    use tock_registers::register_structs;

    use super::{Access, FakeDevice};
    use crate::mmio::{ReadOnly, ReadWrite, WriteOnly};

    register_structs! {
        Registers {
            (0x00 => control: ReadWrite<u32>),
            (0x04 => status: ReadOnly<u32>),
            (0x08 => _reserved),
            (0x10 => lanes: [ReadWrite<u8>; 4]),
            (0x14 => doorbell: WriteOnly<u32>),
            (0x18 => @END),
        }
    }

    #[test]
    fn a_write_reaches_the_register_it_names_and_is_recorded() {
        let device = FakeDevice::<Registers>::new();
        let window = device.mmio();
        window.doorbell.set(7);
        window.lanes[2].set(0xa0);
        window.control.set(1);
        assert_eq!(device.writes(), [(0x14, 7), (0x12, 0xa0), (0x00, 1)]);
        assert_eq!((device.get(0x14), device.get(0x10), device.get_byte(0x12)), (7, 0x00a0_0000, 0xa0));
        assert_eq!(window.control.get(), 1);
    }

    #[test]
    fn a_read_only_register_may_change_under_its_reader() {
        let device = FakeDevice::<Registers>::new();
        let window = device.mmio();
        assert_eq!(window.status.get(), 0);
        device.set(0x04, 3);
        assert_eq!(window.status.get(), 3);
    }

    #[test]
    fn a_script_answers_reads_and_sees_writes() {
        let device = FakeDevice::<Registers>::new();
        device.script(|registers, offset, access| match (offset, access) {
            (0x04, Access::Read) => registers.set(0x04, registers.get(0x04) + 1),
            (0x14, Access::Write(value)) => registers.set(0x00, !value),
            _ => {}
        });
        let window = device.mmio();
        assert_eq!([window.status.get(), window.status.get()], [1, 2]);
        window.doorbell.set(0xff);
        assert_eq!(window.control.get(), 0xffff_ff00);
    }
}

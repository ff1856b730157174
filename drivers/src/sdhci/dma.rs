//! ADMA2: the controller moves the data of a transfer itself, where a list of descriptors says (specification 3.0, 1.13).
//!
//! The bytes go through one block of memory that is taken once and for all: what may be written by a device is then never
//! anybody else's, and where it lies can be chosen. Copying it costs little beside what a card takes.

use core::fmt;

use tock_registers::interfaces::Readable;

use super::controller::{Chip, Pace, Sdhci};
use super::registers::{CAPABILITIES, CONTROL0};
use crate::sd::{BLOCK_BYTES, Data};

/// Memory that the CPU and the controller both reach, until the machine is switched off: a controller that was not stopped in
/// time may still write to it.
///
/// Whoever implements this owns the cache maintenance. Both methods are complete (`dsb sy`) when they return, and the memory
/// has its cache lines for itself.
pub trait SharedMemory: fmt::Debug + Send {
    /// The address of the first byte as the controller sees it: a multiple of 64.
    fn bus_address(&self) -> u32;

    /// The bytes as the CPU sees them.
    fn bytes(&mut self) -> &mut [u8];

    /// Writes the CPU's view of the first `bytes` back to memory, before the controller reads or writes them.
    fn clean(&mut self, bytes: usize);

    /// Forgets the CPU's view of the first `bytes`, none of which it has written to since they were cleaned, after the
    /// controller wrote them.
    fn invalidate(&mut self, bytes: usize);
}

/// What one descriptor moves. It could be twice as much, which is written as 0 then, and that is a case of its own.
const PIECE: usize = 32 << 10;
const DESCRIPTOR: usize = 8;
/// The line is valid, and moves data.
const TRANSFER: u32 = 0x21;
/// It is the last one.
const END: u32 = 0x02;
/// What the memory holds before anything came, so that nothing that did not come looks as if it had.
const UNTOUCHED: u8 = 0xa5;
/// ADMA2 with addresses of 32 bits.
const ADMA2: u32 = 2;

/// The memory of a controller: its list and its data.
#[derive(Debug)]
pub struct Dma {
    list: &'static mut dyn SharedMemory,
    data: &'static mut dyn SharedMemory,
}

impl Dma {
    /// Takes memory for the list and for the data.
    #[must_use]
    pub fn new(list: &'static mut dyn SharedMemory, data: &'static mut dyn SharedMemory) -> Self {
        let bytes = data.bytes().len();
        data.bytes().fill(UNTOUCHED);
        data.clean(bytes);
        Self { list, data }
    }

    /// The most bytes of a transfer.
    fn most(&mut self) -> usize {
        let lines = self.list.bytes().len() / DESCRIPTOR;
        self.data.bytes().len().min(lines.saturating_mul(PIECE))
    }

    /// Makes the list for the first `bytes` of the data, and gives its address.
    fn describe(&mut self, bytes: usize) -> u32 {
        let data = self.data.bus_address();
        let lines = bytes.div_ceil(PIECE);
        for (line, place) in self.list.bytes().chunks_exact_mut(DESCRIPTOR).take(lines).enumerate() {
            let at = line * PIECE;
            let length = u32::try_from((bytes - at).min(PIECE)).unwrap_or(0);
            let end = if line + 1 == lines { END } else { 0 };
            let address = data.wrapping_add(u32::try_from(at).unwrap_or(0));
            let words = u64::from(address) << 32 | u64::from(length << 16 | end | TRANSFER);
            place.copy_from_slice(&words.to_le_bytes());
        }
        self.list.clean(lines * DESCRIPTOR);
        self.list.bus_address()
    }
}

impl<P: Pace> Sdhci<P> {
    /// Whether it can move data itself. Of the Arasan Linux does not believe it either.
    #[must_use]
    pub fn knows_dma(&self) -> bool {
        self.chip == Chip::Emmc2 && self.registers.capabilities.is_set(CAPABILITIES::ADMA2)
    }

    /// Moves the data of blocks by `dma` from now on, as long as no error of it comes; without, through the data port. Only for one
    /// that [knows it](Self::knows_dma).
    pub fn set_dma(&mut self, dma: Option<Dma>) {
        self.dma = dma;
        self.enable_status();
    }

    /// Whether it moves data itself.
    #[must_use]
    pub const fn has_dma(&self) -> bool {
        self.dma.is_some()
    }

    /// Gets ready to move `data` by DMA, and says whether it is to be moved so.
    pub(super) fn offer(&mut self, data: &Data<'_>) -> bool {
        let bytes = data.blocks() * data.block_bytes();
        let Some(dma) = &mut self.dma else { return false };
        if data.block_bytes() != BLOCK_BYTES || bytes > dma.most() {
            return false;
        }
        if let Data::Write { from, .. } = data
            && let Some(place) = dma.data.bytes().get_mut(..bytes)
        {
            place.copy_from_slice(from);
            dma.data.clean(bytes);
        }
        let list = dma.describe(bytes);
        let control = CONTROL0::DMA_SELECT.val(ADMA2).modify(self.registers.control0.get());
        self.write(|registers| &registers.control0, control);
        self.write(|registers| &registers.adma_address, list);
        self.write(|registers| &registers.adma_address_high, 0);
        true
    }

    /// Takes what came, if `data` is to be read.
    pub(super) fn accept(&mut self, data: Data<'_>) {
        let Some(dma) = &mut self.dma else { return };
        if let Data::Read { into, .. } = data {
            dma.data.invalidate(into.len());
            if let Some(came) = dma.data.bytes().get(..into.len()) {
                into.copy_from_slice(came);
            }
        }
    }
}

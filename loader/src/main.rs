//! The loader: takes the place of the kernel on the card, waits for one on the serial line, and starts that as firmware
//! would have done, with the same device tree, the same initramfs and the other cores where firmware left them.
//!
//! What it says and how is [`abi::push`], the registers are those of [`drivers`]. Here is what is left: the way from
//! firmware's entry to Rust and on to the kernel ([`start`]), and the line ([`uart`]).
//!
//! The kernel is put at 0x80000, from where the loader has moved away, up to [`MEMORY_END`]. Nothing below is touched: there
//! is firmware's stub, in which three cores wait.

#![no_std]
#![no_main]

mod start;
mod uart;

use core::fmt::Write as _;
use core::panic::PanicInfo;

use abi::push::Receiver;
use abi::push::frame::MAX_ENCODED;
use miniz_oxide::inflate::TINFLStatus;
use miniz_oxide::inflate::core::{DecompressorOxide, decompress, inflate_flags};

use crate::uart::Uart;

/// Where a kernel belongs.
const KERNEL: usize = 0x8_0000;
/// Where the loader is, and the memory for a kernel ends.
const MEMORY_END: usize = 0x700_0000;

/// Called by the first instructions, on the first core, with the MMU and the caches on. It returns when there is a kernel to
/// be started.
#[unsafe(no_mangle)]
extern "C" fn loader_main() {
    let mut uart = Uart::open();
    let _ = write!(uart, "\r\ntine loader {}: waiting for a kernel\r\n", env!("CARGO_PKG_VERSION"));
    let mut frame = [0; MAX_ENCODED];
    let image = Receiver::new(&mut uart, start::kernel_memory(), &mut frame, inflate).run();
    let _ = write!(uart, "tine loader: starting {} bytes\r\n", image.length);
    uart.drain();
}

/// Inflates a block.
fn inflate(packed: &[u8], room: &mut [u8]) -> Option<usize> {
    let mut state = DecompressorOxide::new();
    let (status, taken, length) =
        decompress(&mut state, packed, room, 0, inflate_flags::TINFL_FLAG_USING_NON_WRAPPING_OUTPUT_BUF);
    (status == TINFLStatus::Done && taken == packed.len()).then_some(length)
}

/// Called by the vectors: whatever it was, it was not expected.
#[unsafe(no_mangle)]
extern "C" fn loader_exception(syndrome: u64, address: u64, fault: u64) -> ! {
    let mut uart = Uart::open();
    let _ = write!(uart, "\r\ntine loader: exception, esr {syndrome:#x} elr {address:#x} far {fault:#x}\r\n");
    start::park()
}

#[panic_handler]
fn panic(info: &PanicInfo<'_>) -> ! {
    let mut uart = Uart::open();
    let _ = write!(uart, "\r\ntine loader: {info}\r\n");
    start::park()
}

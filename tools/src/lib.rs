//! `tools`: what the host knows about Tine. The `tine` command is a thin shell around this library, and the serial
//! console tests use it as it is.
//!
//! From a build to a running board:
//!
//! * [`board`]: the two boards, and what the host has to know of each
//! * [`raw`]: kernel ELF to the raw image that firmware loads; [`function_names`]: the table inside it
//! * [`dtb`]: the small device trees for QEMU
//! * [`debian`]: packages of Debian, fetched and unpacked; [`busybox`]: a shell and its tools out of one
//! * [`cpio`]: the initramfs, its file data aligned so that programs can be mapped
//! * [`image`]: the SD card image, with firmware that is not ours
//! * [`flash`]: writing that to a card, and to nothing else
//! * [`push`]: sending a kernel to a loader, over the serial line
//! * [`linux`]: Debian's Linux, to measure beside
//! * [`qemu`]: finding QEMU, and one command line for everybody
//! * [`fresh`]: files that have their name when they are whole
//!
//! From a running board back to a reader:
//!
//! * [`demux`]: text and trace frames out of one console stream
//! * [`trace`]: defmt frames to lines
//! * [`symbols`]: kernel addresses to functions and lines
//! * [`console`]: the terminal that puts these three together
//! * [`on_board`]: the test programs on a board
//!
//! About the sources and their tests:
//!
//! * [`mod@bench`]: a benchmark's figures beside Linux's, and the record of them
//! * [`profile`]: its instructions by function of the kernel
//! * [`layers`]: who may import whom, and where `unsafe` may stand
//! * [`summary`]: what all the test runners said, added up

#![forbid(unsafe_code)]

pub mod bench;
pub mod board;
pub mod busybox;
pub mod console;
pub mod cpio;
pub mod debian;
pub mod demux;
pub mod dtb;
pub mod flash;
pub mod fresh;
pub mod function_names;
pub mod image;
pub mod layers;
pub mod linux;
pub mod on_board;
pub mod profile;
pub mod push;
pub mod qemu;
pub mod raw;
pub mod summary;
pub mod symbols;
pub mod trace;

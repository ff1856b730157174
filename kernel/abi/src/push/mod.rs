//! Loading a kernel over the serial line: what the loader on the card and `tine push` say to each other.
//!
//! The loader asks for a kernel by three bytes 03, as raspbootin and its kin do, and again every two seconds. A host may
//! answer in either of two ways:
//!
//! * **raspbootin**: the length in four bytes, lowest first; the loader answers `OK`, or `SE` where it has no room; then
//!   that many bytes, as they are, and the kernel is started. No checksum, no second try: it is what other people's tools
//!   know.
//! * **ours**: the four bytes [`HELLO`], which as a length would be more than any loader has room for. From then on both
//!   sides send [frames](frame) with [messages](message), each with a checksum. The loader begins, with a `Next`, so that
//!   the host knows whom it has found.
//!
//! In ours the host offers an image (length, CRC-32, line speed), and the loader says which block it wants first: not the
//! first of all if it has some of that image already. A [`BLOCK`] of the image travels deflated, or as it is where that is
//! shorter. The host sends one and waits for the answer, so that the loader need not receive while it inflates: a UART has
//! room for 16 bytes. When all blocks are there the loader compares the checksum of the whole, and starts the image when it
//! is told to.
//!
//! **Line errors.** A damaged frame is answered by `Damaged`, one that was lost by nothing; either way the host sends it
//! again. Answers say which block is wanted next, so one that comes twice or late does no harm, and each names the
//! sequence number of the frame that it answers, so that an old one is not taken for a refusal.
//!
//! **Speed.** The loader agrees to a speed in its answer, at the old one, and changes; the host follows and sends `Probe`.
//! Where no frame arrives at the new speed for [`SPEED_TRIAL_MS`], both go back to [`FIRST_BAUD`] and begin anew.
//!
//! [`Receiver`] is the loader's side, without a UART and without unsafe code: it is tested on a host.

pub mod crc;
pub mod frame;
pub mod message;
mod receiver;

pub use receiver::{Image, Line, Receiver};

/// Asks for a kernel.
pub const REQUEST: [u8; 3] = [3; 3];
/// Answers the request: from here on frames.
pub const HELLO: [u8; 4] = *b"TINE";
/// raspbootin: the length is good.
pub const RAW_OK: [u8; 2] = *b"OK";
/// raspbootin: there is no room ("size error").
pub const RAW_TOO_LARGE: [u8; 2] = *b"SE";

/// raspbootin: lengths from here on are refused. Four bytes out of a frame have no zero, so as a length they are more.
pub const RAW_LIMIT: u32 = 1 << 24;

/// The version of the protocol, in an offer.
pub const VERSION: u8 = 1;
/// The speed at which everything begins, in bits a second.
pub const FIRST_BAUD: u32 = 115_200;
/// How many bytes of the image travel in a frame; the last block may be shorter. With more a noisy line would damage each,
/// with fewer the waiting for answers would take longer than the sending.
pub const BLOCK: usize = 16 * 1024;

/// How often the loader asks for a kernel, in milliseconds.
pub const REQUEST_EVERY_MS: u32 = 2000;
/// How long it waits for the rest of a host's first four bytes.
pub const ANSWER_MS: u32 = 500;
/// For how long nothing may come behind them.
pub const QUIET_MS: u32 = 50;
/// How long it waits for a first good frame at a new speed.
pub const SPEED_TRIAL_MS: u32 = 1500;
/// After how long a silence it takes the host for gone.
pub const SILENCE_MS: u32 = 5000;

/// How often the loader says that it starts the image: it cannot be asked again.
pub const STARTING_TIMES: u32 = 3;

/// How many blocks an image of `length` bytes has.
#[must_use]
pub const fn blocks(length: u32) -> u32 {
    length.div_ceil(BLOCK_U32)
}

/// [`BLOCK`], as lengths are counted on the line.
const BLOCK_U32: u32 = 16 * 1024;

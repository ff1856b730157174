//! How the trace travels.
//!
//! On a line of its own (`trace=uart1` to `uart5`) the trace is the plain rzCOBS stream of defmt: frames that each end in a zero
//! byte. Inside the console stream (`trace=console`) each frame is wrapped:
//!
//! ```text
//! FF 00  <rzCOBS bytes, none of them zero>  00
//! ```
//!
//! `FF` never occurs in UTF-8, so a terminal that separates the streams cannot take text for a frame, and the `00`
//! after it makes sure that a decoder which joined in the middle is in step again at the next frame.

/// Starts a frame inside the console stream; followed by [`FRAME_SYNC`].
pub const FRAME_START: u8 = 0xff;
/// Second byte of a wrapped frame.
pub const FRAME_SYNC: u8 = 0x00;
/// Ends every frame, wrapped or not.
pub const FRAME_END: u8 = 0x00;

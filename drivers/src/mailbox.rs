//! The firmware mailbox: asking firmware about the board.
//!
//! A question travels in layers, each in a file of its own:
//!
//! * a [`Tag`] is one question and what its answer means ([`tags`]);
//! * a message is the memory form of a tag, in a [`MessageBuffer`] that CPU and firmware share (`message`);
//! * [`PropertyChannel`] takes a tag through a message and the mailbox and back;
//! * [`Mailbox`] rings the doorbell and waits for the buffer's address to come back (`doorbell`).
//!
//! **Memory.** Firmware does not see the CPU's caches, and QEMU, which has none, does not show the mistake: the driver
//! asks the buffer to write its lines back before the doorbell and to forget them before it reads the answer. The
//! buffer has cache lines of its own, so that neither does anything to a neighbour.
//!
//! **Optional tags.** Firmware answers what it knows and passes over what it does not: the message is a success all
//! the same, and only the tag's own response word tells. QEMU leaves out several tags that every board has. So each
//! answer can be [`PropertyError::Unhandled`], and callers treat it as "not on this machine".
//!
//! The property interface is described in the firmware's wiki ("Mailbox property interface").

mod doorbell;
mod message;
mod property;
pub mod tags;

pub use doorbell::{Mailbox, MailboxRegisters};
pub use message::MessageBuffer;
pub use property::{PropertyChannel, PropertyError, Tag};

/// How long a message buffer's cache lines are on both boards, in bytes, and therefore how a buffer is aligned.
pub const BUFFER_ALIGN: u32 = 64;

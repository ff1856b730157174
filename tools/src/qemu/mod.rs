//! QEMU: finding one that is new enough ([`Qemu`]), and the command line for a board ([`Command`]).
//!
//! ```no_run
//! use tools::board::Board;
//! use tools::qemu::{Command, Qemu};
//!
//! let qemu = Qemu::find()?;
//! let status = Command::new(Board::Raspi3b, "build/kernel8.img").dtb("build/raspi3b.dtb").to_process(&qemu).status()?;
//! # anyhow::Ok(())
//! ```

mod command;
mod find;

pub use command::{Command, Console, Monitor, Speed, Trace};
pub use find::{Error, OLDEST, Qemu, Version};

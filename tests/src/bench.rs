//! One board to be tested: in QEMU, or on a cable.

use std::env;
use std::fs;
use std::path::Path;
use std::process::Command as Process;

use anyhow::{Context as _, bail};
use tempfile::TempDir;
use tools::board::Board;
use tools::qemu::{Command, Qemu};

use crate::build::Build;
use crate::console::{Console, ENTER};

/// Names the one board to test.
const BOARD_VARIABLE: &str = "TINE_BOARD";
/// Names the serial port of a real board.
const SERIAL_VARIABLE: &str = "TINE_SERIAL";
/// The key that drops a half-typed line.
const CTRL_C: &str = "\x03";
/// What the kernel's first line begins with.
const BANNER: &str = "Tine ";

/// A board, and how to get at it.
#[derive(Clone, Debug)]
pub struct Bench {
    /// Which board.
    pub board: Board,
    /// What runs on it.
    pub build: Build,
    /// Where it is.
    pub place: Place,
}

/// Where a board is.
#[derive(Clone, Debug)]
pub enum Place {
    /// In this QEMU.
    Emulated(Qemu),
    /// On this serial port.
    Cable(String),
}

impl Bench {
    /// What the environment asks for: the board on `TINE_SERIAL`, else `TINE_BOARD` in QEMU, else both boards in QEMU.
    ///
    /// # Errors
    ///
    /// With what is missing: a file of the build, QEMU, or the name of a board.
    pub fn all() -> anyhow::Result<Vec<Self>> {
        let build = Build::find()?;
        let named = match env::var(BOARD_VARIABLE) {
            Ok(name) => Some(board(&name)?),
            Err(_) => None,
        };
        if let Ok(port) = env::var(SERIAL_VARIABLE) {
            let board =
                named.with_context(|| format!("{SERIAL_VARIABLE} needs {BOARD_VARIABLE}: which board is it?"))?;
            return Ok(vec![Self { board, build, place: Place::Cable(port) }]);
        }
        let qemu = Qemu::find()?;
        let boards = Board::ALL.into_iter().filter(|&board| named.is_none_or(|named| named == board));
        Ok(boards.map(|board| Self { board, build: build.clone(), place: Place::Emulated(qemu.clone()) }).collect())
    }

    /// The board's name in the kernel's first line.
    #[must_use]
    pub fn banner_name(&self) -> &'static str {
        match self.board {
            Board::Raspi3b => "Raspberry Pi 3",
            Board::Raspi4b => "Raspberry Pi 4",
        }
    }

    /// Boots the usual way, with our device tree, and gives what was said up to the first prompt. A board on a cable is
    /// told to start again.
    ///
    /// # Errors
    ///
    /// When there is no prompt in the end, or a board on a cable has none to begin with.
    pub fn boot(&self) -> anyhow::Result<(Console, String)> {
        match &self.place {
            Place::Emulated(_) => self.boot_as(&self.command()),
            Place::Cable(port) => {
                let mut console = Console::open(port)?;
                console.send(format!("{CTRL_C}{ENTER}"))?;
                console.until_prompt().context("is the board on, and Tine on its card? Reset it and try again")?;
                console.send(format!("reboot{ENTER}"))?;
                console.until(BANNER)?;
                let text = console.until_prompt()?;
                Ok((console, format!("{BANNER}{text}")))
            }
        }
    }

    /// Boots the emulated board that `command` starts, to the first prompt.
    ///
    /// # Errors
    ///
    /// When there is no prompt in the end.
    pub fn boot_as(&self, command: &Command) -> anyhow::Result<(Console, String)> {
        self.boot_process(command.to_process(self.qemu()?))
    }

    /// Boots the emulated board that is started by hand, to the first prompt.
    ///
    /// # Errors
    ///
    /// When there is no prompt in the end.
    pub fn boot_process(&self, process: Process) -> anyhow::Result<(Console, String)> {
        let mut console = Console::start(process)?;
        let text = console.until_prompt()?;
        Ok((console, text))
    }

    /// The usual way to start the emulated board: raw image, our device tree.
    #[must_use]
    pub fn command(&self) -> Command {
        self.command_without_tree().dtb(self.build.tree(self.board))
    }

    /// The raw image alone.
    #[must_use]
    pub fn command_without_tree(&self) -> Command {
        Command::new(self.board, self.build.image())
    }

    /// The QEMU of an emulated board.
    ///
    /// # Errors
    ///
    /// When it is on a cable.
    pub fn qemu(&self) -> anyhow::Result<&Qemu> {
        match &self.place {
            Place::Emulated(qemu) => Ok(qemu),
            Place::Cable(port) => bail!("the board on {port} is not emulated"),
        }
    }

    /// Our device tree for this board.
    ///
    /// # Errors
    ///
    /// When it cannot be read.
    pub fn tree(&self) -> anyhow::Result<Vec<u8>> {
        read(&self.build.tree(self.board))
    }
}

/// A directory for the files of one test; it goes with the value.
///
/// # Errors
///
/// When it cannot be made.
pub fn scratch() -> anyhow::Result<TempDir> {
    tempfile::tempdir().context("cannot make a temporary directory")
}

/// The bytes of a file.
///
/// # Errors
///
/// When it cannot be read.
pub fn read(path: &Path) -> anyhow::Result<Vec<u8>> {
    fs::read(path).with_context(|| format!("cannot read {}", path.display()))
}

fn board(name: &str) -> anyhow::Result<Board> {
    let found = Board::ALL.into_iter().find(|board| board.machine() == name);
    found.with_context(|| format!("{BOARD_VARIABLE}={name}: the boards are raspi3b and raspi4b"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn boards_go_by_their_machines_names() {
        assert_eq!(board("raspi3b").unwrap(), Board::Raspi3b);
        assert!(board("raspi5b").unwrap_err().to_string().contains("TINE_BOARD=raspi5b"));
    }
}

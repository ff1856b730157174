//! `tine bench`: how large the kernel is and how long it takes to boot.

use std::io::{BufRead as _, BufReader};
use std::path::PathBuf;
use std::process::{ExitCode, Stdio};

use anyhow::Context as _;
use tools::board::Board;
use tools::qemu::{Command, Qemu, Speed};

/// What the kernel says at the end of its boot: `boot: 1234 us from entry`.
const BOOT: &str = "boot: ";

/// Print the size of the kernel and its boot time in guest instructions
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// The raw image
    #[arg(long, value_name = "FILE", default_value = "build/kernel8.img")]
    kernel: PathBuf,
    /// The initramfs
    #[arg(long, value_name = "FILE", default_value = "build/initramfs.cpio")]
    initrd: PathBuf,
}

/// Runs the subcommand.
pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let size = super::read(&arguments.kernel)?.len();
    println!("image size                  {:>9} KiB", size.div_ceil(1024));
    let qemu = Qemu::find()?;
    for (name, board, one_cpu) in [
        ("boot, raspi3b, one CPU", Board::Raspi3b, &["-global", "bcm2837.enabled-cpus=1"][..]),
        ("boot, raspi4b, four CPUs", Board::Raspi4b, &[]),
    ] {
        let command = Command::new(board, &arguments.kernel)
            .dtb(format!("build/{board}.dtb"))
            .initrd(&arguments.initrd)
            .speed(Speed::Counted);
        let command = one_cpu.iter().fold(command, |command, argument| command.arg(argument));
        println!("{name:<28}{:>8} us of guest time", boot_time(&command, &qemu)?);
    }
    println!("guest time: one instruction is one nanosecond (-icount shift=0,sleep=off)");
    Ok(ExitCode::SUCCESS)
}

/// Boots until the kernel says how long it took, then ends QEMU. Microseconds.
fn boot_time(command: &Command, qemu: &Qemu) -> anyhow::Result<u64> {
    let mut child = command.to_process(qemu).stdin(Stdio::null()).stdout(Stdio::piped()).spawn()?;
    let stdout = child.stdout.take().context("QEMU has no output")?;
    let time = BufReader::new(stdout).split(b'\n').map_while(Result::ok).find_map(|line| parse(&line));
    // It may have ended by itself.
    let _ = child.kill();
    child.wait()?;
    time.context("the kernel ended without a line `boot: N us`")
}

fn parse(line: &[u8]) -> Option<u64> {
    let line = String::from_utf8_lossy(line);
    let (_, time) = line.split_once(BOOT)?;
    time.split_once(" us")?.0.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_boot_time_is_read_from_the_kernels_own_line() {
        assert_eq!(parse(b"boot: 1234 us from entry\r"), Some(1234));
        assert_eq!(parse(b"[    0.001] boot: 7 us from entry"), Some(7));
        assert_eq!(parse(b"boot: soon"), None);
        assert_eq!(parse(b"Tine 0.1.0 (raspi4b, 4 cores, 960 MiB)"), None);
    }
}

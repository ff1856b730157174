//! What stands on the boot partition.

use std::fmt::Write as _;

use anyhow::ensure;

use super::firmware::Firmware;
use super::{BOOT_SIZE, MIB};

/// A file in the root of the boot partition.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct BootFile {
    /// Its name.
    pub name: String,
    /// What is in it.
    pub bytes: Vec<u8>,
}

impl BootFile {
    /// A file.
    pub fn new(name: impl Into<String>, bytes: impl Into<Vec<u8>>) -> Self {
        Self { name: name.into(), bytes: bytes.into() }
    }
}

/// Where firmware is to put the initramfs: where QEMU puts it, above all that a kernel may span and below the device tree.
/// Not `followkernel`: that is where the image of the kernel ends, and there its zeroed data begins.
pub const INITRAMFS_ADDRESS: u32 = 0x0800_0000;

/// What comes out of a build, for the card.
#[derive(Debug)]
pub struct System {
    /// The kernel's image.
    pub kernel: Vec<u8>,
    /// The initramfs.
    pub initramfs: Vec<u8>,
    /// The kernel's command line.
    pub cmdline: String,
    /// The program that is loaded in place of the kernel and waits for one on the serial line, if the card is to have it.
    pub loader: Option<Vec<u8>>,
}

/// All files of the boot partition, sorted by name.
///
/// # Errors
///
/// Where they would not fit, and a command line that is more than a line.
pub fn all(system: System, firmware: Firmware) -> anyhow::Result<Vec<BootFile>> {
    let cmdline = system.cmdline.trim();
    ensure!(!cmdline.contains(['\n', '\r']), "the command line has several lines; firmware takes the first only");
    let readme = readme(&firmware, system.loader.is_some());
    let mut files = firmware.files;
    let starts = if system.loader.is_some() { "loader.img" } else { "kernel8.img" };
    files.extend([
        BootFile::new("config.txt", config(starts)),
        BootFile::new("cmdline.txt", format!("{cmdline}\n")),
        BootFile::new("kernel8.img", system.kernel),
        BootFile::new("initramfs.cpio", system.initramfs),
        BootFile::new("README.txt", with_dos_lines(&readme)),
    ]);
    files.extend(system.loader.map(|bytes| BootFile::new("loader.img", bytes)));
    files.sort_by(|a, b| a.name.cmp(&b.name));
    let total: usize = files.iter().map(|file| file.bytes.len()).sum();
    // The tables take less than 2 MiB.
    let room = BOOT_SIZE - 2 * MIB;
    ensure!(total as u64 <= room, "the boot partition has room for {} MiB, not for {}", room / MIB, total as u64 / MIB);
    Ok(files)
}

/// `config.txt`, good for both boards.
fn config(starts: &str) -> String {
    format!(
        "\
# Tine. Firmware reads this before anything else; its options are documented by Raspberry Pi (\"config.txt\").

# What is started: a raw image for this address. It has no header, so firmware is told where it belongs.
arm_64bit=1
kernel={starts}
kernel_address=0x80000

# The first programs and files, above the kernel and its data.
initramfs initramfs.cpio {INITRAMFS_ADDRESS:#010x}

# The serial console: pins 8 (TX) and 10 (RX) of the header, 115200 8N1. The kernel sets the PL011 up by itself and
# gives it these pins; the fixed core clock keeps the mini-UART usable, and 48 MHz is what the PL011 divides.
enable_uart=1
init_uart_clock=48000000

# Nothing on the serial line? With this the firmware says there what it does (see docs/hardware.md):
#uart_2ndstage=1

# No screen is used: the least memory for the GPU, and no rainbow.
gpu_mem=32
disable_splash=1
"
    )
}

fn readme(firmware: &Firmware, loader: bool) -> String {
    let mut text = String::from(
        "\
This card boots Tine, a small Unix kernel, on a Raspberry Pi 3 or 4.

Talk to it over the serial line: a 3.3 V adapter on the header's pins 6 (ground),
8 (the board sends) and 10 (the board receives), 115200 baud, 8N1.

What is here
  config.txt            what firmware starts, and how; a text file
  cmdline.txt           the kernel's command line; a text file of one line
  kernel8.img           the kernel: replace it to try another one
  initramfs.cpio        the first programs and files
  *.dtb                 device trees, one for each model of board
  bootcode.bin, start*.elf, fixup*.dat
                        firmware: of the Pi 3, and those with a 4 of the Pi 4
",
    );
    if loader {
        text.push_str(
            "  loader.img            is started in place of the kernel, and waits for one\n\
             \x20                       on the serial line (tine push)\n",
        );
    }
    text.push_str(
        "\nThe second partition, if the card has one, is for data.

Licences
  Tine is under the ISC licence.
",
    );
    let _ = write!(text, "  Firmware and device trees are not part of Tine. They came from\n  {}.\n", firmware.origin);
    for licence in &firmware.licences {
        let _ = writeln!(text, "  {licence}");
    }
    text
}

/// Lines as DOS ends them: whoever opens the card may be on a system that knows no others.
fn with_dos_lines(text: &str) -> String {
    text.replace('\n', "\r\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn system() -> System {
        System { kernel: vec![1], initramfs: vec![2], cmdline: " quiet \n".into(), loader: None }
    }

    fn firmware() -> Firmware {
        Firmware {
            files: vec![BootFile::new("start4.elf", *b"elf")],
            origin: "a directory".into(),
            licences: vec!["LICENCE.broadcom is the firmware's.".into()],
        }
    }

    fn text_of(files: &[BootFile], name: &str) -> String {
        let file = files.iter().find(|file| file.name == name).unwrap_or_else(|| panic!("no {name}"));
        String::from_utf8(file.bytes.clone()).unwrap()
    }

    #[test]
    fn firmware_is_told_what_to_start_where() {
        let files = all(system(), firmware()).unwrap();
        let config = text_of(&files, "config.txt");
        let options: Vec<_> = config.lines().filter(|line| !line.is_empty() && !line.starts_with('#')).collect();
        for option in ["arm_64bit=1", "kernel=kernel8.img", "kernel_address=0x80000", "enable_uart=1"] {
            assert!(options.contains(&option), "no {option} in {config}");
        }
        assert!(options.contains(&"initramfs initramfs.cpio 0x08000000"), "{config}");
        assert_eq!(text_of(&files, "cmdline.txt"), "quiet\n");
    }

    #[test]
    fn with_a_loader_that_is_started_and_the_kernel_stays_on_the_card() {
        let files = all(System { loader: Some(vec![3]), ..system() }, firmware()).unwrap();
        assert!(text_of(&files, "config.txt").contains("\nkernel=loader.img\n"));
        assert!(files.iter().any(|file| file.name == "kernel8.img"));
        assert!(text_of(&files, "README.txt").contains("tine push"));
    }

    #[test]
    fn whoever_opens_the_card_finds_where_the_firmware_came_from_and_its_licence() {
        let readme = text_of(&all(system(), firmware()).unwrap(), "README.txt");
        assert!(readme.contains("a directory") && readme.contains("LICENCE.broadcom"), "{readme}");
        assert!(readme.lines().count() > 15 && !readme.replace("\r\n", "").contains('\n'));
    }

    #[test]
    fn what_does_not_fit_and_a_command_line_of_two_lines_are_refused() {
        let initramfs = vec![0; usize::try_from(BOOT_SIZE).unwrap()];
        assert!(all(System { initramfs, ..system() }, firmware()).is_err());
        for cmdline in ["a\nb", "a\rb"] {
            assert!(all(System { cmdline: cmdline.into(), ..system() }, firmware()).is_err());
        }
    }
}

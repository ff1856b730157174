//! A kernel over the serial line: the loader in QEMU, `tine push`'s other side here, a pseudo-terminal between them, and a
//! line that makes errors.
//!
//! While the loader waits, three cores spin for ever in QEMU's stub. Each with a thread of its own they keep the host from
//! carrying bytes, and a push takes minutes where it should take seconds: so all cores share one thread here.

use std::fs::File;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use rustix::pty::OpenptFlags;
use tests::bench::Bench;
use tools::push::port::{Port as _, Serial};
use tools::push::{Event, Order};
use tools::qemu::Command;

use crate::case::{Case, cases};

pub(crate) const CASES: &[Case] = cases![
    Emulator a_kernel_that_is_pushed_starts_as_firmware_would_have_started_it,
    Emulator what_is_pushed_arrives_over_a_line_that_makes_errors,
];

/// How long the loader is waited for.
const PATIENCE: Duration = Duration::from_secs(60);
/// Every so manieth byte of a bad line is changed, lost or doubled.
const EVERY: u32 = 15_013;
/// The last words of a board that runs one program.
const LAST_WORDS: &str = "init: power off\r\n";
/// The last words of a loader that waits.
const WAITING: &str = "waiting for a kernel\r\n";

fn a_kernel_that_is_pushed_starts_as_firmware_would_have_started_it(bench: &Bench) -> anyhow::Result<()> {
    let mut session = Session::start(bench, None)?;
    session.push(&bench.build.image())?;
    let said = session.read_until(LAST_WORDS)?;
    // The tree, the initramfs and the other cores are those that the loader found.
    for part in ["facts: device tree", "4 cores", "initramfs:", "hello from a Rust program", "argv[1] = pushed"] {
        ensure!(said.contains(part), "no {part:?} in {said:?}");
    }
    session.emulator.is_off().with_context(|| said)
}

/// What is pushed is the loader, twice: it is small, and says so when it runs.
fn what_is_pushed_arrives_over_a_line_that_makes_errors(bench: &Bench) -> anyhow::Result<()> {
    let mut session = Session::start(bench, Some(EVERY))?;
    for _ in 0..2 {
        let events = session.push(&bench.build.loader())?;
        let said = session.read_until(WAITING)?;
        ensure!(said.contains("starting"), "{said:?}");
        ensure!(
            events.contains(&Event::Again),
            "there were errors on the line, but nothing was sent again: {events:?}"
        );
    }
    Ok(())
}

/// A loader in QEMU, and a line to it.
pub(crate) struct Session {
    emulator: Emulator,
    line: Arc<BadLine>,
    pub(crate) port: Serial,
}

impl Session {
    fn start(bench: &Bench, every: Option<u32>) -> anyhow::Result<Self> {
        let command = Command::new(bench.board, bench.build.loader())
            .dtb(bench.build.tree(bench.board))
            .initrd(bench.build.initramfs())
            .cmdline("-- /bin/hello pushed");
        Self::start_as(bench, &command, every)
    }

    /// Starts what `command` says, and a line to it.
    pub(crate) fn start_as(bench: &Bench, command: &Command, every: Option<u32>) -> anyhow::Result<Self> {
        let command = command.clone().arg("-accel").arg("tcg,thread=single");
        let mut emulator = Emulator::start(bench, &command)?;
        let (master, path) = open_terminal()?;
        let port = Serial::open(&path)?;
        let line = Arc::new(BadLine { every: every.unwrap_or(u32::MAX), on: AtomicBool::new(false) });
        let (input, output) = emulator.take_pipes()?;
        line.carry(master.try_clone()?, input, 0);
        line.carry(output, master, EVERY / 2);
        Ok(Self { emulator, line, port })
    }

    /// Pushes an image. There are errors on the line only so long; what the board says is not protected against them.
    fn push(&mut self, image: &Path) -> anyhow::Result<Vec<Event>> {
        let image = std::fs::read(image)?;
        let mut events = Vec::new();
        let order = Order { image: &image, baud: 921_600, patience: PATIENCE };
        self.line.on.store(true, Ordering::Relaxed);
        tools::push::push(&mut self.port, &order, &mut |event| events.push(event))?;
        self.line.on.store(false, Ordering::Relaxed);
        Ok(events)
    }

    /// Reads what the board says, up to some last words.
    fn read_until(&mut self, last: &str) -> anyhow::Result<String> {
        let mut said = Vec::new();
        while let Some(byte) = self.port.read(PATIENCE)? {
            said.push(byte);
            if said.ends_with(last.as_bytes()) {
                return Ok(String::from_utf8_lossy(&said).into_owned());
            }
        }
        anyhow::bail!("no {last:?} behind {:?}", String::from_utf8_lossy(&said));
    }
}

/// QEMU, which does not outlive the test.
pub(crate) struct Emulator(Child);

impl Emulator {
    pub(crate) fn start(bench: &Bench, command: &Command) -> anyhow::Result<Self> {
        let mut process = command.to_process(bench.qemu()?);
        let process = process.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        Ok(Self(process.spawn().context("cannot start QEMU")?))
    }

    /// Waits for its end, which must be that of a board that was switched off.
    pub(crate) fn is_off(&mut self) -> anyhow::Result<()> {
        let status = self.0.wait()?;
        ensure!(status.code() == Some(i32::from(abi::exit::POWEROFF)), "{status}");
        Ok(())
    }

    fn take_pipes(&mut self) -> anyhow::Result<(impl Write + Send + use<>, impl Read + Send + use<>)> {
        let pipes = self.0.stdin.take().zip(self.0.stdout.take());
        pipes.context("no pipes to QEMU")
    }
}

impl Drop for Emulator {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A pseudo-terminal: our end, and the path of the other.
fn open_terminal() -> anyhow::Result<(File, PathBuf)> {
    let master = rustix::pty::openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY)?;
    rustix::pty::grantpt(&master)?;
    rustix::pty::unlockpt(&master)?;
    let path = rustix::pty::ptsname(&master, Vec::new())?;
    Ok((master.into(), path.to_str()?.into()))
}

/// A line that makes errors, at the same places each time.
struct BadLine {
    every: u32,
    on: AtomicBool,
}

impl BadLine {
    /// Carries bytes one way until their source ends, or nobody takes them.
    fn carry(
        self: &Arc<Self>,
        mut from: impl Read + Send + 'static,
        mut to: impl Write + Send + 'static,
        mut count: u32,
    ) {
        let line = Arc::clone(self);
        thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(length @ 1..) = from.read(&mut buffer) {
                let mut carried = Vec::with_capacity(length + 1);
                for &byte in &buffer[..length] {
                    count = count.wrapping_add(1);
                    line.carry_byte(byte, count, &mut carried);
                }
                if to.write_all(&carried).and_then(|()| to.flush()).is_err() {
                    return;
                }
            }
        });
    }

    fn carry_byte(&self, byte: u8, count: u32, carried: &mut Vec<u8>) {
        if !self.on.load(Ordering::Relaxed) || !count.is_multiple_of(self.every) {
            carried.push(byte);
            return;
        }
        match count / self.every % 3 {
            0 => carried.push(byte ^ 0x20),
            1 => {}
            _ => carried.extend([byte, 0xff]),
        }
    }
}

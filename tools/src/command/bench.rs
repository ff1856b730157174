//! `tine bench`: how large the kernel is, how long it takes to boot, and what a benchmark program measures on it.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{self, ChildStdout, ExitCode, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use tools::bench::figures::{Figure, Figures, Line, PROMPT, Tenths};
use tools::bench::record::{self, Run};
use tools::bench::table;
use tools::board::Board;
use tools::cpio::{Access, Archive, DATA_ALIGN, Entry};
use tools::qemu::{Command, Qemu, Speed};

use super::out::{self, say};

/// What the kernel says at the end of its boot: `boot: 1234 us from entry`.
const BOOT: &str = "boot: ";
/// What a shell reads before its first prompt, and what it says there: `FBSTAMP .. virt_us=1234 ..`, the time since power-on.
const PROFILE: (&str, &[u8]) = ("etc/profile", b"/bin/bench --stamp\n");
const STAMP: &str = "virt_us=";
/// Linux's figures, unless others are named.
const LINUX: &str = include_str!("../../data/linux-6.1-raspi3b.txt");
/// So many of the last lines are shown when a benchmark does not come to its end.
const LAST_LINES: usize = 15;

/// Print the size of the kernel and its boot time in guest instructions, and what a benchmark program measures
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// The raw image
    #[arg(long, value_name = "FILE", default_value = "build/kernel8.img")]
    kernel: PathBuf,
    /// The initramfs whose boot is timed
    #[arg(long, value_name = "FILE", default_value = "build/initramfs.cpio")]
    initrd: PathBuf,
    /// An initramfs whose /init is a benchmark; without one only size and boot are measured
    #[arg(long, value_name = "FILE")]
    program: Option<PathBuf>,
    /// The name of the benchmark, for the record
    #[arg(long, value_name = "NAME", default_value = "bench")]
    name: String,
    /// Arguments for the benchmark: groups, --quick, --maxr MiB
    #[arg(long, value_name = "WORDS", default_value = "", allow_hyphen_values = true)]
    words: String,
    /// Figures to compare with, or the log of a run on another kernel [default: Linux 6.1 on raspi3b]
    #[arg(long, value_name = "FILE")]
    linux: Option<PathBuf>,
    /// The document that keeps the figures of each commit
    #[arg(long, value_name = "FILE")]
    record: Option<PathBuf>,
    /// How long the benchmark may take
    #[arg(long, value_name = "SECONDS", default_value_t = 900)]
    timeout: u64,
}

/// Runs the subcommand.
pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let qemu = Qemu::find()?;
    size_and_boot(arguments, &qemu)?;
    let prompt = boot_to_prompt(arguments, &qemu)?;
    let Some(program) = &arguments.program else { return Ok(ExitCode::SUCCESS) };
    let linux = match &arguments.linux {
        Some(file) => String::from_utf8_lossy(&super::read(file)?).into_owned(),
        None => LINUX.to_owned(),
    };
    let linux = Figures::parse(&linux);
    let mut tine = measure(
        &benchmark(&arguments.kernel, program, &arguments.words),
        &qemu,
        Duration::from_secs(arguments.timeout),
    )?;
    if let Some(time) = prompt {
        tine.add(PROMPT.to_owned(), Figure::Median(Tenths(10 * time)));
    }
    out::write(format_args!("\n{}", table::plain(&tine, &linux)))?;
    if let Some(record) = &arguments.record {
        let old = std::fs::read_to_string(record).unwrap_or_default();
        let run = Run { commit: commit()?, day: day()?, program: arguments.name.clone() };
        super::write(record, record::updated(&old, &run, &tine, &linux).as_bytes())?;
    }
    Ok(ExitCode::SUCCESS)
}

fn size_and_boot(arguments: &Arguments, qemu: &Qemu) -> anyhow::Result<()> {
    let size = super::read(&arguments.kernel)?.len();
    say!("image size                  {:>9} KiB", size.div_ceil(1024))?;
    for (name, board) in [("boot, raspi3b, one CPU", Board::Raspi3b), ("boot, raspi4b, four CPUs", Board::Raspi4b)] {
        let command = counted(board, &arguments.kernel, &arguments.initrd);
        say!("{name:<28}{:>8} us of guest time", boot_time(&command, qemu)?)?;
    }
    say!("guest time: one instruction is one nanosecond (-icount shift=0,sleep=off), and the UART takes none")?;
    Ok(())
}

/// Boots both boards to the shell's first prompt; gives the time of raspi3b. Nothing where there is no shell.
fn boot_to_prompt(arguments: &Arguments, qemu: &Qemu) -> anyhow::Result<Option<u64>> {
    let mut archive = super::read(&arguments.initrd)?;
    archive.resize(archive.len().next_multiple_of(DATA_ALIGN), 0);
    let mut more = Archive::default();
    more.add(PROFILE.0, Entry::File { data: PROFILE.1.to_vec(), access: Access::Plain })?;
    archive.extend(more.to_bytes()?);
    let initrd = arguments.initrd.with_file_name("prompt.cpio");
    super::write(&initrd, &archive)?;
    let mut first = None;
    for (name, board) in [("prompt, raspi3b, one CPU", Board::Raspi3b), ("prompt, raspi4b, four CPUs", Board::Raspi4b)]
    {
        let command = counted(board, &arguments.kernel, &initrd);
        let Some(time) = find_line(&command, qemu, stamp)? else { return Ok(None) };
        say!("{name:<28}{time:>8} us of guest time")?;
        first = first.or(Some(time));
    }
    Ok(first)
}

/// A board on which instructions are counted; raspi3b with one processor.
fn counted(board: Board, kernel: &Path, initrd: &Path) -> Command {
    let command = Command::new(board, kernel).dtb(format!("build/{board}.dtb")).initrd(initrd).speed(Speed::Counted);
    match board {
        Board::Raspi3b => command.arg("-global").arg("bcm2837.enabled-cpus=1"),
        Board::Raspi4b => command,
    }
}

/// The board that runs the benchmark in the initramfs `program`, as Linux was run.
pub(super) fn benchmark(kernel: &Path, program: &Path, words: &str) -> Command {
    let command = counted(Board::Raspi3b, kernel, program).arg("-seed").arg("1");
    command.cmdline(format!("quiet -- {words}").trim_end())
}

/// Boots until the kernel says how long it took. Microseconds.
fn boot_time(command: &Command, qemu: &Qemu) -> anyhow::Result<u64> {
    find_line(command, qemu, parse)?.context("the kernel ended without a line `boot: N us`")
}

/// Boots until `parse` finds in a line what it looks for, then ends QEMU; or until QEMU ends.
fn find_line(command: &Command, qemu: &Qemu, parse: fn(&[u8]) -> Option<u64>) -> anyhow::Result<Option<u64>> {
    let (mut child, stdout) = start(command, qemu)?;
    let found = BufReader::new(stdout).split(b'\n').map_while(Result::ok).find_map(|line| parse(&line));
    // It may have ended by itself.
    let _ = child.kill();
    child.wait()?;
    Ok(found)
}

fn start(command: &Command, qemu: &Qemu) -> anyhow::Result<(process::Child, ChildStdout)> {
    let mut child = command.to_process(qemu).stdin(Stdio::null()).stdout(Stdio::piped()).spawn()?;
    let stdout = child.stdout.take().context("QEMU has no output")?;
    Ok((child, stdout))
}

/// Runs the benchmark to its last line, and shows its rows as they come.
fn measure(command: &Command, qemu: &Qemu, patience: Duration) -> anyhow::Result<Figures> {
    let (mut child, stdout) = start(command, qemu)?;
    let (sender, lines) = mpsc::channel();
    thread::spawn(move || {
        for line in BufReader::new(stdout).split(b'\n').map_while(Result::ok) {
            if sender.send(String::from_utf8_lossy(&line).trim_end().to_owned()).is_err() {
                return;
            }
        }
    });
    let outcome = collect(&lines, Instant::now() + patience);
    // It may have ended by itself; what it prints after the last line is of no interest.
    let _ = child.kill();
    child.wait()?;
    outcome
}

/// Reads lines until the last one of the benchmark, the end of the board, or the end of patience.
fn collect(lines: &mpsc::Receiver<String>, end: Instant) -> anyhow::Result<Figures> {
    let mut figures = Figures::default();
    let mut last: Vec<String> = Vec::new();
    let why = loop {
        let line = match lines.recv_timeout(end.saturating_duration_since(Instant::now())) {
            Ok(line) => line,
            Err(RecvTimeoutError::Timeout) => break "the benchmark takes too long; --timeout SECONDS gives it more",
            Err(RecvTimeoutError::Disconnected) => break "the board ended before the benchmark did",
        };
        match Line::parse(&line) {
            Line::End => return Ok(figures),
            Line::Row(name, figure) => {
                eprintln!("{line}");
                figures.add(name, figure);
            }
            Line::Other => {}
        }
        last.push(line);
    };
    let from = last.len().saturating_sub(LAST_LINES);
    anyhow::bail!("{why}; its last lines were:\n{}", last[from..].join("\n"))
}

/// The commit that is measured, marked if something was changed since.
fn commit() -> anyhow::Result<String> {
    // The record itself changes with each run.
    let changed = git(&["status", "--porcelain", "--untracked-files=no", "--", ":(exclude)docs/bench.md"])?;
    let commit = git(&["rev-parse", "--short=10", "HEAD"])?;
    Ok(if changed.is_empty() { commit } else { format!("{commit}+") })
}

/// The day of that commit.
fn day() -> anyhow::Result<String> {
    git(&["log", "-1", "--format=%cs"])
}

fn git(arguments: &[&str]) -> anyhow::Result<String> {
    let output = process::Command::new("git").args(arguments).output().context("cannot run git")?;
    anyhow::ensure!(output.status.success(), "git {}: {}", arguments.join(" "), output.status);
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

fn parse(line: &[u8]) -> Option<u64> {
    let line = String::from_utf8_lossy(line);
    let (_, time) = line.split_once(BOOT)?;
    time.split_once(" us")?.0.trim().parse().ok()
}

/// The time in a stamp.
fn stamp(line: &[u8]) -> Option<u64> {
    let line = String::from_utf8_lossy(line);
    let (_, time) = line.split_once(STAMP)?;
    time.split_ascii_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_of_the_prompt_is_read_from_the_stamp() {
        assert_eq!(stamp(b"FBSTAMP cntvct=164325 cntfrq=62500000 virt_us=2629 mono_us=2630\r"), Some(2629));
        assert_eq!(stamp(b"boot: 1234 us from entry"), None);
    }

    #[test]
    fn the_boot_time_is_read_from_the_kernels_own_line() {
        assert_eq!(parse(b"boot: 1234 us from entry\r"), Some(1234));
        assert_eq!(parse(b"[    0.001] boot: 7 us from entry"), Some(7));
        assert_eq!(parse(b"boot: soon"), None);
        assert_eq!(parse(b"Tine 0.1.0 (raspi4b, 4 cores, 960 MiB)"), None);
    }

    /// What [`collect`] makes of these lines; the sender stays open, or not.
    fn collected(lines: &[&str], stays_open: bool, patience: Duration) -> Result<Figures, String> {
        let (sender, receiver) = mpsc::channel();
        for line in lines {
            sender.send((*line).to_owned()).unwrap();
        }
        let open = stays_open.then_some(sender);
        let outcome = collect(&receiver, Instant::now() + patience).map_err(|error| error.to_string());
        drop(open);
        outcome
    }

    #[test]
    fn a_benchmark_is_over_at_its_last_line() {
        let lines = ["Tine 0.1.0", "FB getppid n=40 med=120.0", "FBEND cntvct=1", "panic"];
        let figures = collected(&lines, true, Duration::from_secs(60)).unwrap();
        assert_eq!(figures.iter().count(), 1);
    }

    #[test]
    fn a_board_that_ends_early_is_an_error_with_its_last_words() {
        let error = collected(&["FB getppid n=40 med=120.0", "panic on cpu 0"], false, Duration::from_secs(60));
        let error = error.unwrap_err();
        assert!(error.contains("the board ended before") && error.ends_with("panic on cpu 0"), "{error}");
    }

    #[test]
    fn a_benchmark_that_hangs_is_an_error() {
        let error = collected(&["FBSTART"], true, Duration::from_millis(5)).unwrap_err();
        assert!(error.contains("takes too long"), "{error}");
    }

    #[test]
    fn the_board_is_started_as_linux_was() {
        let arguments = ["tine", "--program", "b.cpio", "--words", "fork --quick"];
        let arguments = <TestArguments as clap::Parser>::parse_from(arguments).arguments;
        let command = benchmark(&arguments.kernel, arguments.program.as_deref().unwrap(), &arguments.words);
        let words: Vec<String> = command.args().iter().map(|word| word.to_string_lossy().into_owned()).collect();
        let line = words.join(" ");
        for part in ["-M raspi3b", "-icount shift=0,sleep=off", "-seed 1", "-global bcm2837.enabled-cpus=1"] {
            assert!(line.contains(part), "{part}: {line}");
        }
        assert!(words.iter().any(|word| word == "quiet -- fork --quick"), "{line}");
    }

    #[derive(clap::Parser)]
    struct TestArguments {
        #[command(flatten)]
        arguments: Arguments,
    }
}

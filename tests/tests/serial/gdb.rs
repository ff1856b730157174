//! gdb with the commands of `tools/gdb/tine.py`, at QEMU's stub, while a shell and a child of its are there.

use std::path::{Path, PathBuf};
use std::process::Command as Process;

use anyhow::{Context as _, ensure};
use tests::bench::{Bench, scratch};
use tests::console::Console;

use crate::case::{Case, cases};
use crate::session::{FIRST_PROMPT, Session};

pub(crate) const CASES: &[Case] = cases![
    Debugger gdb_lists_threads_and_processes_and_walks_their_tables,
];

/// Commands without sense: numbers that are none, tables and addresses that are nowhere, or in the other half.
const NONSENSE: [&str; 11] = [
    "tine walk foo 0",
    "tine walk 0xzz 0",
    "tine walk 4000000 0",
    "tine walk 1 nowhere",
    "tine walk 1 0x8000000000",
    "tine walk ttbr0 0xffffff8000000000",
    "tine walk ttbr1 0x400000",
    "tine tables 0xffffffffffffffff",
    "tine tables 0x3f00000000",
    "tine log -2",
    "tine bt foo",
];

/// The debuggers that may know AArch64, in the order of `tools/gdb.sh`.
const DEBUGGERS: [&str; 3] = ["gdb-multiarch", "aarch64-linux-gnu-gdb", "gdb"];

/// The debugger that is there, if it has Python.
pub(crate) fn debugger() -> Option<&'static str> {
    DEBUGGERS.into_iter().find(|name| {
        let tried = Process::new(name)
            .args(["-batch", "-nx", "-ex", "set architecture aarch64", "-ex", "python print('python')"])
            .output();
        tried.is_ok_and(|output| {
            output.status.success() && output.stderr.is_empty() && output.stdout.ends_with(b"python\n")
        })
    })
}

fn gdb_lists_threads_and_processes_and_walks_their_tables(bench: &Bench) -> anyhow::Result<()> {
    let place = scratch()?;
    let stub = place.path().join("stub");
    let command = bench.command().initrd(bench.build.initramfs()).cmdline("quiet");
    let command = command.arg("-gdb").arg(format!("unix:{},server=on,wait=off", stub.display()));
    let mut console = Console::start(command.to_process(bench.qemu()?))?;
    console.until(FIRST_PROMPT)?;
    let mut session = Session::begin(console)?;
    let shell = number(&session.run("echo $$")?)?;
    // Memory that nobody stores to, and a fork that executes nothing: it reads a pipe for ever, and shares its parent's tables.
    session.run("big=$(head -c 9000000 /dev/zero | tr '\\0' x); mkfifo /tmp/pipe; exec 9<>/tmp/pipe")?;
    session.run("(read line <&9; echo $line) & sleep 0")?;
    let child = number(&session.run("echo $!")?)?;
    session.run("echo '<4>heard by gdb' > /dev/kmsg")?;

    let mut asked = vec!["tine cpus", "tine threads", "tine ps", "tine locks", "tine log 40", "tine help"]
        .into_iter()
        .map(str::to_owned)
        .collect::<Vec<_>>();
    let kernel_address = "&kernel::log::history::HISTORY";
    asked.push(format!("tine walk {shell} {kernel_address}"));
    asked.push(format!("tine walk {child} 0x400000"));
    asked.push(format!("tine tables {child}"));
    // One that is full, so that the walk ends at a page.
    let full = "level == 2 and table >> 2 & 0x3ff == 512";
    let shared = format!("next(at for at, level, table in tables(root_of('{child}', 0)) if {full})");
    asked.push(format!("python gdb.execute('tine walk {child} %#x' % {shared})"));
    asked.push(format!("tine bt {shell}"));
    asked.push(format!("python [refused(words.strip()) for words in '{}'.split(';')]", NONSENSE.join(";")));
    let said = gdb(bench, &stub, &asked)?;

    for part in ["idle0", "idle3", "init", "heard by gdb", "warning", "syscall::poll", "not noted in this build"] {
        ensure!(said.contains(part), "no {part:?} in\n{said}");
    }
    let row = |pid: u32, ppid: u32| {
        let found = said.lines().map(|line| line.split_ascii_whitespace().collect::<Vec<_>>());
        let wanted = [pid.to_string(), ppid.to_string()];
        found.filter(|words| words.len() == 8).find(|words| words[..2] == wanted).map(|words| words[6].to_owned())
    };
    let (own, other) = (row(shell, 1), row(child, shell));
    ensure!(own.is_some() && other.is_some() && own != other, "{own:?} and {other:?} in\n{said}");
    // The kernel's data: the same page as in the ELF file's place, for nobody but the kernel, and not executable.
    ensure!(said.contains("EL0 ---, EL1 rw-"), "{said}");
    // What a fork shares is forbidden to store to by a table, not by its leaves.
    let walked = said.lines().any(|line| line.starts_with("level") && line.contains("APTable[1] read-only"));
    ensure!(walked && said.contains("writable but for a table above"), "{said}");
    ensure!(said.contains("EL0 r-x, EL1 r--"), "{said}");

    // What nobody could answer is refused in words, not by a trace of Python's.
    let refusals = said.lines().filter(|line| line.starts_with("refused: ")).count();
    ensure!(refusals == NONSENSE.len() && !said.contains("Error occurred in Python"), "{refusals} refusals in\n{said}");

    // The board goes on as if nothing had been.
    session.run("echo over >&9; wait")?;
    session.power_off()
}

fn number(text: &str) -> anyhow::Result<u32> {
    text.trim().parse().with_context(|| format!("no number: {text:?}"))
}

/// What the debugger says to these commands, at the stub.
fn gdb(bench: &Bench, stub: &Path, commands: &[String]) -> anyhow::Result<String> {
    let script: PathBuf = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tools/gdb/tine.py");
    let mut process = Process::new(debugger().context("no gdb")?);
    process.args(["-batch", "-nx", "-ex", "set pagination off", "-ex", "set width 0"]);
    process.arg("-x").arg(script).arg("-ex").arg(format!("target remote {}", stub.display()));
    process.arg("-ex").arg("python exec(\"def refused(words):\\n try: gdb.execute(words)\\n except gdb.error as error: print('refused:', error)\")");
    for command in commands {
        process.arg("-ex").arg(command);
    }
    let output = process.arg(bench.build.elf()).output().context("cannot run gdb")?;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    ensure!(output.status.success(), "{}: {}\n{said}", output.status, String::from_utf8_lossy(&output.stderr));
    Ok(said)
}

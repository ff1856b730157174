//! `tine console` as a program, at a board's shell: files are sent to it, and the board's own sum of them is compared.

use std::env;
use std::fs;
use std::path::Path;
use std::process::Command as Process;

use anyhow::{Context as _, ensure};
use tests::bench::{Bench, scratch};
use tests::console::Console;
use tests::host::sha256;
use tests::powercut::Chance;
use tools::qemu::Console as Line;

use crate::case::{Case, cases};
use crate::push::Emulator;
use crate::session::{FIRST_PROMPT, Session};

pub(crate) const CASES: &[Case] = cases![
    Shell a_file_that_is_sent_is_on_the_board_whole_or_what_was_there_stays,
];

fn a_file_that_is_sent_is_on_the_board_whole_or_what_was_there_stays(bench: &Bench) -> anyhow::Result<()> {
    let place = scratch()?;
    let (file, socket) = (place.path().join("a file's \"name\""), place.path().join("console"));
    let mut chance = Chance::new(7);
    let bytes: Vec<u8> = (0..5000).flat_map(|_| chance.next().to_le_bytes()).collect();
    fs::write(&file, &bytes)?;
    let command =
        bench.command().initrd(bench.build.initramfs()).cmdline("quiet").console(Line::Socket(socket.clone()));
    let mut emulator = Emulator::start(bench, &command)?;
    let mut console = Console::start(terminal(&socket)?)?;
    console.until(FIRST_PROMPT)?;
    let mut shell = Session::begin(console)?;

    let sum = format!("{}  -\n", sha256(&bytes));
    let sent = "and its checksum is right";
    send(&mut shell, &file, "/tmp/it's there", sent)?;
    shell.expect("sha256sum < \"/tmp/it's there\"; ls /tmp", &format!("{sum}it's there\n"))?;
    // What was there is replaced, but for its mode.
    shell.run("echo '#!/bin/sh' > /tmp/old; chmod 751 /tmp/old")?;
    send(&mut shell, &file, "/tmp/old", sent)?;
    shell.expect("sha256sum < /tmp/old; stat -c %a /tmp/old", &format!("{sum}751\n"))?;
    // It stays where there is no room for another.
    shell.run("mkdir /tmp/small && mount -t tmpfs -o size=20k small /tmp/small && echo kept > /tmp/small/file")?;
    send(&mut shell, &file, "/tmp/small/file", "the board says: cat: write error: No space left on device")?;
    shell.expect("cat /tmp/small/*", "kept\n")?;
    send(&mut shell, &file, "/none/file", "nonexistent directory")?;
    send(&mut shell, &file, "/dev/null", "no regular file")?;
    shell.run("test -c /dev/null")?;

    shell.enter("poweroff")?;
    shell.until("connection lost")?;
    shell.press("\u{1}x")?;
    let (words, status) = shell.into_console().end()?;
    ensure!(status == 0, "{status} behind {words:?}");
    emulator.is_off()
}

/// The terminal at that socket; what it tells itself comes with what the board says. cargo makes it first, unless it is made.
fn terminal(socket: &Path) -> anyhow::Result<Process> {
    const TINE: [&str; 5] = ["--quiet", "--package", "tools", "--bin", "tine"];
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let made = Process::new(&cargo).arg("build").args(TINE).current_dir(&root).status();
    ensure!(made.context("cannot start cargo")?.success(), "there is no tine");
    let mut process = Process::new("sh");
    process.args(["-c", "exec \"$@\" 2>&1", "sh"]).arg(cargo).arg("run").args(TINE).current_dir(root);
    process.args(["--", "console", "--connect"]).arg(socket);
    Ok(process)
}

/// Has a file sent, and waits for what the terminal says of it in the end, and for the prompt that comes then.
fn send(shell: &mut Session, file: &Path, name: &str, said: &str) -> anyhow::Result<()> {
    let file = file.display().to_string().replace('"', "\\\"");
    shell.press(&format!("\u{1}s\"{file}\" \"{name}\"\r"))?;
    shell.until(" bytes; Ctrl-C ends it")?;
    shell.until(said)?;
    shell.answer()?;
    Ok(())
}

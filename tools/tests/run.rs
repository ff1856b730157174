//! `tine run` with a program in QEMU's place.
#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "a test fails where it cannot go on")]

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Child, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};

/// Says that it is QEMU, or that it has started, and ends by SIGTERM only, which it tells.
const PROGRAM: &str = "#!/bin/sh
if [ \"$1\" = --version ]; then echo 'QEMU emulator version 10.0.0'; exit; fi
trap 'echo ended; exit 3' TERM
echo started
while :; do sleep 0.01; done
";

fn start(arguments: &[&str]) -> (tempfile::TempDir, Child) {
    let place = tempfile::tempdir().unwrap();
    let program = place.path().join("qemu");
    fs::write(&program, PROGRAM).unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_tine"));
    command.arg("run").args(arguments).env("TINE_QEMU", &program).stdin(Stdio::null()).stdout(Stdio::piped());
    (place, command.spawn().unwrap())
}

#[test]
fn who_ends_the_tool_by_its_number_ends_the_board_first() {
    for timeout in [&[][..], &["--timeout", "600"]] {
        let (_place, mut child) = start(timeout);
        let mut output = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        output.read_line(&mut line).unwrap();
        assert_eq!(line, "started\n");
        kill_process(Pid::from_child(&child), Signal::TERM).unwrap();
        let status = child.wait().unwrap();
        // The pipe ends when both have.
        let mut rest = String::new();
        output.read_to_string(&mut rest).unwrap();
        assert_eq!((status.signal(), &*rest), (Some(Signal::TERM.as_raw()), "ended\n"));
    }
}

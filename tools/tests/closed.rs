//! `tine` where nobody reads on: a pipe that is closed, as by `head`.
#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "a test fails where it cannot go on")]

use std::process::{Command, Output, Stdio};

/// What a shell shows of a program that SIGPIPE has ended.
const BY_SIGPIPE: i32 = 128 + 13;

/// Runs the program with nobody at the other end of its output.
fn unread(words: &[&str]) -> Output {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let mut command = Command::new(env!("CARGO_BIN_EXE_tine"));
    command.args(words).stdin(Stdio::null()).stdout(writer).output().unwrap()
}

#[test]
fn a_program_whose_output_nobody_reads_ends_without_a_word() {
    let place = tempfile::tempdir().unwrap();
    let log = place.path().join("host.log");
    std::fs::write(&log, "test result: ok. 3 passed; 0 failed; 0 ignored\n").unwrap();
    let output = unread(&["summary", log.to_str().unwrap()]);
    assert_eq!((output.status.code(), &*output.stderr), (Some(BY_SIGPIPE), &b""[..]));
}

#[test]
fn help_that_nobody_reads_is_no_failure() {
    for words in [&["--help"][..], &["trace", "--help"]] {
        let output = unread(words);
        assert_eq!((output.status.code(), &*output.stderr), (Some(0), &b""[..]), "{words:?}");
    }
}

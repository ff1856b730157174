//! `tine console` as a program: over a pseudo-terminal, and over a socket that goes and comes back.
#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "a test fails where it cannot go on")]

use std::fs::{self, File};
use std::io::{BufRead as _, BufReader, Read, Write};
use std::os::unix::net::UnixListener;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::thread;

use rustix::process::{Pid, Signal, kill_process};
use rustix::pty::OpenptFlags;
use rustix::termios::tcgetattr;
use sha2::{Digest as _, Sha256};

/// The terminal, which does not outlive the test.
struct Terminal {
    child: Child,
    keys: Option<ChildStdin>,
    notices: BufReader<std::process::ChildStderr>,
}

impl Terminal {
    fn start(line: &[&str], log: &Path) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tine"));
        command.arg("console").args(line).arg("--log").arg(log);
        let pipes = command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = pipes.spawn().unwrap();
        let (keys, notices) = (child.stdin.take(), BufReader::new(child.stderr.take().unwrap()));
        Self { child, keys, notices }
    }

    fn press(&mut self, keys: &str) {
        self.keys.as_mut().unwrap().write_all(keys.as_bytes()).unwrap();
    }

    /// Reads its notices up to one with this text.
    fn notice(&mut self, text: &str) {
        let mut line = String::new();
        while !line.contains(text) {
            line.clear();
            assert!(self.notices.read_line(&mut line).unwrap() > 0, "it ended without {text:?}");
        }
    }

    /// Ends it by its key.
    fn quit(mut self) {
        self.press("\x01x");
        assert!(self.child.wait().unwrap().success());
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // It may have ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A pseudo-terminal: our end, and the path of the other.
fn pair() -> (File, PathBuf) {
    let master = rustix::pty::openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    rustix::pty::grantpt(&master).unwrap();
    rustix::pty::unlockpt(&master).unwrap();
    let path = rustix::pty::ptsname(&master, Vec::new()).unwrap();
    (master.into(), path.to_str().unwrap().into())
}

/// What base64(1) makes of it.
fn decoded(text: &str) -> Vec<u8> {
    let mut child = Command::new("base64").arg("-d").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success());
    output.stdout
}

/// A board with a shell that knows what is typed to send a file; returns that.
fn board(mut line: File) -> Vec<u8> {
    let (mut typed, mut lines, mut byte) = (Vec::new(), Vec::<String>::new(), [0]);
    while line.read(&mut byte).unwrap() == 1 {
        match byte[0] {
            b'\r' => {
                line.write_all(b"\r\n").unwrap();
                let text = String::from_utf8(std::mem::take(&mut typed)).unwrap();
                if text.starts_with("(n='there one'; if ") {
                    line.write_all(b"tine-ready\r\n").unwrap();
                } else if text.starts_with("sha256sum < 'there one.part'; ") {
                    let digest: String =
                        Sha256::digest(decoded(&lines.concat())).iter().map(|byte| format!("{byte:02x}")).collect();
                    line.write_all(format!("{digest}  -\r\ntine-end 0\r\n").as_bytes()).unwrap();
                } else if text.contains("mv -f -- ") {
                    line.write_all(b"tine-end 0\r\n").unwrap();
                    return decoded(&lines.concat());
                } else {
                    lines.push(text);
                }
            }
            // The end of what base64 reads.
            0x04 => line.write_all(b"tine-end 0\r\n").unwrap(),
            byte => {
                typed.push(byte);
                line.write_all(&[byte]).unwrap();
            }
        }
    }
    panic!("the terminal hung up");
}

#[test]
fn a_file_is_sent_over_a_pseudo_terminal_and_its_checksum_compared() {
    let place = tempfile::tempdir().unwrap();
    let (file, log) = (place.path().join("a file"), place.path().join("log"));
    let bytes: Vec<u8> = (0..5000_u32).flat_map(u32::to_be_bytes).collect();
    fs::write(&file, &bytes).unwrap();
    let (master, path) = pair();
    let mut terminal = Terminal::start(&["--pty", path.to_str().unwrap()], &log);
    terminal.notice("connected to");
    let held = master.try_clone().unwrap();
    let board = thread::spawn(move || board(master));
    terminal.press(&format!("\x01s'{}' 'there one'\r", file.display()));
    terminal.notice("the board has the file, and its checksum is right");
    assert!(board.join().unwrap() == bytes);
    terminal.quit();
    drop(held);
}

#[test]
fn the_terminal_is_as_it_was_whatever_ends_the_program() {
    let place = tempfile::tempdir().unwrap();
    let listener = UnixListener::bind(place.path().join("socket")).unwrap();
    for signal in [None, Some(Signal::TERM), Some(Signal::HUP), Some(Signal::INT), Some(Signal::QUIT)] {
        let (mut master, path) = pair();
        let terminal = File::options().read(true).write(true).open(path).unwrap();
        let modes = || format!("{:?}", tcgetattr(&terminal).unwrap());
        let before = modes();
        let mut command = Command::new(env!("CARGO_BIN_EXE_tine"));
        command.args(["console", "--connect"]).arg(place.path().join("socket"));
        let mut child = command.stdin(terminal.try_clone().unwrap()).stderr(Stdio::null()).spawn().unwrap();
        // By then the terminal is raw.
        let _line = listener.accept().unwrap();
        assert_ne!(modes(), before);
        match signal {
            None => master.write_all(b"\x01x").unwrap(),
            Some(signal) => kill_process(Pid::from_child(&child), signal).unwrap(),
        }
        let status = child.wait().unwrap();
        assert_eq!(status.signal(), signal.map(Signal::as_raw), "{status}");
        assert_eq!(modes(), before, "{signal:?}");
    }
}

#[test]
fn a_log_is_gone_on_with_though_nobody_types_and_a_line_is_waited_for_that_is_not_there_yet() {
    let place = tempfile::tempdir().unwrap();
    let (socket, log) = (place.path().join("socket"), place.path().join("log"));
    let mut terminal = Terminal::start(&["--connect", socket.to_str().unwrap()], &log);
    drop(terminal.keys.take());
    terminal.notice("waiting for");
    let listener = UnixListener::bind(&socket).unwrap();
    for word in ["one", "two"] {
        let (mut line, _) = listener.accept().unwrap();
        writeln!(line, "{word}\r").unwrap();
        drop(line);
        terminal.notice("connection lost");
    }
    let text = fs::read_to_string(log).unwrap();
    assert!(text.contains(" one\n") && text.contains(" two\n"), "{text}");
}

#[test]
fn a_line_that_goes_is_waited_for_and_the_log_has_times() {
    let place = tempfile::tempdir().unwrap();
    let (socket, log) = (place.path().join("socket"), place.path().join("log"));
    let listener = UnixListener::bind(&socket).unwrap();
    let mut terminal = Terminal::start(&["--connect", socket.to_str().unwrap()], &log);
    for word in ["one", "two"] {
        let (mut line, _) = listener.accept().unwrap();
        terminal.notice("connected to");
        writeln!(line, "{word}\r").unwrap();
        // What is typed arrives, whichever connection it is.
        terminal.press(word);
        let mut heard = [0; 3];
        line.read_exact(&mut heard).unwrap();
        assert_eq!(heard, word.as_bytes());
        drop(line);
        terminal.notice("connection lost");
    }
    terminal.quit();
    let text = fs::read_to_string(log).unwrap();
    let lines: Vec<_> = text.lines().collect();
    assert_eq!(lines.len(), 2, "{text}");
    for (line, word) in lines.iter().zip(["one", "two"]) {
        let (time, rest) = line.split_once(' ').unwrap();
        assert!(time.len() == 24 && time.ends_with('Z') && time.as_bytes()[10] == b'T', "{line}");
        assert_eq!(rest, word);
    }
}

#[test]
fn a_shell_whose_connection_broke_in_the_middle_of_a_file_is_interrupted_when_it_is_back() {
    let place = tempfile::tempdir().unwrap();
    let (socket, file, log) = (place.path().join("socket"), place.path().join("file"), place.path().join("log"));
    fs::write(&file, [7; 1000]).unwrap();
    let listener = UnixListener::bind(&socket).unwrap();
    let mut terminal = Terminal::start(&["--connect", socket.to_str().unwrap()], &log);
    let (line, _) = listener.accept().unwrap();
    terminal.press(&format!("\x01s{}\r", file.display()));
    terminal.notice("1000 bytes");
    let mut line = BufReader::new(line);
    let mut heard = Vec::new();
    line.read_until(b'\r', &mut heard).unwrap();
    line.get_mut().write_all(b"tine-ready\r\n").unwrap();
    line.read_until(b'\r', &mut heard).unwrap();
    drop(line);
    terminal.notice("the file is not there");
    let (mut line, _) = listener.accept().unwrap();
    let mut key = [0];
    line.read_exact(&mut key).unwrap();
    assert_eq!(key, *b"\x03");
    // What is typed then is for the shell.
    terminal.press("x");
    line.read_exact(&mut key).unwrap();
    assert_eq!(key, *b"x");
    terminal.quit();
}

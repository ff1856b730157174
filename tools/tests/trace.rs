//! `tine trace` as a program, at a serial port.
#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "a test fails where it cannot go on")]

use std::fs::File;
use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, Command, Stdio};

use object::write::{Object, SectionId, Symbol, SymbolSection};
use object::{Architecture, BinaryFormat, Endianness, SectionKind, SymbolFlags, SymbolKind, SymbolScope};
use rustix::pty::OpenptFlags;

/// A kernel with two records in its trace's table: 1, a warning, and 2, which has a number.
fn kernel() -> Vec<u8> {
    let mut object = Object::new(BinaryFormat::Elf, Architecture::Aarch64, Endianness::Little);
    let section = object.add_section(Vec::new(), b".defmt".to_vec(), SectionKind::ReadOnlyData);
    object.append_section_data(section, &[0; 4], 1);
    let mut add = |name: &str, value: u64, section: SymbolSection| {
        object.add_symbol(Symbol {
            name: name.into(),
            value,
            size: 1,
            kind: SymbolKind::Data,
            scope: SymbolScope::Linkage,
            weak: false,
            section,
            flags: SymbolFlags::None,
        });
    };
    add("_defmt_version_ = 4", 0, SymbolSection::Absolute);
    add("_defmt_encoding_ = rzcobs", 0, SymbolSection::Absolute);
    let place = |section: SectionId| SymbolSection::Section(section);
    add(&record("warn", "the line is up"), 1, place(section));
    add(&record("info", "number {=u8}"), 2, place(section));
    object.write().unwrap()
}

/// The name of a record's symbol.
fn record(level: &str, text: &str) -> String {
    format!(r#"{{"package":"kernel","tag":"defmt_{level}","data":"{text}","disambiguator":"1","crate_name":"kernel"}}"#)
}

/// The program, which does not outlive the test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn records_are_decoded_as_they_come_in_at_a_port() {
    let place = tempfile::tempdir().unwrap();
    let elf = place.path().join("kernel.elf");
    std::fs::write(&elf, kernel()).unwrap();
    let board = rustix::pty::openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    rustix::pty::grantpt(&board).unwrap();
    rustix::pty::unlockpt(&board).unwrap();
    let port = rustix::pty::ptsname(&board, Vec::new()).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_tine"));
    command.args(["trace", "--port", port.to_str().unwrap(), "--elf"]).arg(&elf);
    let mut running = Running(command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap());
    let mut notices = BufReader::new(running.0.stderr.take().unwrap()).lines();
    let notice = notices.next().unwrap().unwrap();
    assert!(notice.starts_with("[tine] the trace at "), "{notice}");
    let mut records = BufReader::new(running.0.stdout.take().unwrap()).lines();
    let mut board = File::from(board);
    // rzCOBS: what is not zero, a byte that says where the zeros are, and the zero that ends the frame. The first of them is
    // the rest of one that was on its way when the port was opened.
    for (sent, shown) in [
        (&[0x33, 0x00][..], "(malformed frame)"),
        (&[0x01, 0x7e, 0x00], "WARN the line is up"),
        (&[0x02, 0x0d, 0x7a, 0x00], "INFO number 13"),
    ] {
        board.write_all(sent).unwrap();
        let line = records.next().unwrap().unwrap();
        assert!(line.split_ascii_whitespace().collect::<Vec<_>>().join(" ").contains(shown), "{line:?}");
    }
}

#[test]
fn a_recording_whose_reader_has_seen_enough_is_no_failure_to_be_told_of() {
    let place = tempfile::tempdir().unwrap();
    let (elf, recording) = (place.path().join("kernel.elf"), place.path().join("recording"));
    std::fs::write(&elf, kernel()).unwrap();
    // The record without a number, as rzCOBS has it.
    std::fs::write(&recording, b"\x01\x7e\0".repeat(3)).unwrap();
    let run = |stdout: Stdio| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tine"));
        command.arg("trace").arg("--elf").arg(&elf).arg(&recording).stdout(stdout).output().unwrap()
    };
    let read = run(Stdio::piped());
    assert_eq!(String::from_utf8_lossy(&read.stdout).matches("the line is up").count(), 3, "{read:?}");
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let unread = run(writer.into());
    // What a shell shows of a program that SIGPIPE has ended.
    assert_eq!((unread.status.code(), &*unread.stderr), (Some(128 + 13), &b""[..]));
}

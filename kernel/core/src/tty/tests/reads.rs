//! Reads and writes: what they wait for and what they get.

use std::sync::atomic::Ordering::SeqCst;

use super::support::*;
use crate::fs::Blocking::{No, Yes};
use crate::fs::{FileError, FileOperations, Readiness};
use crate::proc::fake::World;
use crate::proc::{Target, kill};
use crate::signal::Signal;
use crate::tty::settings::Special;
use crate::tty::{InputModes, Settings, request};

#[test]
fn a_read_waits_for_the_end_of_a_line() {
    let (world, _, init) = World::new();
    let terminal = terminal(Settings::serial());
    let file = open(&terminal);
    let reader = world.run(&init, {
        let file = std::sync::Arc::clone(&file);
        move |_| read(&file, 100, Yes)
    });
    assert_eq!(terminal.receive(b"ls"), 2);
    assert_eq!(read(&file, 100, No), Err(FileError::WouldBlock));
    assert_eq!(terminal.receive(b" -l\r"), 4);
    assert_eq!(reader.join().unwrap().unwrap(), "ls -l\n");
    assert_eq!(sent(&terminal), b"ls -l\r\n");
}

#[test]
fn an_end_of_file_reads_as_nothing() {
    let (_world, _, _) = World::new();
    let terminal = terminal(Settings::serial());
    let file = open(&terminal);
    terminal.receive(b"\x04x\n");
    assert_eq!(read(&file, 100, Yes).unwrap(), "");
    assert_eq!(read(&file, 100, Yes).unwrap(), "x\n");
}

#[test]
fn a_line_longer_than_a_piece_is_read_at_once() {
    let (_world, _, _) = World::new();
    let terminal = terminal(Settings::serial());
    let file = open(&terminal);
    let line = [&[b'a'; 1000][..], b"\nb\n"].concat();
    assert_eq!(terminal.receive(&line), line.len());
    assert_eq!(read(&file, 4096, Yes).unwrap().len(), 1001);
    assert_eq!(read(&file, 4096, Yes).unwrap(), "b\n");
}

/// `MIN` and `TIME`: the four cases of termios(3).
#[test]
fn neither_a_minimum_nor_a_time_takes_what_is_there() {
    let (_world, _, _) = World::new();
    let settings = Settings::serial().raw().with(Special::Minimum, 0);
    let terminal = terminal(settings);
    let file = open(&terminal);
    assert_eq!(read(&file, 10, Yes).unwrap(), "");
    assert_eq!(read(&file, 10, No).unwrap(), "");
    terminal.receive(b"abc");
    assert_eq!(read(&file, 10, Yes).unwrap(), "abc");
}

#[test]
fn a_minimum_without_a_time_waits_for_so_many_bytes() {
    let (world, _, init) = World::new();
    let terminal = terminal(Settings::serial().raw().with(Special::Minimum, 3));
    let file = open(&terminal);
    let reader = world.run(&init, {
        let file = std::sync::Arc::clone(&file);
        move |_| read(&file, 10, Yes)
    });
    terminal.receive(b"ab");
    assert!(!file.readiness().contains(Readiness::READ), "poll waits for as many");
    terminal.receive(b"c");
    assert_eq!(reader.join().unwrap().unwrap(), "abc");
    terminal.receive(b"defg");
    assert_eq!(read(&file, 2, Yes).unwrap(), "de", "a full buffer is enough");
}

#[test]
fn a_time_without_a_minimum_is_the_time_for_the_first_byte() {
    let (world, _, init) = World::new();
    let terminal = terminal(Settings::serial().raw().with(Special::Minimum, 0).with(Special::Time, 5));
    let file = open(&terminal);
    let reader = world.run(&init, {
        let file = std::sync::Arc::clone(&file);
        move |_| read(&file, 10, Yes)
    });
    terminal.receive(b"a");
    assert_eq!(reader.join().unwrap().unwrap(), "a");
    let late = world.run(&init, move |_| read(&file, 10, Yes));
    while !late.is_finished() {
        world.clock_ns.fetch_add(500_000_000, SeqCst);
        terminal.tell_all();
        std::thread::yield_now();
    }
    assert_eq!(late.join().unwrap().unwrap(), "");
}

#[test]
fn a_minimum_with_a_time_waits_so_long_between_bytes_only() {
    let (world, _, init) = World::new();
    let terminal = terminal(Settings::serial().raw().with(Special::Minimum, 5).with(Special::Time, 1));
    let file = open(&terminal);
    world.clock_ns.fetch_add(3_600_000_000_000, SeqCst);
    assert_eq!(read(&file, 10, No), Err(FileError::WouldBlock), "for the first byte it waits for ever");
    let reader = world.run(&init, move |_| read(&file, 10, Yes));
    terminal.receive(b"ab");
    until(|| terminal.state().line.input.len() == 0);
    // The clock stands still until the reader has noted when it gives up.
    while !reader.is_finished() {
        world.clock_ns.fetch_add(100_000_000, SeqCst);
        terminal.tell_all();
        std::thread::yield_now();
    }
    assert_eq!(reader.join().unwrap().unwrap(), "ab");
}

#[test]
fn a_signal_interrupts_a_read_that_has_nothing() {
    let (world, _, init) = World::new();
    init.process()
        .set_action(
            Signal::USR1,
            crate::signal::Action {
                handler: crate::signal::Handler::At(crate::addr::UserAddr::new(0x40)),
                ..crate::signal::Action::DEFAULT
            },
        )
        .unwrap();
    let terminal = terminal(Settings::serial());
    let file = open(&terminal);
    let reader = world.run(&init, move |_| read(&file, 10, Yes));
    world.act(&init, || kill(&init, Target::Process(init.process().pid()), Some(Signal::USR1)).unwrap());
    assert_eq!(reader.join().unwrap(), Err(FileError::Interrupted));
}

#[test]
fn a_write_waits_for_the_line_and_for_the_start_character() {
    let (world, _, init) = World::new();
    let terminal = terminal(Settings::serial());
    let file = open(&terminal);
    terminal.receive(b"\x13");
    assert_eq!(write(&file, b"x", No), Err(FileError::WouldBlock));
    assert!(!file.readiness().contains(Readiness::WRITE));
    let writer = world.run(&init, {
        let file = std::sync::Arc::clone(&file);
        move |_| write(&file, b"one\n", Yes)
    });
    terminal.receive(b"\x11");
    assert_eq!(writer.join().unwrap(), Ok(4));
    assert_eq!(sent(&terminal), b"one\r\n");
    terminal.with_driver(|wire| wire.room = 0);
    let writer = world.run(&init, move |_| write(&file, b"two", Yes));
    terminal.with_driver(|wire| wire.room = 100);
    terminal.output_moved();
    assert_eq!(writer.join().unwrap(), Ok(3));
    assert_eq!(sent(&terminal), b"two");
}

#[test]
fn echoes_wait_for_the_line_and_come_before_what_is_written_later() {
    let (_world, _, _) = World::new();
    let terminal = terminal(Settings::serial());
    let file = open(&terminal);
    terminal.with_driver(|wire| wire.room = 0);
    terminal.receive(b"ab");
    assert_eq!(sent(&terminal), b"");
    assert!(!terminal.has_echoes_to_send());
    terminal.with_driver(|wire| wire.room = 100);
    assert!(terminal.has_echoes_to_send());
    assert_eq!(write(&file, b"c", Yes), Ok(1));
    assert_eq!(sent(&terminal), b"abc");
}

#[test]
fn input_without_room_is_left_to_whoever_brings_it() {
    let (world, _, init) = World::new();
    let terminal = terminal(Settings::serial());
    let file = open(&terminal);
    let typed: Vec<u8> = (0..6000).map(|at| if at % 60 == 59 { b'\n' } else { b'x' }).collect();
    let taken = terminal.receive(&typed);
    assert_eq!(taken, 4095);
    let feeder = world.run(&init, {
        let terminal = std::sync::Arc::clone(&terminal);
        move |_| {
            let mut rest = &typed[taken..];
            while !rest.is_empty() {
                terminal.wait_for_input_room();
                let taken = terminal.receive(rest);
                rest = &rest[taken..];
            }
        }
    });
    let lines: usize = (0..100).map(|_| read(&file, 100, Yes).unwrap().len()).sum();
    feeder.join().unwrap();
    assert_eq!(lines, 6000);
}

#[test]
fn the_sender_is_told_to_stop_and_to_go_on_if_it_wants_to_be() {
    let (_world, _, _) = World::new();
    let mut settings = Settings::serial().raw();
    settings.input |= InputModes::STOP_INPUT;
    let terminal = terminal(settings);
    let file = open(&terminal);
    terminal.receive(&[b'x'; 3000]);
    assert_eq!(sent(&terminal), b"");
    terminal.receive(&[b'x'; 1000]);
    assert_eq!(sent(&terminal), [19]);
    assert_eq!(read(&file, 3000, Yes).unwrap().len(), 3000);
    assert_eq!(sent(&terminal), b"");
    assert_eq!(read(&file, 900, Yes).unwrap().len(), 900);
    assert_eq!(sent(&terminal), [17]);
}

#[test]
fn requests_tell_and_change_what_waits() {
    let (_world, _, _) = World::new();
    let terminal = terminal(Settings::serial());
    let file = open(&terminal);
    terminal.receive(b"ab\ncd");
    assert_eq!(number(&file, request::FIONREAD), Ok(3));
    assert_eq!(file.ioctl(request::TCFLSH, 0, &Words::default()), Ok(0));
    assert_eq!(number(&file, request::FIONREAD), Ok(0));
    assert_eq!(file.ioctl(request::TCFLSH, 1, &Words::default()), Ok(0));
    assert_eq!(terminal.with_driver(|wire| wire.discarded), 1);
    assert_eq!(file.ioctl(request::TCFLSH, 3, &Words::default()), Err(FileError::Invalid));
    assert_eq!(number(&file, request::TIOCOUTQ), Ok(0));
    assert_eq!(file.ioctl(request::TCXONC, 0, &Words::default()), Ok(0));
    assert_eq!(write(&file, b"x", No), Err(FileError::WouldBlock));
    assert_eq!(file.ioctl(request::TCXONC, 1, &Words::default()), Ok(0));
    assert_eq!(file.ioctl(request::TIOCSTI, 0, &Words::with(b"y")), Ok(0));
    terminal.receive(b"\n");
    assert_eq!(read(&file, 9, Yes).unwrap(), "y\n");
    assert_eq!(file.ioctl(0x1234, 0, &Words::default()), Err(FileError::NotTty));
    assert!(matches!(file.ioctl(request::TCSETS, 0, &Words::default()), Err(FileError::Fault(_))));
}

//! Whose terminal it is: sessions, the foreground, hang-ups.

use std::sync::Arc;

use super::support::*;
use crate::fs::Blocking::{No, Yes};
use crate::fs::{FileError, FileOperations, OpenFlags, Readiness};
use crate::proc::fake::{Fake, World};
use crate::proc::{
    ExitStatus, ForkFlags, ForkRequest, Start, exit_process, fork1, set_group, set_session, terminal_of,
};
use crate::signal::{Action, Handler, Signal, SignalSet};
use crate::tty::{LocalModes, Opening, Settings, Terminal, TerminalFile, request};

fn child_of(world: &'static World, parent: &Thread) -> Thread {
    let request = ForkRequest::new(ForkFlags::FORK, Start::Fork);
    world.act(parent, || fork1(parent, &request).map(|forked| forked.thread).unwrap())
}

/// A shell that leads a session on the terminal, and two of its jobs, one of them in the foreground.
struct Session {
    world: &'static World,
    terminal: Arc<Terminal<Fake, Wire>>,
    file: Arc<File>,
    shell: Thread,
    front: Thread,
    back: Thread,
}

fn pid(thread: &Thread) -> u32 {
    thread.process().pid().0
}

impl Session {
    fn new() -> Self {
        let (world, _, init) = World::new();
        let terminal = terminal(Settings::serial());
        let shell = child_of(world, &init);
        world.act(&shell, || set_session(shell.process()).unwrap());
        let file = open_as_leader(world, &shell, &terminal);
        let job = || {
            let job = child_of(world, &shell);
            world.act(&job, || set_group(job.process(), None, None).unwrap());
            job
        };
        let (front, back) = (job(), job());
        let session = Self { world, terminal, file, shell, front, back };
        session.act(&session.shell, |file| set_number(file, request::TIOCSPGRP, pid(&session.front)).unwrap());
        session
    }

    fn act<T>(&self, who: &Thread, act: impl FnOnce(&File) -> T) -> T {
        self.world.act(who, || act(&self.file))
    }
}

fn ignore(thread: &Thread, signal: Signal) {
    thread.process().set_action(signal, Action { handler: Handler::Ignore, ..Action::DEFAULT }).unwrap();
}

#[test]
fn a_leader_that_opens_a_terminal_gets_it_and_its_group_is_in_front() {
    let (world, _, init) = World::new();
    let terminal = terminal(Settings::serial());
    let shell = child_of(world, &init);
    world.act(&shell, || set_session(shell.process()).unwrap());
    world.act(&shell, || open(&terminal));
    assert_eq!(world.act(&shell, || terminal_of(shell.process())), None, "not with O_NOCTTY");
    let flags = OpenFlags::WRITE_ONLY;
    world.act(&shell, || TerminalFile::open(&terminal, Opening::Terminal, flags).unwrap());
    assert_eq!(world.act(&shell, || terminal_of(shell.process())), None, "not to write only");
    let flags = OpenFlags::READ_WRITE;
    world.act(&shell, || TerminalFile::open(&terminal, Opening::Console, flags).unwrap());
    assert_eq!(world.act(&shell, || terminal_of(shell.process())), None, "not by its name as the console");
    let file = open_as_leader(world, &shell, &terminal);
    let own = world.act(&shell, || (number(&file, request::TIOCGPGRP), number(&file, request::TIOCGSID)));
    assert_eq!(own, (Ok(pid(&shell)), Ok(pid(&shell))));
}

#[test]
fn a_terminal_is_asked_for_and_taken_from_others_by_root_only() {
    let session = Session::new();
    let (world, file) = (session.world, &session.file);
    let other = child_of(world, &session.shell);
    let acquire = |argument| world.act(&other, || file.ioctl(request::TIOCSCTTY, argument, &Words::default()));
    assert_eq!(acquire(0), Err(FileError::NotPermitted), "who leads no session");
    world.act(&other, || set_session(other.process()).unwrap());
    assert_eq!(world.act(&other, || number(file, request::TIOCGPGRP)), Err(FileError::NotTty), "it is not his");
    assert_eq!(acquire(0), Err(FileError::NotPermitted), "it is somebody's");
    assert_eq!(acquire(1), Ok(0));
    assert_eq!(world.act(&other, || number(file, request::TIOCGPGRP)), Ok(pid(&other)));
    assert_eq!(session.act(&session.shell, |file| number(file, request::TIOCGPGRP)), Err(FileError::NotTty));
}

#[test]
fn what_is_typed_as_a_signal_goes_to_the_foreground() {
    let session = Session::new();
    session.terminal.receive(b"\x03");
    assert!(session.front.pending().contains(Signal::INT));
    assert!(!session.back.attention() && !session.shell.attention());
    session.terminal.receive(b"\x1a\x1c");
    assert!(session.front.pending().contains(Signal::TSTP) && session.front.pending().contains(Signal::QUIT));
}

#[test]
fn a_new_window_size_is_told_to_the_foreground_once() {
    let session = Session::new();
    ignore(&session.back, Signal::WINCH);
    let handler = Action { handler: Handler::At(crate::addr::UserAddr::new(0x40)), ..Action::DEFAULT };
    session.front.process().set_action(Signal::WINCH, handler).unwrap();
    let size = [25, 0, 80, 0, 0, 0, 0, 0];
    let resize = |file: &File| file.ioctl(request::TIOCSWINSZ, 0, &Words::with(&size)).unwrap();
    session.act(&session.shell, resize);
    assert!(session.front.pending().contains(Signal::WINCH));
    session.world.act(&session.front, || {
        crate::proc::take_signal(&session.front, SignalSet::EMPTY.with(Signal::WINCH)).unwrap();
    });
    session.act(&session.shell, resize);
    assert!(!session.front.pending().contains(Signal::WINCH));
}

#[test]
fn a_read_from_the_background_stops_its_group() {
    let session = Session::new();
    let member = child_of(session.world, &session.back);
    session.terminal.receive(b"line\n");
    assert_eq!(session.act(&session.back, |file| read(file, 9, Yes)), Err(FileError::Interrupted));
    assert!(session.back.pending().contains(Signal::TTIN));
    assert!(member.pending().contains(Signal::TTIN), "all of the group");
    assert_eq!(session.act(&session.front, |file| read(file, 9, Yes)).unwrap(), "line\n");
}

#[test]
fn a_background_read_that_would_stop_for_nothing_fails() {
    let session = Session::new();
    ignore(&session.back, Signal::TTIN);
    assert_eq!(session.act(&session.back, |file| read(file, 9, Yes)), Err(FileError::Io));
    let session = Session::new();
    session.world.act(&session.back, || {
        session.back.change_mask(crate::signal::MaskChange::Block, SignalSet::EMPTY.with(Signal::TTIN))
    });
    assert_eq!(session.act(&session.back, |file| read(file, 9, Yes)), Err(FileError::Io));
}

#[test]
fn output_from_the_background_stops_only_if_it_shall() {
    let session = Session::new();
    assert_eq!(session.act(&session.back, |file| write(file, b"x", Yes)), Ok(1));
    let mut settings = Settings::serial();
    settings.local |= LocalModes::STOP_BACKGROUND_OUTPUT;
    session.act(&session.front, |file| set(file, &settings).unwrap());
    assert_eq!(session.act(&session.back, |file| write(file, b"x", Yes)), Err(FileError::Interrupted));
    assert!(session.back.pending().contains(Signal::TTOU));
    ignore(&session.back, Signal::TTOU);
    assert_eq!(session.act(&session.back, |file| write(file, b"x", Yes)), Ok(1), "who ignores it may");
    assert_eq!(session.act(&session.front, |file| write(file, b"x", Yes)), Ok(1));
}

#[test]
fn changes_from_the_background_stop_it_always() {
    let session = Session::new();
    assert_eq!(session.act(&session.back, |file| set(file, &Settings::serial())), Err(FileError::Interrupted));
    assert!(session.back.pending().contains(Signal::TTOU));
    let group = pid(&session.back);
    let steps_in = |file: &File| set_number(file, request::TIOCSPGRP, group);
    assert_eq!(session.act(&session.back, steps_in), Err(FileError::Interrupted), "a shell ignores it first");
    ignore(&session.back, Signal::TTOU);
    assert_eq!(session.act(&session.back, steps_in), Ok(0));
    assert_eq!(session.act(&session.back, |file| number(file, request::TIOCGPGRP)), Ok(group));
}

#[test]
fn only_groups_of_the_session_come_to_the_foreground() {
    let session = Session::new();
    let put = |group: u32| session.act(&session.front, |file| set_number(file, request::TIOCSPGRP, group));
    assert_eq!(put(0), Err(FileError::NotPermitted), "another session's");
    assert_eq!(put(99_999), Err(FileError::NoProcess));
    assert_eq!(put(u32::MAX), Err(FileError::Invalid));
    assert_eq!(put(pid(&session.back)), Ok(0));
}

#[test]
fn a_group_that_nobody_can_continue_is_refused_instead_of_stopped() {
    let session = Session::new();
    let orphan = child_of(session.world, &session.back);
    session.world.act(&orphan, || set_group(orphan.process(), None, None).unwrap());
    session.world.act(&session.back, || exit_process(&session.back, ExitStatus::Exited(0)));
    assert_eq!(session.act(&orphan, |file| read(file, 9, Yes)), Err(FileError::Io));
    assert_eq!(session.act(&orphan, |file| set_number(file, request::TIOCSPGRP, pid(&orphan))), Err(FileError::NotTty));
}

#[test]
fn a_hang_up_ends_the_files_that_were_open_but_not_the_consoles() {
    let session = Session::new();
    let console = TerminalFile::open(&session.terminal, Opening::Console, OpenFlags::READ_WRITE).unwrap();
    session.terminal.receive(b"abc\n");
    session.terminal.hang_up();
    session.act(&session.front, |file| {
        assert_eq!(read(file, 9, No).unwrap(), "");
        assert_eq!(write(file, b"x", No), Err(FileError::Io));
        assert_eq!(number(file, request::FIONREAD), Err(FileError::Io));
        assert!(file.readiness().contains(Readiness::HANG_UP | Readiness::READ));
    });
    session.world.act(&session.front, || {
        assert_eq!(write(&console, b"x", No), Ok(1));
        assert_eq!(read(&console, 9, No), Err(FileError::WouldBlock), "what was typed before is gone");
        assert_eq!(write(&open(&session.terminal), b"x", No), Ok(1), "who opens it now can use it");
    });
}

#[test]
fn a_hang_up_wakes_who_reads_and_who_writes() {
    let session = Session::new();
    session.terminal.receive(b"\x13");
    let reader = session.world.run(&session.front, {
        let file = Arc::clone(&session.file);
        move |_| read(&file, 9, Yes)
    });
    let writer = session.world.run(&child_of(session.world, &session.front), {
        let file = Arc::clone(&session.file);
        move |_| write(&file, b"x", Yes)
    });
    session.terminal.hang_up();
    assert_eq!(reader.join().unwrap().unwrap(), "");
    // It may have come after that let output go on.
    assert!(matches!(writer.join().unwrap(), Err(FileError::Io)));
}

#[test]
fn a_leader_that_gives_the_terminal_up_hangs_up_the_foreground() {
    let session = Session::new();
    let release = |who| session.act(who, |file| file.ioctl(request::TIOCNOTTY, 0, &Words::default()));
    assert_eq!(release(&session.back), Ok(0), "one process alone");
    assert_eq!(session.act(&session.back, |file| number(file, request::TIOCGPGRP)), Err(FileError::NotTty));
    assert_eq!(session.act(&session.front, |file| number(file, request::TIOCGPGRP)), Ok(pid(&session.front)));
    assert_eq!(release(&session.shell), Ok(0));
    assert!(session.front.pending().contains(Signal::HUP));
    assert_eq!(session.act(&session.front, |file| number(file, request::TIOCGPGRP)), Err(FileError::NotTty));
    assert_eq!(release(&session.shell), Err(FileError::NotTty));
}

//! Waiting for several files.

use std::boxed::Box;
use std::sync::{Arc, mpsc};
use std::thread;
use std::vec::Vec;

use super::support::{PARKING, error, interrupted, open_as_root, tree, until_asleep};
use crate::fs::pipe::Pipes;
use crate::fs::{BufferSource, FileError, OpenFile, OpenFlags, Polled, Readiness, Surroundings, Timestamp, poll};
use crate::sched::Switch;
use crate::sched::fake::{HostSwitch, NOW_NS};

const READ: Readiness = Readiness::READ;

fn pipe() -> (Arc<OpenFile>, Arc<OpenFile>) {
    let pipes: &'static Pipes<HostSwitch> = Box::leak(Box::default());
    pipes.open((0, 0), Timestamp::default(), OpenFlags::empty(), true, &PARKING).unwrap()
}

/// What of these files is so; nothing if the wait ended without.
fn found(files: &[&Arc<OpenFile>], deadline_ns: Option<u64>) -> Result<Vec<Readiness>, FileError> {
    let mut polled: Vec<_> = files.iter().map(|file| Polled::new(Arc::clone(file), READ | Readiness::WRITE)).collect();
    poll::<HostSwitch>(&mut polled, deadline_ns, HostSwitch::interrupted)?;
    Ok(polled.iter().map(|polled| polled.found).collect())
}

#[test]
fn what_is_ready_is_told_at_once() {
    let (reader, writer) = pipe();
    let null = open_as_root(&tree(&[]), "/dev/null", OpenFlags::READ_WRITE).unwrap();
    let both = READ | Readiness::WRITE;
    assert_eq!(found(&[&reader, &writer, &null], None).unwrap(), [Readiness::empty(), Readiness::WRITE, both]);
}

#[test]
fn nothing_is_waited_for_at_time_zero_or_after_the_deadline() {
    let (reader, _writer) = pipe();
    assert_eq!(found(&[&reader], Some(0)).unwrap(), [Readiness::empty()]);
    assert_eq!(found(&[&reader], Some(NOW_NS)).unwrap(), [Readiness::empty()]);
    assert_eq!(found(&[], Some(NOW_NS)).unwrap(), []);
    assert_eq!(Arc::strong_count(&HostSwitch::current()), 2, "no list keeps the thread");
}

#[test]
fn a_sleeper_is_told_of_a_byte_in_any_of_its_files() {
    let (pipes, (tell, told)) = ([pipe(), pipe(), pipe()], mpsc::channel());
    let readers = pipes.each_ref().map(|(reader, _)| Arc::clone(reader));
    let sleeper = thread::spawn(move || {
        tell.send(HostSwitch::current()).unwrap();
        found(&readers.each_ref(), None).unwrap()
    });
    until_asleep(&told.recv().unwrap());
    pipes[1].1.write(&mut BufferSource::new(b"x")).unwrap();
    assert_eq!(sleeper.join().unwrap(), [Readiness::empty(), READ, Readiness::empty()]);
}

#[test]
fn a_hang_up_is_told_though_nobody_asked() {
    let ((reader, writer), (tell, told)) = (pipe(), mpsc::channel());
    let sleeper = thread::spawn(move || {
        tell.send(HostSwitch::current()).unwrap();
        let mut polled = [Polled::new(reader, Readiness::empty())];
        let ready = poll::<HostSwitch>(&mut polled, None, || false);
        (ready, polled[0].found)
    });
    until_asleep(&told.recv().unwrap());
    drop(writer);
    assert_eq!(sleeper.join().unwrap(), (Ok(1), Readiness::HANG_UP));
}

#[test]
fn a_signal_ends_the_wait() {
    let (reader, _writer) = pipe();
    assert_eq!(error(interrupted(move || found(&[&reader], None))), Some(FileError::Interrupted));
}

#[test]
fn who_only_looks_is_told_of_a_signal_where_nothing_is_ready() {
    let ((reader, _writer), (_reader, writer)) = (pipe(), pipe());
    let look =
        |file| poll::<HostSwitch>(&mut [Polled::new(file, Readiness::READ | Readiness::WRITE)], Some(0), || true);
    assert_eq!(look(reader), Err(FileError::Interrupted));
    assert_eq!(look(writer), Ok(1));
}

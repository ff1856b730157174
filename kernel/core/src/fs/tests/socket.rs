//! Sockets, with the host's threads.

use std::boxed::Box;
use std::collections::VecDeque;
use std::sync::{Arc, mpsc};
use std::thread;
use std::vec::Vec;

use proptest::prelude::*;

use super::support::{PARKING, TornSink, broken_pipes, doses, error, fault_at, interrupted, until_asleep};
use crate::fs::pipe::Pipes;
use crate::fs::socket::{
    Address, Directions, Peer, Received, Receiving, Sending, Socket, SocketFile, SocketKind, Sockets,
};
use crate::fs::{Blocking, BufferSink, BufferSource, FileError, OpenFile, OpenFlags, Readiness, Timestamp};
use crate::sched::Switch;
use crate::sched::fake::HostSwitch;

type Sock = Socket<HostSwitch>;

const WHO: Peer = Peer { pid: 5, uid: 1000, gid: 100 };

fn sockets() -> &'static Sockets<HostSwitch> {
    Box::leak(Box::default())
}

fn open(socket: Arc<Sock>) -> Arc<OpenFile> {
    SocketFile::open(socket, OpenFlags::empty(), &PARKING)
}

/// Two that are connected, as open files.
fn pair_of(kind: SocketKind) -> (Arc<OpenFile>, Arc<OpenFile>) {
    pair_among(sockets(), kind)
}

fn pair_among(sockets: &'static Sockets<HostSwitch>, kind: SocketKind) -> (Arc<OpenFile>, Arc<OpenFile>) {
    let (one, other) = Sock::pair(sockets, kind, Timestamp::default(), WHO);
    (open(one), open(other))
}

fn socket(file: &OpenFile) -> Arc<Sock> {
    let file: Arc<SocketFile<HostSwitch>> =
        Arc::clone(file.operations().unwrap()).as_any().unwrap().downcast().unwrap();
    Arc::clone(file.socket())
}

fn sending(blocking: Blocking, files: Vec<Arc<OpenFile>>) -> Sending<HostSwitch> {
    Sending { blocking, sender: WHO, to: None, files, quietly: false }
}

fn send(file: &OpenFile, bytes: &[u8]) -> Result<usize, FileError> {
    socket(file).send(&mut BufferSource::new(bytes), sending(Blocking::No, Vec::new()))
}

fn send_files(file: &OpenFile, files: &[&Arc<OpenFile>]) -> Result<usize, FileError> {
    let files = files.iter().map(|file| Arc::clone(file)).collect();
    socket(file).send(&mut BufferSource::new(b"f"), sending(Blocking::No, files))
}

const RECEIVING: Receiving = Receiving { blocking: Blocking::No, peeks: false, waits_for_all: false };

fn receive(file: &OpenFile, most: usize, receiving: Receiving) -> Result<(Vec<u8>, Received), FileError> {
    let mut buffer = std::vec![0; most];
    let received = socket(file).receive(&mut BufferSink::new(&mut buffer), receiving)?;
    buffer.truncate(received.bytes);
    Ok((buffer, received))
}

fn bytes(file: &OpenFile, most: usize) -> Result<Vec<u8>, FileError> {
    receive(file, most, RECEIVING).map(|(bytes, _)| bytes)
}

#[test]
fn a_stream_has_no_borders_and_messages_have() {
    let (one, other) = pair_of(SocketKind::Stream);
    send(&one, b"abc").unwrap();
    send(&one, b"def").unwrap();
    assert_eq!(bytes(&other, 4).unwrap(), b"abcd");
    assert_eq!(bytes(&other, 4).unwrap(), b"ef");
    assert_eq!(error(bytes(&other, 4)), Some(FileError::WouldBlock));
    for kind in [SocketKind::Datagram, SocketKind::Packets] {
        let (one, other) = pair_of(kind);
        send(&one, b"abc").unwrap();
        send(&one, b"").unwrap();
        send(&one, b"def").unwrap();
        let (first, received) = receive(&other, 2, RECEIVING).unwrap();
        assert_eq!((first.as_slice(), received.length), (&b"ab"[..], 3));
        assert_eq!(bytes(&other, 2).unwrap(), b"");
        assert_eq!(bytes(&other, 9).unwrap(), b"def");
        assert_eq!(send(&one, &std::vec![0; 1 << 20]), Err(FileError::MessageTooLong));
    }
}

#[test]
fn what_is_looked_at_stays() {
    let (one, other) = pair_of(SocketKind::Stream);
    send(&one, b"abc").unwrap();
    let peek = Receiving { peeks: true, ..RECEIVING };
    assert_eq!(receive(&other, 2, peek).unwrap().0, b"ab");
    assert_eq!(receive(&other, 9, peek).unwrap().0, b"abc");
    assert_eq!(bytes(&other, 9).unwrap(), b"abc");
}

#[test]
fn a_fault_leaves_the_bytes_where_they_were() {
    let (one, other) = pair_of(SocketKind::Stream);
    send(&one, b"abcdef").unwrap();
    let mut torn = TornSink::new(6, 2);
    assert_eq!(socket(&other).receive(&mut torn, RECEIVING).map(|received| received.bytes), Ok(2));
    assert_eq!(error(socket(&other).receive(&mut torn, RECEIVING)), Some(FileError::Fault(fault_at(2))));
    assert_eq!(bytes(&other, 9).unwrap(), b"cdef");
}

#[test]
fn the_end_comes_behind_what_was_sent_and_a_reset_behind_what_was_not_read() {
    let (one, other) = pair_of(SocketKind::Stream);
    send(&one, b"last").unwrap();
    drop(one);
    assert_eq!(bytes(&other, 9).unwrap(), b"last");
    assert_eq!(bytes(&other, 9).unwrap(), b"");
    let before = broken_pipes();
    assert_eq!(send(&other, b"x"), Err(FileError::Pipe));
    assert_eq!(broken_pipes(), before + 1);
    let (one, other) = pair_of(SocketKind::Stream);
    send(&one, b"unread").unwrap();
    drop(other);
    assert!(one.readiness().unwrap().contains(Readiness::ERROR | Readiness::HANG_UP));
    assert_eq!(error(bytes(&one, 9)), Some(FileError::Reset));
    assert_eq!(bytes(&one, 9).unwrap(), b"");
}

#[test]
fn a_direction_is_shut_on_both_sides() {
    let (one, other) = pair_of(SocketKind::Stream);
    socket(&one).shut(Directions { reading: false, writing: true }).unwrap();
    assert_eq!(bytes(&other, 9).unwrap(), b"");
    assert_eq!(send(&one, b"x"), Err(FileError::Pipe));
    assert!(other.readiness().unwrap().contains(Readiness::READ | Readiness::READ_CLOSED));
    assert!(!other.readiness().unwrap().contains(Readiness::HANG_UP));
    send(&other, b"still").unwrap();
    assert_eq!(bytes(&one, 9).unwrap(), b"still");
    socket(&other).shut(Directions { reading: false, writing: true }).unwrap();
    assert!(one.readiness().unwrap().contains(Readiness::HANG_UP));
}

#[test]
fn who_waits_is_woken_by_bytes_by_room_by_the_end_and_by_signals() {
    let (one, other) = pair_of(SocketKind::Stream);
    let run = |file: &Arc<OpenFile>, body: fn(&OpenFile) -> Result<usize, FileError>| {
        let (file, (tell, told)) = (Arc::clone(file), mpsc::channel());
        let thread = thread::spawn(move || {
            tell.send(HostSwitch::current()).unwrap();
            body(&file)
        });
        until_asleep(&told.recv().unwrap());
        thread
    };
    let reads = |file: &OpenFile| file.read(&mut BufferSink::new(&mut [0; 10]));
    let reader = run(&other, reads);
    send(&one, b"abc").unwrap();
    assert_eq!(reader.join().unwrap(), Ok(3));
    while send(&one, &[0; 4096]).is_ok() {}
    assert!(!one.readiness().unwrap().contains(Readiness::WRITE));
    let writer = run(&one, |file| file.write(&mut BufferSource::new(b"more")));
    while !one.readiness().unwrap().contains(Readiness::WRITE) {
        bytes(&other, 4096).unwrap();
    }
    assert_eq!(writer.join().unwrap(), Ok(4));
    while bytes(&other, 4096).is_ok() {}
    let reader = Arc::clone(&other);
    assert_eq!(interrupted(move || reads(&reader)), Err(FileError::Interrupted));
    let reader = run(&other, reads);
    drop(one);
    assert_eq!(reader.join().unwrap(), Ok(0));
}

#[test]
fn a_listener_has_a_name_and_connections_wait_in_it() {
    let all = sockets();
    let new = |kind| open(Sock::new(all, kind, Timestamp::default(), WHO));
    let address = Address::new(b"\0name");
    assert_eq!(error(all.find(&address)), Some(FileError::Refused));
    let listener = new(SocketKind::Stream);
    assert_eq!(socket(&listener).listen(1, WHO), Err(FileError::Invalid), "without a name");
    socket(&listener).bind(address.bytes()).unwrap();
    assert_eq!(socket(&new(SocketKind::Stream)).bind(address.bytes()), Err(FileError::AddressInUse));
    let client = new(SocketKind::Stream);
    let target = all.find(&address).unwrap();
    let connect = |file: &OpenFile| socket(file).connect(Some(&target), WHO, Blocking::No);
    assert_eq!(connect(&client), Err(FileError::Refused), "nobody listens yet");
    socket(&listener).listen(1, WHO).unwrap();
    assert_eq!(connect(&new(SocketKind::Datagram)), Err(FileError::WrongType));
    assert_eq!(error(socket(&listener).accept(Blocking::No)), Some(FileError::WouldBlock));
    let clients = [client, new(SocketKind::Stream)];
    clients.iter().for_each(|client| connect(client).unwrap());
    assert_eq!(connect(&clients[0]), Err(FileError::IsConnected));
    assert_eq!(connect(&new(SocketKind::Stream)), Err(FileError::WouldBlock), "two wait already");
    send(&clients[0], b"early").unwrap();
    let accepted = open(socket(&listener).accept(Blocking::No).unwrap());
    assert_eq!(bytes(&accepted, 9).unwrap(), b"early");
    assert_eq!(socket(&clients[0]).peer_name(), Ok(Some(address.clone())));
    assert_eq!((socket(&accepted).name(), socket(&accepted).peer_is()), (Some(address.clone()), Some(WHO)));
    drop(listener);
    assert_eq!(error(bytes(&clients[1], 9)), Some(FileError::Reset), "who was not accepted");
    assert_eq!(error(bytes(&clients[0], 9)), Some(FileError::WouldBlock), "who was");
    assert_eq!(error(all.find(&address)), Some(FileError::Refused));
}

#[test]
fn datagrams_go_by_name_and_to_the_peer() {
    let all = sockets();
    let new = || open(Sock::new(all, SocketKind::Datagram, Timestamp::default(), WHO));
    let (one, other, third) = (new(), new(), new());
    socket(&one).bind(b"\0one").unwrap();
    socket(&other).bind(b"").unwrap();
    let to = |file: &OpenFile, to: &OpenFile| {
        let sending = Sending { to: Some(socket(to)), ..sending(Blocking::No, Vec::new()) };
        socket(file).send(&mut BufferSource::new(b"word"), sending)
    };
    assert_eq!(to(&one, &other), Ok(4));
    let (_, received) = receive(&other, 9, RECEIVING).unwrap();
    assert_eq!(received.from, Some(Address::new(b"\0one")));
    assert_eq!(send(&one, b"x"), Err(FileError::NotConnected));
    socket(&one).connect(Some(&socket(&other)), WHO, Blocking::No).unwrap();
    assert_eq!(send(&one, b"x"), Ok(1));
    assert_eq!(to(&third, &one), Err(FileError::NotPermitted), "it hears its peer only");
    let count = (0..50).take_while(|_| to(&third, &other).is_ok()).count();
    assert_eq!(count, 10, "what strangers send is bounded");
    drop(other);
    assert_eq!(send(&one, b"x"), Err(FileError::Refused));
    socket(&one).connect(None, WHO, Blocking::No).unwrap();
    assert_eq!(to(&third, &one), Ok(4));
}

/// The ends of a pipe, and what tells whether the one to write to was closed.
fn pipe() -> (Arc<OpenFile>, Arc<OpenFile>) {
    let pipes: &'static Pipes<HostSwitch> = Box::leak(Box::default());
    pipes.open((0, 0), Timestamp::default(), OpenFlags::NONBLOCK, true, &PARKING).unwrap()
}

fn is_closed(reader: &OpenFile) -> bool {
    reader.read(&mut BufferSink::new(&mut [0])) == Ok(0)
}

#[test]
fn files_go_with_messages_and_end_with_those_that_nobody_reads() {
    let ((one, other), (reader, writer)) = (pair_of(SocketKind::Stream), pipe());
    send(&one, b"a").unwrap();
    send_files(&one, &[&writer]).unwrap();
    send(&one, b"c").unwrap();
    let (text, received) = receive(&other, 9, RECEIVING).unwrap();
    assert_eq!((text.as_slice(), received.files.len()), (&b"af"[..], 1));
    assert!(Arc::ptr_eq(&received.files[0], &writer));
    drop(received);
    send_files(&one, &[&writer]).unwrap();
    drop(writer);
    assert!(!is_closed(&reader));
    drop(other);
    assert!(is_closed(&reader));
}

#[test]
fn no_ring_of_sockets_in_messages_comes_about() {
    let all = sockets();
    let pair = || pair_among(all, SocketKind::Stream);
    let ((a, b), (c, d), (e, f)) = (pair(), pair(), pair());
    assert_eq!(send_files(&a, &[&b]), Err(FileError::TooManyReferences), "b in its own inbox");
    assert_eq!(send_files(&a, &[&a]), Ok(1), "a's inbox is another");
    send_files(&c, &[&b]).unwrap();
    send_files(&e, &[&d]).unwrap();
    assert_eq!(send_files(&a, &[&f]), Err(FileError::TooManyReferences), "f has d, which has b");
    bytes(&d, 9).unwrap();
    assert_eq!(send_files(&a, &[&f]), Ok(1), "now it has not");
    let listener = open(Sock::new(all, SocketKind::Stream, Timestamp::default(), WHO));
    socket(&listener).bind(b"\0l").unwrap();
    socket(&listener).listen(5, WHO).unwrap();
    let client = open(Sock::new(all, SocketKind::Stream, Timestamp::default(), WHO));
    socket(&client).connect(Some(&socket(&listener)), WHO, Blocking::No).unwrap();
    assert_eq!(send_files(&client, &[&listener]), Err(FileError::TooManyReferences), "it waits to be accepted there");
}

#[test]
fn a_long_chain_of_sockets_in_messages_is_closed_without_a_deep_stack() {
    let (all, (reader, writer)) = (sockets(), pipe());
    let mut inner = writer;
    for _ in 0..2000 {
        let (near, far) = pair_among(all, SocketKind::Datagram);
        send_files(&near, &[&inner]).unwrap();
        inner = far;
    }
    drop(inner);
    assert!(is_closed(&reader));
}

#[derive(Clone, Copy, Debug)]
enum Step {
    Send(usize),
    Receive(usize),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![(0_usize..30_000).prop_map(Step::Send), (0_usize..30_000).prop_map(Step::Receive)];
    prop::collection::vec(step, 1..60)
}

/// Bytes that differ from their neighbours, from the one of this number on.
fn text(from: usize, length: usize) -> Vec<u8> {
    (0..=250).cycle().skip(from % 251).take(length).collect()
}

proptest! {
    #![proptest_config(doses(2, 64))]

    #[test]
    fn a_stream_is_a_queue_of_bytes(steps in steps()) {
        let (one, other) = pair_of(SocketKind::Stream);
        let (mut queue, mut sent) = (VecDeque::<u8>::new(), 0);
        for step in steps {
            match step {
                Step::Send(length) => {
                    let bytes = text(sent, length);
                    match send(&one, &bytes) {
                        Ok(count) => {
                            queue.extend(&bytes[..count]);
                            sent += count;
                        }
                        Err(error) => {
                            prop_assert_eq!(error, FileError::WouldBlock);
                            prop_assert!(queue.len() > 100_000);
                        }
                    }
                }
                Step::Receive(length) => match bytes(&other, length) {
                    Ok(bytes) => {
                        prop_assert_eq!(bytes.len(), length.min(queue.len()));
                        prop_assert!(queue.drain(..bytes.len()).eq(bytes));
                    }
                    Err(error) => {
                        prop_assert_eq!(error, FileError::WouldBlock);
                        prop_assert!(queue.is_empty());
                    }
                },
            }
            prop_assert_eq!(other.readiness().unwrap().contains(Readiness::READ), !queue.is_empty());
        }
    }

    #[test]
    fn packets_are_a_queue_of_messages(steps in steps()) {
        let (one, other) = pair_of(SocketKind::Packets);
        let (mut queue, mut sent) = (VecDeque::<Vec<u8>>::new(), 0);
        for step in steps {
            match step {
                Step::Send(length) => {
                    let bytes = text(sent, length);
                    if send(&one, &bytes) == Ok(length) {
                        queue.push_back(bytes);
                        sent += length;
                    } else {
                        prop_assert!(queue.iter().map(|message| message.len() + 256).sum::<usize>() >= 212_992);
                    }
                }
                Step::Receive(length) => match receive(&other, length, RECEIVING) {
                    Ok((bytes, received)) => {
                        let message = queue.pop_front().unwrap();
                        prop_assert_eq!(received.length, message.len());
                        prop_assert!(bytes == message[..length.min(message.len())]);
                    }
                    Err(error) => {
                        prop_assert_eq!(error, FileError::WouldBlock);
                        prop_assert!(queue.is_empty());
                    }
                },
            }
        }
    }
}

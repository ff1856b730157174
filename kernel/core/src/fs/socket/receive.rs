//! Receiving.

use alloc::sync::Arc;
use alloc::vec::Vec;

use super::inbox::Message;
use super::names::Address;
use super::{Peer, Socket, SocketKind};
use crate::fs::error::FileError;
use crate::fs::open_file::OpenFile;
use crate::fs::operations::{Blocking, Readiness};
use crate::fs::surroundings::Surroundings;
use crate::fs::transfer::Sink;
use crate::hal::UserFault;

/// How something is received.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Receiving {
    /// Whether the receiver waits.
    pub blocking: Blocking,
    /// Whether it stays to be received again: `MSG_PEEK`.
    pub peeks: bool,
    /// Whether a stream is waited for until the sink is full: `MSG_WAITALL`.
    pub waits_for_all: bool,
}

/// What was received beside the bytes.
#[derive(Default)]
pub struct Received {
    /// How many bytes were put.
    pub bytes: usize,
    /// How many the message has.
    pub length: usize,
    /// Files that came with it.
    pub files: Vec<Arc<OpenFile>>,
    /// Who sent it.
    pub sender: Option<Peer>,
    /// The sender's name.
    pub from: Option<Address>,
}

/// What became of a message that was read.
struct Read {
    bytes: usize,
    /// It came with files, and a stream's read ends with it.
    ends: bool,
}

impl<S: Surroundings> Socket<S> {
    /// Receives into `sink`. Nothing at all is the end.
    ///
    /// # Errors
    ///
    /// [`Invalid`](FileError::Invalid) for a stream that is not connected, [`NotConnected`](FileError::NotConnected) for packets,
    /// [`Reset`](FileError::Reset), and those of waits and faults.
    pub fn receive(&self, sink: &mut dyn Sink, receiving: Receiving) -> Result<Received, FileError> {
        self.check_connected()?;
        let deadline_ns = self.deadline_ns(true);
        let mut received = Received::default();
        let is_stream = self.kind == SocketKind::Stream;
        if is_stream && sink.room() == 0 {
            return Ok(received);
        }
        let error = loop {
            match self.read_one(sink, receiving, &mut received) {
                Ok(Some(read)) => {
                    received.bytes = received.bytes.saturating_add(read.bytes);
                    // Whoever peeks sees the first message again and again.
                    if !is_stream || read.ends || receiving.peeks || sink.room() == 0 {
                        break None;
                    }
                    continue;
                }
                Ok(None) => {}
                Err(fault) => break Some(fault.into()),
            }
            if received.bytes > 0 && !receiving.waits_for_all {
                break None;
            }
            match self.wait_to_read(receiving.blocking, deadline_ns) {
                Ok(true) => {}
                Ok(false) => break None,
                Err(error) => break Some(error),
            }
        };
        if self.has_something() {
            self.to_read.wake_one();
        }
        match error {
            Some(error) if received.bytes == 0 => Err(error),
            _ => Ok(received),
        }
    }

    fn check_connected(&self) -> Result<(), FileError> {
        let link = self.link.lock();
        match self.kind {
            SocketKind::Datagram => Ok(()),
            _ if link.is_connected => Ok(()),
            SocketKind::Stream => Err(FileError::Invalid),
            SocketKind::Packets => Err(FileError::NotConnected),
        }
    }

    /// Reads the first message, if there is one.
    fn read_one(
        &self,
        sink: &mut dyn Sink,
        receiving: Receiving,
        received: &mut Received,
    ) -> Result<Option<Read>, UserFault> {
        let _reading = self.reading.lock();
        let taken = self.inbox.lock().take();
        let Some(mut message) = taken else { return Ok(None) };
        let rest = message.rest();
        let length = rest.len();
        let put = if length == 0 || sink.room() == 0 { Ok(0) } else { sink.put(rest) };
        let bytes = match put {
            Ok(bytes) => bytes,
            Err(fault) => {
                self.put_back(message);
                return Err(fault);
            }
        };
        received.length = length;
        received.sender = Some(message.sender);
        received.from = message.from.clone();
        let ends = !message.files.is_empty();
        if receiving.peeks {
            received.files.extend(message.files.iter().cloned());
            self.put_back(message);
            return Ok(Some(Read { bytes, ends }));
        }
        received.files.append(&mut message.files);
        if self.kind == SocketKind::Stream && bytes < length {
            message.start = message.start.saturating_add(bytes);
            self.put_back(message);
        } else {
            self.done(&message);
        }
        Ok(Some(Read { bytes, ends }))
    }

    fn put_back(&self, message: Message) {
        // If it was closed meanwhile, the message goes without the lock.
        let over = self.inbox.lock().put_back(message);
        drop(over);
    }

    /// A message was read: there may be room for others.
    fn done(&self, message: &Message) {
        let peer = self.link.lock().peer.clone();
        let room = peer.as_ref().map_or_else(|| self.room(), |peer| peer.room());
        let room_came = self.inbox.lock().gone(message, room);
        if room_came || self.kind == SocketKind::Datagram {
            self.to_put.wake_all();
            if let Some(peer) = peer {
                peer.watchers.notify(Readiness::WRITE | Readiness::WRITE_NORMAL);
            }
        }
    }

    /// Waits for a message. Says whether there may be one: else there will be none.
    fn wait_to_read(&self, blocking: Blocking, deadline_ns: Option<u64>) -> Result<bool, FileError> {
        {
            let mut link = self.link.lock();
            if let Some(error) = link.error.take() {
                return Err(error);
            }
        }
        let is_empty = || !self.has_something();
        let is_over = || {
            let link = self.link.lock();
            link.shut.reading || link.error.is_some()
        };
        if self.is_shut_for_reading() {
            // What was sent before the end is there by now.
            return Ok(!is_empty());
        }
        self.wait(&self.to_read, blocking, deadline_ns, || is_empty() && !is_over())?;
        Ok(true)
    }
}

//! Sending.

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;

use super::inbox::Message;
use super::{Peer, Socket, SocketKind, rights};
use crate::addr::PAGE_SIZE;
use crate::fs::error::FileError;
use crate::fs::open_file::OpenFile;
use crate::fs::operations::{Blocking, Readiness};
use crate::fs::surroundings::Surroundings;
use crate::fs::transfer::Source;

/// How many datagrams may wait for one who is not the sender's alone: `max_dgram_qlen`.
const MOST_DATAGRAMS: usize = 10;

/// How something is sent.
pub struct Sending<S: Surroundings> {
    /// Whether the sender waits.
    pub blocking: Blocking,
    /// Who sends.
    pub sender: Peer,
    /// To whom, if not to the peer.
    pub to: Option<Arc<Socket<S>>>,
    /// Files that go with it.
    pub files: Vec<Arc<OpenFile>>,
    /// Whether the sender gets no signal: `MSG_NOSIGNAL`.
    pub quietly: bool,
}

impl<S: Surroundings> Socket<S> {
    /// Sends what `source` has, and says how many bytes that were.
    ///
    /// # Errors
    ///
    /// [`Pipe`](FileError::Pipe), [`NotConnected`](FileError::NotConnected), [`IsConnected`](FileError::IsConnected),
    /// [`Refused`](FileError::Refused), [`Reset`](FileError::Reset),
    /// [`MessageTooLong`](FileError::MessageTooLong), [`WrongType`](FileError::WrongType),
    /// [`TooManyReferences`](FileError::TooManyReferences), [`NotPermitted`](FileError::NotPermitted), and those of waits.
    pub fn send(&self, source: &mut dyn Source, sending: Sending<S>) -> Result<usize, FileError> {
        match self.kind {
            SocketKind::Stream => self.send_stream(source, sending),
            SocketKind::Datagram | SocketKind::Packets => self.send_message(source, sending),
        }
    }

    fn send_stream(&self, source: &mut dyn Source, mut sending: Sending<S>) -> Result<usize, FileError> {
        if sending.to.is_some() {
            let is_connected = self.link.lock().peer.is_some();
            return Err(if is_connected { FileError::IsConnected } else { FileError::Unsupported });
        }
        let deadline_ns = self.deadline_ns(false);
        let mut done: usize = 0;
        let error = loop {
            let left = source.left();
            if left == 0 {
                return Ok(done);
            }
            let files = core::mem::take(&mut sending.files);
            match self.send_piece(source, left.min(PAGE_SIZE), &sending, files, deadline_ns) {
                Ok(count) => done = done.saturating_add(count),
                Err(error) => break error,
            }
        };
        if error == FileError::Pipe && !sending.quietly {
            S::broken_pipe();
        }
        if done > 0 { Ok(done) } else { Err(error) }
    }

    fn send_piece(
        &self,
        source: &mut dyn Source,
        most: usize,
        sending: &Sending<S>,
        files: Vec<Arc<OpenFile>>,
        deadline_ns: Option<u64>,
    ) -> Result<usize, FileError> {
        let peer = self.peer_to_send()?;
        self.wait_for_room(&peer, sending.blocking, deadline_ns)?;
        // It may have gone meanwhile.
        let peer_now = self.peer_to_send()?;
        let bytes = take_bytes(source, most)?;
        let count = bytes.len();
        let message = Message { bytes, start: 0, sender: sending.sender, from: self.name(), files };
        self.deliver(&peer_now, message)?;
        Ok(count)
    }

    /// The peer, if something can be sent to it.
    fn peer_to_send(&self) -> Result<Arc<Self>, FileError> {
        let mut link = self.link.lock();
        if let Some(error) = link.error.take() {
            return Err(error);
        }
        if link.shut.writing {
            return Err(FileError::Pipe);
        }
        match &link.peer {
            Some(peer) => Ok(Arc::clone(peer)),
            None if link.is_connected => Err(FileError::Pipe),
            None => Err(FileError::NotConnected),
        }
    }

    fn send_message(&self, source: &mut dyn Source, mut sending: Sending<S>) -> Result<usize, FileError> {
        let length = source.left();
        if length > self.room().saturating_sub(32) {
            return Err(FileError::MessageTooLong);
        }
        let to = self.destination(sending.to.take())?;
        let bytes = take_bytes(source, length)?;
        if bytes.len() < length {
            // What is behind cannot be read: that says where.
            take_bytes(source, length)?;
        }
        self.wait_for_room(&to, sending.blocking, self.deadline_ns(false))?;
        let message = Message { bytes, start: 0, sender: sending.sender, from: self.name(), files: sending.files };
        match self.deliver(&to, message) {
            Err(FileError::Pipe) if self.kind == SocketKind::Datagram => Err(FileError::Refused),
            outcome => outcome.map(|()| length),
        }
    }

    /// Where a message goes.
    fn destination(&self, to: Option<Arc<Self>>) -> Result<Arc<Self>, FileError> {
        if self.kind == SocketKind::Packets {
            // The name is not looked at.
            return self.peer_to_send();
        }
        if self.link.lock().shut.writing {
            return Err(FileError::Pipe);
        }
        let to = match to {
            Some(to) => to,
            None => self.link.lock().peer.clone().ok_or(FileError::NotConnected)?,
        };
        if to.kind != self.kind {
            return Err(FileError::WrongType);
        }
        // Who is connected hears nobody else.
        let heard = to.link.lock().peer.clone();
        if heard.is_some_and(|heard| !core::ptr::eq(Arc::as_ptr(&heard), self)) {
            return Err(FileError::NotPermitted);
        }
        let is_shut = to.is_shut_for_reading();
        if is_shut && !to.inbox.lock().is_closed() {
            return Err(FileError::Pipe);
        }
        Ok(to)
    }

    /// Waits until something can be put into the inbox of `to`, or never again.
    fn wait_for_room(&self, to: &Arc<Self>, blocking: Blocking, deadline_ns: Option<u64>) -> Result<(), FileError> {
        let room = self.room();
        let is_mine = self.kind != SocketKind::Datagram || self.is_peer_of(to);
        let is_full = || {
            let inbox = to.inbox.lock();
            inbox.is_full(room) || (!is_mine && !inbox.is_closed() && inbox.messages() > MOST_DATAGRAMS)
        };
        let must_wait = || is_full() && !self.link.lock().shut.writing;
        if !is_full() {
            return Ok(());
        }
        self.wait(&to.to_put, blocking, deadline_ns, must_wait)
    }

    /// Whether `other` is connected to this socket.
    fn is_peer_of(&self, other: &Self) -> bool {
        other.link.lock().peer.as_ref().is_some_and(|peer| core::ptr::eq(Arc::as_ptr(peer), self))
    }

    /// Puts a message into the inbox of `to`.
    fn deliver(&self, to: &Arc<Self>, message: Message) -> Result<(), FileError> {
        if !S::has_room() {
            return Err(FileError::OutOfMemory);
        }
        let holds_sockets = !message.files.is_empty() && rights::are_sockets::<S>(&message.files);
        let outcome = {
            let _sending = holds_sockets.then(|| self.sockets.sending_sockets.lock());
            if holds_sockets {
                rights::check(to, &message.files)?;
            }
            to.inbox.lock().put(message)
        };
        // What was not put goes without a lock.
        outcome.map_err(|(error, _message)| error)?;
        to.to_read.wake_one();
        to.watchers.notify(Readiness::READ | Readiness::READ_NORMAL);
        Ok(())
    }
}

/// Up to `length` bytes of `source`.
fn take_bytes(source: &mut dyn Source, length: usize) -> Result<Box<[u8]>, FileError> {
    let mut bytes = Vec::new();
    bytes.try_reserve_exact(length).map_err(|_| FileError::OutOfMemory)?;
    bytes.resize(length, 0);
    let count = if length == 0 { 0 } else { source.take(&mut bytes)? };
    bytes.truncate(count);
    Ok(bytes.into_boxed_slice())
}

//! What came to a socket and was not taken yet.

use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::sync::Arc;
use alloc::vec::Vec;

use super::names::Address;
use super::{Peer, Socket};
use crate::fs::error::FileError;
use crate::fs::open_file::OpenFile;
use crate::fs::surroundings::Surroundings;

/// What a message is counted for beside its bytes.
const MESSAGE_BYTES: usize = 256;

/// A message.
pub(super) struct Message {
    pub(super) bytes: Box<[u8]>,
    /// Where those begin that were not read yet: of a stream.
    pub(super) start: usize,
    pub(super) sender: Peer,
    /// The sender's name.
    pub(super) from: Option<Address>,
    /// Files that come with it.
    pub(super) files: Vec<Arc<OpenFile>>,
}

impl Message {
    /// What was not read yet.
    pub(super) fn rest(&self) -> &[u8] {
        self.bytes.get(self.start..).unwrap_or_default()
    }

    /// What it is counted for.
    const fn weight(&self) -> usize {
        self.bytes.len().saturating_add(MESSAGE_BYTES)
    }
}

/// What is left in an inbox when it is closed.
pub(super) struct Left<S: Surroundings> {
    pub(super) messages: VecDeque<Message>,
    pub(super) connections: VecDeque<Arc<Socket<S>>>,
}

/// The inbox.
pub(super) struct Inbox<S: Surroundings> {
    messages: VecDeque<Message>,
    /// How many there are, with one that somebody is reading.
    count: usize,
    weight: usize,
    /// Files of the message that somebody is reading.
    being_read: Vec<Arc<OpenFile>>,
    /// Sockets of those who have connected and wait to be accepted.
    connections: VecDeque<Arc<Socket<S>>>,
    is_closed: bool,
}

impl<S: Surroundings> Inbox<S> {
    pub(super) const fn new() -> Self {
        Self {
            messages: VecDeque::new(),
            count: 0,
            weight: 0,
            being_read: Vec::new(),
            connections: VecDeque::new(),
            is_closed: false,
        }
    }

    /// Whether there is something to be taken.
    pub(super) fn has_something(&self) -> bool {
        self.count > 0 || !self.connections.is_empty()
    }

    /// Whether nothing more is to be put in by one who may have `room` in it.
    pub(super) const fn is_full(&self, room: usize) -> bool {
        !self.is_closed && self.weight >= room
    }

    pub(super) const fn is_closed(&self) -> bool {
        self.is_closed
    }

    pub(super) const fn messages(&self) -> usize {
        self.count
    }

    /// Puts a message in, at the end.
    pub(super) fn put(&mut self, message: Message) -> Result<(), (FileError, Message)> {
        if self.is_closed {
            return Err((FileError::Pipe, message));
        }
        if self.messages.try_reserve(2).is_err() {
            return Err((FileError::OutOfMemory, message));
        }
        self.weight = self.weight.saturating_add(message.weight());
        self.count = self.count.saturating_add(1);
        self.messages.push_back(message);
        Ok(())
    }

    /// Takes the first message out to be read; it counts until it is [gone](Self::gone) or [back](Self::put_back).
    pub(super) fn take(&mut self) -> Option<Message> {
        let message = self.messages.pop_front()?;
        if !message.files.is_empty() {
            self.being_read.clone_from(&message.files);
        }
        Some(message)
    }

    /// What was taken out was not read, or not all of it. If the inbox was closed meanwhile the message comes back.
    pub(super) fn put_back(&mut self, message: Message) -> Option<Message> {
        // The message has them, too: none of them ends here.
        self.being_read.clear();
        if self.is_closed {
            return Some(message);
        }
        // There is room: it was there before, and `put` leaves room for one more.
        self.messages.push_front(message);
        None
    }

    /// What was taken out was read. Says whether there is room now where there was none.
    pub(super) fn gone(&mut self, message: &Message, room: usize) -> bool {
        self.being_read.clear();
        let was_full = self.is_full(room);
        self.count = self.count.saturating_sub(1);
        self.weight = self.weight.saturating_sub(message.weight());
        was_full && !self.is_full(room)
    }

    /// How many bytes can be read: all of a stream, or of the first message.
    pub(super) fn bytes(&self, is_stream: bool) -> usize {
        let most = if is_stream { usize::MAX } else { 1 };
        self.messages.iter().take(most).fold(0, |sum: usize, message| sum.saturating_add(message.rest().len()))
    }

    /// Somebody has connected.
    pub(super) fn put_connection(&mut self, socket: Arc<Socket<S>>) -> Result<(), FileError> {
        self.connections.try_reserve(1).map_err(|_| FileError::OutOfMemory)?;
        self.connections.push_back(socket);
        Ok(())
    }

    pub(super) fn take_connection(&mut self) -> Option<Arc<Socket<S>>> {
        self.connections.pop_front()
    }

    pub(super) fn connections(&self) -> usize {
        self.connections.len()
    }

    /// The sockets of those who wait to be accepted, and the files of all messages.
    pub(super) fn holds(&self) -> (Vec<Arc<Socket<S>>>, Vec<Arc<OpenFile>>) {
        let files = self.messages.iter().flat_map(|message| &message.files).chain(&self.being_read).cloned();
        (self.connections.iter().cloned().collect(), files.collect())
    }

    /// Nothing is put in any more.
    pub(super) fn close(&mut self) -> Left<S> {
        self.is_closed = true;
        self.count = 0;
        self.weight = 0;
        Left { messages: core::mem::take(&mut self.messages), connections: core::mem::take(&mut self.connections) }
    }
}

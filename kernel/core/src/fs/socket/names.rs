//! Names of sockets, and what all of them share.

use alloc::collections::{BTreeMap, VecDeque};
use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;

use super::Socket;
use super::inbox::Message;
use crate::fs::error::FileError;
use crate::fs::inode::Inode;
use crate::fs::metadata::FileId;
use crate::fs::open_file::OpenFile;
use crate::fs::surroundings::Surroundings;
use crate::sched::SleepMutex;
use crate::sync::atomic::{AtomicU64, Ordering};
use crate::sync::{Rank, SpinLock};

/// A name as programs give it and are told it: `sun_path`, which begins with a zero if it is none of a file's.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Address(Arc<[u8]>);

impl Address {
    /// The most bytes of one.
    pub const MOST: usize = 108;

    /// These bytes; of a path with the zero that ends it.
    #[must_use]
    pub fn new(bytes: &[u8]) -> Self {
        Self(bytes.into())
    }

    /// Its bytes.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }
}

/// What a name is looked up by.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Key {
    /// The name itself.
    Abstract(Address),
    /// The node that the path leads to.
    File(FileId),
}

/// Of names that are made up.
const DIGITS: &[u8; 16] = b"0123456789abcdef";

/// A socket's name.
pub(super) struct Bound {
    pub(super) address: Address,
    /// None for one that nobody looks up.
    key: Option<Key>,
    /// The node: as long as it is kept, no other file gets its number.
    _node: Option<Arc<dyn Inode>>,
}

impl Bound {
    /// The name that an accepted socket has from the one that listened: nobody looks it up.
    pub(super) const fn inherited(address: Address) -> Self {
        Self { address, key: None, _node: None }
    }
}

/// What all sockets share.
pub struct Sockets<S: Surroundings> {
    next: AtomicU64,
    names: SpinLock<BTreeMap<Key, Weak<Socket<S>>>, S::Cpu>,
    /// Held while a socket is put into an inbox: no ring of them comes about.
    pub(super) sending_sockets: SleepMutex<(), S>,
    closing: SpinLock<Closing, S::Cpu>,
}

/// Files of messages that nobody has read.
struct Closing {
    files: Vec<Arc<OpenFile>>,
    /// Somebody is closing them.
    is_busy: bool,
}

impl<S: Surroundings> Sockets<S> {
    /// None yet.
    #[cfg(not(loom))]
    #[must_use]
    pub const fn new() -> Self {
        Self {
            next: AtomicU64::new(1),
            names: SpinLock::new(Rank::FileObject, BTreeMap::new()),
            sending_sockets: SleepMutex::new(Rank::Nesting, ()),
            closing: SpinLock::new(Rank::FileObject, Closing { files: Vec::new(), is_busy: false }),
        }
    }

    /// None yet.
    #[cfg(loom)]
    #[must_use]
    pub fn new() -> Self {
        Self {
            next: AtomicU64::new(1),
            names: SpinLock::new(Rank::FileObject, BTreeMap::new()),
            sending_sockets: SleepMutex::new(Rank::Nesting, ()),
            closing: SpinLock::new(Rank::FileObject, Closing { files: Vec::new(), is_busy: false }),
        }
    }

    pub(super) fn number(&self) -> u64 {
        self.next.fetch_add(1, Ordering::Relaxed)
    }

    /// The socket of this abstract name.
    ///
    /// # Errors
    ///
    /// [`Refused`](FileError::Refused)
    pub fn find(&self, address: &Address) -> Result<Arc<Socket<S>>, FileError> {
        self.find_key(&Key::Abstract(address.clone()))
    }

    /// The socket behind a node.
    ///
    /// # Errors
    ///
    /// [`Refused`](FileError::Refused)
    pub fn find_node(&self, node: FileId) -> Result<Arc<Socket<S>>, FileError> {
        self.find_key(&Key::File(node))
    }

    fn find_key(&self, key: &Key) -> Result<Arc<Socket<S>>, FileError> {
        self.names.lock().get(key).and_then(Weak::upgrade).ok_or(FileError::Refused)
    }

    pub(super) fn forget(&self, bound: &Bound) {
        let socket = bound.key.as_ref().and_then(|key| self.names.lock().remove(key));
        drop(socket);
    }

    /// Closes the files of messages, one after the other: what their ends leave behind is put to the rest.
    pub(super) fn close_files(&self, messages: VecDeque<Message>) {
        if messages.iter().all(|message| message.files.is_empty()) {
            return;
        }
        {
            let mut closing = self.closing.lock();
            closing.files.extend(messages.into_iter().flat_map(|message| message.files));
            if core::mem::replace(&mut closing.is_busy, true) {
                return;
            }
        }
        loop {
            let file = {
                let mut closing = self.closing.lock();
                let file = closing.files.pop();
                closing.is_busy = file.is_some();
                file
            };
            match file {
                Some(file) => drop(file),
                None => return,
            }
        }
    }
}

impl<S: Surroundings> Default for Sockets<S> {
    fn default() -> Self {
        Self::new()
    }
}

impl<S: Surroundings> Socket<S> {
    /// bind(2) to an abstract name, or to any that is free if it is empty.
    ///
    /// # Errors
    ///
    /// [`AddressInUse`](FileError::AddressInUse), [`Invalid`](FileError::Invalid) for a socket that has a name.
    pub fn bind(self: &Arc<Self>, address: &[u8]) -> Result<(), FileError> {
        if !address.is_empty() {
            let address = Address::new(address);
            return self.take_name(Key::Abstract(address.clone()), address, None);
        }
        // As Linux makes them up: five digits.
        for _ in 0..0x10_0000_u32 {
            let mut number = self.sockets.number();
            let mut name = [0; 6];
            for digit in name.iter_mut().skip(1).rev() {
                *digit = DIGITS.get((number % 16) as usize).copied().unwrap_or(b'0');
                number /= 16;
            }
            let address = Address::new(&name);
            match self.take_name(Key::Abstract(address.clone()), address, None) {
                Err(FileError::AddressInUse) => {}
                outcome => return outcome,
            }
        }
        Err(FileError::NoSpace)
    }

    /// bind(2) to a node that was made for it at `path`.
    ///
    /// # Errors
    ///
    /// As [`bind`](Self::bind).
    pub fn bind_node(self: &Arc<Self>, path: &[u8], node: Arc<dyn Inode>) -> Result<(), FileError> {
        let mut name: Vec<u8> = path.to_vec();
        name.push(0);
        self.take_name(Key::File(node.id()), Address::new(&name), Some(node))
    }

    fn take_name(self: &Arc<Self>, key: Key, address: Address, node: Option<Arc<dyn Inode>>) -> Result<(), FileError> {
        {
            let mut names = self.sockets.names.lock();
            if names.get(&key).is_some_and(|socket| socket.strong_count() > 0) {
                return Err(FileError::AddressInUse);
            }
            names.insert(key.clone(), Arc::downgrade(self));
        }
        let mut link = self.link.lock();
        if link.bound.is_none() {
            link.bound = Some(Bound { address, key: Some(key), _node: node });
            return Ok(());
        }
        drop(link);
        self.sockets.names.lock().remove(&key);
        Err(FileError::Invalid)
    }
}

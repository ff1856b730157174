//! A socket as an open file has it.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::any::Any;

use super::{Peer, Receiving, Sending, Socket, SocketKind};
use crate::addr::UserAddr;
use crate::fs::error::FileError;
use crate::fs::flags::OpenFlags;
use crate::fs::offset::Parking;
use crate::fs::open_file::OpenFile;
use crate::fs::operations::{Blocking, FileOperations, Readiness};
use crate::fs::surroundings::Surroundings;
use crate::fs::transfer::{Sink, Source};
use crate::fs::watch::Watched;
use crate::hal::UserMemory;

/// The ioctl(2) request for the number of bytes that can be read.
const FIONREAD: u32 = 0x541b;

/// What closes a socket when it is dropped.
pub struct SocketFile<S: Surroundings> {
    socket: Arc<Socket<S>>,
}

impl<S: Surroundings> SocketFile<S> {
    /// Opens `socket`, which nobody has opened, with these status flags.
    #[must_use]
    pub fn open(socket: Arc<Socket<S>>, flags: OpenFlags, parking: &'static dyn Parking) -> Arc<OpenFile> {
        let inode = Arc::clone(&socket);
        OpenFile::new(inode, Arc::new(Self { socket }), flags | OpenFlags::READ_WRITE, parking)
    }

    /// The socket.
    #[must_use]
    pub const fn socket(&self) -> &Arc<Socket<S>> {
        &self.socket
    }
}

impl<S: Surroundings> Drop for SocketFile<S> {
    fn drop(&mut self) {
        self.socket.close();
    }
}

impl<S: Surroundings> FileOperations for SocketFile<S> {
    fn read(&self, _at: u64, blocking: Blocking, sink: &mut dyn Sink) -> Result<usize, FileError> {
        let receiving = Receiving { blocking, peeks: false, waits_for_all: false };
        // Files that come with it are closed.
        self.socket.receive(sink, receiving).map(|received| received.bytes)
    }

    fn write(&self, _at: u64, blocking: Blocking, source: &mut dyn Source) -> Result<usize, FileError> {
        let [pid, uid, gid] = S::who();
        let sender = Peer { pid, uid, gid };
        self.socket.send(source, Sending { blocking, sender, to: None, files: Vec::new(), quietly: false })
    }

    fn ioctl(&self, request: u32, argument: u64, memory: &dyn UserMemory) -> Result<u64, FileError> {
        if request != FIONREAD {
            return Err(FileError::NotTty);
        }
        let bytes = self.socket.inbox.lock().bytes(self.socket.kind == SocketKind::Stream);
        let bytes = u32::try_from(bytes).unwrap_or(u32::MAX);
        memory.copy_out(&bytes.to_le_bytes(), UserAddr::new(argument))?;
        Ok(0)
    }

    fn readiness(&self) -> Readiness {
        self.socket.readiness()
    }

    fn watched(&self) -> Option<&dyn Watched> {
        Some(&self.socket.watchers)
    }

    fn as_any(self: Arc<Self>) -> Option<Arc<dyn Any + Send + Sync>> {
        Some(self)
    }
}

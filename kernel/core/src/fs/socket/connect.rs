//! Connecting, listening, accepting.

use alloc::sync::Arc;

use super::{Peer, Socket, SocketKind, Sockets};
use crate::fs::error::FileError;
use crate::fs::metadata::Timestamp;
use crate::fs::operations::{Blocking, Readiness};
use crate::fs::surroundings::Surroundings;

/// The most connections that may wait: `somaxconn`.
const MOST_WAITING: usize = 4096;

impl<S: Surroundings> Socket<S> {
    /// socketpair(2): two sockets that are connected.
    #[must_use]
    pub fn pair(
        sockets: &'static Sockets<S>,
        kind: SocketKind,
        made: Timestamp,
        maker: Peer,
    ) -> (Arc<Self>, Arc<Self>) {
        let one = Self::new(sockets, kind, made, maker);
        let other = Self::new(sockets, kind, made, maker);
        one.join(&other, maker);
        other.join(&one, maker);
        (one, other)
    }

    /// Is connected to `peer`, who is that.
    fn join(&self, peer: &Arc<Self>, is: Peer) {
        let name = peer.name();
        let mut link = self.link.lock();
        link.peer = Some(Arc::clone(peer));
        link.peer_name = name;
        link.peer_is = Some(is);
        link.is_connected = true;
    }

    /// listen(2)
    ///
    /// # Errors
    ///
    /// [`Unsupported`](FileError::Unsupported) for datagrams, [`Invalid`](FileError::Invalid) without a name or with a peer.
    pub fn listen(&self, backlog: usize, listener: Peer) -> Result<(), FileError> {
        if self.kind == SocketKind::Datagram {
            return Err(FileError::Unsupported);
        }
        let mut link = self.link.lock();
        if link.bound.is_none() || link.is_connected {
            return Err(FileError::Invalid);
        }
        link.backlog = Some(backlog.min(MOST_WAITING));
        link.peer_is = Some(listener);
        drop(link);
        // Those who wait may be fewer than may.
        self.to_put.wake_all();
        Ok(())
    }

    /// connect(2) to `to`; none takes a datagram socket's peer away. `caller` is who connects.
    ///
    /// # Errors
    ///
    /// [`Refused`](FileError::Refused), [`WrongType`](FileError::WrongType), [`IsConnected`](FileError::IsConnected),
    /// [`Invalid`](FileError::Invalid), and those of waits.
    pub fn connect(
        self: &Arc<Self>,
        to: Option<&Arc<Self>>,
        caller: Peer,
        blocking: Blocking,
    ) -> Result<(), FileError> {
        let Some(to) = to else {
            let mut link = self.link.lock();
            let before = if self.kind == SocketKind::Datagram { link.peer.take() } else { None };
            drop(link);
            drop(before);
            return if self.kind == SocketKind::Datagram { Ok(()) } else { Err(FileError::Invalid) };
        };
        if to.kind != self.kind {
            return Err(FileError::WrongType);
        }
        if self.kind == SocketKind::Datagram {
            return self.connect_datagrams(to);
        }
        {
            let link = self.link.lock();
            if link.is_connected {
                return Err(FileError::IsConnected);
            }
            if link.backlog.is_some() {
                return Err(FileError::Invalid);
            }
        }
        self.connect_stream(to, caller, blocking)
    }

    fn connect_datagrams(self: &Arc<Self>, to: &Arc<Self>) -> Result<(), FileError> {
        let heard = to.link.lock().peer.clone();
        if heard.is_some_and(|heard| !Arc::ptr_eq(&heard, self)) {
            return Err(FileError::NotPermitted);
        }
        let name = to.name();
        let before = {
            let mut link = self.link.lock();
            link.peer_name = name;
            link.peer.replace(Arc::clone(to))
        };
        drop(before);
        Ok(())
    }

    fn connect_stream(self: &Arc<Self>, to: &Arc<Self>, caller: Peer, blocking: Blocking) -> Result<(), FileError> {
        let deadline_ns = self.deadline_ns(false);
        if !S::has_room() {
            return Err(FileError::OutOfMemory);
        }
        let accepted = Self::new(self.sockets, self.kind, self.made, caller);
        loop {
            let (backlog, listener, bound) = {
                let link = to.link.lock();
                let backlog = link.backlog.filter(|_| !link.shut.reading).ok_or(FileError::Refused)?;
                (backlog, link.peer_is, link.bound.as_ref().map(|bound| bound.address.clone()))
            };
            let is_full = || to.inbox.lock().connections() > backlog;
            if is_full() {
                self.wait(&to.to_put, blocking, deadline_ns, || is_full() && to.listens())?;
                continue;
            }
            // So that nobody sends through it what it cannot be reached from yet.
            let _sending = self.sockets.sending_sockets.lock();
            accepted.join(self, caller);
            {
                let mut link = self.link.lock();
                if link.is_connected {
                    return Err(FileError::IsConnected);
                }
                link.is_connected = true;
                link.peer = Some(Arc::clone(&accepted));
                (link.peer_name, link.peer_is) = (bound.clone(), listener);
            }
            accepted.link.lock().bound = bound.map(super::names::Bound::inherited);
            let outcome = {
                let mut inbox = to.inbox.lock();
                if inbox.is_closed() { Err(FileError::Refused) } else { inbox.put_connection(Arc::clone(&accepted)) }
            };
            if let Err(error) = outcome {
                let mut link = self.link.lock();
                (link.peer, link.is_connected) = (None, false);
                drop(link);
                accepted.link.lock().peer = None;
                return Err(error);
            }
            to.to_read.wake_one();
            to.watchers.notify(Readiness::READ | Readiness::READ_NORMAL);
            return Ok(());
        }
    }

    /// accept(2): the next connection.
    ///
    /// # Errors
    ///
    /// [`Invalid`](FileError::Invalid) where nobody listens, [`Unsupported`](FileError::Unsupported) for datagrams, and those of
    /// waits.
    pub fn accept(&self, blocking: Blocking) -> Result<Arc<Self>, FileError> {
        if self.kind == SocketKind::Datagram {
            return Err(FileError::Unsupported);
        }
        let deadline_ns = self.deadline_ns(true);
        loop {
            if !self.listens() {
                return Err(FileError::Invalid);
            }
            let next = self.inbox.lock().take_connection();
            if let Some(next) = next {
                self.to_put.wake_all();
                if self.has_something() {
                    self.to_read.wake_one();
                }
                return Ok(next);
            }
            let must_wait = || !self.has_something() && self.listens() && !self.is_shut_for_reading();
            self.wait(&self.to_read, blocking, deadline_ns, must_wait)?;
            if self.is_shut_for_reading() {
                return Err(FileError::Invalid);
            }
        }
    }
}

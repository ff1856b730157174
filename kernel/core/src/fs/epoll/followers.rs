//! Who is told when an open file is no more.

use alloc::boxed::Box;
use alloc::sync::Weak;
use alloc::vec::Vec;

use crate::fs::watch::Watched;
use crate::hal::Cpu;
use crate::sync::{Rank, SpinLock};

/// Somebody who keeps an open file in mind, but does not keep it open.
pub trait Follower: Send + Sync {
    /// The file is no more. `list` is that of those who watch it.
    fn file_gone(&self, list: Option<&dyn Watched>);
}

/// An open file's followers, whatever the machine.
pub trait Followers: Send + Sync {
    /// One more.
    fn add(&self, follower: Weak<dyn Follower>);

    /// Takes out the one at this address.
    fn remove(&self, at: usize);

    /// Tells all.
    fn tell(&self, list: Option<&dyn Watched>);
}

/// A list of them.
pub(super) struct FollowerList<C: Cpu> {
    all: SpinLock<Vec<Weak<dyn Follower>>, C>,
}

impl<C: Cpu> FollowerList<C>
where
    Self: Send + Sync,
{
    /// An empty one.
    pub(super) fn boxed() -> Box<dyn Followers> {
        Box::new(Self { all: SpinLock::new(Rank::FileObject, Vec::new()) })
    }
}

impl<C: Cpu> Followers for FollowerList<C>
where
    Self: Send + Sync,
{
    fn add(&self, follower: Weak<dyn Follower>) {
        self.all.lock().push(follower);
    }

    fn remove(&self, at: usize) {
        let mut all = self.all.lock();
        if let Some(index) = all.iter().position(|follower| follower.as_ptr().addr() == at) {
            all.swap_remove(index);
        }
    }

    fn tell(&self, list: Option<&dyn Watched>) {
        let all = core::mem::take(&mut *self.all.lock());
        for follower in all.iter().filter_map(Weak::upgrade) {
            follower.file_gone(list);
        }
    }
}

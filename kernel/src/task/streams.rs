//! Pipes, sockets and sets of watched files, and what they ask of the kernel.

use kcore::fs::Surroundings;
use kcore::fs::epoll::Nesting;
use kcore::fs::pipe::Pipes;
use kcore::fs::socket::Sockets;
use kcore::proc::{self, System};
use kcore::signal::{Info, Signal};

use super::switch::{Kernel, with_current};

/// All pipes.
pub(crate) static PIPES: Pipes<Kernel> = Pipes::new();

/// All sockets.
pub(crate) static SOCKETS: Sockets<Kernel> = Sockets::new();
/// Which sets of watched files watch each other.
pub(crate) static NESTING: Nesting<Kernel> = Nesting::new();

impl Surroundings for Kernel {
    fn interrupted() -> bool {
        proc::interrupted::<Self>()
    }

    fn broken_pipe() {
        with_current(|me| {
            if let Some(thread) = Self::thread_of(me.payload()) {
                let process = thread.process();
                let info = Info::user(Signal::PIPE, process.pid().0, process.credentials().uid.real);
                // A signal of the kernel's own is always taken.
                let _ = proc::signal(process, Some(thread), info);
            }
        });
    }

    fn who() -> [u32; 3] {
        with_current(|me| {
            Self::thread_of(me.payload()).map_or([0; 3], |thread| {
                let credentials = thread.process().credentials();
                [thread.process().pid().0, credentials.uid.effective, credentials.gid.effective]
            })
        })
    }

    fn has_room() -> bool {
        <Self as System>::has_room()
    }
}

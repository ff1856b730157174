//! What a process does about signals.

use bitflags::bitflags;

use super::layout::{get, put};
use super::number::{DefaultAction, Signal};
use super::set::SignalSet;
use crate::addr::UserAddr;

/// Who gets a signal.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Handler {
    /// The kernel does what it does by default.
    #[default]
    Default,
    /// Nobody.
    Ignore,
    /// A function of the program.
    At(UserAddr),
}

bitflags! {
    /// `sa_flags`, with Linux's numbers.
    #[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
    pub struct ActionFlags: u64 {
        /// `SA_NOCLDSTOP`: no `SIGCHLD` when a child stops or goes on.
        const NO_CHILD_STOP = 0x1;
        /// `SA_NOCLDWAIT`: children leave no zombie.
        const NO_CHILD_WAIT = 0x2;
        /// `SA_SIGINFO`: the handler takes three arguments.
        const INFO = 0x4;
        /// `SA_RESTORER`: `restorer` is set.
        const RESTORER = 0x0400_0000;
        /// `SA_ONSTACK`: the handler runs on the alternate stack, if there is one.
        const ON_STACK = 0x0800_0000;
        /// `SA_RESTART`: a call that the handler interrupted is made again.
        const RESTART = 0x1000_0000;
        /// `SA_NODEFER`: the signal is not blocked while its handler runs.
        const NO_DEFER = 0x4000_0000;
        /// `SA_RESETHAND`: back to the default before the handler runs.
        const RESET = 0x8000_0000;
    }
}

/// What is done about one signal: `struct sigaction`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Action {
    /// Who gets it.
    pub handler: Handler,
    /// How.
    pub flags: ActionFlags,
    /// What is blocked, besides, while the handler runs.
    pub mask: SignalSet,
    /// Where the handler returns to, with [`ActionFlags::RESTORER`].
    pub restorer: UserAddr,
}

impl Action {
    /// The size of the kernel's `struct sigaction`: handler, flags, restorer, mask.
    pub const BYTES: usize = 32;

    /// Nothing said.
    pub const DEFAULT: Self = Self {
        handler: Handler::Default,
        flags: ActionFlags::empty(),
        mask: SignalSet::EMPTY,
        restorer: UserAddr::new(0),
    };

    /// From the program's structure. Flags that this kernel does not know are dropped: a program that cares reads them
    /// back.
    #[must_use]
    pub fn from_linux(bytes: &[u8; Self::BYTES]) -> Self {
        let word = |at| u64::from_le_bytes(get(bytes, at));
        let handler = match word(0) {
            0 => Handler::Default,
            1 => Handler::Ignore,
            address => Handler::At(UserAddr::new(address)),
        };
        Self {
            handler,
            flags: ActionFlags::from_bits_truncate(word(8)),
            mask: SignalSet::from_bits(word(24)).difference(SignalSet::UNBLOCKABLE),
            restorer: UserAddr::new(word(16)),
        }
    }

    /// As the program's structure.
    #[must_use]
    pub fn to_linux(&self) -> [u8; Self::BYTES] {
        let handler = match self.handler {
            Handler::Default => 0,
            Handler::Ignore => 1,
            Handler::At(address) => address.get(),
        };
        let mut bytes = [0; Self::BYTES];
        put(&mut bytes, 0, handler.to_le_bytes());
        put(&mut bytes, 8, self.flags.bits().to_le_bytes());
        put(&mut bytes, 16, self.restorer.get().to_le_bytes());
        put(&mut bytes, 24, self.mask.bits().to_le_bytes());
        bytes
    }
}

/// What a signal leads to, all considered.
#[must_use]
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Effective {
    /// Nothing.
    Ignore,
    /// The process ends.
    Terminate {
        /// Its memory would be worth keeping: `WCOREDUMP` if it is kept.
        core: bool,
    },
    /// The process stops.
    Stop,
    /// The process goes on; that happened when the signal was posted, and nothing is left to do.
    Continue,
    /// A handler runs.
    Handle(Action),
}

/// `SIGKILL` and `SIGSTOP` do what they do.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Unchangeable(pub Signal);

/// What a process does about each signal. Threads share one, fork shares it until either side changes it: it is held as
/// `Arc<Actions>` and changed through `Arc::make_mut`.
#[derive(Clone, Debug)]
pub struct Actions {
    /// Those with [`Handler::At`].
    caught: SignalSet,
    /// Those with [`Handler::Ignore`].
    ignored: SignalSet,
    /// Those of which anything was ever said.
    said: SignalSet,
    table: [Action; 64],
}

impl Actions {
    /// Nothing said about any signal.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            caught: SignalSet::EMPTY,
            ignored: SignalSet::EMPTY,
            said: SignalSet::EMPTY,
            table: [Action::DEFAULT; 64],
        }
    }

    /// What was said about `signal`.
    #[must_use]
    pub const fn get(&self, signal: Signal) -> &Action {
        &self.table[signal.index()]
    }

    /// Says something else about `signal` and returns what was said before. If [`ignores`](Self::ignores) then says yes
    /// for an unblocked one, the caller discards it where it is pending, blocked or not.
    ///
    /// # Errors
    ///
    /// [`Unchangeable`].
    pub fn set(&mut self, signal: Signal, action: Action) -> Result<Action, Unchangeable> {
        if SignalSet::UNBLOCKABLE.contains(signal) {
            return Err(Unchangeable(signal));
        }
        let mask = action.mask.difference(SignalSet::UNBLOCKABLE);
        let before = core::mem::replace(&mut self.table[signal.index()], Action { mask, ..action });
        self.said.insert(signal);
        self.note(signal, action.handler);
        Ok(before)
    }

    /// The default again, all else as it was: [`ActionFlags::RESET`], or a fault whose signal cannot be delivered.
    pub fn reset(&mut self, signal: Signal) {
        self.table[signal.index()].handler = Handler::Default;
        self.note(signal, Handler::Default);
    }

    /// The signals that have a handler.
    #[must_use]
    pub const fn caught(&self) -> SignalSet {
        self.caught
    }

    /// The signals that the process said to ignore.
    #[must_use]
    pub const fn ignored(&self) -> SignalSet {
        self.ignored
    }

    /// Whether [`reset_for_exec`](Self::reset_for_exec) would change anything.
    #[must_use]
    pub fn is_fresh(&self) -> bool {
        self.said.iter().all(|signal| *self.get(signal) == Action { handler: Handler::Ignore, ..Action::DEFAULT })
    }

    /// For a new program: what was caught goes back to the default, what was ignored stays so.
    pub fn reset_for_exec(&mut self) {
        for signal in self.said.difference(self.ignored).iter() {
            self.table[signal.index()] = Action::DEFAULT;
        }
        for signal in self.ignored.iter() {
            self.table[signal.index()] = Action { handler: Handler::Ignore, ..Action::DEFAULT };
        }
        self.caught = SignalSet::EMPTY;
        self.said = self.ignored;
    }

    /// What `signal` leads to when a thread takes it.
    #[inline]
    pub const fn effective(&self, signal: Signal) -> Effective {
        let action = self.get(signal);
        match action.handler {
            Handler::Ignore => Effective::Ignore,
            Handler::At(_) => Effective::Handle(*action),
            Handler::Default => match signal.default_action() {
                DefaultAction::Terminate => Effective::Terminate { core: false },
                DefaultAction::Core => Effective::Terminate { core: true },
                DefaultAction::Stop => Effective::Stop,
                DefaultAction::Continue => Effective::Continue,
                DefaultAction::Ignore => Effective::Ignore,
            },
        }
    }

    /// Whether `signal` need not even be kept: nothing would be done about it. Whoever posts keeps a *blocked* signal all
    /// the same, since the action may have changed by the time it is unblocked, and one that a tracer wants to see.
    #[must_use]
    pub const fn ignores(&self, signal: Signal) -> bool {
        self.ignored.contains(signal)
            || (SignalSet::IGNORED_BY_DEFAULT.contains(signal) && !self.caught.contains(signal))
    }

    /// Whether a fault's `signal` would not reach a handler because it is ignored or in `blocked`. The program cannot go
    /// on past the faulting instruction, so the caller resets the action, unblocks the signal, and the process ends.
    #[must_use]
    pub const fn would_lose_fault(&self, signal: Signal, blocked: SignalSet) -> bool {
        self.ignored.contains(signal) || blocked.contains(signal)
    }

    /// Whether ended children leave no zombie: `SIGCHLD` is ignored by request, or has `SA_NOCLDWAIT`.
    #[must_use]
    pub const fn reaps_children(&self) -> bool {
        self.ignored.contains(Signal::CHLD) || self.get(Signal::CHLD).flags.contains(ActionFlags::NO_CHILD_WAIT)
    }

    /// Whether a `SIGCHLD` is sent when a child stops or goes on.
    #[must_use]
    pub const fn reports_stops(&self) -> bool {
        !self.ignored.contains(Signal::CHLD) && !self.get(Signal::CHLD).flags.contains(ActionFlags::NO_CHILD_STOP)
    }

    fn note(&mut self, signal: Signal, handler: Handler) {
        self.caught.remove(signal);
        self.ignored.remove(signal);
        match handler {
            Handler::Default => {}
            Handler::Ignore => self.ignored.insert(signal),
            Handler::At(_) => self.caught.insert(signal),
        }
    }
}

impl Default for Actions {
    fn default() -> Self {
        Self::new()
    }
}

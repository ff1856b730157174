//! What other subsystems hang on a process, as far as fork is concerned: tracing, profiling, promises. Each is a value
//! that a process has or has not, with a rule for what its children get.

use alloc::sync::Arc;

/// A process is being traced by another (`ptrace`).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Tracing {
    /// The tracer wants to know of forks, and gets the children too.
    pub forks: bool,
}

impl Tracing {
    /// What a child inherits: all of it if the fork is to be reported, else nothing.
    #[must_use]
    pub fn inherited(tracing: Option<Self>, reported: bool) -> Option<Self> {
        tracing.filter(|_| reported)
    }
}

/// The trace of system calls that a process writes (`ktrace`): the file and who asked for it.
#[derive(Clone, Debug)]
pub struct KernelTrace {
    /// What is recorded, a bit each.
    pub points: u32,
    /// Whether children write to it as well.
    pub inherit: bool,
    /// Where it goes; holders count as writers.
    pub sink: Arc<TraceSink>,
}

/// Where a trace goes.
#[derive(Debug)]
pub struct TraceSink {
    /// The user who asked for it.
    pub uid: u32,
}

impl KernelTrace {
    /// What a child inherits: the trace with its file and credentials, if it says so, else nothing.
    #[must_use]
    pub fn inherited(trace: Option<&Self>) -> Option<Self> {
        trace.filter(|trace| trace.inherit).cloned()
    }
}

/// A promise to use only some of the kernel (`pledge`); no value: none was made.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Promises(pub u64);

impl Promises {
    /// `stdio`: the calls that every program makes, threads with them.
    pub const STDIO: Self = Self(1);
    /// `proc`: making processes.
    pub const PROC: Self = Self(1 << 1);

    /// Whether what was promised leaves room for `needed`.
    #[must_use]
    pub fn allow(promised: Option<Self>, needed: Self) -> bool {
        promised.is_none_or(|promised| promised.0 & needed.0 == needed.0)
    }
}

/// Which paths a process may still see (`unveil`). Fork copies it: names, rights, and whether the list is closed.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Unveiled {
    /// Whether no more can be added.
    pub done: bool,
}

/// A process's profile (`profil`).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Profile {
    /// How many program bytes fall into one counter, as a fraction of 2^16.
    pub scale: u32,
}

/// What hangs on a process, if anything does: most have nothing, and then it takes no room and no time.
#[derive(Clone, Debug, Default)]
pub(super) struct Attachments(Option<Arc<Attached>>);

/// What most processes have.
static NOTHING: Attached =
    Attached { tracing: None, kernel_trace: None, promises: None, exec_promises: None, unveiled: None, profile: None };

impl Attachments {
    /// All of it.
    pub(super) fn get(&self) -> &Attached {
        self.0.as_deref().unwrap_or(&NOTHING)
    }

    /// Changes it.
    pub(super) fn change(&mut self, change: impl FnOnce(&mut Attached)) {
        change(Arc::make_mut(self.0.get_or_insert_default()));
    }

    /// The process executes another program: what it promised for that holds from now on.
    pub(super) fn note_exec(&mut self) {
        if self.0.is_some() {
            self.change(|attached| attached.promises = attached.exec_promises.take());
        }
    }

    /// What a child gets. `reported`: the fork is reported to a tracer.
    #[inline]
    pub(super) fn for_fork(&self, reported: bool) -> Self {
        match &self.0 {
            None => Self(None),
            Some(attached) => Self::some_for_fork(attached, reported),
        }
    }

    #[cold]
    #[inline(never)]
    fn some_for_fork(attached: &Attached, reported: bool) -> Self {
        Self(Some(Arc::new(attached.for_fork(reported))))
    }
}

/// All of it.
#[derive(Clone, Debug, Default)]
pub struct Attached {
    /// Who traces it.
    pub tracing: Option<Tracing>,
    /// The trace of its calls.
    pub kernel_trace: Option<KernelTrace>,
    /// What it promised.
    pub promises: Option<Promises>,
    /// What it promised for the programs that it executes.
    pub exec_promises: Option<Promises>,
    /// What it can see.
    pub unveiled: Option<Arc<Unveiled>>,
    /// Its profile.
    pub profile: Option<Profile>,
}

impl Attached {
    /// What a child gets. `reported`: the fork is reported to a tracer.
    #[must_use]
    pub fn for_fork(&self, reported: bool) -> Self {
        Self {
            tracing: Tracing::inherited(self.tracing, reported),
            kernel_trace: KernelTrace::inherited(self.kernel_trace.as_ref()),
            promises: self.promises,
            exec_promises: self.exec_promises,
            unveiled: self.unveiled.clone(),
            profile: self.profile,
        }
    }

    /// Whether a fork is reported to a tracer.
    #[must_use]
    pub fn reports_forks(&self) -> bool {
        self.tracing.is_some_and(|tracing| tracing.forks)
    }
}

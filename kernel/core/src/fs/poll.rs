//! Waiting for any of several files: `poll(2)`.
//!
//! A look at all comes first, for mostly something is ready. Only then does the thread join the lists of those who watch, look
//! again, and sleep; each time that it is told of something it looks at all again.

use alloc::sync::Arc;
use alloc::vec::Vec;

use super::error::FileError;
use super::open_file::OpenFile;
use super::operations::Readiness;
use super::watch::{WatchId, Watched, Watcher};
use crate::sched::{Switch, Thread, unpark};
use crate::sync::atomic::{AtomicBool, Ordering};

/// A file that is asked about.
pub struct Polled {
    /// The file.
    pub file: Arc<OpenFile>,
    /// What is asked; errors and a hang-up always are.
    pub interest: Readiness,
    /// What of it is so.
    pub found: Readiness,
}

impl Polled {
    /// Asks whether `file` is ready for some of `interest`.
    #[must_use]
    pub fn new(file: Arc<OpenFile>, interest: Readiness) -> Self {
        let interest = interest | Readiness::ERROR | Readiness::HANG_UP;
        Self { file, interest, found: Readiness::empty() }
    }

    /// The same, but what is not in `interest` is no reason to tell: select(2).
    #[must_use]
    pub const fn only(file: Arc<OpenFile>, interest: Readiness) -> Self {
        Self { file, interest, found: Readiness::empty() }
    }

    /// Looks, and says whether something is to be told.
    fn look(&mut self) -> bool {
        // A file that was opened for its place alone is sorted out before.
        self.found = self.file.readiness().unwrap_or(Readiness::ERROR) & self.interest;
        !self.found.is_empty()
    }
}

/// Looks at all and says of how many there is something to tell.
fn look(files: &mut [Polled]) -> usize {
    files.iter_mut().map(|file| usize::from(file.look())).sum()
}

/// Waits until one of `files` is ready, the clock shows `deadline_ns` (which may be 0, for not at all), or `interrupted` says yes; says how many are ready.
/// Whoever makes `interrupted` true unparks the thread afterwards.
///
/// # Errors
///
/// [`Interrupted`](FileError::Interrupted), [`OutOfMemory`](FileError::OutOfMemory)
pub fn poll<S: Switch>(
    files: &mut [Polled],
    deadline_ns: Option<u64>,
    interrupted: impl Fn() -> bool,
) -> Result<usize, FileError> {
    let ready = look(files);
    if ready > 0 {
        return Ok(ready);
    }
    if deadline_ns == Some(0) {
        // As Linux: who only looks, and lets a signal in meanwhile, is told of that.
        return if interrupted() { Err(FileError::Interrupted) } else { Ok(0) };
    }
    let sleeper = Arc::new(Sleeper::<S> { thread: S::current(), told: AtomicBool::new(false) });
    let _watches = Watches::join(files, &sleeper)?;
    loop {
        // What was told so far is seen in the files.
        sleeper.told.swap(false, Ordering::AcqRel);
        let ready = look(files);
        if ready > 0 {
            return Ok(ready);
        }
        if interrupted() {
            return Err(FileError::Interrupted);
        }
        if deadline_ns.is_some_and(|deadline_ns| S::now_ns() >= deadline_ns) {
            return Ok(0);
        }
        // What is told from here on is seen: before `prepare` in `told`, after it by the parker.
        sleeper.thread.park().prepare();
        if sleeper.told.load(Ordering::Relaxed) || interrupted() {
            sleeper.thread.park().cancel();
            continue;
        }
        match deadline_ns {
            None => S::block(),
            Some(deadline_ns) => S::block_until(deadline_ns),
        }
    }
}

/// A thread that sleeps until it is told something.
struct Sleeper<S: Switch> {
    thread: Arc<Thread<S::Payload>>,
    told: AtomicBool,
}

impl<S: Switch> Watcher for Sleeper<S> {
    fn notify(&self, _ready: Readiness) {
        self.told.store(true, Ordering::Release);
        // Its exchange orders the store before what the thread reads when it is about to sleep.
        let _ = unpark::<S>(Arc::clone(&self.thread));
    }
}

/// The lists that a sleeper has joined.
struct Watches {
    all: Vec<(Arc<OpenFile>, WatchId)>,
}

impl Watches {
    fn join<S: Switch>(files: &[Polled], sleeper: &Arc<Sleeper<S>>) -> Result<Self, FileError> {
        let mut watches = Self { all: Vec::new() };
        watches.all.try_reserve_exact(files.len()).map_err(|_| FileError::OutOfMemory)?;
        for polled in files {
            if let Some(list) = watched(&polled.file) {
                let id = list.add(Arc::clone(sleeper) as Arc<dyn Watcher>, polled.interest)?;
                watches.all.push((Arc::clone(&polled.file), id));
            }
        }
        Ok(watches)
    }
}

impl Drop for Watches {
    fn drop(&mut self) {
        for (file, id) in &self.all {
            if let Some(list) = watched(file) {
                list.remove(*id);
            }
        }
    }
}

/// Where those stand who watch `file`.
pub(super) fn watched(file: &OpenFile) -> Option<&dyn Watched> {
    file.operations()?.watched()
}

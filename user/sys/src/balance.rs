//! What the kernel has, before a piece of work and after it.
//!
//! Frames that moved into the kernel's own heap and pools are not lost, so they count with the free ones. A kernel keeps
//! things for later (a page of a file, a table, a slab of objects), so work is done once before its losses are counted, and
//! a loss must grow with the number of runs to be a leak. Processes and threads are exact: one is one too many.

use std::fmt;
use std::time::Duration;

use bsd::{Counters, Errno, counters};

use crate::time;

/// How often, and how far apart, the kernel is asked until it has come to rest.
const ASKS: u32 = 100;
const PAUSE: Duration = Duration::from_millis(2);

/// What is compared.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Balance {
    /// Free frames and those of the kernel's heap and pools.
    frames: u64,
    tables: u64,
    anonymous: u64,
    stacks: u64,
    processes: u64,
    threads: u64,
}

/// What is there less, or more of what should be gone.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Losses(Vec<(&'static str, u64, Kind)>);

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Kind {
    /// One is a loss.
    Exact,
    /// One for each run is a loss.
    Cached,
}

impl Balance {
    /// What there is now. The error is of kernels that do not count.
    fn now() -> Result<Self, Errno> {
        let Counters { free_frames, kernel_heap_frames, object_pool_frames, .. } = counters()?;
        let Counters { page_tables, user_anonymous, stacks, processes, threads, .. } = counters()?;
        let frames = free_frames + kernel_heap_frames + object_pool_frames;
        Ok(Self { frames, tables: page_tables, anonymous: user_anonymous, stacks, processes, threads })
    }

    /// What there is when nothing changes any more.
    ///
    /// # Errors
    ///
    /// `NOSYS` of kernels that do not count.
    pub fn at_rest() -> Result<Self, Errno> {
        let mut last = Self::now()?;
        for _ in 0..ASKS {
            pause();
            let now = Self::now()?;
            if now == last {
                break;
            }
            last = now;
        }
        Ok(last)
    }

    /// What is missing now, of this; asked again for a while, as ends of processes may still be under way.
    ///
    /// # Errors
    ///
    /// `NOSYS` of kernels that do not count.
    pub fn losses(&self) -> Result<Losses, Errno> {
        let mut losses = self.compare(Self::now()?);
        for _ in 0..ASKS {
            if losses.0.is_empty() {
                break;
            }
            pause();
            losses = self.compare(Self::now()?);
        }
        Ok(losses)
    }

    fn compare(&self, now: Self) -> Losses {
        let all = [
            ("frames", self.frames.saturating_sub(now.frames), Kind::Cached),
            ("tables", now.tables.saturating_sub(self.tables), Kind::Cached),
            ("anonymous pages", now.anonymous.saturating_sub(self.anonymous), Kind::Cached),
            ("stacks", now.stacks.saturating_sub(self.stacks), Kind::Cached),
            ("processes", now.processes.saturating_sub(self.processes), Kind::Exact),
            ("threads", now.threads.saturating_sub(self.threads), Kind::Exact),
        ];
        Losses(all.into_iter().filter(|&(_, lost, _)| lost > 0).collect())
    }
}

impl Losses {
    /// Nothing is missing.
    #[must_use]
    pub fn none(&self) -> bool {
        self.0.is_empty()
    }

    /// What was missing `before`, too.
    #[must_use]
    pub fn again(self, before: &Self) -> Self {
        let was_missing = |name| before.0.iter().any(|&(other, ..)| other == name);
        Self(self.0.into_iter().filter(|&(name, ..)| was_missing(name)).collect())
    }

    /// What is a leak after so many runs.
    #[must_use]
    pub fn leaks(self, runs: u64) -> Self {
        let is_leak = |&(_, lost, kind): &(_, u64, Kind)| kind == Kind::Exact || lost >= runs;
        Self(self.0.into_iter().filter(is_leak).collect())
    }
}

impl fmt::Display for Losses {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("lost")?;
        self.0.iter().try_for_each(|(name, lost, _)| write!(f, " {lost} {name}"))
    }
}

/// Waits a little; where the kernel cannot sleep, only yields.
fn pause() {
    if time::sleep(PAUSE).is_err() {
        std::thread::yield_now();
    }
}

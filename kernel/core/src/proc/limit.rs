//! Resource limits.
//!
//! A process holds an `Arc<Limits>`: fork shares it, and whoever changes a limit copies it first (`Arc::make_mut`). What
//! a limit means is the business of those who hand the resource out.

mod resource;
#[cfg(all(test, not(loom)))]
mod tests;

pub use resource::Resource;

/// No limit: `RLIM_INFINITY`.
pub const INFINITY: u64 = u64::MAX;

/// A soft and a hard limit: `struct rlimit64`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Limit {
    /// What is enforced.
    pub soft: u64,
    /// What the process may raise the soft limit to.
    pub hard: u64,
}

impl Limit {
    /// The size of the program's structure.
    pub const BYTES: usize = 16;

    /// No limit.
    pub const INFINITE: Self = Self::both(INFINITY);

    /// Soft and hard the same.
    #[must_use]
    pub const fn both(limit: u64) -> Self {
        Self { soft: limit, hard: limit }
    }

    /// From the program's structure.
    #[must_use]
    pub fn from_linux(bytes: [u8; Self::BYTES]) -> Self {
        let both = u128::from_le_bytes(bytes);
        let [soft, hard] = [both, both >> 64].map(|half| {
            #[expect(clippy::cast_possible_truncation, reason = "that half of it")]
            let half = half as u64;
            half
        });
        Self { soft, hard }
    }

    /// As the program's structure.
    #[must_use]
    pub fn to_linux(self) -> [u8; Self::BYTES] {
        (u128::from(self.soft) | u128::from(self.hard) << 64).to_le_bytes()
    }
}

/// Why a limit cannot be set.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LimitError {
    /// The soft limit is above the hard one.
    Crossed,
    /// Only the privileged raise a hard limit, and nobody beyond what the kernel can keep.
    NotPermitted,
}

/// The limits of a process.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Limits {
    table: [Limit; Resource::COUNT],
}

impl Limits {
    /// The soft limit to an ordinary user's processes.
    pub const USER_PROCESSES: u64 = 80;

    /// The most file descriptors that a process can be allowed.
    pub const MAX_OPEN_FILES: u64 = 1 << 20;

    /// What the first process gets, where `max_processes` fit the process table.
    #[must_use]
    pub fn initial(max_processes: u64) -> Self {
        Self { table: Resource::ALL.map(|resource| resource.initial(max_processes)) }
    }

    /// The limit to `resource`.
    #[must_use]
    pub const fn get(&self, resource: Resource) -> Limit {
        self.table[resource as usize]
    }

    /// Sets a limit that has been accepted; returns the one before.
    pub(super) const fn replace(&mut self, resource: Resource, limit: Limit) -> Limit {
        core::mem::replace(&mut self.table[resource as usize], limit)
    }

    /// What is enforced of `resource`.
    #[must_use]
    pub const fn soft(&self, resource: Resource) -> u64 {
        self.get(resource).soft
    }

    /// Sets the limit to `resource`, for a caller who is privileged or not, and returns the one before. A limit to
    /// processes above `max_processes` becomes that.
    ///
    /// # Errors
    ///
    /// [`LimitError`]; nothing has changed then.
    pub fn set(
        &mut self,
        resource: Resource,
        limit: Limit,
        is_root: bool,
        max_processes: u64,
    ) -> Result<Limit, LimitError> {
        let accepted = self.accept(resource, limit, is_root, max_processes)?;
        Ok(self.replace(resource, accepted))
    }

    /// What [`set`](Self::set) would store: for a holder who copies the shared limits only once it is known that they
    /// change.
    ///
    /// # Errors
    ///
    /// [`LimitError`]
    pub fn accept(
        &self,
        resource: Resource,
        limit: Limit,
        is_root: bool,
        max_processes: u64,
    ) -> Result<Limit, LimitError> {
        if limit.soft > limit.hard {
            return Err(LimitError::Crossed);
        }
        let too_much = resource == Resource::OpenFiles && limit.hard > Self::MAX_OPEN_FILES;
        if too_much || (!is_root && limit.hard > self.get(resource).hard) {
            return Err(LimitError::NotPermitted);
        }
        Ok(match resource {
            Resource::Processes => Limit { soft: limit.soft.min(max_processes), hard: limit.hard.min(max_processes) },
            _ => limit,
        })
    }
}

//! The groups that a process is in besides its own.

use alloc::sync::Arc;

/// More groups than [`Groups::MOST`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TooManyGroups;

/// A few groups, in ascending order. Copies share them, and none at all takes no memory.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Groups(Option<Arc<[u32]>>);

impl Groups {
    /// The most that a process can be in.
    pub const MOST: usize = 64;

    /// No groups.
    pub const NONE: Self = Self(None);

    /// These groups.
    ///
    /// # Errors
    ///
    /// [`TooManyGroups`]
    pub fn new(groups: &[u32]) -> Result<Self, TooManyGroups> {
        let mut sorted = heapless::Vec::<u32, { Self::MOST }>::from_slice(groups).map_err(|_| TooManyGroups)?;
        sorted.sort_unstable();
        Ok(Self((!sorted.is_empty()).then(|| Arc::from(sorted.as_slice()))))
    }

    /// The groups, in ascending order.
    #[must_use]
    pub fn as_slice(&self) -> &[u32] {
        self.0.as_deref().unwrap_or_default()
    }

    /// Whether `group` is among them.
    #[must_use]
    pub fn contains(&self, group: u32) -> bool {
        self.as_slice().binary_search(&group).is_ok()
    }
}

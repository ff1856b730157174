//! Four ids of one kind, and how they change.

/// The process may not do that.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct NotPermitted;

/// An id as a call names it, where −1 stands for none.
#[must_use]
pub const fn given(raw: u32) -> Option<u32> {
    if raw == u32::MAX { None } else { Some(raw) }
}

/// The user ids of a process, or its group ids.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Ids {
    /// Whose it is: limits are charged to the real user id.
    pub real: u32,
    /// Whose rights it has.
    pub effective: u32,
    /// Whose rights it may take up again.
    pub saved: u32,
    /// Whose rights it has to files; follows `effective`.
    pub fs: u32,
}

impl Ids {
    /// All four the same.
    #[must_use]
    pub const fn all(id: u32) -> Self {
        Self { real: id, effective: id, saved: id, fs: id }
    }

    /// `setuid`: the privileged change all, others choose between real and saved id.
    pub(super) const fn set(self, id: u32, privileged: bool) -> Result<Self, NotPermitted> {
        if privileged {
            return Ok(Self::all(id));
        }
        if id != self.real && id != self.saved {
            return Err(NotPermitted);
        }
        Ok(Self { effective: id, fs: id, ..self })
    }

    /// `setreuid`. The saved id follows unless all that changed is the effective id, to the real one.
    pub(super) fn set_real_effective(
        self,
        real: Option<u32>,
        effective: Option<u32>,
        privileged: bool,
    ) -> Result<Self, NotPermitted> {
        let real_fits = real.is_none_or(|id| id == self.real || id == self.effective);
        let effective_fits = effective.is_none_or(|id| self.has(id));
        if !(privileged || real_fits && effective_fits) {
            return Err(NotPermitted);
        }
        let new = effective.unwrap_or(self.effective);
        let follows = real.is_some() || effective.is_some_and(|id| id != self.real);
        Ok(Self {
            real: real.unwrap_or(self.real),
            effective: new,
            saved: if follows { new } else { self.saved },
            fs: new,
        })
    }

    /// `setresuid`: the unprivileged permute what they have.
    pub(super) fn set_each(
        self,
        real: Option<u32>,
        effective: Option<u32>,
        saved: Option<u32>,
        privileged: bool,
    ) -> Result<Self, NotPermitted> {
        let fits = [real, effective, saved].into_iter().flatten().all(|id| self.has(id));
        if !(privileged || fits) {
            return Err(NotPermitted);
        }
        let effective = effective.unwrap_or(self.effective);
        Ok(Self { real: real.unwrap_or(self.real), effective, saved: saved.unwrap_or(self.saved), fs: effective })
    }

    /// `setfsuid`
    pub(super) const fn set_fs(self, id: u32, privileged: bool) -> Result<Self, NotPermitted> {
        if privileged || self.has(id) || id == self.fs { Ok(Self { fs: id, ..self }) } else { Err(NotPermitted) }
    }

    /// After exec: the file's id if it gives one, and the effective id saved.
    pub(super) fn executed(self, of_file: Option<u32>) -> Self {
        let effective = of_file.unwrap_or(self.effective);
        Self { effective, saved: effective, fs: effective, ..self }
    }

    /// Whether `id` is the real, effective or saved one.
    const fn has(self, id: u32) -> bool {
        id == self.real || id == self.effective || id == self.saved
    }
}

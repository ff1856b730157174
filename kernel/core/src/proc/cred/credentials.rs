//! User ids, group ids and groups together.

use super::groups::{Groups, TooManyGroups};
use super::ids::{Ids, NotPermitted};
use crate::signal::Signal;

/// Who a process is.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Credentials {
    /// Its user ids.
    pub uid: Ids,
    /// Its group ids.
    pub gid: Ids,
    /// The groups it is in besides.
    pub groups: Groups,
}

/// Why groups cannot be set.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum GroupsError {
    /// That is for the privileged.
    NotPermitted,
    /// Too many.
    TooMany,
}

impl From<TooManyGroups> for GroupsError {
    fn from(TooManyGroups: TooManyGroups) -> Self {
        Self::TooMany
    }
}

/// What a program file says about the ids of those who execute it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct SetIds {
    /// The owner, if the file has `S_ISUID`.
    pub uid: Option<u32>,
    /// The group, if the file has `S_ISGID`, and `S_IXGRP` as well.
    pub gid: Option<u32>,
}

impl SetIds {
    /// Of a file with this mode, owner and group.
    #[must_use]
    pub const fn of_file(mode: u32, uid: u32, gid: u32) -> Self {
        const SET_UID: u32 = 0o4000;
        // Without the right to execute, set-group-id once marked a file for mandatory locking.
        const SET_GID: u32 = 0o2010;
        Self {
            uid: if mode & SET_UID == SET_UID { Some(uid) } else { None },
            gid: if mode & SET_GID == SET_GID { Some(gid) } else { None },
        }
    }
}

/// The credentials of a new program.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Executed {
    /// Who the process is now.
    pub credentials: Credentials,
    /// Whether the file changed who it is. A tracer must not come along, nor may its parent signal its death otherwise
    /// than by `SIGCHLD`.
    pub changed: bool,
    /// Whether the program has rights that its user has not: `AT_SECURE`.
    pub secure: bool,
}

/// Whose rights count for a file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct AccessIds<'a> {
    /// The user.
    pub uid: u32,
    /// The user's group.
    pub gid: u32,
    /// The user's further groups, in ascending order.
    pub groups: &'a [u32],
}

/// Which three bits of a file's mode count. It is the first class that fits, even where a later one would allow more.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum AccessClass {
    /// Those of the owner.
    Owner,
    /// Those of the group.
    Group,
    /// Those of everybody else.
    Other,
}

impl Credentials {
    /// The superuser, in no further group.
    pub const ROOT: Self = Self {
        uid: Ids { real: 0, effective: 0, saved: 0, fs: 0 },
        gid: Ids { real: 0, effective: 0, saved: 0, fs: 0 },
        groups: Groups::NONE,
    };

    /// An ordinary user, in no further group.
    #[must_use]
    pub const fn user(uid: u32, gid: u32) -> Self {
        Self { uid: Ids::all(uid), gid: Ids::all(gid), groups: Groups::NONE }
    }

    /// Whether it is privileged.
    #[must_use]
    pub const fn is_root(&self) -> bool {
        self.uid.effective == 0
    }

    /// After `setuid`.
    ///
    /// # Errors
    ///
    /// [`NotPermitted`], here and below.
    pub fn setuid(&self, uid: u32) -> Result<Self, NotPermitted> {
        self.with_uid(self.uid.set(uid, self.is_root()))
    }

    /// After `setgid`.
    ///
    /// # Errors
    ///
    /// [`NotPermitted`]
    pub fn setgid(&self, gid: u32) -> Result<Self, NotPermitted> {
        self.with_gid(self.gid.set(gid, self.is_root()))
    }

    /// After `seteuid`.
    ///
    /// # Errors
    ///
    /// [`NotPermitted`]
    pub fn seteuid(&self, uid: u32) -> Result<Self, NotPermitted> {
        self.setresuid(None, Some(uid), None)
    }

    /// After `setegid`.
    ///
    /// # Errors
    ///
    /// [`NotPermitted`]
    pub fn setegid(&self, gid: u32) -> Result<Self, NotPermitted> {
        self.setresgid(None, Some(gid), None)
    }

    /// After `setreuid`; what is `None` stays.
    ///
    /// # Errors
    ///
    /// [`NotPermitted`]
    pub fn setreuid(&self, real: Option<u32>, effective: Option<u32>) -> Result<Self, NotPermitted> {
        self.with_uid(self.uid.set_real_effective(real, effective, self.is_root()))
    }

    /// After `setregid`; what is `None` stays.
    ///
    /// # Errors
    ///
    /// [`NotPermitted`]
    pub fn setregid(&self, real: Option<u32>, effective: Option<u32>) -> Result<Self, NotPermitted> {
        self.with_gid(self.gid.set_real_effective(real, effective, self.is_root()))
    }

    /// After `setresuid`; what is `None` stays.
    ///
    /// # Errors
    ///
    /// [`NotPermitted`]
    pub fn setresuid(
        &self,
        real: Option<u32>,
        effective: Option<u32>,
        saved: Option<u32>,
    ) -> Result<Self, NotPermitted> {
        self.with_uid(self.uid.set_each(real, effective, saved, self.is_root()))
    }

    /// After `setresgid`; what is `None` stays.
    ///
    /// # Errors
    ///
    /// [`NotPermitted`]
    pub fn setresgid(
        &self,
        real: Option<u32>,
        effective: Option<u32>,
        saved: Option<u32>,
    ) -> Result<Self, NotPermitted> {
        self.with_gid(self.gid.set_each(real, effective, saved, self.is_root()))
    }

    /// After `setfsuid`. (The call itself returns the id before, and no error.)
    ///
    /// # Errors
    ///
    /// [`NotPermitted`]
    pub fn setfsuid(&self, uid: u32) -> Result<Self, NotPermitted> {
        self.with_uid(self.uid.set_fs(uid, self.is_root()))
    }

    /// After `setfsgid`.
    ///
    /// # Errors
    ///
    /// [`NotPermitted`]
    pub fn setfsgid(&self, gid: u32) -> Result<Self, NotPermitted> {
        self.with_gid(self.gid.set_fs(gid, self.is_root()))
    }

    /// After `setgroups`.
    ///
    /// # Errors
    ///
    /// [`GroupsError`]
    pub fn setgroups(&self, groups: &[u32]) -> Result<Self, GroupsError> {
        if !self.is_root() {
            return Err(GroupsError::NotPermitted);
        }
        Ok(Self { groups: Groups::new(groups)?, ..self.clone() })
    }

    /// After exec of a file that sets these ids.
    #[must_use]
    pub fn executed(&self, set: SetIds) -> Executed {
        let uid = self.uid.executed(set.uid);
        let gid = self.gid.executed(set.gid);
        Executed {
            changed: uid.effective != self.uid.effective || gid.effective != self.gid.effective,
            secure: uid.effective != uid.real || gid.effective != gid.real,
            credentials: Self { uid, gid, groups: self.groups.clone() },
        }
    }

    /// Whether exec of a file that sets no ids leaves these credentials as they are: most often it does, and the holder
    /// keeps its shared ones.
    #[must_use]
    pub fn are_settled(&self) -> bool {
        self.uid == self.uid.executed(None) && self.gid == self.gid.executed(None)
    }

    /// Whether it may send `signal` to a process with the credentials `target`: the real or effective user id is the
    /// target's real or saved one. `SIGCONT` may go to all of the session.
    #[must_use]
    pub fn may_signal(&self, target: &Self, signal: Option<Signal>, same_session: bool) -> bool {
        let known = |id: u32| id == target.uid.real || id == target.uid.saved;
        self.is_root()
            || known(self.uid.effective)
            || known(self.uid.real)
            || (same_session && signal == Some(Signal::CONT))
    }

    /// Whether it is in `group`, as far as files are concerned.
    #[must_use]
    pub fn in_group(&self, group: u32) -> bool {
        self.gid.fs == group || self.groups.contains(group)
    }

    /// Whose rights to files it has.
    #[must_use]
    pub fn access_ids(&self) -> AccessIds<'_> {
        AccessIds { uid: self.uid.fs, gid: self.gid.fs, groups: self.groups.as_slice() }
    }

    /// Whose rights `access(2)` asks for: those of the user who started the program.
    #[must_use]
    pub fn real_access_ids(&self) -> AccessIds<'_> {
        AccessIds { uid: self.uid.real, gid: self.gid.real, groups: self.groups.as_slice() }
    }

    fn with_uid(&self, uid: Result<Ids, NotPermitted>) -> Result<Self, NotPermitted> {
        Ok(Self { uid: uid?, ..self.clone() })
    }

    fn with_gid(&self, gid: Result<Ids, NotPermitted>) -> Result<Self, NotPermitted> {
        Ok(Self { gid: gid?, ..self.clone() })
    }
}

impl AccessIds<'_> {
    /// Which bits of a file's mode count for them.
    #[must_use]
    pub fn class(&self, owner: u32, group: u32) -> AccessClass {
        if self.uid == owner {
            AccessClass::Owner
        } else if self.gid == group || self.groups.binary_search(&group).is_ok() {
            AccessClass::Group
        } else {
            AccessClass::Other
        }
    }
}

//! Process groups and sessions.
//!
//! A group is **orphaned** when nobody is left who could move it between foreground and background: when no living
//! member has a parent that is in another group of the same session. Such a parent is an *anchor* here, and each group
//! counts its anchored members, so that nobody walks the tree to know. What changes the count: a link, an exit, another
//! parent, another group, for the process itself and for its children. A group that is orphaned while a member is
//! stopped is remembered until somebody tells it (POSIX `_exit`, "Consequences of Process Termination").

use super::{Life, Tree};
use crate::proc::arena::{Chain, List, Slot};
use crate::proc::group::{GroupError, Terminal};
use crate::proc::id::Pid;

/// A process group.
pub(in crate::proc) struct Group {
    pub(super) members: List,
    session: Pid,
    /// How many living members have a parent in another group of the session.
    anchored: u32,
}

/// A session.
pub(in crate::proc) struct Session {
    groups: u32,
    leader: Option<Slot>,
    terminal: Option<Terminal>,
}

impl<P: Clone, T: Clone> Tree<P, T> {
    /// The group that a process is in.
    pub(in crate::proc) fn group(&self, slot: Slot) -> Pid {
        self.nodes.get(slot).group
    }

    /// The session that a process is in.
    pub(in crate::proc) fn session(&self, slot: Slot) -> Pid {
        self.session_of_group(self.nodes.get(slot).group).unwrap_or(Pid::SYSTEM)
    }

    /// The session that a group belongs to, if there is such a group.
    pub(in crate::proc) fn session_of_group(&self, group: Pid) -> Option<Pid> {
        self.groups.get(group.0).map(|group| group.session)
    }

    /// Whether the process leads its session.
    pub(in crate::proc) fn leads_session(&self, slot: Slot) -> bool {
        self.may_lead(slot)
            && self.sessions.get(self.session(slot).0).is_some_and(|session| session.leader == Some(slot))
    }

    /// Whether the process has its group's number. Who leads a session founded it with a group, which it cannot leave.
    fn may_lead(&self, slot: Slot) -> bool {
        let node = self.nodes.get(slot);
        node.group == node.pid
    }

    /// The session's controlling terminal.
    pub(in crate::proc) fn terminal(&self, session: Pid) -> Option<Terminal> {
        self.sessions.get(session.0)?.terminal
    }

    /// Gives the session a controlling terminal, or none; returns the former one.
    pub(in crate::proc) fn set_terminal(&mut self, session: Pid, terminal: Option<Terminal>) -> Option<Terminal> {
        self.sessions.get_mut(session.0).and_then(|session| core::mem::replace(&mut session.terminal, terminal))
    }

    /// The session of this terminal.
    pub(in crate::proc) fn session_of_terminal(&self, device: u64) -> Option<Pid> {
        let leads = |session: &&Session| session.terminal.is_some_and(|terminal| terminal.device == device);
        self.sessions.values().find(leads).and_then(|session| session.leader).map(|leader| self.session(leader))
    }

    /// If the process leads its session, nobody does any more.
    pub(super) fn stop_leading(&mut self, slot: Slot) {
        if !self.may_lead(slot) {
            return;
        }
        let session = self.session(slot);
        if let Some(session) = self.sessions.get_mut(session.0).filter(|session| session.leader == Some(slot)) {
            session.leader = None;
        }
    }

    /// Whether nobody is left to move this group between foreground and background.
    pub(in crate::proc) fn is_orphaned(&self, group: Pid) -> bool {
        self.groups.get(group.0).is_none_or(|group| group.anchored == 0)
    }

    /// A group that was orphaned with stopped members and has not been told.
    pub(in crate::proc) fn take_orphaned(&mut self) -> Option<Pid> {
        self.orphaned.pop()
    }

    /// The first member of a group.
    pub(in crate::proc) fn first_member(&self, group: Pid) -> Option<Slot> {
        self.groups.get(group.0)?.members.first()
    }

    /// The members of a group, zombies too and no embryos.
    pub(in crate::proc) fn members(&self, group: Pid) -> impl Iterator<Item = Slot> {
        let members = self.groups.get(group.0).map_or(List::EMPTY, |group| group.members);
        members.iter(&self.nodes, Chain::Group).filter(|&slot| self.nodes.get(slot).life != Life::Embryo)
    }

    /// Moves `target` into `group`, as POSIX's `setpgid` allows its `caller`.
    pub(in crate::proc) fn set_group(
        &mut self,
        caller: Slot,
        target: Slot,
        group: Pid,
        has_executed: impl FnOnce(&P) -> bool,
    ) -> Result<(), GroupError> {
        let node = self.nodes.get(target);
        if target != caller {
            if node.parent != Some(caller) || node.life != Life::Alive {
                return Err(GroupError::NoSuchProcess);
            }
            if self.session(target) != self.session(caller) {
                return Err(GroupError::NotPermitted);
            }
            if node.process.as_ref().is_some_and(has_executed) {
                return Err(GroupError::HasExecuted);
            }
        }
        if self.leads_session(target) {
            return Err(GroupError::NotPermitted);
        }
        let session = self.session(target);
        match self.session_of_group(group) {
            Some(theirs) if theirs != session => return Err(GroupError::NotPermitted),
            None if group != node.pid => return Err(GroupError::NotPermitted),
            _ => {}
        }
        if node.group != group {
            self.change_group(target, |tree| tree.join_group(target, group, session));
        }
        Ok(())
    }

    /// Makes a process that leads no group the leader of a session and of a group, both of its number.
    pub(in crate::proc) fn set_session(&mut self, slot: Slot) -> Result<Pid, GroupError> {
        let pid = self.nodes.get(slot).pid;
        if self.groups.contains(pid.0) || self.sessions.contains(pid.0) {
            return Err(GroupError::NotPermitted);
        }
        self.change_group(slot, |tree| tree.found_session(slot));
        Ok(pid)
    }

    /// A new session with a new group, led by a process that is in none.
    pub(super) fn found_session(&mut self, slot: Slot) {
        let pid = self.nodes.get(slot).pid;
        self.sessions.insert(pid.0, Session { groups: 0, leader: Some(slot), terminal: None });
        self.join_group(slot, pid, pid);
    }

    /// Puts a process that is in no group into one, which is founded if need be.
    fn join_group(&mut self, slot: Slot, group: Pid, session: Pid) {
        if !self.groups.contains(group.0) {
            self.groups.insert(group.0, Group { members: List::EMPTY, session, anchored: 0 });
            if let Some(session) = self.sessions.get_mut(session.0) {
                session.groups += 1;
            }
        }
        if let Some(group) = self.groups.get_mut(group.0) {
            group.members.push_back(&mut self.nodes, Chain::Group, slot);
        }
        self.nodes.get_mut(slot).group = group;
    }

    /// Takes a process out of its group. An empty group is gone, and with its last group a session.
    pub(super) fn leave_group(&mut self, slot: Slot) {
        let number = self.nodes.get(slot).group;
        let Some(group) = self.groups.get_mut(number.0) else { return };
        group.members.remove(&mut self.nodes, Chain::Group, slot);
        if !group.members.is_empty() {
            return;
        }
        let session = group.session;
        self.groups.remove(number.0);
        if let Some(place) = self.sessions.get_mut(session.0) {
            place.groups -= 1;
            if place.groups == 0 {
                self.sessions.remove(session.0);
            }
        }
    }

    /// Takes a process from its group to another, with all counts.
    fn change_group(&mut self, slot: Slot, join: impl FnOnce(&mut Self)) {
        let old = self.nodes.get(slot).group;
        let (old_session, was_orphaned) = (self.session_of_group(old), self.is_orphaned(old));
        self.uncount(slot);
        self.each_child(slot, |tree, child| {
            tree.uncount(child);
        });
        self.leave_group(slot);
        join(self);
        self.anchor(slot);
        self.each_child(slot, Self::anchor);
        // Only now is it known who has lost his last anchor: most children have but changed theirs. A group that had none
        // before has lost nothing.
        if !was_orphaned {
            self.note_orphaned(old);
        }
        self.each_child(slot, |tree, child| {
            let group = tree.nodes.get(child).group;
            if group != old && tree.session_of_group(group) == old_session {
                tree.note_orphaned(group);
            }
        });
    }

    fn each_child(&mut self, slot: Slot, mut act: impl FnMut(&mut Self, Slot)) {
        let mut next = self.nodes.get(slot).children.first();
        while let Some(child) = next {
            act(self, child);
            next = self.next(child, Chain::Siblings);
        }
    }

    /// The process after this one in a list that it is in.
    pub(in crate::proc) fn next(&self, slot: Slot, chain: Chain) -> Option<Slot> {
        self.nodes.get(slot).links[chain as usize].following()
    }

    /// Counts the process as anchored, if it is.
    #[inline]
    pub(super) fn anchor(&mut self, slot: Slot) {
        if self.is_anchored(slot)
            && let Some(group) = self.groups.get_mut(self.nodes.get(slot).group.0)
        {
            group.anchored += 1;
        }
    }

    /// Counts it no more, and notes a group that is orphaned by that.
    pub(super) fn unanchor(&mut self, slot: Slot) {
        if self.uncount(slot) {
            self.note_orphaned(self.nodes.get(slot).group);
        }
    }

    pub(super) fn uncount(&mut self, slot: Slot) -> bool {
        let anchored = self.is_anchored(slot);
        if anchored && let Some(group) = self.groups.get_mut(self.nodes.get(slot).group.0) {
            group.anchored -= 1;
        }
        anchored
    }

    #[inline]
    fn is_anchored(&self, slot: Slot) -> bool {
        let node = self.nodes.get(slot);
        let Some(parent) = node.parent.map(|parent| self.nodes.get(parent)) else { return false };
        // Most are in their parent's group, and there the look ends.
        node.life == Life::Alive && parent.group != node.group && self.same_session(parent.group, node.group)
    }

    #[inline(never)]
    fn same_session(&self, group: Pid, other: Pid) -> bool {
        self.session_of_group(group) == self.session_of_group(other)
    }

    pub(super) fn note_orphaned(&mut self, group: Pid) {
        let held = |slot| self.nodes.get(slot).stopped;
        if self.is_orphaned(group) && !self.orphaned.contains(&group) && self.members(group).any(held) {
            self.orphaned.push(group);
        }
    }
}

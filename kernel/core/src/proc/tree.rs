//! The tree of processes as plain data: who has which number, whose child is whose, the groups and sessions, and what
//! each child has to report to its parent.
//!
//! It knows nothing of what a process is: `P` hangs on each node, `T` on each thread's number. One lock guards it all
//! (`Rank::ProcessTree`), so that a fork, an exit, a wait and a signal to a group are each one step to all others.
//!
//! A node is an **embryo** from the drawing of its number until the fork links it: nobody finds it by its number, meets
//! it in a list or waits for it, but the number is taken ([`Tree::reserve`]). It is **alive** from the link on, a
//! **zombie** from its exit until it is reaped.
//!
//! [`reports`](mod@reports) has the news of children, [`groups`](mod@groups) the groups and sessions.

pub(super) mod groups;
pub(super) mod reports;

use alloc::vec::Vec;

use self::groups::{Group, Session};
use super::arena::{Arena, Chain, Link, Linked, List, Slot};
use super::id::{Numbering, Numbers, Pairs, Pid, Source, beginning_with, draw_thread};
use super::map::{NoMemory, NumberMap};
use super::wait::ChildKind;
use crate::signal::Signal;

/// Where a process is in its life.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Life {
    /// It has a number and is being made.
    Embryo,
    /// It is linked.
    Alive,
    /// It has exited and waits to be reaped.
    Zombie,
}

/// Something that happened to a process and that its parent has not been told.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Report {
    /// This signal stopped it.
    Stopped(Signal),
    /// It goes on.
    Continued,
}

/// A process's place in the tree.
pub(super) struct Node<P> {
    pid: Pid,
    life: Life,
    /// None only in an embryo.
    process: Option<P>,
    parent: Option<Slot>,
    children: List,
    /// Those of the children that have something to report, the first to be told first.
    news: List,
    /// The group's number. An embryo has none: it joins its parent's when it is linked.
    group: Pid,
    kind: ChildKind,
    report: Option<Report>,
    in_news: bool,
    /// Whether a signal holds it; its group is told when it is orphaned.
    stopped: bool,
    links: [Link; 3],
}

impl<P> Linked for Node<P> {
    fn links(&self) -> &[Link; 3] {
        &self.links
    }

    fn links_mut(&mut self) -> &mut [Link; 3] {
        &mut self.links
    }
}

impl<P> Node<P> {
    fn embryo(pid: Pid) -> Self {
        Self {
            pid,
            life: Life::Embryo,
            process: None,
            parent: None,
            children: List::EMPTY,
            news: List::EMPTY,
            group: Pid::SYSTEM,
            kind: ChildKind::Ordinary,
            report: None,
            in_news: false,
            stopped: false,
            links: [Link::default(); 3],
        }
    }
}

/// A number and a place in the tree for a process that is being made, and a number for its thread.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Reserved {
    pub(super) pid: Pid,
    pub(super) slot: Slot,
    pub(super) thread: u32,
}

/// Where in the tree a child goes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Place {
    /// Who forked it: it joins that one's group.
    pub(super) forker: Slot,
    /// Whose child it is: the forker's, but for siblings.
    pub(super) parent: Slot,
    pub(super) kind: ChildKind,
}

/// The tree of processes.
pub(super) struct Tree<P, T> {
    nodes: Arena<Node<P>>,
    pids: NumberMap<Slot>,
    /// A thread that is being made has its number and no object yet.
    threads: NumberMap<Option<T>>,
    groups: NumberMap<Group>,
    sessions: NumberMap<Session>,
    /// Groups with stopped members that have lost their last anchor, until somebody tells them.
    orphaned: Vec<Pid>,
    numbers: Numbers,
    pairs: Pairs,
}

impl<P: Clone, T: Clone> Tree<P, T> {
    pub(super) const fn new() -> Self {
        Self {
            nodes: Arena::new(),
            pids: NumberMap::new(),
            threads: NumberMap::new(),
            groups: NumberMap::new(),
            sessions: NumberMap::new(),
            orphaned: Vec::new(),
            numbers: Numbers::new(),
            pairs: Pairs::new(),
        }
    }

    pub(super) fn set_numbering(&mut self, numbering: Numbering) {
        self.numbers.set_numbering(numbering);
    }

    /// Draws the numbers of a process and its thread, and takes all the room that the process can need: as a member of
    /// the tree, as the founder of a group and of a session. From here on nothing in the tree can fail.
    pub(super) fn reserve(&mut self, source: &mut impl Source) -> Result<Reserved, NoMemory> {
        let total = self.pids.len() + 1;
        self.pids.reserve(total)?;
        self.groups.reserve(total + 1)?;
        self.sessions.reserve(total + 1)?;
        self.orphaned.try_reserve(total).map_err(|_| NoMemory)?;
        let taken =
            |pid: Pid| self.pids.contains(pid.0) || self.groups.contains(pid.0) || self.sessions.contains(pid.0);
        let (for_pid, for_thread) = self.pairs.next(source);
        let uniform = &mut |bound| source.uniform(bound);
        let pid = self.numbers.draw(&mut beginning_with(for_pid, uniform), taken).ok_or(NoMemory)?;
        let thread = self.reserve_thread(&mut beginning_with(for_thread, uniform))?;
        let slot = match self.nodes.insert(Node::embryo(pid)) {
            Ok(slot) => slot,
            Err(NoMemory) => {
                self.remove_thread(thread);
                return Err(NoMemory);
            }
        };
        self.pids.insert(pid.0, slot);
        Ok(Reserved { pid, slot, thread })
    }

    /// Gives up what was reserved. Nobody has seen the number, so it is not kept back.
    pub(super) fn cancel(&mut self, reserved: Reserved) {
        self.remove_thread(reserved.thread);
        self.pids.remove(reserved.pid.0);
        let node = self.nodes.remove(reserved.slot);
        debug_assert_eq!(node.life, Life::Embryo, "what is linked is not taken back");
    }

    /// Plants the first process, whose thread's number is reserved; it has no parent and founds group and session 0.
    pub(super) fn plant(&mut self, make: impl FnOnce(Slot) -> (P, T), thread: u32) -> Result<(), NoMemory> {
        self.pids.reserve(1)?;
        self.groups.reserve(1)?;
        self.sessions.reserve(1)?;
        let slot = self.nodes.insert(Node::embryo(Pid::SYSTEM))?;
        let (process, object) = make(slot);
        self.pids.insert(Pid::SYSTEM.0, slot);
        self.enter_thread(thread, object);
        self.found_session(slot);
        let node = self.nodes.get_mut(slot);
        node.process = Some(process);
        node.life = Life::Alive;
        Ok(())
    }

    /// Links a child: its thread by number, itself by number, into its forker's group right after that one, and first
    /// among its parent's children. It stays an embryo until [`hatch`](Self::hatch).
    pub(super) fn link(&mut self, reserved: Reserved, place: Place, process: P, thread: T) {
        self.enter_thread(reserved.thread, thread);
        let slot = reserved.slot;
        let Place { forker, parent, kind } = place;
        let group = self.nodes.get(forker).group;
        let node = self.nodes.get_mut(slot);
        node.process = Some(process);
        node.parent = Some(parent);
        node.kind = kind;
        node.group = group;
        if let Some(group) = self.groups.get_mut(group.0) {
            group.members.insert_after(&mut self.nodes, Chain::Group, forker, slot);
        }
        self.with_list(parent, Which::Children, |list, nodes| list.push_front(nodes, Chain::Siblings, slot));
    }

    /// The embryo is complete: from now on everybody may find it.
    pub(super) fn hatch(&mut self, slot: Slot) {
        self.nodes.get_mut(slot).life = Life::Alive;
        self.anchor(slot);
    }

    /// The process exits: it becomes a zombie and leads no session, its children get `heir` for a parent. Calls `adopted` for each of those.
    /// Says whether one of them has something to report to the heir.
    pub(super) fn exit(&mut self, slot: Slot, heir: Slot, mut adopted: impl FnMut(&P)) -> bool {
        self.unanchor(slot);
        self.stop_leading(slot);
        let node = self.nodes.get_mut(slot);
        node.life = Life::Zombie;
        node.stopped = false;
        node.report = None;
        let mut news = false;
        while let Some(child) = self.nodes.get(slot).children.first() {
            self.reparent(child, heir);
            let node = self.nodes.get_mut(child);
            node.kind = ChildKind::Ordinary;
            news |= node.in_news;
            if let Some(process) = &node.process {
                adopted(process);
            }
        }
        news
    }

    /// Gives the child another parent, and its news with it.
    pub(super) fn reparent(&mut self, child: Slot, parent: Slot) {
        let was_anchored = self.uncount(child);
        let in_news = self.nodes.get(child).in_news;
        if let Some(old) = self.nodes.get(child).parent {
            self.with_list(old, Which::Children, |list, nodes| list.remove(nodes, Chain::Siblings, child));
            if in_news {
                self.with_list(old, Which::News, |list, nodes| list.remove(nodes, Chain::News, child));
            }
        }
        self.nodes.get_mut(child).parent = Some(parent);
        self.with_list(parent, Which::Children, |list, nodes| list.push_front(nodes, Chain::Siblings, child));
        if in_news {
            self.with_list(parent, Which::News, |list, nodes| list.push_back(nodes, Chain::News, child));
        }
        self.anchor(child);
        if was_anchored {
            self.note_orphaned(self.nodes.get(child).group);
        }
    }

    /// Takes a zombie out of the tree and keeps its number back for a while.
    ///
    /// # Panics
    ///
    /// When it is none.
    pub(super) fn reap(&mut self, slot: Slot) -> P {
        self.forget_news(slot);
        if let Some(parent) = self.nodes.get(slot).parent {
            self.with_list(parent, Which::Children, |list, nodes| list.remove(nodes, Chain::Siblings, slot));
        }
        self.leave_group(slot);
        let node = self.nodes.get_mut(slot);
        assert_eq!(node.life, Life::Zombie, "only a zombie is reaped");
        let (pid, process) = (node.pid, node.process.take());
        self.nodes.discard(slot);
        self.pids.remove(pid.0);
        self.numbers.free(pid);
        process.expect("only an embryo has none")
    }

    /// The process with this number, a zombie too; no embryo.
    pub(super) fn find(&self, pid: Pid) -> Option<Slot> {
        self.pids.get(pid.0).copied().filter(|&slot| self.nodes.get(slot).life != Life::Embryo)
    }

    /// The living process with this number.
    pub(super) fn find_alive(&self, pid: Pid) -> Option<Slot> {
        self.find(pid).filter(|&slot| self.nodes.get(slot).life == Life::Alive)
    }

    /// What hangs on a node.
    ///
    /// # Panics
    ///
    /// When it is an embryo's: those are met by nobody.
    pub(super) fn process(&self, slot: Slot) -> &P {
        self.nodes.get(slot).process.as_ref().expect("embryos are skipped")
    }

    pub(super) fn pid(&self, slot: Slot) -> Pid {
        self.nodes.get(slot).pid
    }

    pub(super) fn life(&self, slot: Slot) -> Life {
        self.nodes.get(slot).life
    }

    pub(super) fn parent(&self, slot: Slot) -> Option<Slot> {
        self.nodes.get(slot).parent
    }

    /// All processes that are not embryos, in no order.
    pub(super) fn processes(&self) -> impl Iterator<Item = &P> {
        self.nodes.iter().filter(|node| node.life != Life::Embryo).filter_map(|node| node.process.as_ref())
    }

    /// The slot after this one that is in use, or the first: embryos and zombies with the rest.
    pub(super) fn next_slot(&self, after: Option<Slot>) -> Option<Slot> {
        self.nodes.next_used(after)
    }

    /// A new program runs in the process: its end is announced as everybody's is.
    pub(super) fn becomes_ordinary(&mut self, slot: Slot) {
        self.nodes.get_mut(slot).kind = ChildKind::Ordinary;
    }

    /// Draws the number of a thread.
    pub(super) fn reserve_thread(&mut self, uniform: &mut dyn FnMut(u64) -> u64) -> Result<u32, NoMemory> {
        self.threads.reserve(self.threads.len() + 1)?;
        let number = draw_thread(uniform, |number| self.threads.contains(number));
        self.threads.insert(number, None);
        Ok(number)
    }

    /// The thread with that number is there.
    pub(super) fn enter_thread(&mut self, number: u32, thread: T) {
        if let Some(place) = self.threads.get_mut(number) {
            *place = Some(thread);
        }
    }

    /// The thread is gone, and its number is free.
    pub(super) fn remove_thread(&mut self, number: u32) -> Option<T> {
        self.threads.remove(number).flatten()
    }

    /// The thread with this number.
    pub(super) fn thread(&self, number: u32) -> Option<&T> {
        self.threads.get(number)?.as_ref()
    }

    /// How many processes there are, zombies and embryos with them, and how many threads.
    #[cfg(all(test, not(loom)))]
    pub(super) fn sizes(&self) -> (usize, usize) {
        (self.pids.len(), self.threads.len())
    }

    #[cfg(all(test, not(loom)))]
    pub(super) fn children(&self, slot: Slot) -> Vec<Pid> {
        let children = self.nodes.get(slot).children;
        children.iter(&self.nodes, Chain::Siblings).map(|slot| self.pid(slot)).collect()
    }

    #[cfg(all(test, not(loom)))]
    pub(super) fn is_recent(&self, pid: Pid) -> bool {
        self.numbers.is_recent(pid)
    }

    /// Changes one of a node's lists, which may run through the node itself.
    fn with_list(&mut self, slot: Slot, which: Which, change: impl FnOnce(&mut List, &mut Arena<Node<P>>)) {
        let mut list = *self.list(slot, which);
        change(&mut list, &mut self.nodes);
        *self.list(slot, which) = list;
    }

    fn list(&mut self, slot: Slot, which: Which) -> &mut List {
        let node = self.nodes.get_mut(slot);
        match which {
            Which::Children => &mut node.children,
            Which::News => &mut node.news,
        }
    }
}

/// The lists that start in a node.
#[derive(Clone, Copy)]
enum Which {
    Children,
    News,
}

//! What children have to report, and who is told.
//!
//! A child with something to report (it exited, was stopped, goes on) stands in its parent's list of news. So a wait
//! looks at those only, however many children are alive and well.

use super::{Life, Report, Tree, Which};
use crate::proc::arena::{Chain, Slot};
use crate::proc::wait::{Children, Event, Selection};

/// What a wait finds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::proc) enum Scan {
    /// This child, with this to tell.
    Found(Slot, Event),
    /// There are such children, and none has anything to tell.
    Nothing,
    /// There is no such child.
    NoChild,
}

impl<P: Clone, T: Clone> Tree<P, T> {
    /// The process was stopped or goes on. Returns its parent if that ought to be told.
    pub(in crate::proc) fn report(&mut self, slot: Slot, report: Report) -> Option<&P> {
        let node = self.nodes.get_mut(slot);
        node.stopped = matches!(report, Report::Stopped(_));
        node.report = Some(report);
        self.tell_parent(slot)
    }

    /// The zombie is there for its parent to see; returns that.
    pub(in crate::proc) fn report_exit(&mut self, slot: Slot) -> Option<&P> {
        debug_assert_eq!(self.nodes.get(slot).life, Life::Zombie, "its exit is what it reports");
        self.tell_parent(slot)
    }

    fn tell_parent(&mut self, slot: Slot) -> Option<&P> {
        let node = self.nodes.get_mut(slot);
        let parent = node.parent?;
        if !core::mem::replace(&mut node.in_news, true) {
            self.with_list(parent, Which::News, |list, nodes| list.push_back(nodes, Chain::News, slot));
        }
        self.nodes.get(parent).process.as_ref()
    }

    /// Takes the process out of its parent's news.
    pub(super) fn forget_news(&mut self, slot: Slot) {
        let node = self.nodes.get_mut(slot);
        if core::mem::take(&mut node.in_news)
            && let Some(parent) = node.parent
        {
            self.with_list(parent, Which::News, |list, nodes| list.remove(nodes, Chain::News, slot));
        }
    }

    /// What a wait by `parent` for `selection` finds.
    pub(in crate::proc) fn scan(&self, parent: Slot, selection: &Selection) -> Scan {
        if let Children::Pid(pid) = selection.children {
            // One child: no list to look at.
            let child = self.find(pid).filter(|&child| self.is_candidate(parent, child, selection));
            return match child {
                None => Scan::NoChild,
                Some(child) => self.event(child, selection).map_or(Scan::Nothing, |event| Scan::Found(child, event)),
            };
        }
        let node = self.nodes.get(parent);
        let found = node
            .news
            .iter(&self.nodes, Chain::News)
            .filter(|&child| self.is_candidate(parent, child, selection))
            .find_map(|child| self.event(child, selection).map(|event| Scan::Found(child, event)));
        let any = || {
            node.children.iter(&self.nodes, Chain::Siblings).any(|child| self.is_candidate(parent, child, selection))
        };
        match found {
            Some(found) => found,
            None if any() => Scan::Nothing,
            None => Scan::NoChild,
        }
    }

    /// The report of a stop or a continuation has been delivered.
    pub(in crate::proc) fn delivered(&mut self, slot: Slot) {
        self.nodes.get_mut(slot).report = None;
        self.forget_news(slot);
    }

    fn is_candidate(&self, parent: Slot, child: Slot, selection: &Selection) -> bool {
        let node = self.nodes.get(child);
        let named = match selection.children {
            Children::Any => true,
            Children::Pid(pid) => node.pid == pid,
            Children::Group(group) => node.group == group,
        };
        named && node.life != Life::Embryo && node.parent == Some(parent) && selection.kinds.take(node.kind)
    }

    fn event(&self, child: Slot, selection: &Selection) -> Option<Event> {
        let node = self.nodes.get(child);
        match (node.life, node.report) {
            (Life::Zombie, _) => (selection.exited && node.in_news).then_some(Event::Exited),
            (_, Some(Report::Stopped(signal))) => selection.stopped.then_some(Event::Stopped(signal)),
            (_, Some(Report::Continued)) => selection.continued.then_some(Event::Continued),
            (_, None) => None,
        }
    }
}

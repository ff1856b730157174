//! The tree by itself, with numbers for processes: against a naive model, and its orders.

use std::collections::BTreeMap;
use std::vec::Vec;

use proptest::prelude::*;

use crate::proc::Pid;
use crate::proc::arena::Slot;
use crate::proc::tree::reports::Scan;
use crate::proc::tree::{Life, Place, Reserved, Tree};
use crate::proc::wait::{ChildKind, Children, Event, Kinds, Selection};

type Numbers = Tree<u32, u32>;

struct Forest {
    tree: Numbers,
    next: u64,
}

impl Forest {
    fn new() -> Self {
        let mut forest = Self { tree: Numbers::new(), next: 0 };
        let thread = forest.tree.reserve_thread(&mut |_| 0).unwrap();
        forest.tree.plant(|_| (0, 0), thread).unwrap();
        let init = forest.reserve();
        assert_eq!(init.pid, Pid::INIT);
        let system = forest.tree.find(Pid::SYSTEM).unwrap();
        forest.link(init, system);
        forest
    }

    fn reserve(&mut self) -> Reserved {
        let next = &mut self.next;
        self.tree
            .reserve(&mut |bound| {
                *next += 1;
                *next % bound
            })
            .unwrap()
    }

    fn link(&mut self, reserved: Reserved, parent: Slot) -> Slot {
        let place = Place { forker: parent, parent, kind: ChildKind::Ordinary };
        self.tree.link(reserved, place, reserved.pid.0, reserved.thread);
        self.tree.hatch(reserved.slot);
        reserved.slot
    }

    fn fork(&mut self, parent: Slot) -> Slot {
        let reserved = self.reserve();
        self.link(reserved, parent)
    }

    fn init(&self) -> Slot {
        self.tree.find(Pid::INIT).unwrap()
    }

    fn exit(&mut self, slot: Slot) {
        let heir = self.init();
        self.tree.exit(slot, heir, |_| ());
        self.tree.report_exit(slot);
    }
}

const ANY: Selection =
    Selection { children: Children::Any, kinds: Kinds::All, exited: true, stopped: false, continued: false };

#[test]
fn f37_a_child_is_first_among_its_siblings_and_right_behind_its_parent_in_the_group() {
    let mut forest = Forest::new();
    let init = forest.init();
    let parent = forest.fork(init);
    forest.tree.set_group(parent, parent, forest.tree.pid(parent), |_| false).unwrap();
    let (one, two) = (forest.fork(parent), forest.fork(parent));
    let pids = |slots: &[Slot]| slots.iter().map(|&slot| forest.tree.pid(slot)).collect::<Vec<_>>();
    assert_eq!(forest.tree.children(parent), pids(&[two, one]));
    let group = forest.tree.group(parent);
    let members: Vec<Slot> = forest.tree.members(group).collect();
    assert_eq!(members, [parent, two, one]);
}

#[test]
fn f23_between_reservation_and_hatching_nobody_sees_the_child() {
    let mut forest = Forest::new();
    let init = forest.init();
    let reserved = forest.reserve();
    let unseen = |tree: &Numbers| {
        tree.find(reserved.pid).is_none()
            && tree.thread(reserved.thread).is_none()
            && tree.processes().count() == 2
            && tree.scan(init, &ANY) == Scan::NoChild
    };
    assert!(unseen(&forest.tree));
    let place = Place { forker: init, parent: init, kind: ChildKind::Ordinary };
    forest.tree.link(reserved, place, 7, 7);
    assert!(forest.tree.find(reserved.pid).is_none());
    assert_eq!(forest.tree.scan(init, &ANY), Scan::NoChild, "a wait does not count on it");
    assert_eq!(forest.tree.members(forest.tree.group(init)).count(), 2, "nor does a signal to the group meet it");
    forest.tree.hatch(reserved.slot);
    assert_eq!(forest.tree.find(reserved.pid), Some(reserved.slot));
    assert_eq!(forest.tree.scan(init, &ANY), Scan::Nothing);
}

#[test]
fn f14_what_is_cancelled_was_never_there() {
    let mut forest = Forest::new();
    let before = forest.tree.sizes();
    let reserved = forest.reserve();
    forest.tree.cancel(reserved);
    assert_eq!(forest.tree.sizes(), before);
    assert!(!forest.tree.is_recent(reserved.pid), "nobody has seen it");
}

#[test]
fn news_come_in_the_order_in_which_they_happened() {
    let mut forest = Forest::new();
    let init = forest.init();
    let children: Vec<Slot> = (0..3).map(|_| forest.fork(init)).collect();
    for &index in &[1, 0, 2] {
        forest.exit(children[index]);
    }
    for &index in &[1, 0, 2] {
        assert_eq!(forest.tree.scan(init, &ANY), Scan::Found(children[index], Event::Exited));
        forest.tree.reap(children[index]);
    }
    assert_eq!(forest.tree.scan(init, &ANY), Scan::NoChild);
}

/// What the model knows of a process.
#[derive(Clone, Debug)]
struct Known {
    slot: Slot,
    parent: Pid,
    group: Pid,
    session: Pid,
    zombie: bool,
}

/// What happens; the numbers choose among those who are there.
#[derive(Clone, Debug)]
enum Step {
    Fork(usize),
    Exit(usize),
    Reap(usize),
    SetGroup(usize, usize),
    SetSession(usize),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        4 => (0usize..100).prop_map(Step::Fork),
        2 => (0usize..100).prop_map(Step::Exit),
        2 => (0usize..100).prop_map(Step::Reap),
        2 => (0usize..100, 0usize..100).prop_map(|(who, group)| Step::SetGroup(who, group)),
        1 => (0usize..100).prop_map(Step::SetSession),
    ];
    prop::collection::vec(step, 0..80)
}

struct Model {
    forest: Forest,
    known: BTreeMap<Pid, Known>,
}

impl Model {
    fn new() -> Self {
        let forest = Forest::new();
        let zero = Pid::SYSTEM;
        let known = [zero, Pid::INIT].map(|pid| {
            let slot = forest.tree.find(pid).unwrap();
            (pid, Known { slot, parent: zero, group: zero, session: zero, zombie: false })
        });
        Self { forest, known: known.into_iter().collect() }
    }

    fn living(&self, choice: usize) -> Pid {
        let living: Vec<Pid> =
            self.known.iter().filter(|(pid, known)| pid.0 > 0 && !known.zombie).map(|(pid, _)| *pid).collect();
        living[choice % living.len()]
    }

    fn step(&mut self, step: &Step) {
        match *step {
            Step::Fork(who) => {
                let parent = self.living(who);
                let slot = self.forest.fork(self.known[&parent].slot);
                let child = Known { slot, parent, ..self.known[&parent].clone() };
                self.known.insert(self.forest.tree.pid(slot), child);
            }
            Step::Exit(who) => {
                let pid = self.living(who);
                if pid != Pid::INIT {
                    self.forest.exit(self.known[&pid].slot);
                    self.known.get_mut(&pid).unwrap().zombie = true;
                    self.known
                        .values_mut()
                        .filter(|other| other.parent == pid)
                        .for_each(|other| other.parent = Pid::INIT);
                }
            }
            Step::Reap(who) => {
                let parent = self.living(who);
                match self.forest.tree.scan(self.known[&parent].slot, &ANY) {
                    Scan::Found(slot, Event::Exited) => {
                        let pid = self.forest.tree.pid(slot);
                        assert!(self.known[&pid].zombie && self.known[&pid].parent == parent);
                        assert_eq!(self.forest.tree.reap(slot), pid.0);
                        self.known.remove(&pid);
                    }
                    Scan::Found(..) => panic!("nobody stops here"),
                    Scan::Nothing => assert!(self.children(parent).all(|(_, known)| !known.zombie)),
                    Scan::NoChild => assert_eq!(self.children(parent).count(), 0),
                }
            }
            Step::SetGroup(who, group) => {
                let pid = self.living(who);
                let group = if group % 3 == 0 { pid } else { self.known[&self.living(group)].group };
                let me = self.known[&pid].clone();
                let exists = self.known.values().find(|known| known.group == group);
                let allowed = me.session != pid && exists.map_or(group == pid, |other| other.session == me.session);
                let result = self.forest.tree.set_group(me.slot, me.slot, group, |_| false);
                assert_eq!(result.is_ok(), allowed, "{pid} to {group}");
                if allowed {
                    self.known.get_mut(&pid).unwrap().group = group;
                }
            }
            Step::SetSession(who) => {
                let pid = self.living(who);
                let taken = self.known.values().any(|known| known.group == pid || known.session == pid);
                let result = self.forest.tree.set_session(self.known[&pid].slot);
                assert_eq!(result.is_ok(), !taken);
                if !taken {
                    let known = self.known.get_mut(&pid).unwrap();
                    (known.group, known.session) = (pid, pid);
                }
            }
        }
    }

    fn children(&self, parent: Pid) -> impl Iterator<Item = (&Pid, &Known)> {
        self.known.iter().filter(move |(pid, known)| pid.0 > 0 && known.parent == parent)
    }

    fn check(&self) {
        let tree = &self.forest.tree;
        assert_eq!(tree.processes().count(), self.known.len());
        for (pid, known) in &self.known {
            assert_eq!(tree.find(*pid), Some(known.slot));
            assert_eq!((tree.group(known.slot), tree.session(known.slot)), (known.group, known.session));
            assert_eq!(tree.life(known.slot) == Life::Zombie, known.zombie);
            let mut children = tree.children(known.slot);
            children.sort_unstable();
            assert_eq!(children, self.children(*pid).map(|(pid, _)| *pid).collect::<Vec<_>>());
            let anchored = self.known.values().any(|member| {
                let parent = &self.known[&member.parent];
                member.group == known.group
                    && !member.zombie
                    && parent.group != member.group
                    && parent.session == member.session
            });
            assert_eq!(tree.is_orphaned(known.group), !anchored, "group {}", known.group);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: if cfg!(miri) { 4 } else { 400 }, ..ProptestConfig::default() })]

    #[test]
    fn the_tree_is_what_a_naive_one_would_be(steps in steps()) {
        let mut model = Model::new();
        for step in &steps {
            model.step(step);
            model.check();
        }
    }
}

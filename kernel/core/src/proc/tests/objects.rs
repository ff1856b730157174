//! What a new thread and a new process start with.

use std::sync::Arc;

use super::support::*;
use crate::addr::UserAddr;
use crate::fs::DescriptorFlags;
use crate::proc::attach::{KernelTrace, Profile, Promises, TraceSink, Tracing, Unveiled};
use crate::proc::body::Stop;
use crate::proc::fake::{Fake, World};
use crate::proc::id::both;
use crate::proc::limit::{Limit, Resource};
use crate::proc::usage::Usage;
use crate::proc::{
    ForkFlags, Pid, ProcessFlags, Target, acquire_terminal, find, group_of, kill, set_group, set_session,
};
use crate::sched::ThreadName;
use crate::signal::{Action, AlternateStack, Handler, MaskChange, Signal, SignalSet, StackFlags, StackRequest};

fn alternate() -> AlternateStack {
    let request = StackRequest { base: UserAddr::new(0x5000), flags: StackFlags::empty(), bytes: 0x4000 };
    AlternateStack::DISABLED.changed(request, UserAddr::new(0x1000)).unwrap()
}

const USR: SignalSet = SignalSet::of(&[Signal::USR1, Signal::USR2]);

fn block(world: &'static World, thread: &Thread, signals: SignalSet) {
    world.act(thread, || thread.change_mask(MaskChange::Block, signals));
}

#[test]
fn f8_f12_pending_signals_usage_and_stops_are_not_inherited() {
    let (world, _, init) = World::new();
    let parent = child_of(world, &init);
    block(world, &parent, USR);
    world.act(&init, || kill(&init, Target::Process(pid(&parent)), Some(Signal::USR1)).unwrap());
    parent.count_minor_fault();
    parent.process().take_usage_of_child(&Usage { signals: 7, ..Usage::ZERO });
    let child = child_of(world, &parent);
    assert_eq!(parent.pending(), SignalSet::EMPTY.with(Signal::USR1));
    assert_eq!(child.pending(), SignalSet::EMPTY);
    assert_eq!((child.process().usage(), child.process().usage_of_children()), (Usage::ZERO, Usage::ZERO));
    let control = child.process().body().control;
    assert_eq!((control.exit, control.stop, control.halted, control.alone), (None, Stop::Running, 0, None));
    assert!(!child.attention(), "f7");
}

#[test]
fn f9_mask_credentials_alternate_stack_and_name_are_inherited() {
    let (world, _, init) = World::new();
    block(world, &init, USR);
    init.set_alternate_stack(alternate());
    init.set_name(ThreadName::new("parent"));
    let child = child_of(world, &init);
    assert_eq!((child.mask(), child.alternate_stack()), (USR, alternate()));
    assert_eq!((child.name().as_str(), child.process().name().as_str()), ("parent", "parent"));
    assert!(Arc::ptr_eq(&child.process().credentials(), &init.process().credentials()));
    let sharer = fork_with(world, &init, ForkFlags::FORK | ForkFlags::SHAREVM).unwrap();
    assert_eq!(sharer.alternate_stack(), AlternateStack::DISABLED, "or both would run on one stack");
}

#[test]
fn f10_a_process_has_one_thread_which_is_the_main_one_and_a_reference_to_its_credentials() {
    let (world, _, init) = World::new();
    let child = child_of(world, &init);
    let mut threads = Vec::new();
    child.process().each_thread(|thread| threads.push(Arc::clone(thread)));
    assert_eq!(threads.len(), 1);
    assert!(Arc::ptr_eq(&threads[0], &child) && child.is_main());
    assert!(Arc::strong_count(&child.process().credentials()) > 2);
}

#[test]
fn f11_f61_a_process_begins_without_children_and_in_its_parents_group() {
    let (world, _, init) = World::new();
    let parent = child_of(world, &init);
    world.act(&parent, || set_group(parent.process(), None, None).unwrap());
    let child = child_of(world, &parent);
    let tree = world.act(&init, || {
        let tree = world.processes.tree();
        (tree.children(child.process().slot()), tree.children(parent.process().slot()))
    });
    assert_eq!(tree, (vec![], vec![pid(&child)]));
    assert_eq!(world.act(&init, || group_of::<Fake>(child.process(), None).unwrap()), pid(&parent));
}

#[test]
fn f13_limits_name_nice_and_promises_are_copied() {
    let (world, _, init) = World::new();
    init.process().set_nice(5);
    init.process().attach(|attached| {
        attached.promises = Some(Promises(3));
        attached.exec_promises = Some(Promises(1));
        attached.profile = Some(Profile { scale: 9 });
    });
    let child = child_of(world, &init);
    let attached = child.process().attached();
    assert_eq!((attached.promises, attached.exec_promises), (Some(Promises(3)), Some(Promises(1))));
    assert_eq!(attached.profile, Some(Profile { scale: 9 }), "f22");
    assert_eq!(child.process().nice(), 5);
    assert_eq!(*child.process().limits(), *init.process().limits());
}

#[test]
fn f15_limits_are_shared_until_one_side_changes_them() {
    let (world, _, init) = World::new();
    let child = child_of(world, &init);
    assert!(Arc::ptr_eq(&child.process().limits(), &init.process().limits()));
    world.act(&child, || child.process().set_limit(Resource::Core, Limit::both(1), true).unwrap());
    assert_eq!(child.process().limits().soft(Resource::Core), 1);
    assert_ne!(init.process().limits().soft(Resource::Core), 1);
}

#[test]
fn f16_a_child_knows_its_parents_number() {
    let (world, _, init) = World::new();
    let child = child_of(world, &init);
    assert_eq!(child.process().parent_pid(), Pid::INIT);
    assert_eq!(child_of(world, &child).process().parent_pid(), pid(&child));
}

#[test]
fn f16_a_child_refers_to_the_program_that_its_parent_runs() {
    let (world, _, init) = World::new();
    let fd = opens(world, &init, DescriptorFlags::empty());
    let program = file(&init, fd).unwrap();
    init.process().body().belongings.as_mut().unwrap().program = Some(Arc::clone(&program));
    let child = child_of(world, &init);
    let body = child.process().body();
    let inherited = body.belongings.as_ref().and_then(|belongings| belongings.program.as_ref());
    assert!(Arc::ptr_eq(inherited.unwrap(), &program));
}

#[test]
fn f17_what_is_visible_to_the_parent_is_to_the_child() {
    let (world, _, init) = World::new();
    init.process().attach(|attached| attached.unveiled = Some(Arc::new(Unveiled { done: true })));
    let child = child_of(world, &init);
    assert_eq!(child.process().attached().unveiled, init.process().attached().unveiled);
}

#[test]
fn f18_exactly_these_flags_are_inherited() {
    let (world, _, init) = World::new();
    let parent = child_of(world, &init);
    parent.process().set_flags(ProcessFlags::all());
    let child = child_of(world, &parent);
    assert_eq!(child.process().flags(), ProcessFlags::INHERITED | ProcessFlags::FORKED);
    parent.process().clear_flags(ProcessFlags::all());
    assert_eq!(child_of(world, &parent).process().flags(), ProcessFlags::FORKED);
}

#[test]
fn f18_a_controlling_terminal_is_inherited_only_where_the_session_has_one() {
    let (world, _, init) = World::new();
    let leader = child_of(world, &init);
    world.act(&leader, || {
        set_session(leader.process()).unwrap();
        acquire_terminal(leader.process(), 5).unwrap();
    });
    let child = child_of(world, &leader);
    assert!(child.process().flags().contains(ProcessFlags::TERMINAL));
    let stranger = child_of(world, &init);
    stranger.process().set_flags(ProcessFlags::TERMINAL);
    assert!(!child_of(world, &stranger).process().flags().contains(ProcessFlags::TERMINAL));
}

#[test]
fn f20_signal_actions_are_copied_or_shared() {
    let (world, _, init) = World::new();
    let ignore = Action { handler: Handler::Ignore, ..Action::DEFAULT };
    init.process().set_action(Signal::USR1, ignore).unwrap();
    let child = child_of(world, &init);
    assert_eq!(child.process().action(Signal::USR1), ignore);
    child.process().set_action(Signal::USR2, ignore).unwrap();
    assert_eq!(init.process().action(Signal::USR2), Action::DEFAULT);
    let flags = ForkFlags::FORK | ForkFlags::SHAREVM | ForkFlags::SIGHAND;
    let sharer = fork_with(world, &init, flags).unwrap();
    sharer.process().set_action(Signal::HUP, ignore).unwrap();
    assert_eq!(init.process().action(Signal::HUP), ignore, "one table for both");
    init.process().set_action(Signal::HUP, Action::DEFAULT).unwrap();
    assert_eq!(sharer.process().action(Signal::HUP), Action::DEFAULT);
    let copy = child_of(world, &sharer);
    copy.process().set_action(Signal::HUP, ignore).unwrap();
    assert_eq!(sharer.process().action(Signal::HUP), Action::DEFAULT, "a copy of what is shared is one's own");
}

#[test]
fn f22_the_traced_state_is_copied_only_by_a_fork_that_is_reported() {
    let (world, _, init) = World::new();
    init.process().attach(|attached| attached.tracing = Some(Tracing { forks: false }));
    assert_eq!(child_of(world, &init).process().attached().tracing, None);
    let reported = fork_with(world, &init, ForkFlags::FORK | ForkFlags::PTRACE).unwrap();
    assert_eq!(reported.process().attached().tracing, Some(Tracing { forks: false }));
    init.process().attach(|attached| attached.tracing = None);
    let nothing = fork_with(world, &init, ForkFlags::FORK | ForkFlags::PTRACE).unwrap();
    assert_eq!(nothing.process().attached().tracing, None);
    let flags = ForkFlags::FORK | ForkFlags::NOZOMBIE | ForkFlags::SYSTEM;
    let system = fork_with(world, &init, flags).unwrap();
    assert!(system.process().flags().contains(ProcessFlags::SYSTEM | ProcessFlags::NO_ZOMBIE));
}

#[test]
fn f33_a_trace_of_calls_is_inherited_when_it_says_so() {
    let (world, _, init) = World::new();
    let sink = Arc::new(TraceSink { uid: 0 });
    let trace = |inherit| Some(KernelTrace { points: 5, inherit, sink: Arc::clone(&sink) });
    init.process().attach(|attached| attached.kernel_trace = trace(false));
    assert!(child_of(world, &init).process().attached().kernel_trace.is_none());
    init.process().attach(|attached| attached.kernel_trace = trace(true));
    let child = child_of(world, &init);
    let inherited = child.process().attached().kernel_trace.unwrap();
    assert!(inherited.points == 5 && Arc::ptr_eq(&inherited.sink, &sink));
    assert_eq!(Arc::strong_count(&sink), 4, "the child counts as a writer: it, its parent, and two here");
}

#[test]
fn f14_f23_an_embryo_has_its_number_and_is_seen_by_nobody() {
    let (world, _, init) = World::new();
    world.act(&init, || {
        let reserved = world.processes.tree().reserve(&mut |bound| both(500, 1000) % bound).unwrap();
        assert_eq!(reserved.pid, Pid(502));
        assert!(find::<Fake>(Pid(502)).is_none());
        assert!(kill(&init, Target::Process(Pid(502)), None).is_err());
        let mut seen = 0;
        world.processes.each(|_| seen += 1);
        assert_eq!(seen, 2);
        world.random.lock().unwrap().extend([both(500, 77), 501]);
        let child = crate::proc::fork(&init).unwrap();
        assert_eq!(child, Pid(503), "the number is taken");
        world.processes.tree().cancel(reserved);
    });
}

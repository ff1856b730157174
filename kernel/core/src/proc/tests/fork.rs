//! `fork1` and the calls that end in it.

use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;
use std::vec::Vec;

use super::support::*;
use crate::addr::UserAddr;
use crate::fs::DescriptorFlags;
use crate::hal::{UserFault, UserMemory};
use crate::proc::attach::{Promises, Tracing};
use crate::proc::fake::{DATA, Event, Fake, World};
use crate::proc::{
    CloneFlags, Cloned, ForkError, ForkFlags, ForkRequest, Next, Pid, ProcessFlags, Start, System, Target, TforkError,
    TforkParameters, ThreadRequest, TidPointers, before_user, child_return, clone, find, fork, fork1, kernel_thread,
    kill, tfork, thread_fork, vfork,
};
use crate::signal::{Action, ChildEvent, Handler, MaskChange, Signal, SignalSet};

#[test]
fn f1_what_was_forked_is_counted_by_kind_with_its_pages() {
    let (world, system, init) = World::new();
    let statistics = &world.processes.statistics;
    assert_eq!(statistics.fork.read(), (1, 0), "process 1 itself, which had no memory yet");
    world.act(&init, || fork(&init).unwrap());
    assert_eq!(statistics.fork.read(), (2, 16), "16 pages of data");
    world.act(&init, || thread_fork(&init, &thread_request()).unwrap());
    assert_eq!(statistics.threads.read().0, 1);
    world.act(&system, || kernel_thread(&system, "writer", |_| (), 0, ForkFlags::empty()).map(drop).unwrap());
    assert_eq!(statistics.kernel_threads.read().0, 1);
    assert_eq!(statistics.vfork.read(), (0, 0));
}

#[test]
fn f2_fork_is_fork1_with_fork_and_a_traced_one_takes_the_tracing_along() {
    let (world, _, first) = World::new();
    let init = child_of(world, &first);
    let plain = child_of(world, &init);
    assert_eq!(plain.process().attached().tracing, None);
    init.process().attach(|attached| attached.tracing = Some(Tracing { forks: true }));
    let traced = world.act(&init, || fork(&init).unwrap());
    let traced = world.act(&init, || find::<Fake>(traced).unwrap());
    assert_eq!(traced.attached().tracing, Some(Tracing { forks: true }));
    assert!(init.pending().contains(Signal::TRAP), "f45: the parent posts itself SIGTRAP");
    plain.process().attach(|attached| attached.tracing = Some(Tracing { forks: false }));
    let silent = world.act(&plain, || fork(&plain).unwrap());
    assert_eq!(world.act(&plain, || find::<Fake>(silent).unwrap()).attached().tracing, None);
}

#[test]
fn a_parent_acts_upon_its_signals_before_it_forks() {
    let (world, _, init) = World::new();
    let parent = child_of(world, &init);
    let processes = world.processes.counts.processes();
    let handler = Action { handler: Handler::At(DATA), ..Action::DEFAULT };
    parent.process().set_action(Signal::USR1, handler).unwrap();
    let send = |signal| world.act(&init, || kill(&init, Target::Process(pid(&parent)), Some(signal)).unwrap());
    send(Signal::USR1);
    assert_eq!(world.act(&parent, || fork(&parent)), Err(ForkError::Interrupted));
    assert_eq!(world.processes.counts.processes(), processes, "nothing was made");
    assert!(
        matches!(world.act(&parent, || before_user(&parent)), Next::Handle(info, _) if info.signal == Signal::USR1)
    );
    let child = child_of(world, &parent);
    assert!(child.pending().is_empty());
    parent.change_mask(MaskChange::Block, SignalSet::of(&[Signal::USR2]));
    send(Signal::USR2);
    assert!(child_of(world, &parent).pending().is_empty(), "f8: one that is blocked stays the parent's");
    send(Signal::TERM);
    assert_eq!(world.act(&parent, || fork(&parent)), Err(ForkError::Interrupted));
}

#[test]
fn f3_f44_the_parent_of_a_vfork_waits_in_memory_of_its_own_until_the_child_exits() {
    let (world, _, init) = World::new();
    let parent = child_of(world, &init);
    poke(world, &parent, DATA, 1);
    let call = world.run(&parent, |parent| vfork(parent).unwrap());
    let child = vfork_child(world, &parent);
    assert!(child.process().flags().contains(ProcessFlags::PPWAIT));
    poke(world, &child, DATA, 2);
    assert_eq!(peek(world, &parent, DATA), 1, "the child cannot spoil its parent's memory");
    assert!(!call.is_finished());
    exits(world, &child, 7);
    let pid = call.join().unwrap();
    assert_eq!(reap(world, &parent, pid), ChildEvent::Exited(7));
    assert_eq!(world.processes.statistics.vfork.read().0, 1);
}

#[test]
fn f3_a_clone_with_vm_and_vfork_runs_in_the_parents_memory_and_the_parent_waits() {
    let (world, _, init) = World::new();
    let parent = child_of(world, &init);
    poke(world, &parent, DATA, 1);
    let call =
        world.run(&parent, |parent| clone(parent, &clone_arguments(CloneFlags::VM | CloneFlags::VFORK, 17)).unwrap());
    let child = vfork_child(world, &parent);
    poke(world, &child, DATA, 2);
    assert_eq!(peek(world, &parent, DATA), 2);
    assert!(!call.is_finished());
    exits(world, &child, 0);
    assert_eq!(call.join().unwrap(), Cloned::Process(pid(&child)));
    assert_eq!(parent.space().unwrap().users(), 1);
}

#[test]
fn f44_no_signal_ends_the_wait_in_vfork_and_the_killed_parents_child_lives_on() {
    let (world, _, init) = World::new();
    let parent = child_of(world, &init);
    let call = world.run(&parent, |parent| vfork(parent).map(drop));
    let child = vfork_child(world, &parent);
    world.act(&init, || {
        kill(&init, Target::Process(pid(&parent)), Some(Signal::KILL)).unwrap();
    });
    for _ in 0..100 {
        std::thread::yield_now();
    }
    assert!(!call.is_finished(), "the child may be using what is the parent's");
    assert!(!child.attention(), "the child was not killed");
    exits(world, &child, 3);
    call.join().unwrap().unwrap();
    let next = world.act(&parent, || before_user(&parent));
    assert!(matches!(next, Next::Exit(_)), "now it dies");
}

#[test]
fn f3_two_threads_in_vfork_each_wait_for_their_own_child() {
    let (world, _, init) = World::new();
    let first = child_of(world, &init);
    let second = sibling_of(world, &first);
    let calls = [&first, &second].map(|thread| world.run(thread, |thread| vfork(thread).unwrap()));
    let (child_of_first, child_of_second) = (vfork_child(world, &first), vfork_child(world, &second));
    let [first_call, second_call] = calls;
    exits(world, &child_of_second, 0);
    assert_eq!(second_call.join().unwrap(), pid(&child_of_second));
    assert!(!first_call.is_finished());
    exits(world, &child_of_first, 0);
    assert_eq!(first_call.join().unwrap(), pid(&child_of_first));
}

#[test]
fn f44_the_siblings_of_a_waiting_thread_keep_running() {
    let (world, _, init) = World::new();
    let parent = child_of(world, &init);
    let sibling = sibling_of(world, &parent);
    let call = world.run(&parent, |parent| vfork(parent).unwrap());
    let child = vfork_child(world, &parent);
    assert!(!sibling.attention());
    let another = child_of(world, &sibling);
    exits(world, &another, 0);
    exits(world, &child, 0);
    call.join().unwrap();
}

#[test]
fn f4_the_parameters_of_tfork_are_checked_in_order() {
    struct Memory;
    impl UserMemory for Memory {
        fn copy_in(&self, from: UserAddr, to: &mut [u8]) -> Result<(), UserFault> {
            if from == UserAddr::new(0xbad) {
                return Err(UserFault { at: from });
            }
            to.iter_mut().zip(from.get().to_le_bytes().into_iter().cycle()).for_each(|(to, byte)| *to = byte);
            Ok(())
        }

        fn copy_out(&self, _from: &[u8], to: UserAddr) -> Result<(), UserFault> {
            Err(UserFault { at: to })
        }
    }
    let bad = UserAddr::new(0xbad);
    let read = |at, bytes| TforkParameters::read(&Memory, at, bytes);
    assert_eq!(read(bad, 0), Err(TforkError::Size));
    assert_eq!(read(bad, 25), Err(TforkError::Size));
    assert_eq!(read(bad, u64::MAX), Err(TforkError::Size));
    assert_eq!(read(bad, 24), Err(TforkError::Fault(UserFault { at: bad })));
    let high = UserAddr::new(u64::MAX);
    assert_eq!(read(high, 24), Err(TforkError::ThreadPointer));
    let here = UserAddr::new(0x1234);
    let nowhere = UserAddr::new(0);
    assert_eq!(read(here, 24), Ok(TforkParameters { tcb: here, tid: here, stack: here }));
    assert_eq!(read(here, 8), Ok(TforkParameters { tcb: here, tid: nowhere, stack: nowhere }), "a short one is legal");
    assert_eq!(read(here, 1), Ok(TforkParameters { tcb: UserAddr::new(0x34), tid: nowhere, stack: nowhere }));
}

#[test]
fn f5_a_traced_child_posts_itself_sigtrap_before_it_first_returns() {
    let (world, _, init) = World::new();
    let plain = child_of(world, &init);
    world.act(&plain, || child_return(&plain));
    assert!(plain.pending().is_empty());
    init.process().attach(|attached| attached.tracing = Some(Tracing { forks: true }));
    let traced = fork_with(world, &init, ForkFlags::FORK | ForkFlags::PTRACE).unwrap();
    world.act(&traced, || child_return(&traced));
    assert!(traced.pending().contains(Signal::TRAP));
}

#[test]
fn f6_fork_and_vfork_need_the_promise_of_processes_and_tfork_only_that_of_ordinary_calls() {
    let (world, _, init) = World::new();
    init.process().attach(|attached| attached.promises = Some(Promises::STDIO));
    let parameters = TforkParameters { tcb: DATA, tid: UserAddr::new(0), stack: DATA };
    world.act(&init, || {
        assert_eq!(fork(&init), Err(ForkError::NotPromised));
        assert_eq!(vfork(&init), Err(ForkError::NotPromised));
        assert_eq!(clone(&init, &clone_arguments(CloneFlags::empty(), 17)), Err(ForkError::NotPromised));
        tfork(&init, &parameters).unwrap();
        init.process().attach(|attached| attached.promises = Some(Promises(0)));
        assert_eq!(tfork(&init, &parameters), Err(ForkError::NotPromised));
        init.process().attach(|attached| attached.promises = Some(Promises(Promises::PROC.0)));
        fork(&init).unwrap();
    });
}

#[test]
#[should_panic(expected = "unknown fork flags")]
fn f31_an_unknown_flag_is_a_bug() {
    let (world, _, init) = World::new();
    let _never = fork_with(world, &init, ForkFlags::from_bits_retain(0x100));
}

#[test]
#[should_panic(expected = "handlers are shared by those who share memory")]
fn f31_shared_handlers_without_shared_memory_are_a_bug() {
    let (world, _, init) = World::new();
    let _never = fork_with(world, &init, ForkFlags::FORK | ForkFlags::SIGHAND);
}

#[test]
fn f32_what_the_parent_waits_for_is_set_before_the_child_can_run() {
    let (world, _, init) = World::new();
    let parent = child_of(world, &init);
    let waiting = Arc::clone(&parent);
    *world.on_start.lock().unwrap() = Some(Box::new(move |machine| {
        let child = Fake::thread_of(machine.payload()).unwrap();
        assert!(waiting.gate.is_shut());
        assert!(child.process().flags().contains(ProcessFlags::PPWAIT));
        // The child is so fast that it has exited before its parent comes to wait.
        crate::proc::exit_process(child, crate::proc::ExitStatus::Exited(0));
    }));
    let pid = world.act(&parent, || vfork(&parent).unwrap());
    assert_eq!(is_zombie(world, &init, pid), Some(true));
}

#[test]
fn f34_the_machine_layer_is_told_where_the_child_begins() {
    let (world, system, init) = World::new();
    let child = child_of(world, &init);
    assert!(matches!(child.machine().unwrap().payload().start, Some(Start::Fork)));
    let stack = Some(UserAddr::new(0x9000));
    let arguments = crate::proc::CloneArguments { stack, ..clone_arguments(CloneFlags::empty(), 17) };
    let Cloned::Process(pid) = world.act(&init, || clone(&init, &arguments).unwrap()) else { panic!("a process") };
    let child = world.act(&init, || find::<Fake>(pid).unwrap());
    let thread = child.body().threads.iter().next().map(Arc::clone).unwrap();
    let start = thread.machine().unwrap().payload().start;
    assert!(matches!(start, Some(Start::Thread { stack: Some(at), tls: None }) if Some(at) == stack));
    let kernel = world.act(&system, || kernel_thread(&system, "k", |_| (), 42, ForkFlags::empty()).unwrap());
    assert!(matches!(kernel.thread.machine().unwrap().payload().start, Some(Start::Kernel(_, 42))));
}

#[test]
fn f35_a_vfork_is_no_fork_and_its_pages_are_counted_too() {
    let (world, _, init) = World::new();
    *world.on_start.lock().unwrap() = Some(Box::new(|machine| {
        let child = Fake::thread_of(machine.payload()).unwrap();
        crate::proc::exit_process(child, crate::proc::ExitStatus::Exited(0));
    }));
    world.act(&init, || vfork(&init).unwrap());
    let statistics = &world.processes.statistics;
    assert_eq!((statistics.vfork.read(), statistics.fork.read()), ((1, 16), (1, 0)));
}

#[test]
fn f39_the_child_is_complete_before_it_is_started() {
    let (world, _, init) = World::new();
    world.clock_ns.store(77_000, SeqCst);
    *world.on_start.lock().unwrap() = Some(Box::new(move |machine| {
        let child = Fake::thread_of(machine.payload()).unwrap().process();
        assert_eq!(child.started_ns(), 77_000);
        assert!(child.flags().contains(ProcessFlags::FORKED));
        assert!(find::<Fake>(child.pid()).is_some(), "everybody can find it");
        let newest = world.processes.statistics.last_pid.load(SeqCst);
        assert_eq!(newest, child.pid().0, "it may have a child before its parent goes on");
    }));
    let child = child_of(world, &init);
    assert_eq!(world.take_events(), [Event::Made(pid(&child)), Event::Started(pid(&child))]);
}

#[test]
fn f40_an_idle_thread_is_bound_by_the_caller_and_never_queued() {
    let (world, system, _) = World::new();
    let idle = world.act(&system, || kernel_thread(&system, "idle0", |_| (), 0, ForkFlags::IDLE).unwrap());
    assert_eq!(world.take_events(), [Event::Made(idle.pid)]);
}

#[test]
fn f42_forks_are_counted_by_what_they_share() {
    let (world, system, init) = World::new();
    let statistics = &world.processes.statistics;
    let read =
        || [&statistics.forks, &statistics.forks_ppwait, &statistics.forks_sharevm].map(|counter| counter.load(SeqCst));
    assert_eq!(read(), [1, 0, 0]);
    child_of(world, &init);
    world.act(&init, || thread_fork(&init, &thread_request()).unwrap());
    world.act(&system, || kernel_thread(&system, "k", |_| (), 0, ForkFlags::empty()).map(drop).unwrap());
    assert_eq!(read(), [4, 0, 2]);
    *world.on_start.lock().unwrap() = Some(Box::new(|machine| {
        let child = Fake::thread_of(machine.payload()).unwrap();
        crate::proc::exit_process(child, crate::proc::ExitStatus::Exited(0));
    }));
    world.act(&init, || vfork(&init).unwrap());
    assert_eq!(read(), [5, 1, 2]);
}

#[test]
fn f43_f46_init_is_process_1_and_a_plain_fork_of_process_0() {
    let (world, system) = World::bare();
    let forked = world.act(&system, || crate::proc::start_init(&system, |_| (), 9).unwrap());
    assert_eq!(forked.pid, Pid::INIT);
    assert_eq!(forked.thread.tid().0, 1);
    let init = forked.thread.process();
    assert_eq!((init.parent_pid(), init.flags()), (Pid::SYSTEM, ProcessFlags::FORKED));
    assert!(!Arc::ptr_eq(&init.files().unwrap(), &system.process().files().unwrap()));
}

#[test]
fn f46_kernel_threads_share_all_of_process_0_and_leave_no_zombie() {
    let (world, system, init) = World::new();
    let forked = world.act(&system, || kernel_thread(&system, "writer", |_| (), 0, ForkFlags::empty()).unwrap());
    let process = Arc::clone(forked.thread.process());
    assert!(process.flags().contains(ProcessFlags::SYSTEM | ProcessFlags::NO_ZOMBIE));
    assert!(Arc::ptr_eq(&process.files().unwrap(), &system.process().files().unwrap()));
    assert_eq!(process.name().as_str(), "writer");
    assert_eq!(process.parent_pid(), Pid::SYSTEM);
    let before = counts(world, &process);
    exits(world, &forked.thread, 0);
    assert_eq!(is_zombie(world, &init, forked.pid), None);
    assert_eq!(counts(world, system.process()), (before.0 - 1, before.1 - 1, before.2 - 1), "f30");
    let recent = world.act(&system, || world.processes.tree().is_recent(forked.pid));
    assert!(recent, "f56: its number is kept back");
}

#[test]
fn clone_flags_that_do_not_go_together_are_refused_as_linux_does() {
    let (world, _, init) = World::new();
    let before = counts(world, init.process());
    let thread = CloneFlags::VM | CloneFlags::FS | CloneFlags::FILES | CloneFlags::SIGHAND | CloneFlags::THREAD;
    let refused = [
        (CloneFlags::THREAD | CloneFlags::VM, 0),
        (CloneFlags::SIGHAND, 17),
        (CloneFlags::SIGHAND | CloneFlags::VM | CloneFlags::CLEAR_SIGHAND, 17),
        (CloneFlags::NEWNS, 17),
        (CloneFlags::NEWUSER | CloneFlags::NEWPID, 17),
        (CloneFlags::NEWTIME, 17),
        (CloneFlags::PIDFD, 17),
        (CloneFlags::INTO_CGROUP, 17),
        (CloneFlags::from_bits_retain(1 << 40), 17),
        (CloneFlags::empty(), 65),
        // Process 1 is nobody's sibling.
        (CloneFlags::PARENT, 17),
        (thread | CloneFlags::VFORK, 0),
        (thread.difference(CloneFlags::FILES), 0),
        // A thread needs a stack (f48).
        (thread, 0),
    ];
    for (flags, signal) in refused {
        let result = world.act(&init, || clone(&init, &clone_arguments(flags, signal)));
        assert_eq!(result, Err(ForkError::Invalid), "{flags:?}");
    }
    assert_eq!(counts(world, init.process()), before);
}

#[test]
fn what_the_c_libraries_ask_of_clone_is_done() {
    let (world, _, init) = World::new();
    let glibc_fork = CloneFlags::CHILD_CLEARTID | CloneFlags::CHILD_SETTID;
    let arguments = crate::proc::CloneArguments { child_tid: DATA, ..clone_arguments(glibc_fork, 17) };
    let Cloned::Process(number) = world.act(&init, || clone(&init, &arguments).unwrap()) else { panic!() };
    let child = world.act(&init, || crate::proc::find_thread::<Fake>(crate::sched::Tid(number.0)).unwrap());
    world.act(&child, || child_return(&child));
    assert_eq!(u32::from(peek(world, &child, DATA)), number.0 & 0xff, "stored in the child's memory");
    assert_eq!(peek(world, &init, DATA), 0, "and not in the parent's");

    let pthread = CloneFlags::VM
        | CloneFlags::FS
        | CloneFlags::FILES
        | CloneFlags::SIGHAND
        | CloneFlags::THREAD
        | CloneFlags::SYSVSEM
        | CloneFlags::SETTLS
        | CloneFlags::PARENT_SETTID
        | CloneFlags::CHILD_CLEARTID
        | CloneFlags::DETACHED;
    let arguments = crate::proc::CloneArguments {
        stack: Some(UserAddr::new(0x9000)),
        tls: UserAddr::new(0x8000),
        parent_tid: DATA,
        child_tid: UserAddr::new(DATA.get() + 8),
        ..clone_arguments(pthread, 0)
    };
    world.take_events();
    let Cloned::Thread(tid) = world.act(&init, || clone(&init, &arguments).unwrap()) else { panic!() };
    assert_eq!(world.take_events(), [Event::Made(Pid::INIT), Event::Stored(DATA, tid.0), Event::Started(Pid::INIT)]);
    let thread = world.act(&init, || crate::proc::find_thread::<Fake>(tid).unwrap());
    let start = thread.machine().unwrap().payload().start;
    assert!(matches!(start, Some(Start::Thread { tls: Some(tls), .. }) if tls == UserAddr::new(0x8000)));
}

#[test]
fn the_childs_number_is_in_the_parents_memory_before_the_child_runs() {
    let (world, _, init) = World::new();
    let arguments = crate::proc::CloneArguments { parent_tid: DATA, ..clone_arguments(CloneFlags::PARENT_SETTID, 17) };
    let Cloned::Process(number) = world.act(&init, || clone(&init, &arguments).unwrap()) else { panic!() };
    let stored = Event::Stored(DATA, number.0);
    assert_eq!(world.take_events(), [Event::Made(number), stored, Event::Started(number)]);
    let child = world.act(&init, || crate::proc::find_thread::<Fake>(crate::sched::Tid(number.0)).unwrap());
    assert_eq!(peek(world, &child, DATA), 0, "the child's memory was copied before");
}

#[test]
fn a_sibling_is_the_parents_child_in_the_callers_group() {
    let (world, _, init) = World::new();
    let caller = child_of(world, &init);
    world.act(&caller, || crate::proc::set_group(caller.process(), None, None).unwrap());
    let arguments = clone_arguments(CloneFlags::PARENT, 0);
    let Cloned::Process(number) = world.act(&caller, || clone(&caller, &arguments).unwrap()) else { panic!() };
    let relations = world.act(&caller, || crate::proc::relations::<Fake>(number).unwrap());
    assert_eq!((relations.parent, relations.group), (Pid::INIT, pid(&caller)));
}

#[test]
fn f45_a_traced_parent_is_told_of_its_fork_and_never_of_its_vfork() {
    let (world, _, init) = World::new();
    let parent = child_of(world, &init);
    parent.process().attach(|attached| attached.tracing = Some(Tracing { forks: true }));
    *world.on_start.lock().unwrap() = Some(Box::new(|machine| {
        let child = Fake::thread_of(machine.payload()).unwrap();
        crate::proc::exit_process(child, crate::proc::ExitStatus::Exited(0));
    }));
    world.act(&parent, || vfork(&parent).unwrap());
    assert!(!parent.pending().contains(Signal::TRAP));
    let child = world.act(&parent, || fork(&parent).unwrap());
    assert!(parent.pending().contains(Signal::TRAP));
    assert_eq!(reap(world, &parent, child), ChildEvent::Exited(0), "the number is the child's");
}

#[test]
fn f53_threads_and_processes_have_numbers_that_cannot_be_mixed_up() {
    let (world, _, init) = World::new();
    let thread = sibling_of(world, &init);
    assert!((100_001..=624_288).contains(&thread.tid().0));
    assert!((100_001..=624_288).contains(&init.thread_id().0), "the main thread has one as well, for getthrid");
    assert_eq!(init.tid().0, 1);
}

#[test]
fn f19_f60_the_child_has_the_same_open_files_but_not_those_marked_close_on_fork() {
    let (world, _, init) = World::new();
    let kept = opens(world, &init, DescriptorFlags::CLOSE_ON_EXEC);
    let dropped = opens(world, &init, DescriptorFlags::CLOSE_ON_FORK);
    let child = child_of(world, &init);
    assert!(Arc::ptr_eq(&file(&child, kept).unwrap(), &file(&init, kept).unwrap()), "so the offset is shared");
    let flags = child.process().files().unwrap().lock().flags(kept).unwrap();
    assert_eq!(flags, DescriptorFlags::CLOSE_ON_EXEC);
    assert!(file(&child, dropped).is_none());
    assert!(file(&init, dropped).is_some());
    opens(world, &child, DescriptorFlags::empty());
    assert!(file(&init, dropped).is_some_and(|file| Arc::strong_count(&file) == 2), "the table is the child's own");
    let sharer = fork_with(world, &init, ForkFlags::FORK | ForkFlags::SHAREFILES).unwrap();
    assert!(Arc::ptr_eq(&sharer.process().files().unwrap(), &init.process().files().unwrap()));
}

#[test]
fn f19_f61_root_working_directory_and_mask_are_copied_or_shared() {
    let (world, _, init) = World::new();
    init.process().context().unwrap().lock().set_umask(0o077);
    let child = child_of(world, &init);
    let context = child.process().context().unwrap();
    assert_eq!(context.lock().umask(), 0o077);
    let parents = init.process().context().unwrap();
    let roots = [&context, &parents].map(|context| Arc::clone(context.lock().root()));
    assert!(Arc::ptr_eq(&roots[0], &roots[1]));
    context.lock().set_umask(0o007);
    assert_eq!(init.process().context().unwrap().lock().umask(), 0o077);
    let request =
        ForkRequest { context: crate::proc::ContextSharing::Share, ..ForkRequest::new(ForkFlags::FORK, Start::Fork) };
    let sharer = world.act(&init, || fork1(&init, &request).unwrap().thread);
    assert!(Arc::ptr_eq(&sharer.process().context().unwrap(), &init.process().context().unwrap()));
}

#[test]
fn f21_memory_is_copied_on_write_or_shared() {
    let (world, _, init) = World::new();
    poke(world, &init, DATA, 1);
    let child = child_of(world, &init);
    poke(world, &init, DATA, 2);
    assert_eq!(peek(world, &child, DATA), 1);
    let sharer = fork_with(world, &init, ForkFlags::FORK | ForkFlags::SHAREVM).unwrap();
    poke(world, &sharer, DATA, 3);
    assert_eq!(peek(world, &init, DATA), 3);
    assert_eq!(init.space().unwrap().users(), 2);
    assert_ne!(child.space().unwrap().id(), init.space().unwrap().id(), "keys of private futexes differ");
    assert_ne!(child.space().unwrap().tag(), init.space().unwrap().tag());
}

#[test]
fn no_frame_asid_or_stack_is_lost_by_a_family_that_comes_and_goes() {
    let (world, _, init) = World::new();
    let before = (world.machine.pages(), world.asids_out.load(SeqCst), counts(world, init.process()));
    let children: Vec<Thread> = (0..3).map(|_| child_of(world, &init)).collect();
    let grandchildren: Vec<Thread> = children.iter().map(|child| child_of(world, child)).collect();
    for thread in children.iter().chain(&grandchildren) {
        poke(world, thread, DATA, 9);
        exits(world, thread, 0);
    }
    for thread in children.iter().chain(&grandchildren) {
        reap(world, &init, pid(thread));
    }
    assert_eq!((world.machine.pages(), world.asids_out.load(SeqCst), counts(world, init.process())), before);
    assert_eq!(stacks_out(world), 0);
    assert_eq!(world.act(&init, || world.processes.tree().sizes()), (2, 2));
}

#[test]
fn tid_pointers_of_a_plain_fork_are_nowhere() {
    let request = ThreadRequest { child: TidPointers::default(), ..thread_request() };
    assert_eq!((request.child.announce, request.child.clear), (None, None));
}

#[test]
fn f62_a_fork_takes_one_frame_whatever_is_resident() {
    let (world, _, init) = World::new();
    let frames = || (world.machine.lab.tables.used().len(), world.machine.pages());
    for page in 0..16 {
        poke(world, &init, UserAddr::new(DATA.get() + page * 4096), 1);
        let before = frames();
        let child = child_of(world, &init);
        assert_eq!(frames(), (before.0 + 1, before.1), "a root, and no page");
        exits(world, &child, 0);
        reap(world, &init, pid(&child));
    }
}

//! Groups, sessions and terminals, by the rules of POSIX.

use super::support::*;
use crate::proc::fake::{Fake, World};
use crate::proc::{
    GroupError, Pid, ProcessFlags, acquire_terminal, group_of, is_orphaned, session_of, set_foreground, set_group,
    set_session, terminal_of,
};

fn groups(world: &'static World, of: &Thread) -> (Pid, Pid) {
    world.act(of, || (group_of::<Fake>(of.process(), None).unwrap(), session_of::<Fake>(of.process(), None).unwrap()))
}

fn sets(world: &'static World, caller: &Thread, target: &Thread, group: Option<Pid>) -> Result<(), GroupError> {
    world.act(caller, || set_group(caller.process(), Some(pid(target)), group))
}

#[test]
fn a_process_founds_a_group_of_its_number_and_moves_back() {
    let (world, _, init) = World::new();
    let child = child_of(world, &init);
    assert_eq!(groups(world, &child), (Pid(0), Pid(0)));
    sets(world, &child, &child, None).unwrap();
    assert_eq!(groups(world, &child), (pid(&child), Pid(0)));
    sets(world, &child, &child, Some(Pid(0))).unwrap();
    assert_eq!(groups(world, &child), (Pid(0), Pid(0)));
}

#[test]
fn a_parent_moves_children_that_have_not_executed_a_program_into_its_sessions_groups() {
    let (world, _, init) = World::new();
    let shell = child_of(world, &init);
    let (one, two) = (child_of(world, &shell), child_of(world, &shell));
    sets(world, &shell, &one, None).unwrap();
    sets(world, &shell, &two, Some(pid(&one))).unwrap();
    assert_eq!(groups(world, &two).0, pid(&one));
    assert_eq!(sets(world, &shell, &two, Some(Pid(3333))), Err(GroupError::NotPermitted), "there is no such group");
    two.process().clear_flags(ProcessFlags::FORKED);
    assert_eq!(sets(world, &shell, &two, None), Err(GroupError::HasExecuted));
    two.process().set_flags(ProcessFlags::FORKED);
    assert_eq!(sets(world, &one, &two, None), Err(GroupError::NoSuchProcess), "a brother is nobody's child");
    assert_eq!(sets(world, &two, &shell, None), Err(GroupError::NoSuchProcess), "nor is a parent");
    exits(world, &two, 0);
    assert_eq!(sets(world, &shell, &two, None), Err(GroupError::NoSuchProcess), "nor a zombie");
}

#[test]
fn sessions_keep_apart() {
    let (world, _, init) = World::new();
    let leader = child_of(world, &init);
    assert_eq!(world.act(&leader, || set_session(leader.process())), Ok(pid(&leader)));
    assert_eq!(groups(world, &leader), (pid(&leader), pid(&leader)));
    assert_eq!(world.act(&leader, || set_session(leader.process())), Err(GroupError::NotPermitted));
    assert_eq!(sets(world, &leader, &leader, None), Err(GroupError::NotPermitted), "a leader stays");
    assert_eq!(sets(world, &init, &leader, None), Err(GroupError::NotPermitted), "another session's child");
    let stranger = child_of(world, &init);
    assert_eq!(sets(world, &stranger, &stranger, Some(pid(&leader))), Err(GroupError::NotPermitted));
    let member = child_of(world, &leader);
    sets(world, &member, &member, None).unwrap();
    assert_eq!(groups(world, &member), (pid(&member), pid(&leader)));
    assert_eq!(world.act(&member, || set_session(member.process())), Err(GroupError::NotPermitted), "it leads a group");
}

#[test]
fn a_group_whose_number_outlives_its_leader_bars_the_session_of_that_number() {
    let (world, _, init) = World::new();
    let leader = child_of(world, &init);
    sets(world, &leader, &leader, None).unwrap();
    let member = child_of(world, &leader);
    sets(world, &leader, &leader, Some(Pid(0))).unwrap();
    assert_eq!(groups(world, &member).0, pid(&leader));
    assert_eq!(world.act(&leader, || set_session(leader.process())), Err(GroupError::NotPermitted));
}

#[test]
fn a_terminal_belongs_to_one_session_and_a_session_has_one_terminal() {
    let (world, _, init) = World::new();
    let (one, two) = (child_of(world, &init), child_of(world, &init));
    let acquire = |thread: &Thread, device| world.act(thread, || acquire_terminal(thread.process(), device));
    for leader in [&one, &two] {
        world.act(leader, || set_session(leader.process()).unwrap());
    }
    assert_eq!(acquire(&one, 4), Ok(()));
    assert_eq!(acquire(&one, 4), Ok(()), "once more does no harm");
    assert_eq!(acquire(&one, 5), Err(GroupError::NotPermitted));
    assert_eq!(acquire(&two, 4), Err(GroupError::NotPermitted));
    let member = child_of(world, &one);
    assert_eq!(acquire(&member, 4), Err(GroupError::NotPermitted), "only a leader");
    let terminal = world.act(&member, || terminal_of(member.process())).unwrap();
    assert_eq!((terminal.device, terminal.foreground), (4, pid(&one)));
    sets(world, &member, &member, None).unwrap();
    world.act(&one, || set_foreground(one.process(), pid(&member)).unwrap());
    assert_eq!(world.act(&one, || terminal_of(one.process())).unwrap().foreground, pid(&member));
    let theirs = world.act(&one, || set_foreground(one.process(), pid(&two)));
    assert_eq!(theirs, Err(GroupError::NotPermitted));
}

#[test]
fn a_group_is_orphaned_when_its_last_anchor_leaves() {
    let (world, _, init) = World::new();
    let shell = child_of(world, &init);
    world.act(&shell, || set_session(shell.process()).unwrap());
    let job = child_of(world, &shell);
    let orphaned = |thread: &Thread| world.act(thread, || is_orphaned(thread.process()));
    assert!(orphaned(&shell) && orphaned(&job), "the parent of each is in the same group or another session");
    sets(world, &shell, &job, None).unwrap();
    assert!(!orphaned(&job));
    let member = child_of(world, &job);
    exits(world, &job, 0);
    assert!(orphaned(&member), "its parent is process 1 now");
}

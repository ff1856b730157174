//! What a process had in common with another and parts with.

use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;

use super::support::*;
use crate::fs::DescriptorFlags;
use crate::proc::fake::World;
use crate::proc::{ContextSharing, ForkFlags, ForkRequest, Parting, Start, UnshareError, fork1, thread_fork, unshare};

const BOTH: Parting = Parting { files: true, context: true };

/// A process that shares its files and places with another.
fn sharer(world: &'static World, parent: &Thread) -> Thread {
    let flags = ForkFlags::FORK | ForkFlags::SHAREFILES;
    let request = ForkRequest { context: ContextSharing::Share, ..ForkRequest::new(flags, Start::Fork) };
    world.act(parent, || fork1(parent, &request).unwrap().thread)
}

fn has_same(one: &Thread, other: &Thread) -> (bool, bool) {
    let [files, others] = [one, other].map(|thread| thread.process().files().unwrap());
    let [context, other] = [one, other].map(|thread| thread.process().context().unwrap());
    (Arc::ptr_eq(&files, &others), Arc::ptr_eq(&context, &other))
}

#[test]
fn who_parts_has_the_same_files_and_places_in_tables_of_his_own() {
    let (world, _, init) = World::new();
    let marks = [DescriptorFlags::CLOSE_ON_EXEC, DescriptorFlags::CLOSE_ON_FORK, DescriptorFlags::empty()];
    let opened = marks.map(|flags| opens(world, &init, flags));
    init.process().context().unwrap().lock().set_umask(0o077);
    let child = sharer(world, &init);
    assert_eq!(has_same(&init, &child), (true, true));
    assert_eq!(world.act(&child, || unshare(&child, BOTH)), Ok(()));
    assert_eq!(has_same(&init, &child), (false, false));
    for (fd, flags) in opened.into_iter().zip(marks) {
        assert!(Arc::ptr_eq(&file(&init, fd).unwrap(), &file(&child, fd).unwrap()));
        assert_eq!(child.process().files().unwrap().lock().flags(fd), Some(flags));
    }
    let more = opens(world, &child, DescriptorFlags::empty());
    assert!(file(&init, more).is_none());
    let context = child.process().context().unwrap();
    assert_eq!(context.lock().umask(), 0o077);
    context.lock().set_umask(0);
    assert_eq!(init.process().context().unwrap().lock().umask(), 0o077);
}

#[test]
fn only_what_is_asked_for_is_parted_with() {
    let (world, _, init) = World::new();
    for (files, context) in [(true, false), (false, true), (false, false)] {
        let child = sharer(world, &init);
        world.act(&child, || unshare(&child, Parting { files, context })).unwrap();
        assert_eq!(has_same(&init, &child), (!files, !context));
    }
}

#[test]
fn what_nobody_else_has_stays_where_it_is() {
    let (world, _, init) = World::new();
    let child = child_of(world, &init);
    let before = Arc::as_ptr(&child.process().files().unwrap());
    world.act(&child, || unshare(&child, BOTH)).unwrap();
    assert!(core::ptr::eq(before, Arc::as_ptr(&child.process().files().unwrap())));
}

#[test]
fn a_process_of_several_threads_keeps_what_they_share() {
    let (world, _, init) = World::new();
    let child = sharer(world, &init);
    world.act(&child, || thread_fork(&child, &thread_request()).unwrap());
    assert_eq!(world.act(&child, || unshare(&child, BOTH)), Err(UnshareError::Threads));
    assert_eq!(has_same(&init, &child), (true, true));
}

#[test]
fn without_memory_nothing_changes() {
    let (world, _, init) = World::new();
    let child = sharer(world, &init);
    world.room.store(false, SeqCst);
    assert_eq!(world.act(&child, || unshare(&child, BOTH)), Err(UnshareError::OutOfMemory));
    world.room.store(true, SeqCst);
    assert_eq!(has_same(&init, &child), (true, true));
}
